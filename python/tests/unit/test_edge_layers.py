"""What goes to the edge and what does not; and its layers against Starlette's classes, one message at a time."""

from __future__ import annotations

import asyncio
import copy
import functools
import random
import re
import zlib
from typing import Any

import pytest
import starlette.middleware.cors
import starlette.middleware.gzip
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.middleware.httpsredirect import HTTPSRedirectMiddleware
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from starlette._utils import parse_host_header
from starlette.middleware import Middleware

from bimetal import Bimetal
from bimetal._core import BimetalError, EdgeLayer
from bimetal.compile import application, compile_app, edge
from bimetal.compile.edge import at_edge, recognise
from bimetal.compile.origin_regex import translate
from bimetal.errors import RouteError
from bimetal.lane.entry import EntryPoint
from bimetal.testing import TestClient


class OwnCors(CORSMiddleware):
    pass


class OwnMiddleware(Middleware):
    pass


class Text(str):
    pass


RECOGNISED = [
    Middleware(CORSMiddleware),
    Middleware(CORSMiddleware, ["https://a"], ("GET",), {"x"}, True, "https://a|b", False, frozenset({"x"}), 1),
    Middleware(GZipMiddleware, minimum_size=-1, compresslevel=-1, thread_minimum_size=1),
    Middleware(GZipMiddleware, exclude_content_types=()),
    Middleware(TrustedHostMiddleware),
    Middleware(TrustedHostMiddleware, ["a", "*.b", "*"], www_redirect=False),
    Middleware(HTTPSRedirectMiddleware),
]
LEFT = [
    Middleware(OwnCors),
    OwnMiddleware(CORSMiddleware),
    Middleware(functools.partial(CORSMiddleware)),
    Middleware(CORSMiddleware, allow_origins="https://a"),
    Middleware(CORSMiddleware, allow_origins=["https://ä"]),
    Middleware(CORSMiddleware, allow_origins=[Text("https://a")]),
    Middleware(CORSMiddleware, allow_origins=[1]),
    Middleware(CORSMiddleware, allow_methods="GET"),
    Middleware(CORSMiddleware, allow_headers=iter(["x"])),
    Middleware(CORSMiddleware, expose_headers=["x\n"]),
    Middleware(CORSMiddleware, allow_credentials="yes"),
    Middleware(CORSMiddleware, allow_private_network=1),
    Middleware(CORSMiddleware, max_age=1.5),
    Middleware(CORSMiddleware, max_age=True),
    Middleware(CORSMiddleware, allow_origin_regex="("),
    Middleware(CORSMiddleware, allow_origin_regex=r"(a)\1"),
    Middleware(CORSMiddleware, allow_origin_regex=b"a"),
    Middleware(CORSMiddleware, unknown=1),
    Middleware(GZipMiddleware, minimum_size=1.5),
    Middleware(GZipMiddleware, compresslevel=10),
    Middleware(GZipMiddleware, compresslevel=-2),
    Middleware(GZipMiddleware, exclude_content_types="text/html"),
    Middleware(TrustedHostMiddleware, allowed_hosts="a"),
    Middleware(TrustedHostMiddleware, allowed_hosts=["a*"]),
    Middleware(TrustedHostMiddleware, allowed_hosts=["a"], www_redirect=1),
    Middleware(HTTPSRedirectMiddleware, 1),
]


