"""zstd, br and gzip at the edge, on every lane, read by real decoders; the same classes on uvicorn beside it."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator

import pytest
from fastapi import WebSocket
from starlette.middleware import Middleware

from bimetal import Bimetal, BimetalError, Server
from bimetal.compile import application
from bimetal.compile.edge import recognise
from bimetal.middleware import EXCLUDED_CONTENT_TYPES, CompressionMiddleware
from bimetal.testing import TestClient
from harness.compare import Case, Pair, ask, assert_same, case, serve_both, without
from harness.decoding import Decoder, decoded
from harness.wire import Connection, Reply

#: What clients of today send.
CHROME = "gzip, deflate, br, zstd"
SAFARI = "gzip, deflate, br"
OLD = "gzip, deflate"
CURL = "deflate, gzip, br, zstd"
CLIENTS = {CHROME: "zstd", SAFARI: "br", OLD: "gzip", CURL: "zstd", "identity": None, "": None}
CODINGS = ["zstd", "br", "gzip"]

#: Routes of every lane and outcome; what is compressed, and what is not.
LARGE = [
    "/large",
    "/async-large",
    "/huge",
    "/request",
    "/stream",
    "/stream-nothing",
    "/vary",
    "/cookies",
    "/http-error",
    "/of-type?type=text/html",
    "/of-type?type=image/svg%2Bxml",
    "/exact/500",
    "/exact/65536",
    "/exact/65537",
    "/exact/1000000",
    "/file",
    "/tagged",
    "/tagged?etag=unquoted",
    "/tagged?etag=W/%22weak%22",
    "/tagged-stream",
    "/dated",
    "/sized-stream?size=500",
    "/mounted/x",
    "/mounted/bare",
    "/sub/large",
    "/docs",
    "/openapi.json",
]
LEFT = [
    "/sync",
    "/sync?n=x",
    "/async",
    "/exact/0",
    "/exact/499",
    "/events",
    "/of-type?type=image/png",
    "/of-type?type=video/mp4",
    "/encoded",
    "/partial",
    "/nothing",
    "/no-transform",
    "/tagged?size=10",
    "/sized-stream?size=499",
    "/own",
    "/elsewhere",
    "/missing",
    "/both/",
    "/boom",
    "/async-boom",
    "/mounted/boom",
    "/sub/boom",
]


def accepts(value: str) -> tuple[str, str]:
    return ("Accept-Encoding", value)


def gets(targets: list[str], accepted: str) -> list[Case]:
    return [case("GET", target, [accepts(accepted)], note=accepted) for target in targets]


FILE = [
    case("GET", "/file", [accepts("br"), ("Range", "bytes=0-99")], note="a part"),
    case("GET", "/file", [accepts("br"), ("Range", "bytes=999999-")], note="beyond"),
    case("GET", "/file", [accepts("br"), ("Range", "bytes=x")], note="malformed"),
]
HEADS = [case("HEAD", target, [accepts("br")]) for target in ("/both", "/dated", "/bodiless", "/sync")]
POSTS = [case("POST", "/echo", [accepts("zstd")], b"e" * size) for size in (10, 100_000)]
EVERY = [
    *gets(LARGE + LEFT, CHROME),
    *gets(LARGE + LEFT, SAFARI),
    *gets(LARGE + LEFT, "identity"),
    *FILE,
    *HEADS,
    *POSTS,
]
MIXED = [*gets([*LARGE, *LEFT], "br"), *HEADS, *FILE[:1]]

CASES: dict[str, list[Case]] = {
    "compressed": EVERY,
    "compressed_small": [*gets(LARGE + LEFT, CHROME), *HEADS],
    "everything": MIXED,
    "around": MIXED,
    "inside_out": MIXED,
    "behind": MIXED,
    "twice": MIXED,
}
TABLE = [pytest.param(app, request, id=f"{app} {request}") for app, requests in CASES.items() for request in requests]


class Served:
    """Both servers on one application after the other: the table is sorted by it."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._name = ""
        self._pair: Pair | None = None

    def pair(self, name: str) -> Pair:
        if self._pair is None or self._name != name:
            self._stack.close()
            self._name, self._pair = name, self._stack.enter_context(serve_both(f"edge_own:{name}"))
        return self._pair

    def close(self) -> None:
        self._stack.close()


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    served = Served()
    yield served
    served.close()


def plain(reply: Reply) -> Reply:
    """The reply with its body decoded, and without the length of the encoded one, where it is the server that encodes."""
    if reply.header("content-encoding") in CODINGS and "Accept-Encoding" in str(reply.all("vary")) and reply.body:
        reply.body = decoded(reply)
        reply = without(reply, "content-length")
    return reply


def answer(port: int, request: Case) -> Reply:
    reply = ask(port, request.method, request.target, request.headers, request.body)
    if request.method == "HEAD":
        return without(reply, "content-length") if reply.header("content-encoding") else reply
    return plain(reply)


