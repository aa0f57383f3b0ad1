"""Middleware done at the server's edge, side by side with Starlette's on uvicorn, on every lane."""

from __future__ import annotations

import contextlib
import gzip
import importlib
import zlib
from collections.abc import AsyncIterator, Iterator

import pytest
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from starlette.middleware import Middleware

from bimetal import Bimetal
from bimetal.compile import application
from bimetal.compile.edge import at_edge
from bimetal.server import Server
from harness.compare import Case, Pair, ask, assert_same, case, serve_both
from harness.wire import Connection, Reply

#: Routes of every lane and outcome.
TARGETS = [
    "/sync",
    "/sync?n=x",
    "/async",
    "/large",
    "/async-large",
    "/huge",
    "/request",
    "/stream",
    "/stream-tiny",
    "/stream-nothing",
    "/events",
    "/early-boom",
    "/of-type?type=image/png",
    "/of-type?type=text/html",
    "/encoded",
    "/partial",
    "/nothing",
    "/not-modified",
    "/vary",
    "/own",
    "/file",
    "/cookies",
    "/elsewhere",
    "/http-error",
    "/boom",
    "/async-boom",
    "/both",
    "/both/",
    "/mounted",
    "/mounted/x",
    "/mounted/bare",
    "/mounted/boom",
    "/sub/large",
    "/sub/boom",
    "/missing",
    "/docs",
    "/openapi.json",
]
A = ("Origin", "https://a.example")
NULL = ("Origin", "null")
EVIL = ("Origin", "https://evil.example")
EMPTY = ("Origin", "")
GZIP = ("Accept-Encoding", "gzip")
BROWSER = ("Accept-Encoding", "deflate, gzip;q=1.0, br")


def gets(*headers: tuple[str, str], note: str = "") -> list[Case]:
    return [case("GET", target, headers, note=note) for target in TARGETS]


def preflight(origin: str, method: str = "GET", *headers: tuple[str, str], target: str = "/sync") -> Case:
    given = [("Origin", origin), ("Access-Control-Request-Method", method), *headers]
    return case("OPTIONS", target, given, note=repr((origin, method, *headers)))


def wants(names: str) -> tuple[str, str]:
    return ("Access-Control-Request-Headers", names)


#: Asks for access from a public page to a private network.
PRIVATE = ("Access-Control-Request-Private-Network", "true")
SOCKET = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
]