def named(middleware: Middleware) -> str:
    """The same in every process that collects the tests."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(middleware))


@pytest.mark.parametrize("middleware", RECOGNISED, ids=named)
def test_plain_arguments_go_to_the_edge(middleware: Middleware) -> None:
    found = recognise([middleware])
    assert found.done == (middleware,) and not found.remaining
    assert at_edge(found) == f"at the edge: {middleware.cls.__name__}"


@pytest.mark.parametrize("middleware", LEFT, ids=named)
def test_everything_else_stays(middleware: Middleware) -> None:
    found = recognise([middleware, RECOGNISED[0]])
    assert not found.layers and len(found.remaining) == 2
    assert at_edge(found) is None


def test_only_the_outermost_go() -> None:
    found = recognise([RECOGNISED[0], RECOGNISED[2], LEFT[0], RECOGNISED[4]])
    assert found.names == ["CORSMiddleware", "GZipMiddleware"] and found.remaining == [LEFT[0], RECOGNISED[4]]


def test_urls_need_the_scheme() -> None:
    www = Middleware(TrustedHostMiddleware, ["www.a"])
    for middleware, needs in [(www, True), (RECOGNISED[6], True), (RECOGNISED[5], False), (RECOGNISED[0], False)]:
        assert bool(recognise([middleware], knows_scheme=False).layers) != needs


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    [
        (CORSMiddleware, "__call__", lambda *_: None),
        (CORSMiddleware, "is_allowed_origin", lambda *_: True),
        (CORSMiddleware, "allow_explicit_origin", staticmethod(lambda *_: None)),
        (starlette.middleware.cors, "PlainTextResponse", object),
        (starlette.middleware.cors, "Headers", type("Headers", (), {})),
    ],
)
def test_what_was_patched_stays(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, value: Any) -> None:
    monkeypatch.setattr(owner, name, value)
    assert not recognise([RECOGNISED[0]]).layers
    assert recognise([RECOGNISED[2]]).layers


def test_wrapped_functions_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    responder = starlette.middleware.gzip.GZipResponder
    original = responder.apply_compression

    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return original(*args, **kwargs)

    monkeypatch.setattr(responder, "apply_compression", wrapper)
    assert not recognise([RECOGNISED[2]]).layers


def test_other_versions_of_starlette_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge.starlette, "__version__", "1.9.0")
    assert not any(recognise([middleware]).layers for middleware in RECOGNISED)


def test_an_application_with_a_stack_of_its_own_keeps_all() -> None:
    app = FastAPI(middleware=[RECOGNISED[0]])
    assert application.edge(app).names == ["CORSMiddleware"] and application.obstacle(app) is None
    app.middleware_stack = app.build_middleware_stack()
    assert application.edge(app).names == ["CORSMiddleware"]
    app.middleware_stack = RECOGNISED[0].cls(app.middleware_stack)
    assert application.edge(app).names == [] and application.obstacle(app) is not None

    class Own(FastAPI):
        def build_middleware_stack(self) -> Any:
            return super().build_middleware_stack()

    assert application.edge(Own(middleware=[RECOGNISED[0]])).names == []


def test_native_routes_bypass_what_the_edge_does_not() -> None:
    def app(*middleware: Middleware, bypass: tuple[str, ...] = ()) -> Bimetal:
        app = Bimetal(middleware=list(middleware))

        @app.get("/health", handler_type="native", bypass=list(bypass))
        def health(): ...

        return app

    assert compile_app(app(RECOGNISED[0], RECOGNISED[2]))[-1].reason is None
    with pytest.raises(RouteError, match=r'bypass=\["middleware:OwnCors", "middleware:GZipMiddleware"\]'):
        compile_app(app(RECOGNISED[0], LEFT[0], RECOGNISED[2]))
    plan = compile_app(app(RECOGNISED[0], LEFT[0], bypass=("OwnCors",)))[-1]
    assert plan.reason == "bypasses middleware:OwnCors"


def test_middleware_that_came_later_is_refused() -> None:
    app = FastAPI(middleware=[RECOGNISED[0]])
    entry = EntryPoint(app)
    entry.use(application.edge(app))
    app.add_middleware(OwnCors)
    with pytest.raises(BimetalError, match="OwnCors is in front of CORSMiddleware"):
        asyncio.run(run(entry, scope()))


def test_instances_of_middleware_are_the_applications_own() -> None:
    made = []

    class Counting:
        def __init__(self, app: Any) -> None:
            self.app = app
            made.append(self)

        async def __call__(self, *arguments: Any) -> None:
            await self.app(*arguments)

    app = FastAPI(middleware=[RECOGNISED[0], Middleware(Counting)])
    with TestClient(app) as client:
        assert client.get("/", headers={"Origin": "https://a"}).headers["vary"] == "Origin"
    assert len(made) == 1


def test_the_scheme_a_test_client_stands_for() -> None:
    app = FastAPI(middleware=[RECOGNISED[6]])
    assert TestClient(app, base_url="https://testserver").get("/", follow_redirects=False).status_code == 404
    assert TestClient(app).get("/", follow_redirects=False).headers["location"] == "https://testserver/"


def scope(headers: list[tuple[bytes, bytes]] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": "/",
        "query_string": b"",
        "server": ("127.0.0.1", 8000),
        "headers": headers or [],
        "root_path": "",
    } | more


async def run(app: Any, scope: dict[str, Any]) -> tuple[int, list[tuple[bytes, bytes]], list[bytes]]:
    """Status, headers and the parts of the body."""
    messages: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        messages.append(copy.copy(message))

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    await app(scope, receive, send)
    start = messages[0]
    return start["status"], list(start["headers"]), [message.get("body", b"") for message in messages[1:]]


def starlettes(middleware: Middleware, scope: dict[str, Any], headers: list[Any], parts: list[bytes]) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": list(headers)})
        for i, part in enumerate(parts):
            await send({"type": "http.response.body", "body": part, "more_body": i + 1 < len(parts)})

    return asyncio.run(run(middleware.cls(app, *middleware.args, **middleware.kwargs), scope))


def rusts(middleware: Middleware, scope: dict[str, Any], headers: list[Any], parts: list[bytes]) -> Any:
    (layer,) = recognise([middleware]).layers
    answer = layer.before(scope)
    if answer is None and len(parts) == 1:
        answer = layer.after(scope, 200, headers, parts[0])
    if answer is not None:
        return answer[0], answer[1], [answer[2]]
    given, stream = layer.stream(scope, 200, headers)
    if stream is not None:
        parts = [stream.part(part, i + 1 < len(parts)) for i, part in enumerate(parts)]
    return 200, given, parts


def compared(result: Any) -> Any:
    status, headers, parts = result
    if (b"content-encoding", b"gzip") not in headers:
        return status, headers, parts
    # What can be read after each part.
    decompress = zlib.decompressobj(zlib.MAX_WBITS + 16)
    readable = [decompress.decompress(part) for part in parts]
    return status, [item for item in headers if item[0] != b"content-length"], readable


def test_layers_inside_other_middleware_do_what_starlettes_do() -> None:
    rng = random.Random(7)
    names = [b"vary", b"content-type", b"content-encoding", b"access-control-allow-origin", b"x-a", b"content-length"]
    values = [b"", b"Origin", b"text/plain", b"audio/x", b"https://a", b"*"]
    kinds = [
        Middleware(CORSMiddleware, ["https://a"], ["GET", "PUT"], ["X-A"], expose_headers=["x-b"]),
        Middleware(CORSMiddleware, ["*"], ["*"], ["*"], allow_credentials=True),
        Middleware(CORSMiddleware, ["*"]),
        Middleware(GZipMiddleware, 5),
        Middleware(GZipMiddleware, 0),
        Middleware(TrustedHostMiddleware, ["a", "*.b", "www.c"]),
        Middleware(HTTPSRedirectMiddleware),
    ]
    asked = {
        b"origin": [b"https://a", b"null", b"\xe4"],
        b"access-control-request-method": [b"GET", b"PUT", b"X"],
        b"access-control-request-headers": [b"x-a", b"x-a , x-b", b""],
        b"accept-encoding": [b"gzip", b"br"],
        b"host": [b"a", b"x.b:1", b"c", b"c:80", b"!:x", b"[::1]:443"],
    }
    for _ in range(1500):
        request = [(name, rng.choice(of)) for name, of in asked.items() for _ in range(rng.choice([0, 1, 1, 2]))]
        given = scope(
            request,
            method=rng.choice(["GET", "OPTIONS", "OPTIONS"]),
            scheme=rng.choice(["http", "https"]),
            path=rng.choice(["/", "/a b", "/ü?#\\", "//x"]),
            query_string=rng.choice([b"", b"a=1"]),
        )
        headers = [(rng.choice(names[:5]), rng.choice(values)) for _ in range(rng.randrange(5))]
        parts = [bytes([65 + i]) * rng.choice([0, 1, 4, 5, 5000]) for i in range(rng.choice([1, 1, 2, 3]))]
        middleware = rng.choice(kinds)
        expected, found = (answers(middleware, given, headers, parts) for answers in (starlettes, rusts))
        assert compared(found) == compared(expected), (middleware, given, headers, parts)


def test_hosts_are_read_as_starlette_reads_them() -> None:
    rng = random.Random(3)
    alphabet = "::::[[]]0019afAF..vVgz%-_~!$&'()*+,;= /@?#\\\"\x85\xe4\xb5\xdf\xff\xaa"
    groups = ["", "", "0", "1", "fFf", "12345", "1.2.3.4", "01.2.3.4", "1.2.3", "g"]
    hosts = ["".join(rng.choices(alphabet, k=rng.randrange(12))) for _ in range(10_000)]
    hosts += [f"[{':'.join(rng.choices(groups, k=rng.randrange(1, 10)))}]:80" for _ in range(10_000)]
    (layer,) = recognise([Middleware(HTTPSRedirectMiddleware)]).layers
    read = 0
    for host in hosts:
        given = scope([(b"host", host.encode("latin-1"))])
        found = layer.before(given)
        assert found is not None
        location = dict(found[1])[b"location"].decode()
        if parse_host_header(host) is None:
            assert location == "https://127.0.0.1:8000/", host
        else:
            read += 1
            expected = starlettes(Middleware(HTTPSRedirectMiddleware), given, [], [b""])
            assert location == dict(expected[1])[b"location"].decode(), host
    assert read > 500


ATOMS = [*"aAbzZ01.-:.^$éßµſİ", "\u212a", r"\d", r"\w", r"\W", r"\s", r"\S", r"\D", r"\.", r"\A", r"\Z", r"\b"]
ATOMS += ["[a-c]", "[^a-c]", r"[\w.-]", r"[^\d]", "[A-z]", "[^A-zé]"]
FORMS = ["{}{}", "{}{}", "{}{}", "{}|{}", "({})", "(?:{})*", "(?:{})+?", "(?:{}){{1,3}}", "(?:{})?", "(?i:{}){}"]
FORMS += ["(?a:{}){}", "(?s:{})", "(?={}){}", "(?P<n>{})", "(?-i:{}){}", "(?u:{}){}"]


def pattern(rng: random.Random, depth: int = 3) -> str:
    """A random regular expression, of what is translated and what is not."""
    if depth == 0 or rng.random() < 0.3:
        return rng.choice(ATOMS)
    return rng.choice(FORMS).format(pattern(rng, depth - 1), pattern(rng, depth - 1))


def test_translated_expressions_match_the_same_origins() -> None:
    rng = random.Random(11)
    translated = 0
    alphabet = "aAbBzZ019.-:_ kKsS\xe9\xc9\xdf\xb5\xb2\xff\xa0"
    for _ in range(1200):
        text = rng.choice(["", "", "(?i)", "(?a)", "(?x)"]) + pattern(rng)
        try:
            compiled = re.compile(text)
        except re.error:
            assert translate(text) is None
            continue
        rust = translate(text)
        if rust is None:
            continue
        translated += 1
        config = {
            "allow_origins": [],
            "allow_origin_regex": rust,
            "allow_methods": ["GET"],
            "allow_headers": [],
            "allow_credentials": False,
            "allow_private_network": False,
            "expose_headers": [],
            "max_age": "1",
        }
        layer = EdgeLayer("cors", config)
        for _ in range(40):
            origin = "".join(rng.choices(alphabet, k=rng.randrange(6)))
            given = scope([(b"origin", origin.encode("latin-1"))])
            allowed = len(layer.after(given, 200, [], b"")[1]) > 1
            assert allowed == bool(compiled.fullmatch(origin)), (text, rust, origin)
    assert translated > 400


@pytest.mark.parametrize(
    "text", [r"(a)\1", "(?=a)a", "(?<!a)b", r"\ba", "(?m)^a$", r"a{1000}{1000}{1000}", "(?(1)a|b)", b"a", 1]
)
def test_expressions_that_are_left_to_python(text: Any) -> None:
    found = recognise([Middleware(CORSMiddleware, allow_origin_regex=text)])
    assert not found.layers
