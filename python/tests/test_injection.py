"""Injected objects: the temporary Response, background tasks, Request and HTTPConnection, and the body behind them."""

from __future__ import annotations

import pytest
from injected import RETURNS

from harness.journal import Journal
from harness.wire import Connection, Headers

APP = "injected:app"

JSON = [("Content-Type", "application/json")]
FORM = [("Content-Type", "application/x-www-form-urlencoded")]
MULTIPART = [("Content-Type", "multipart/form-data; boundary=b")]
FILE = (
    b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nvalue\r\n'
    b'--b\r\nContent-Disposition: form-data; name="upload"; filename="f.txt"\r\nContent-Type: text/plain\r\n\r\ncontent\r\n--b--\r\n'
)
BODIES: list[tuple[Headers, bytes | tuple[bytes, ...] | None]] = [
    (JSON, b'{"a": 1}'),
    (JSON, (b'{"a"', b": 1}")),
    (JSON, b""),
    (JSON, b"{"),
    (JSON, b'{"a": "' + b"x" * 200_000 + b'"}'),
    ([], b'{"a": 1}'),
    ([], None),
    (FORM, b"a=1&a=2&b=%C3%BC"),
    (MULTIPART, FILE),
    (MULTIPART, b"--b\r\nbroken"),
    ([("Content-Type", "application/octet-stream")], b"\x00\xff"),
]


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("route", ["", "/layers", "/created", "/no-content", "/model", "/text"])
def test_response_parameter(journal: Journal, route: str, kind: str) -> None:
    returns = [r for r in RETURNS if route != "/text" or r not in ("json", "none")]
    for query in [f"returns={r}" for r in returns] + [
        "fail=http",
        "fail=known",
        "cookie=1",
        "returns=none&code=204",
        "code=304",
    ]:
        for extra in ["", "&code=299", "&header=1"]:
            journal.same("GET", f"/{kind}/response{route}?{query}{extra if 'code' not in query else ''}")


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("route", ["", "/dependencies", "/response"])
def test_background_tasks(journal: Journal, route: str, kind: str) -> None:
    for returns in RETURNS:
        journal.same("GET", f"/{kind}/tasks{route}?returns={returns}")
    journal.same("GET", f"/{kind}/tasks{route}?nested=1")


def test_absolute_background(journal: Journal) -> None:
    assert journal.same("GET", "/sync/tasks").events == [
        "the same tasks: True BackgroundTasks BackgroundTasks 2", "task of the first dependency", "task of the second dependency False",
        "task of the handler", "task of the handler as well", "keywords True", "exit",
    ]  # fmt: skip
    assert journal.same("GET", "/async/tasks?returns=own-background").events[1:] == ["own background", "exit"]
    reply = journal.same("GET", "/sync/response/layers?cookie=1&header=1").reply
    assert reply.all("vary") == ["X-One", "X-Two"] and reply.all("x-dependency") == ["replaced"]
    assert len(reply.all("set-cookie")) == 2 and reply.header("x-too-late") is None
    assert journal.same("GET", "/sync/response/layers?returns=response").reply.header("x-dependency") is None


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/facts/x", []),
        ("/facts/a%20b%2Fc?q=1&q=2&empty=&%C3%BC=%F0%9F%A6%80+x", [("X-Twice", "1"), ("x-twice", "2"), ("Cookie", "a=1; b=\"2\"")]),
        ("/facts/x", [("Host", "example.org:8080"), ("X-Latin", "\xfc")]),
        ("/facts/%ff", []),
        ("/facts/x/", []),
        ("/facts/of/dependency?x", [("Cookie", "c=d"), ("Cookie", "e=f")]),
    ],
)  # fmt: skip
def test_request_and_connection(journal: Journal, kind: str, target: str, headers: Headers) -> None:
    journal.same("GET", f"/{kind}{target}", headers)


def test_requests_with_other_methods_and_places(journal: Journal) -> None:
    for kind in ("sync", "async"):
        journal.same("HEAD", f"/{kind}/facts/x")
        journal.same("POST", f"/{kind}/facts/x", *BODIES[0])
        journal.same("PUT", f"/{kind}/facts/x")
    for target in [
        "/routed/a/b/c",
        "/routed/a%2Fb/",
        "/mounted/facts/x%20y?z=1",
        "/mounted/facts/",
        "/mounted",
        "/disconnected",
    ]:
        journal.same("GET", target)


@pytest.mark.parametrize(
    "route",
    [
        "handler", "stream", "json", "form", "parsed", "parsed/stream", "dependency", "dependency/sync", "dependency/only",
        "dependency/stream", "form/parsed", "file", "unread", "failing", "disconnect",
    ],
)  # fmt: skip
def test_who_reads_the_body(journal: Journal, route: str) -> None:
    for headers, body in BODIES:
        journal.same("POST", f"/body/{route}", headers, body)


@pytest.mark.parametrize("size", [10, 60_000])
def test_an_unread_body_does_not_spoil_the_connection(journal: Journal, size: int) -> None:
    """What was not read is not taken for the next request; a server may also close, but then it says so."""
    for port in journal.pair.ports:
        for arrives_late in (False, True):
            with Connection(port) as connection:
                head = b"POST /body/unread HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size
                connection.send(head if arrives_late else head + b"x" * size)
                reply = connection.read_reply()
                assert reply.json() == "unread"
                if reply.header("connection") == "close":
                    assert connection.is_closed_by_server()
                    continue
                connection.send(b"x" * size if arrives_late else b"")
                assert connection.request("POST", "/body/json", JSON, b"[]").json() == [[], "[]"]


def test_a_client_that_leaves_is_noticed_while_the_body_is_read(journal: Journal) -> None:
    for server in (journal.pair.ours, journal.pair.reference):
        with Connection(server.port) as connection:
            connection.send(b"POST /body/disconnect HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        server.wait_output("~ disconnected\n")