@pytest.mark.parametrize(("app", "request_"), TABLE)
def test_answers_are_those_of_the_class_on_uvicorn(served: Served, app: str, request_: Case) -> None:
    """At the edge in Rust, and as ASGI middleware in Python: the same status, fields and bytes."""
    ours, reference = (answer(port, request_) for port in served.pair(app).ports)
    assert_same(ours, reference)


@pytest.mark.bimetal_only
@pytest.mark.parametrize("app", importlib.import_module("edge_own").AT_EDGE)
def test_what_the_edge_does(app: str) -> None:
    apps = importlib.import_module("edge_own")
    assert application.edge(getattr(apps, app)).names == apps.AT_EDGE[app]


@pytest.mark.parametrize("accepted", CLIENTS)
@pytest.mark.parametrize("target", LARGE)
def test_clients_get_the_coding_they_want(served: Served, target: str, accepted: str) -> None:
    if target == "/stream-nothing":
        pytest.skip("has no body to decode")
    for port in served.pair("compressed").ports:
        reply = ask(port, "GET", target, [accepts(accepted)])
        assert reply.header("content-encoding") == CLIENTS[accepted]
        assert (reply.header("vary") or "").count("Accept-Encoding") == 1
        assert decoded(reply) == decoded(ask(port, "GET", target)), accepted


@pytest.mark.parametrize("target", LEFT)
def test_what_is_left_alone(served: Served, target: str) -> None:
    for port in served.pair("compressed").ports:
        reply, identity = (ask(port, "GET", target, [accepts(value)]) for value in (CHROME, "identity"))
        assert (reply.status, reply.body) == (identity.status, identity.body)
        assert reply.header("vary") is None, "it is the same for every client"


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip;q=1.0, br;q=0.8", "gzip"),
        ("gzip;q=0.2, br;q=0.8, *;q=0.1", "br"),
        ("*", "zstd"),
        ("*;q=0.1, zstd;q=0", "br"),
        ("zstd;q=0, br;q=0, gzip;q=0", None),
        ("*;q=0", None),
        ("identity;q=1, br;q=0.5", None),
        ("X-GZIP", "gzip"),
        ("br;q=x, gzip", "gzip"),
        ("br;q=1.1", None),
        ("br;;q=1", None),
        ("brotli, compress, deflate", None),
        ("\xff, gzip;q=0.001", "gzip"),
        (", ,gzip ; q=0.5,", "gzip"),
        ("gzip" + ", x" * 1000, "gzip"),
    ],
)
def test_weights_and_what_is_malformed(served: Served, accepted: str, coding: str | None) -> None:
    for port in served.pair("compressed").ports:
        reply = ask(port, "GET", "/large", [accepts(accepted)])
        assert (reply.status, reply.header("content-encoding")) == (200, coding)
        assert b"abcabc" in decoded(reply)


def test_fields_of_the_request_are_one_list(served: Served) -> None:
    for port in served.pair("compressed").ports:
        reply = ask(port, "GET", "/large", [accepts("gzip;q=0.5"), accepts("br")])
        assert reply.header("content-encoding") == "br"


def test_who_refuses_identity_gets_small_bodies_compressed(served: Served) -> None:
    for port in served.pair("compressed").ports:
        reply = ask(port, "GET", "/sync", [accepts("gzip, identity;q=0")])
        assert (reply.header("content-encoding"), decoded(reply)) == ("gzip", b'{"n":0}')
        assert ask(port, "GET", "/sync", [accepts("deflate, identity;q=0")]).json() == {"n": 0}


def test_tags_of_compressed_bodies_are_weak(served: Served) -> None:
    for port in served.pair("compressed").ports:
        reply = ask(port, "GET", "/tagged", [accepts("br")])
        assert (reply.header("etag"), reply.header("accept-ranges")) == ('W/"own"', None)
        reply = ask(port, "GET", "/tagged", [accepts("identity")])
        assert (reply.header("etag"), reply.header("accept-ranges")) == ('"own"', "bytes")
        assert ask(port, "GET", "/tagged?etag=unquoted", [accepts("br")]).header("etag") is None
        not_modified = ask(port, "GET", "/not-modified", [accepts("br")])
        assert (not_modified.status, not_modified.header("etag")) == (304, 'W/"1"')
        assert not_modified.header("vary") == "Accept-Encoding" and not_modified.body == b""


def test_ranges_are_of_the_file(served: Served) -> None:
    for port in served.pair("compressed").ports:
        part = ask(port, "GET", "/file", [accepts(CHROME), ("Range", "bytes=10-19")])
        assert (part.status, part.body, part.header("content-encoding")) == (206, b"0123456789", None)


