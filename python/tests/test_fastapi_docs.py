"""Applications of FastAPI's own documentation, unmodified, driven as their pages describe."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from harness.compare import Case, Pair, case, serve_both
from harness.fastapi_source import docs_src

SECRET = [("X-Token", "fake-super-secret-token")]
WRONG = [("X-Token", "invalid")]


@pytest.fixture(scope="module")
def bigger() -> Iterator[Pair]:
    with serve_both("app.main:app", cwd=docs_src() / "bigger_applications") as pair:
        yield pair


BIGGER = [
    case(method, target, headers, note="with" if headers is SECRET else "wrong" if headers is WRONG else "without")
    for method, target in [
        ("GET", "/"), ("GET", "/?token=jessica"), ("GET", "/?token=other"), ("GET", "/users/?token=jessica"), ("GET", "/users/"),
        ("GET", "/users?token=jessica"), ("GET", "/users/foo?token=jessica"), ("GET", "/users/me?token=jessica"), ("GET", "/users/me"),
        ("GET", "/users/me?token=monica"), ("GET", "/items?token=jessica"), ("GET", "/items/?token=jessica"), ("GET", "/items/"),
        ("GET", "/items/plumbus?token=jessica"), ("GET", "/items/bar?token=jessica"), ("GET", "/items/plumbus"),
        ("PUT", "/items/plumbus?token=jessica"), ("PUT", "/items/bar?token=jessica"), ("PUT", "/items/plumbus"),
        ("POST", "/items/?token=jessica"), ("POST", "/admin/?token=jessica"), ("POST", "/admin/"), ("GET", "/admin/?token=jessica"),
        ("GET", "/openapi.json"), ("GET", "/docs"), ("GET", "/redoc"), ("GET", "/nothing?token=jessica"),
    ]
    for headers in ([], SECRET, WRONG)
]  # fmt: skip


@pytest.mark.parametrize("request_", BIGGER, ids=str)
def test_bigger_applications(bigger: Pair, request_: Case) -> None:
    bigger.check(request_)


def test_bigger_applications_as_documented(bigger: Pair) -> None:
    assert bigger.same("GET", "/?token=jessica").json() == {"message": "Hello Bigger Applications!"}
    assert bigger.same("GET", "/users/?token=jessica").json() == [{"username": "Rick"}, {"username": "Morty"}]
    items = bigger.same("GET", "/items/?token=jessica", SECRET)
    assert items.json() == {"plumbus": {"name": "Plumbus"}, "gun": {"name": "Portal Gun"}}
    assert bigger.same("POST", "/admin/?token=jessica", SECRET).json() == {"message": "Admin getting schwifty"}
    assert bigger.same("PUT", "/items/bar?token=jessica", SECRET).status == 403


@contextlib.contextmanager
def open_socket(port: int, target: str, **options: Any) -> Iterator[ClientConnection]:
    with connect(f"ws://127.0.0.1:{port}{target}", open_timeout=30, close_timeout=30, **options) as socket:
        yield socket


def on_both(pair: Pair, script: Callable[[int], list[Any]]) -> list[Any]:
    ours, reference = (script(port) for port in pair.ports)
    assert ours == reference
    return ours


def receive(socket: ClientConnection, count: int) -> list[str | bytes]:
    return [socket.recv(timeout=30) for _ in range(count)]


def test_websockets_tutorial001() -> None:
    with serve_both("tutorial001:app", cwd=docs_src() / "websockets_") as pair:
        assert b"<title>Chat</title>" in pair.same("GET", "/").body

        def script(port: int) -> list[Any]:
            with open_socket(port, "/ws") as socket:
                socket.send("Message one")
                socket.send("Message two")
                return receive(socket, 2)

        assert on_both(pair, script) == ["Message text was: Message one", "Message text was: Message two"]


@pytest.mark.parametrize("module", ["tutorial002", "tutorial002_non_an"])
def test_websockets_tutorial002(module: str) -> None:
    if not (docs_src() / "websockets_" / f"{module}.py").exists():
        module = f"{module}_py310"
    with serve_both(f"{module}:app", cwd=docs_src() / "websockets_") as pair:
        assert b"<title>Chat</title>" in pair.same("GET", "/").body

        def with_cookie(port: int) -> list[Any]:
            with open_socket(port, "/items/foo/ws", additional_headers={"Cookie": "session=fakesession"}) as socket:
                socket.send("Message one")
                return receive(socket, 2)

        assert on_both(pair, with_cookie) == [
            "Session cookie or query token value is: fakesession",
            "Message text was: Message one, for item ID: foo",
        ]

        def with_token_and_query(port: int) -> list[Any]:
            with open_socket(port, "/items/bar/ws?q=3&token=some-token") as socket:
                socket.send("Message one")
                return receive(socket, 3)

        assert on_both(pair, with_token_and_query) == [
            "Session cookie or query token value is: some-token",
            "Query parameter q is: 3",
            "Message text was: Message one, for item ID: bar",
        ]

        def refused(port: int) -> list[Any]:
            statuses = []
            for target in ["/items/foo/ws", "/items/bar/ws?q=baz&token=some-token"]:
                with pytest.raises(InvalidStatus) as refusal, open_socket(port, target):
                    pass
                statuses.append(refusal.value.response.status_code)
            return statuses

        assert on_both(pair, refused) == [403, 403]


def test_websockets_tutorial003() -> None:
    with serve_both("tutorial003:app", cwd=docs_src() / "websockets_") as pair:
        assert b"<h1>WebSocket Chat</h1>" in pair.same("GET", "/").body

        def script(port: int) -> list[Any]:
            with open_socket(port, "/ws/1234") as first:
                with open_socket(port, "/ws/5678") as second:
                    first.send("Hello from 1234")
                    seen = receive(first, 2) + receive(second, 1)
                    second.send("Hello from 5678")
                    seen += receive(second, 2) + receive(first, 1)
                return seen + receive(first, 1)

        assert on_both(pair, script) == [
            "You wrote: Hello from 1234", "Client #1234 says: Hello from 1234", "Client #1234 says: Hello from 1234",
            "You wrote: Hello from 5678", "Client #5678 says: Hello from 5678", "Client #5678 says: Hello from 5678",
            "Client #5678 left the chat",
        ]  # fmt: skip