PREFLIGHTS = [
    preflight(origin, method, *headers)
    for origin in ("https://a.example", "null", "https://evil.example", "", "https://A.example", "https://a.example/")
    for method in ("GET", "POST", "QUERY", "get", "")
    for headers in ((), (wants("x-token"),))
]
REQUESTED = [
    preflight("https://a.example", "GET", wants(names))
    for names in [
        "X-Token",
        "x-token, CONTENT-TYPE",
        "Accept,Accept-Language , content-language",
        "x-other",
        "x-token,x-other",
        "x-token,",
        ",",
        "",
        "x-\xe4",
        "\xa0x-token\xa0",
        "x-token\t,\taccept",
    ]
] + [
    preflight("https://a.example", "GET", PRIVATE),
    preflight("https://evil.example", "PUT", wants("x"), PRIVATE),
    preflight("https://a.example", "GET", wants("x-token"), wants("x-other")),
    preflight("https://a.example", "GET", ("Origin", "https://evil.example")),
    preflight("https://a.example", "GET", target="/missing"),
    preflight("https://a.example", "GET", target="/boom"),
    preflight("https://a.example", "GET", target="/mounted/boom"),
    preflight("https://a.example", "GET", target="/sub/x"),
    case("OPTIONS", "/sync", [A], note="no method asked for"),
    case("OPTIONS", "/both", [A], note="no method asked for"),
    case("OPTIONS", "/sync", [("Access-Control-Request-Method", "GET")], note="no origin"),
    case("GET", "/sync", [A, ("Access-Control-Request-Method", "GET")], note="not OPTIONS"),
    case("OPTIONS", "/echo", preflight("https://a.example").headers, b"with a body"),
]
ACTUAL = [case("HEAD", "/both", [A]), case("PUT", "/sync", [A]), case("POST", "/echo", [A], b"x" * 600)]
ORIGINS = [
    "https://good.example",
    "HTTPS://Sub.GOOD.example:8080",
    "https://a.b-c.good.example",
    "https://a.good.example:1",
    "https://good.example.evil",
    "xhttps://good.example",
    "https://listed.example",
    "https://xgood.example",
    "https://\xe4.good.example",
    "https://\xb2.good.example",
    "http://yz",
    "http://YZ",
    "http://az",
    "\xc9",
    "\xe9",
    "https://evil.example",
    "https://ok.example",
]
MATCHED = [preflight(origin) for origin in ORIGINS] + [
    case("GET", "/async", [("Origin", origin)], note=origin) for origin in ORIGINS
]
ENCODINGS = ["gzip", "x-gzip", "GZIP", "gzip;q=0", "*", "identity", "br, gzip", "", "deflate"]
TYPES = [
    "text/html",
    "TEXT/HTML",
    "text/html;charset=x",
    "text/event-stream",
    "text/event-stream;%20x",
    "Audio/MPEG",
    "audio",
    "video/",
    "font/woff2",
    "font/ttf",
    "image/svg%2Bxml",
    "image/webp",
    "application/grpc",
    "application/grpc%2Bproto",
    "application/grpc-web",
    "application/zip",
    "application/json",
    "x",
]
COMPRESSED = (
    [case("GET", "/large", [("Accept-Encoding", value)], note=repr(value)) for value in ENCODINGS]
    + [case("GET", "/large", [("Accept-Encoding", "br"), GZIP], note="gzip second")]
    + [case("GET", "/large", [GZIP, ("Accept-Encoding", "br")], note="gzip first")]
    + [case("GET", f"/of-type?type={kind}", [GZIP]) for kind in TYPES]
    + [case("GET", f"/of-type?type={kind}&size=0", [GZIP]) for kind in TYPES[:3]]
    + [case("GET", f"/exact/{size}", [GZIP]) for size in (0, 1, 499, 500, 501, 65536, 65537, 300_000)]
    + [case("HEAD", "/both", [GZIP]), case("HEAD", "/sync", [GZIP]), case("PUT", "/sync", [GZIP])]
    + [case("GET", "/file", [GZIP, ("Range", "bytes=0-99")]), case("GET", "/file", [GZIP, ("Range", "bytes=x")])]
    + [case("POST", "/echo", [GZIP], b"e" * size) for size in (10, 100_000)]
    + [case("POST", "/echo", [GZIP], (b"e" * 300, b"f" * 300))]
)
#: Answers that no server can send as they are: a body where the status allows none.
UNSENDABLE = {"/nothing", "/not-modified"}
HOSTS = [
    "good.example",
    "GOOD.example:8000",
    "good.example:0",
    "good.example:99999",
    "good.example:",
    "good.example.",
    "x.good.example",
    "a.wild.example",
    "A.B.Wild.Example:1",
    "wild.example",
    "xwild.example",
    ".wild.example",
    "bare.example",
    "BARE.example:081",
    "bare.example:65536",
    "www.bare.example",
    "localhost",
    "[::1]",
    "[::1]:80",
    "[::2]",
    "[0:0::1]",
    "[v1.x]",
    "%67ood.example",
    "127.0.0.1",
    "testserver",
    "",
]
#: Refused before the edge, as RFC 9112 has it; uvicorn leaves them to the application.
MALFORMED_HOSTS = [
    "good.example:x",
    "[::1",
    "::1",
    "user@good.example",
    "good.example/",
    "good.example?x",
    "a b",
    "g\xe4",
]
PATHS = [
    "/",
    "/sync?n=1&m=%20",
    "/a%20b/%C3%BC",
    "/%FF",
    "/%25/%3F/%23/%5C",
    "//double//",
    "/a%0A%0D%09b",
    "/~!$&'()*+,;=:@",
    "/%22%3C%3E%5E%60%7B%7C%7D",
    "/?",
    "/x?a=/?&b=@:",
    "/ws",
]
HOSTED = (
    [case("GET", "/sync", [("Host", host)], note=repr(host)) for host in HOSTS]
    + [case("GET", path, [("Host", "bare.example")]) for path in PATHS]
    + [case("GET", "/ws", [("Host", host), *SOCKET], note=host) for host in ("good.example", "evil", "bare.example")]
    + [case(method, "/both", [("Host", host)]) for method in ("HEAD", "OPTIONS") for host in ("evil", "bare.example")]
    + [case("POST", "/echo", [("Host", "evil")], b"x" * 10_000), case("GET", "/boom", [("Host", "evil")])]
)
REDIRECTED = (
    [case("GET", "/sync", [("Host", host)], note=repr(host)) for host in HOSTS]
    + [case("GET", "/sync", [("Host", host)], note=host) for host in ("X.example:80", "x:443", "[::AB]:443", "x:0080")]
    + [case("GET", path, [("Host", "a.example:80")]) for path in PATHS]
    + [case("GET", "/ws", [("Host", "a:80"), *SOCKET]), case("POST", "/echo", [], b"x"), case("HEAD", "/missing")]
)
MIXED = (
    gets(GZIP, A, note="gzip, allowed")
    + gets(EVIL, note="identity, not allowed")
    + [
        preflight("https://a.example"),
        preflight("https://evil.example"),
        preflight("https://a.example", "GET", ("Host", "evil")),
        case("GET", "/large", [("Host", "evil"), A, GZIP], note="host"),
        case("HEAD", "/both", [A, GZIP]),
        case("GET", "/ws", [*SOCKET, A, GZIP]),
        case("GET", "/ws", [("Host", "evil"), *SOCKET, A, GZIP], note="host"),
        case("GET", "/missing-socket", [*SOCKET, A]),
    ]
)

