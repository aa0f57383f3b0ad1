"""Limits for bodies by route, larger and smaller than the server's, on every lane."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.routing import Host

from bimetal import APIRouter, Bimetal, RouteError
from bimetal.compile import compile_app
from harness.servers import ServerProcess, start_bimetal
from harness.wire import Connection, get, request

pytestmark = pytest.mark.bimetal_only

USUAL, SMALL, LARGE = 1000, 100, 200_000
LIMITS = {"small": SMALL, "large": LARGE, "usual": USUAL}
LANES = ["sync", "async", "request", "raw"]
JSON = ("Content-Type", "application/json")
APPS = {"app": ["", "/v1/routed"], "within": [""], "whole": ["", "/api"]}


@pytest.fixture(scope="module", params=APPS)
def served(request: pytest.FixtureRequest) -> Iterator[tuple[ServerProcess, list[str]]]:
    with start_bimetal(f"body_limits:{request.param}", "--max-body", str(USUAL)) as server:
        yield server.wait_ready(), APPS[request.param]


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with start_bimetal("body_limits:app", "--max-body", str(USUAL)) as server:
        yield server.wait_ready()


def text(size: int) -> bytes:
    return b'"' + b"x" * (size - 2) + b'"'


def refusal(limit: int) -> dict[str, str]:
    return {"detail": f"Request body is larger than {limit} bytes"}


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("lane", LANES)
def test_up_to_the_limit(served: tuple[ServerProcess, list[str]], lane: str, name: str) -> None:
    server, prefixes = served
    for prefix in prefixes:
        body = text(LIMITS[name])
        for sent in (body, (body[:50], body[50:])):
            reply = request(server.port, "POST", f"{prefix}/{lane}/{name}", [JSON], sent)
            assert (reply.status, reply.json()) == (200, {"size": LIMITS[name]}), (prefix, type(sent))


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("lane", LANES)
def test_beyond_the_limit(served: tuple[ServerProcess, list[str]], lane: str, name: str) -> None:
    server, prefixes = served
    limit = LIMITS[name]
    for prefix in prefixes:
        with Connection(server.port) as connection:
            # Nothing of it is sent: the length is enough.
            connection.send_request("POST", f"{prefix}/{lane}/{name}", [JSON, ("Content-Length", str(limit + 1))])
            reply = connection.read_reply()
            assert (reply.status, reply.json()) == (413, refusal(limit))
            assert reply.header("connection") == "close"
        body = text(limit + 1)
        chunked = request(server.port, "POST", f"{prefix}/{lane}/{name}", [JSON], (body[:50], body[50:]))
        assert (chunked.status, chunked.json()) == (413, refusal(limit)), prefix


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("lane", LANES)
def test_whoever_asks_first(served: tuple[ServerProcess, list[str]], lane: str, name: str) -> None:
    server, (prefix, *_) = served
    limit = LIMITS[name]
    with Connection(server.port) as connection:
        expect = [JSON, ("Expect", "100-continue")]
        connection.send_request("POST", f"{prefix}/{lane}/{name}", [*expect, ("Content-Length", str(limit))])
        assert connection.reader.readline() == b"HTTP/1.1 100 Continue\r\n"
        assert connection.reader.readline() == b"\r\n"
        connection.send(text(limit))
        assert connection.read_reply().json() == {"size": limit}
        connection.send_request("POST", f"{prefix}/{lane}/{name}", [*expect, ("Content-Length", str(limit + 1))])
        reply = connection.read_reply()
        assert (reply.status, reply.json()) == (413, refusal(limit))
        assert connection.is_closed_by_server()


def test_no_handler_is_called_for_what_is_refused(server: ServerProcess) -> None:
    get(server.port, "/started")
    for lane in ("sync", "async", "form"):
        for name, limit in LIMITS.items():
            assert request(server.port, "POST", f"/{lane}/{name}", [JSON], text(limit + 1)).status == 413
    assert get(server.port, "/started").json() == []


def test_native_routes(server: ServerProcess) -> None:
    for name in ("small", "large"):
        for size, status in ((LIMITS[name], 200), (LIMITS[name] + 1, 413)):
            for body in (b"x" * size, (b"x" * (size - 1), b"x")):
                assert request(server.port, "POST", f"/native/{name}", [], body).status == status


def test_files(server: ServerProcess) -> None:
    def upload(size: int) -> tuple[list[tuple[str, str]], bytes]:
        head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
        return [("Content-Type", "multipart/form-data; boundary=b")], head + b"x" * size + b"\r\n--b--\r\n"

    headers, body = upload(LARGE - 500)
    reply = request(server.port, "POST", "/form/large", headers, body)
    assert (reply.status, reply.json()) == (200, {"size": LARGE - 500})
    assert request(server.port, "POST", "/form/usual", headers, body).status == 413
    assert request(server.port, "POST", "/form/large", *upload(LARGE)).json() == refusal(LARGE)


def test_a_method_of_an_object(server: ServerProcess) -> None:
    for verb in ("POST", "PUT"):
        assert request(server.port, verb, "/bound/small", [], b"x" * SMALL).json() == {"size": SMALL}
        assert request(server.port, verb, "/bound/small", [], b"x" * (SMALL + 1)).status == 413


@pytest.mark.parametrize("target", ["/plain", "/nowhere", "/native/large"])
def test_elsewhere_the_servers_limit_holds(server: ServerProcess, target: str) -> None:
    method = "PUT" if target == "/native/large" else "POST"
    assert request(server.port, method, target, [], b"x" * USUAL).status in (200, 404, 405)
    assert request(server.port, method, target, [], b"x" * (USUAL + 1)).json() == refusal(USUAL)


@pytest.mark.parametrize("limit", ["1", 1.5, True, -1, [1]])
def test_no_number_of_bytes(limit: object) -> None:
    with pytest.raises(TypeError, match="give a number of bytes"):
        Bimetal().post("/", max_body_size=limit)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="give a number of bytes"):
        Bimetal().add_api_route("/", lambda: None, max_body_size=limit)  # type: ignore[arg-type]


def limited(app: Bimetal | APIRouter) -> None:
    @app.post("/upload", max_body_size=10)
    def upload() -> None: ...


def test_what_cannot_be_kept_is_refused_at_the_start() -> None:
    """A limit nobody would keep: the line names the file, the route and what to do."""
    inner = Bimetal()
    limited(inner)
    mounting = Bimetal()
    mounting.mount("/sub", inner)
    with pytest.raises(
        RouteError, match=rf"{Path(__file__).name}:\d+: route POST /upload: .*Mount\('/sub'\).*include_"
    ):
        compile_app(mounting)
    hosted = FastAPI(routes=[Host("a.example", inner)])
    with pytest.raises(RouteError, match=r"route POST /upload: .*Host\('a.example'\)"):
        compile_app(hosted)
    behind = Bimetal(routes=[Host("a.example", FastAPI())])
    limited(behind)
    with pytest.raises(
        RouteError, match=r"route POST /upload: .* behind Host\('a.example'\); declare the route earlier"
    ):
        compile_app(behind)

    class Own(APIRouter):
        async def handle(self, scope: object, receive: object, send: object) -> None: ...

    own = Own()
    limited(own)
    including = Bimetal()
    including.include_router(own)
    with pytest.raises(RouteError, match="route POST /upload: max_body_size= cannot be kept"):
        compile_app(including)
