"""Header fields that have browsers be careful: at the edge and on uvicorn, over HTTP and HTTPS; and ids of requests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.middleware import Middleware
from starlette.testclient import TestClient as StarletteClient

from bimetal import Bimetal, BimetalError, Server
from bimetal.compile import application
from bimetal.compile.edge import recognise
from bimetal.middleware import RequestIDMiddleware, SecurityHeadersMiddleware, TrustedHostMiddleware
from bimetal.testing import TestClient
from harness.compare import Pair, ask, assert_same, serve_both
from harness.servers import start_bimetal
from harness.tls import Authority, Issued, encrypted
from harness.wire import Reply

DEFAULTS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "strict-origin-when-cross-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "content-security-policy": "base-uri 'self'; frame-ancestors 'none'; object-src 'none'",
    "cross-origin-resource-policy": "same-origin",
}
TRANSPORT = "strict-transport-security"
TARGETS = ["/sync", "/async", "/stream", "/events", "/file", "/missing", "/nothing", "/not-modified", "/elsewhere"]
TARGETS += ["/http-error", "/sync?n=x", "/mounted/x", "/sub/sync", "/docs", "/redoc", "/openapi.json", "/framed"]


@pytest.fixture(scope="module")
def secured() -> Iterator[Pair]:
    with serve_both("edge_own:secured") as pair:
        yield pair


@pytest.mark.parametrize("target", TARGETS)
def test_every_answer_has_them(secured: Pair, target: str) -> None:
    for port in secured.ports:
        reply = ask(port, "GET", target)
        expected = dict(DEFAULTS)
        if target == "/framed":
            expected |= {"x-frame-options": "SAMEORIGIN", "content-security-policy": "default-src 'self'"}
        assert {name: reply.header(name) for name in expected} == expected, "the application's own stay"
        assert reply.header(TRANSPORT) is None, "not over plain HTTP"
    assert_same(*(ask(port, "GET", target) for port in secured.ports))


def test_settings(secured: Pair) -> None:
    with serve_both("edge_own:secured_own") as pair:
        for port in pair.ports:
            reply = ask(port, "GET", "/sync")
            assert reply.header("x-frame-options") is None
            assert reply.header("cross-origin-opener-policy") == "same-origin"
            assert (reply.header("x-own"), reply.header("referrer-policy")) == ("1", "no-referrer")
            assert reply.header("x-content-type-options") == "nosniff"


def test_a_failure_nobody_handled_is_outside_of_all_middleware(secured: Pair) -> None:
    for port in secured.ports:
        reply = ask(port, "GET", "/boom")
        assert (reply.status, reply.header("x-frame-options")) == (500, None)


@pytest.mark.bimetal_only
def test_transport_security_behind_a_proxy_and_natively() -> None:
    app = Bimetal(security_headers=True)

    @app.get("/health", handler_type="native")
    def health(): ...

    with Server(app) as server:
        reply = ask(server.port, "GET", "/health", [("X-Forwarded-Proto", "https")])
        assert reply.header(TRANSPORT) == "max-age=31536000"
        assert ask(server.port, "GET", "/health").header(TRANSPORT) is None
        assert server.plans[-1].reason is None
    with Server(app, forwarded_allow_ips=()) as server:
        assert ask(server.port, "GET", "/health", [("X-Forwarded-Proto", "https")]).header(TRANSPORT) is None


@pytest.mark.bimetal_only
def test_transport_security_over_tls(authority: Authority, issued: Issued) -> None:
    with start_bimetal("edge_own:secured", *issued.options) as server:
        server.wait_ready()
        with encrypted(server.port, authority.context()) as connection:
            for target in TARGETS:
                reply = connection.request("GET", target)
                assert reply.header(TRANSPORT) == "max-age=31536000", target


@pytest.mark.bimetal_only
@pytest.mark.parametrize("client_class", [TestClient, StarletteClient])
def test_the_scheme_a_test_client_stands_for(client_class: Any) -> None:
    app = Bimetal(security_headers={"strict_transport_security": "max-age=60"})

    @app.get("/")
    def root(): ...

    assert client_class(app).get("/").headers.get(TRANSPORT) is None
    assert client_class(app, base_url="https://testserver").get("/").headers[TRANSPORT] == "max-age=60"


def test_the_documentation_still_works(secured: Pair) -> None:
    """What the page loads and runs is allowed by what is sent with it."""
    reply = ask(secured.ports[0], "GET", "/docs")
    assert reply.status == 200 and "<script>" in reply.text
    policy = reply.header("content-security-policy") or ""
    assert not re.search(r"(default|script|style|img|connect|font|worker)-src", policy)
    assert reply.header("cross-origin-opener-policy") is None, "the window for OAuth2 needs its opener"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"frame_options": "DENY"}, "frame_options= is unknown; there are strict_transport_security, "),
        ({"x_frame_options": 1}, "x-frame-options: 1 is neither a text nor None"),
        ({"x_frame_options": "a\nb"}, "x-frame-options"),
        ({"headers": {"x y": "1"}}, '"x y" is no name of a header field'),
        ({"headers": ["x"]}, "give a mapping"),
    ],
)
def test_settings_that_do_not_exist(settings: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match="security_headers: ") as failure:
        Bimetal(security_headers=settings)  # type: ignore[arg-type]
    assert says in str(failure.value)
    with pytest.raises(BimetalError, match="SecurityHeadersMiddleware: "):
        recognise([Middleware(SecurityHeadersMiddleware, **settings)])


def named(app: Any) -> Any:
    @app.get("/")
    def root(request: Request) -> list[str]:
        return request.headers.getlist("x-request-id")

    @app.get("/own")
    def own(request: Request) -> Any:
        from fastapi.responses import PlainTextResponse

        return PlainTextResponse("own", headers={"X-Request-ID": "mine"})

    return app


def check_ids(get: Any) -> None:
    made = get("/", None)
    assert made[0] == [made[1]] and re.fullmatch("[0-9a-f]{32}", made[1])
    assert get("/", None)[1] != made[1]
    assert get("/", "the-clients") == (["the-clients"], "the-clients")
    wild = get("/", "no good")
    assert wild[0] == [wild[1]] and re.fullmatch("[0-9a-f]{32}", wild[1])
    assert get("/own", "the-clients")[1] == "mine", "what the application says goes"


@pytest.mark.bimetal_only
def test_each_request_has_an_id() -> None:
    app = named(Bimetal(middleware=[Middleware(TrustedHostMiddleware), Middleware(RequestIDMiddleware)]))

    @app.get("/health", handler_type="native")
    def health(): ...

    assert application.edge(app).names == ["TrustedHostMiddleware", "RequestIDMiddleware"]

    def over(port: int, target: str, given: str | None) -> tuple[Any, str | None]:
        reply: Reply = ask(port, "GET", target, [("X-Request-ID", given)] if given else [])
        return reply.json() if target == "/" else None, reply.header("x-request-id")

    with Server(app) as server:
        check_ids(lambda target, given: over(server.port, target, given))
        assert over(server.port, "/health", "a")[1] == "a"
        assert {plan.path: plan.lane for plan in server.plans}["/"] == "sync"


def test_each_request_has_an_id_elsewhere() -> None:
    """As ASGI middleware, under Starlette's own client."""
    client = StarletteClient(named(FastAPI(middleware=[Middleware(RequestIDMiddleware)])))

    def get(target: str, given: str | None) -> tuple[Any, str | None]:
        reply = client.get(target, headers={"X-Request-ID": given} if given else {})
        return reply.json() if target == "/" else None, reply.headers["x-request-id"]

    check_ids(get)


@pytest.mark.bimetal_only
def test_an_id_from_the_startup_is_too_late() -> None:
    def lifespan(app: FastAPI) -> Any:
        import contextlib

        @contextlib.asynccontextmanager
        async def run(_: FastAPI) -> Any:
            app.user_middleware.append(Middleware(RequestIDMiddleware))
            app.middleware_stack = None
            yield

        return run(app)

    app = FastAPI(lifespan=lifespan)
    with pytest.raises(BimetalError, match="add it before the server starts"), Server(app):
        pass