def test_head_tells_what_get_would_send(served: Served) -> None:
    for port in served.pair("compressed").ports:
        with Connection(port) as connection:
            for target in ("/both", "/dated", "/bodiless"):
                head = connection.request("HEAD", target, [accepts("gzip")])
                assert (head.status, head.header("content-encoding"), head.body) == (200, "gzip", b""), target
                assert head.header("content-length") not in ("0", "700", "1000"), "the length of another body"
            assert connection.request("GET", "/sync").status == 200, "and the connection goes on"


@pytest.mark.parametrize("coding", CODINGS)
def test_pieces_of_a_stream_arrive_as_they_are_sent(served: Served, coding: str) -> None:
    """Each is flushed: a client can read it before the next one is there."""
    for port in served.pair("compressed").ports:
        with Connection(port) as connection:
            connection.send_request("GET", "/held-stream", [accepts(coding)])
            reply = connection.read_head()
            assert reply.header("content-encoding") == coding
            pieces = connection.body(reply)
            decoder = Decoder(coding)
            first = b""
            while len(first) < 1000:
                first += decoder.feed(next(pieces))
            assert first == b"1" * 1000
            # The second piece is sent once this has been asked for.
            assert ask(port, "POST", "/let-go").status == 200
            rest = b"".join(decoder.feed(piece) for piece in pieces)
            assert rest == b"2" * 1000 and decoder.is_whole()


def test_a_stream_that_breaks_off_has_no_end(served: Served) -> None:
    with Connection(served.pair("compressed").ports[0]) as connection:
        connection.send_request("GET", "/breaks-off", [accepts("br")])
        reply = connection.read_head()
        decoder = Decoder("br")
        pieces = connection.body(reply)
        while decoder.feed(next(pieces)) == b"":
            pass
        with pytest.raises(ConnectionError):
            next(pieces)
        assert not decoder.is_whole()


@pytest.mark.bimetal_only
def test_large_bodies_leave_others_their_turn(served: Served) -> None:
    """While one client gets megabytes compressed as they are sent, another is answered on the same I/O worker."""
    port = served.pair("compressed").ports[0]
    with Connection(port) as large, Connection(port) as small:
        large.send_request("GET", "/exact/30000000", [accepts("br")])
        reply = large.read_head()
        assert reply.header("transfer-encoding") == "chunked"
        assert small.request("GET", "/sync").status == 200
        decoder = Decoder("br")
        assert sum(len(decoder.feed(piece)) for piece in large.body(reply)) == 30_000_000 and decoder.is_whole()


@pytest.mark.bimetal_only
def test_native_routes_and_websockets() -> None:
    app = Bimetal(compression={"minimum_size": 1})

    @app.get("/health", handler_type="native")
    def health(): ...

    @app.websocket("/ws")
    async def ws(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("x" * 1000)
        await websocket.close()

    with Server(app) as server:
        for coding in CODINGS:
            reply = ask(server.port, "GET", "/health", [accepts(coding)])
            assert reply.header("content-encoding") == coding
            assert decoded(reply) == ask(server.port, "GET", "/health").body
        assert server.stats()["requests"]["native"] == 6
        assert {plan.path: plan.reason for plan in server.plans}["/health"] is None, "nothing is bypassed"
    with TestClient(app) as client, client.websocket_connect("/ws") as session:
        assert session.receive_text() == "x" * 1000


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"minimum_size": -1}, "minimum_size=-1"),
        ({"minimum_size": "1"}, "minimum_size='1'"),
        ({"zstd": 20}, "zstd=20: give a level from 1 to 19"),
        ({"br": 12}, "br=12: give a level from 0 to 11"),
        ({"gzip": 0}, "gzip=0: give a level from 1 to 9"),
        ({"gzip": "9"}, "gzip='9'"),
        ({"zstd": False, "br": False, "gzip": False}, "nothing to compress with"),
        ({"exclude_content_types": "image/png"}, "give a list"),
        ({"deflate": 1}, "deflate"),
    ],
)
def test_settings_that_do_not_exist(settings: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match="compression: ") as failure:
        Bimetal(compression=settings)  # type: ignore[arg-type]
    assert says in str(failure.value)
    with pytest.raises(BimetalError, match="CompressionMiddleware: ") as refusal:
        recognise([Middleware(CompressionMiddleware, **settings)])
    assert says in str(refusal.value)
    with pytest.raises((TypeError, ValueError)):
        CompressionMiddleware(None, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["gzip", 1, ["br"]])
def test_no_settings(value: object) -> None:
    with pytest.raises(TypeError, match=r"compression=.*: use True, False or a dictionary"):
        Bimetal(compression=value)  # type: ignore[arg-type]


def test_the_excluded_types_can_be_extended() -> None:
    app = Bimetal(compression={"exclude_content_types": [*EXCLUDED_CONTENT_TYPES, "text/csv"]})
    assert application.edge(app).names == ["CompressionMiddleware"]
    assert "text/event-stream" in EXCLUDED_CONTENT_TYPES