CASES: dict[str, list[Case]] = {
    "cors_listed": [
        *gets(A, note="allowed"),
        *gets(EVIL, note="not allowed"),
        *gets(note="same origin"),
        *PREFLIGHTS,
        *REQUESTED,
        *ACTUAL,
        case("GET", "/own", [NULL], note="null"),
        case("GET", "/own", [EMPTY], note="empty"),
        case("GET", "/own", [A, EVIL], note="two"),
        case("GET", "/ws", [*SOCKET, EVIL]),
    ],
    "cors_default": [*gets(A), *PREFLIGHTS[:8], *REQUESTED, *ACTUAL],
    "cors_any": [*gets(A), *gets(note="same origin"), *PREFLIGHTS, *REQUESTED, *ACTUAL],
    "cors_credentials": [*gets(A), *gets(note="same origin"), *PREFLIGHTS, *REQUESTED, *ACTUAL],
    "cors_regex": [*gets(("Origin", "https://x.good.example")), *MATCHED, *REQUESTED],
    "cors_compiled": [*gets(("Origin", "http://yz")), *MATCHED],
    "cors_lookahead": [*gets(("Origin", "https://ok.example")), *MATCHED],
    "gzip": [*gets(BROWSER, note="gzip"), *gets(note="identity"), *COMPRESSED],
    "gzip_all": [
        request
        for request in [*gets(BROWSER, note="gzip"), *gets(note="identity"), *COMPRESSED]
        if request.target not in UNSENDABLE or not request.headers
    ],
    "hosts": [*gets(("Host", "good.example")), *HOSTED],
    "hosts_no_redirect": [*gets(("Host", "localhost")), *HOSTED],
    "https": [*gets(), *REDIRECTED],
    "cors_gzip_hosts": MIXED,
    "hosts_gzip_cors": MIXED,
    "twice": MIXED,
    "stamp_inside": MIXED,
    "stamp_outside": MIXED,
    "stamp_between": MIXED,
    "handled": [*MIXED, *gets(GZIP, A)],
    "debugged": [
        case("GET", target, [GZIP, A]) for target in ("/sync", "/large", "/stream", "/http-error", "/missing")
    ],
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
            self._name, self._pair = name, self._stack.enter_context(serve_both(f"edge:{name}"))
        return self._pair

    def close(self) -> None:
        self._stack.close()


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    served = Served()
    yield served
    served.close()


def plain(reply: Reply) -> Reply:
    """The reply as it was before compression: two encoders need not give the same bytes."""
    if reply.header("content-encoding") == "gzip":
        reply.headers = [item for item in reply.headers if item[0] != "content-length"]
        reply.body = gzip.decompress(reply.body) if reply.body else b""
    return reply


def answer(port: int, request: Case) -> Reply:
    """The answer to a request; one that breaks off has the status 0 in its body's place."""
    with Connection(port) as connection:
        connection.send_request(request.method, request.target, request.headers, request.body)
        reply = connection.read_head()
        # Where the server's own address is the answer.
        reply.headers = [(name, value.replace(f":{port}", ":PORT")) for name, value in reply.headers]
        try:
            for piece in connection.body(reply, request.method):
                reply.body += piece
        except ConnectionError:
            reply.body += b"<broken off>"
            return reply
        return plain(reply)


@pytest.mark.parametrize(("app", "request_"), TABLE)
def test_answers_are_starlettes(served: Served, app: str, request_: Case) -> None:
    pair = served.pair(app)
    ours, reference = (answer(port, request_) for port in pair.ports)
    if SOCKET[1] in request_.headers and ours.header("content-type") is None:
        # uvicorn's WebSocket library puts one into a denial that has none.
        reference.headers = [item for item in reference.headers if item[0] != "content-type"]
    assert_same(ours, reference)


@pytest.mark.bimetal_only
@pytest.mark.parametrize("app", CASES)
def test_what_the_edge_does(app: str) -> None:
    """The table above shows something only where the layers do stand in Rust."""
    apps = importlib.import_module("edge")
    found = application.edge(getattr(apps, app))
    assert found.names == apps.AT_EDGE[app]
    assert (at_edge(found) is None) == (not found.names)


def test_routes_keep_their_lanes() -> None:
    apps = importlib.import_module("edge")
    lanes = {plan.path: plan.lane for plan in Server(apps.twice).compile()}
    assert (lanes["/sync"], lanes["/async"], lanes["/mounted/{path:path}"]) == ("sync", "async", "asgi")
    lanes = {plan.path: plan.lane for plan in Server(apps.stamp_inside).compile()}
    assert (lanes["/sync"], lanes["/async"]) == ("sync", "async"), "within middleware of the application, too"


def test_the_head_waits_for_the_body_only_where_gzip_is(served: Served) -> None:
    """A stream that fails before its first piece is a 500 under gzip, and a broken 200 without."""
    for app, status in [("gzip", 500), ("cors_any", 200), ("stamp_outside", 500), ("stamp_inside", 500)]:
        replies = [answer(port, case("GET", "/early-boom", [A])) for port in served.pair(app).ports]
        assert [reply.status for reply in replies] == [status, status]
        assert replies[0].header("access-control-allow-origin") == replies[1].header("access-control-allow-origin")


def test_pieces_of_a_stream_arrive_as_they_are_sent(served: Served) -> None:
    """Each is flushed: a client can read it before the next one is there."""
    with Connection(served.pair("gzip").ports[0]) as connection:
        connection.send_request("GET", "/slow", [GZIP])
        pieces = connection.body(connection.read_head())
        decompress = zlib.decompressobj(zlib.MAX_WBITS + 16)
        first = b""
        while len(first) < 1000:
            first += decompress.decompress(next(pieces))
        assert first == b"1" * 1000
        # The second piece is sent once this has been asked for.
        assert ask(served.pair("gzip").ports[0], "POST", "/go-on").status == 200
        rest = b"".join(pieces)
        assert decompress.decompress(rest) == b"2" * 1000 and decompress.eof


@pytest.mark.bimetal_only
@pytest.mark.parametrize("host", MALFORMED_HOSTS)
def test_a_host_is_malformed(served: Served, host: str) -> None:
    for app in ("hosts", "https"):
        assert ask(served.pair(app).ports[0], "GET", "/sync", [("Host", host)]).status == 400


def test_a_host_is_missing(served: Served) -> None:
    """HTTP/1.0 allows it."""
    for app in ("hosts", "https"):
        replies = []
        for port in served.pair(app).ports:
            with Connection(port) as connection:
                connection.send(b"GET /sync HTTP/1.0\r\n\r\n")
                reply = connection.read_reply()
                reply.headers = [(name, value.replace(f":{port}", ":PORT")) for name, value in reply.headers]
                replies.append(reply)
        assert_same(*replies)


@pytest.mark.bimetal_only
def test_native_routes_stand_behind_the_edge() -> None:
    app = Bimetal(middleware=[Middleware(CORSMiddleware, allow_origins=["*"]), Middleware(GZipMiddleware, 1)])

    @app.get("/health", handler_type="native")
    def health(): ...

    with Server(app) as server:
        reply = plain(ask(server.port, "GET", "/health", [A, GZIP]))
        assert (reply.status, reply.header("access-control-allow-origin")) == (200, "*")
        assert (reply.header("content-encoding"), reply.header("vary")) == ("gzip", "Accept-Encoding, Origin")
        assert reply.json() == ask(server.port, "GET", "/health").json()
        assert ask(server.port, "OPTIONS", "/health", preflight("https://a.example").headers).text == "OK"
        assert server.stats()["requests"]["native"] == 2


@pytest.mark.bimetal_only
def test_middleware_added_in_the_startup_is_seen() -> None:
    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.middleware_stack = TrustedHostMiddleware(app.middleware_stack, ["good"])
        yield

    app = FastAPI(lifespan=lifespan, middleware=[Middleware(CORSMiddleware, allow_origins=["*"])])
    with Server(app) as server:
        reply = ask(server.port, "GET", "/", [A])
        assert (reply.status, reply.header("vary")) == (400, None)
        assert ask(server.port, "GET", "/", [A, ("Host", "good")]).all("vary") == ["Origin"]


def test_a_client_that_would_wait_with_no_body_waits_for_nothing(served: Served) -> None:
    """`Expect: 100-continue` without a body, answered at the edge: the connection goes on."""
    with Connection(served.pair("hosts").ports[0]) as connection:
        for _ in range(3):
            reply = connection.request("GET", "/sync", [("Host", "evil.example"), ("Expect", "100-continue")])
            assert reply.status == 400
