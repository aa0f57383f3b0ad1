"""Middleware: functions, pure ASGI, and the ones FastAPI ships; each as the application and behind plain ASGI."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

import pytest

from harness.compare import Case, Pair, ask, assert_same, case, serve_both
from harness.wire import Headers

APP = "layers:by_first_segment"

TARGETS = [
    "/sync",
    "/async",
    "/async?n=x",
    "/large",
    "/stream",
    "/http-error",
    "/boom",
    "/missing",
    "/short",
    "/openapi.json",
]
ORIGIN = [("Origin", "https://a.example")]
STRANGER = [("Origin", "https://evil.example")]
PREFLIGHT = [*ORIGIN, ("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "X-Token")]
BAD_PREFLIGHT = [*STRANGER, ("Access-Control-Request-Method", "DELETE")]
GZIP = [("Accept-Encoding", "gzip")]

CASES: dict[str, list[Case]] = {
    "function": [case("GET", t) for t in TARGETS] + [case("POST", "/echo", [], b"x" * 100000)],
    "pure": [case("GET", t) for t in TARGETS] + [case("POST", "/echo", [], (b"a", b"b"))],
    "cors": [
        case("GET", t, h, note=n)
        for t in TARGETS
        for n, h in [("origin", ORIGIN), ("stranger", STRANGER), ("none", [])]
    ]
    + [case("OPTIONS", "/sync", PREFLIGHT, note="preflight"), case("OPTIONS", "/sync", BAD_PREFLIGHT, note="refused")]
    + [case("OPTIONS", "/sync", note="no preflight")],
    "gzip": [case("GET", t, h, note=n) for t in TARGETS for n, h in [("gzip", GZIP), ("identity", [])]],
    "hosts": [case("GET", "/sync", [("Host", h)], note=h) for h in ["testserver", "a.good.example:80", "bad.example"]],
    "https": [case("GET", "/sync?n=1"), case("POST", "/echo", [("Host", "example.org:8000")], b"x")],
    "stacked": [case("GET", t, [*GZIP, *ORIGIN]) for t in TARGETS],
}
TABLE = [pytest.param(app, request, id=f"{app} {request}") for app, requests in CASES.items() for request in requests]


def ignoring_gzip_time(body: bytes) -> bytes:
    """A gzip header carries the time of compression in bytes 4 to 7."""
    return body[:4] + bytes(4) + body[8:] if body[:2] == b"\x1f\x8b" else body


def assert_same_text(pair: Pair, request: Case) -> None:
    """The answers are the same but for how they are compressed, which is not done by the same encoder."""
    replies = [ask(port, request.method, request.target, request.headers, request.body) for port in pair.ports]
    for reply in replies:
        if reply.header("content-encoding") == "gzip":
            reply.body = gzip.decompress(reply.body)
            reply.headers = [item for item in reply.headers if item[0] != "content-length"]
    assert_same(*replies)


@pytest.mark.parametrize(("app", "request_"), TABLE)
def test_behind_plain_asgi(pair: Pair, app: str, request_: Case) -> None:
    pair.same(
        request_.method, f"/{app}{request_.target}", request_.headers, request_.body, normalise=ignoring_gzip_time
    )


@pytest.fixture(scope="module", params=["function", "pure", "cors", "gzip", "stacked"])
def layered(request: pytest.FixtureRequest) -> Iterator[tuple[str, Pair]]:
    with serve_both(f"layers:{request.param}_app") as pair:
        yield request.param, pair


def test_as_the_application(layered: tuple[str, Pair]) -> None:
    """The same tables with nothing in front, where routes may be compiled."""
    name, pair = layered
    for request in CASES[name]:
        assert_same_text(pair, request)


@pytest.mark.parametrize(
    ("target", "headers", "name", "expected"),
    [
        ("/function/sync", [], "x-layer", ["inner", "outer"]),
        ("/pure/sync", [], "x-pure", ["one", "two"]),
        ("/cors/sync", ORIGIN, "access-control-allow-origin", ["https://a.example"]),
        ("/gzip/large", GZIP, "content-encoding", ["gzip"]),
    ],
)
def test_the_layers_are_there(pair: Pair, target: str, headers: Headers, name: str, expected: list[str]) -> None:
    assert pair.same("GET", target, headers, normalise=ignoring_gzip_time).all(name) == expected


def test_context_and_state_reach_the_handler(pair: Pair) -> None:
    assert pair.same("GET", "/function/sync").json() == {"state": "outer", "context": "from middleware"}
    reply = pair.same("GET", "/function/boom")
    assert (reply.status, reply.body) == (502, b"outer caught boom")
