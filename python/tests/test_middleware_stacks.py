"""Layers around one another, and ASGI middleware that changes, drops, repeats or sends messages itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from stacks import ACTIONS, STACKS

from harness.compare import Pair, case, unpacked
from harness.journal import Journal, serve_journal

APP = "stacks:asgi"

JSON = [("Content-Type", "application/json")]
TARGETS = [
    "/sync?n=1", "/async?n=x", "/target?n=3", "/yield", "/yield?then=broken", "/yield?then=known", "/yield?then=background", "/yield/function",
    "/http", "/broken", "/sync/broken", "/invalid", "/empty", "/text", "/stream", "/stream?fail=1", "/stream/sync", "/events", "/file",
    "/slash", "/missing", "/sub/item/1", "/sub/broken", "/static/journal.py", "/openapi.json",
]  # fmt: skip
REQUESTS = [case("GET", target) for target in TARGETS]
REQUESTS += [case("DELETE", "/sync"), case("POST", "/sync?n=4"), case("HEAD", "/file")]
REQUESTS += [
    case("POST", target, JSON, body)
    for target in ("/echo", "/json", "/json/async", "/unread")
    for body in (b'{"n": 1}', (b'{"n"', b": 21}"), b"{")
]


@pytest.mark.parametrize("what", ["", *ACTIONS])
def test_interfering_asgi_middleware(journal: Journal, what: str) -> None:
    for request in REQUESTS:
        if what == "collects-body" and request.target == "/empty":
            # See `test_a_length_with_an_answer_that_has_no_body`.
            continue
        if what == "drops-everything" and request.method == "POST":
            # uvicorn closes the connection while the body is still coming.
            continue
        if what == "twice" and request.method == "POST" and "/sync" not in request.target:
            # The second run waits for a body that the first has read, on both servers.
            continue
        journal.same(request.method, request.target, [*request.headers, ("X-Do", what)], request.body)


@pytest.mark.xfail(
    strict=True, reason="Bimetal leaves `content-length: 0` away from a 204, as RFC 9110, 8.6 asks; uvicorn sends it"
)
def test_a_length_with_an_answer_that_has_no_body(pair: Pair) -> None:
    pair.same("GET", "/empty", [("X-Do", "collects-body")])


@pytest.fixture(scope="module", params=STACKS)
def stack(request: pytest.FixtureRequest) -> Iterator[Journal]:
    with serve_journal(f"stacks:{request.param.replace('-', '_')}") as journal:
        yield journal


@pytest.mark.parametrize("origin", [None, "https://a.example", "https://evil.example"])
@pytest.mark.parametrize("encoding", [None, "gzip"])
def test_order_of_layers(stack: Journal, origin: str | None, encoding: str | None) -> None:
    headers = [("Origin", origin)] if origin else []
    headers += [("Accept-Encoding", encoding)] if encoding else []
    for request in REQUESTS:
        stack.same(request.method, request.target, [*request.headers, *headers], request.body, normalise=unpacked)
    for method in ("GET", "DELETE"):
        preflight = [*headers, ("Access-Control-Request-Method", method)]
        for target in ("/sync", "/missing"):
            stack.same("OPTIONS", target, preflight, normalise=unpacked)
    for host in ("bad.example", "a.good.example:99", "testserver:1"):
        stack.same("GET", "/sync", [*headers, ("Host", host)], normalise=unpacked)


def test_absolute_order() -> None:
    with serve_journal("stacks:pure_outside") as stack:
        told = stack.same("GET", "/yield", [("Origin", "https://a.example")])
        assert told.events[:2] == ["pure enter", "first before"] and told.reply.all("x-layer") == ["first", "pure"]
        told = stack.same("GET", "/broken")
        assert told.events == [
            "pure enter",
            "first before",
            "first saw Broken(from the handler)",
            "pure saw Broken(from the handler)",
        ]
        assert told.reply.status == 500 and told.reply.all("x-layer") == []
        # A middleware's own refusal is seen by those outside of it only.
        assert stack.same("OPTIONS", "/sync", [("Origin", "https://evil.example"), ("Access-Control-Request-Method", "GET")]).events[:2] == [
            "pure enter", "first before",
        ]  # fmt: skip
