"""What runs before a route's Python handler and not before a native one: refused at the start, or accepted by name."""

from __future__ import annotations

from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, HTTPException, Security
from fastapi.exception_handlers import http_exception_handler, request_validation_exception_handler
from fastapi.exceptions import RequestValidationError, ValidationException, WebSocketRequestValidationError
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader, HTTPBasic, OAuth2PasswordBearer
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import Request

import bimetal
from bimetal import APIRouter, Bimetal
from bimetal.compile import compile_app
from bimetal.errors import RouteError

HANDLERS = {
    "health": {"name": "health", "plugin": "builtin", "source": "builtin", "kind": "sync", "meta": "{}"},
    "hot.plain": {"name": "hot.plain", "plugin": "hot", "source": "hot.so", "kind": "sync", "meta": "{}"},
    "hot.reads": {
        "name": "hot.reads",
        "plugin": "hot",
        "source": "hot.so",
        "kind": "sync",
        "meta": '{"parameters": [{"name": "q", "in": "query", "required": false, "schema": {"type": "string"}}]}',
    },
}


def guard(): ...


async def outer(inner: Annotated[None, Depends(guard)]): ...


class Limit:
    def __call__(self): ...


class Counting:
    def __init__(self, app, start):
        self.app = app

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)


class TimedRoute(APIRoute):
    def get_route_handler(self):
        return super().get_route_handler()


class CountingApp(Bimetal):
    async def __call__(self, scope, receive, send):
        await super().__call__(scope, receive, send)


class Recorder:
    def enabled(self):
        return True


def stub(): ...


def bind(app, bypass, path="/x", function=stub, **options):
    app.get(path, handler_type="native", native="health", bypass=bypass, **options)(function)
    return app


def with_middleware(bypass):
    app = Bimetal(openapi_url=None)
    app.add_middleware(Counting, start=1)
    return bind(app, bypass)


def with_dispatch(bypass):
    app = Bimetal(openapi_url=None)

    @app.middleware("http")
    async def tracer(request: Request, call_next): ...

    return bind(app, bypass)


def with_application_dependency(bypass):
    return bind(Bimetal(openapi_url=None, dependencies=[Depends(guard)]), bypass)


def with_router_dependency(bypass):
    router = bind(APIRouter(dependencies=[Depends(guard)]), bypass)
    app = Bimetal(openapi_url=None)
    app.include_router(router)
    return app


def with_including_dependency(bypass):
    """Two routers deep; it is the outer one that is included with a dependency."""
    inner, outer_router = bind(APIRouter(), bypass), APIRouter()
    outer_router.include_router(inner)
    app = FastAPI(openapi_url=None)
    app.include_router(outer_router, dependencies=[Depends(guard)])
    return app


def with_route_dependency(bypass):
    return bind(Bimetal(openapi_url=None), bypass, dependencies=[Depends(Limit())])


def with_nested_dependency(bypass):
    return bind(Bimetal(openapi_url=None), bypass, dependencies=[Depends(outer)])


def with_dependency_of_the_stub(bypass):
    def needs(guarded: Annotated[None, Depends(guard)]): ...

    return bind(Bimetal(openapi_url=None), bypass, function=needs)


def with_basic(bypass):
    return bind(Bimetal(openapi_url=None), bypass, dependencies=[Depends(HTTPBasic())])


def with_scopes(bypass):
    scheme = OAuth2PasswordBearer("token", scopes={"a": "A"})
    return bind(Bimetal(openapi_url=None), bypass, dependencies=[Security(scheme, scopes=["a"])])


def with_key_of_a_router(bypass):
    router = bind(APIRouter(dependencies=[Security(APIKeyHeader(name="x-key"))]), bypass)
    app = Bimetal(openapi_url=None)
    app.include_router(router, prefix="/in")
    return app


def with_route_class(bypass):
    router = bind(APIRouter(route_class=TimedRoute), bypass)
    app = Bimetal(openapi_url=None)
    app.include_router(router)
    return app


def with_own_call(bypass):
    return bind(CountingApp(openapi_url=None), bypass)


def with_telemetry(bypass):
    app = Bimetal(openapi_url=None)
    app._native_telemetry = Recorder()
    return bind(app, bypass)


def with_replaced_router(bypass):
    app = bind(Bimetal(openapi_url=None), bypass)

    async def metered(scope, receive, send): ...

    app.router.middleware_stack = metered
    return app


def with_body_limit(bypass):
    app = Bimetal(openapi_url=None)
    # As FastAPI(max_body_size=...) of 0.165 leaves it.
    app.max_body_size = 10
    return bind(app, bypass)


def on_error(request, error): ...


def reads(q: str = ""): ...


def answered_by(key, native, function=stub, handler=on_error):
    """An application with an exception handler of its own for `key`."""

    def make(bypass):
        app = Bimetal(openapi_url=None, exception_handlers={key: handler})
        app.get("/x", handler_type="native", native=native, bypass=bypass)(function)
        return app

    make.__name__ = f"{native}-{key}"
    return make


def under_plain_fastapi(bypass):
    app = FastAPI(openapi_url=None, dependencies=[Depends(guard)])
    app.get("/x")(bimetal.native("health", bypass=bypass)(lambda: None))
    return app


CASES = [
    (with_middleware, "middleware:Counting"),
    (with_dispatch, "middleware:tracer"),
    (with_application_dependency, "dependency:guard"),
    (with_router_dependency, "dependency:guard"),
    (with_including_dependency, "dependency:guard"),
    (with_route_dependency, "dependency:Limit"),
    (with_nested_dependency, "dependency:outer"),
    (with_dependency_of_the_stub, "dependency:guard"),
    (with_basic, "security:HTTPBasic"),
    (with_scopes, "security:OAuth2PasswordBearer"),
    (with_key_of_a_router, "security:APIKeyHeader"),
    (with_route_class, "route_class:TimedRoute"),
    (with_own_call, "application:CountingApp.__call__"),
    (with_telemetry, "telemetry:opentelemetry"),
    (with_replaced_router, "router:APIRouter"),
    (under_plain_fastapi, "dependency:guard"),
    (with_body_limit, "limit:max_body_size"),
    (answered_by(RequestValidationError, "hot.reads", reads), "exception_handler:on_error"),
    (answered_by(HTTPException, "hot.plain"), "exception_handler:on_error"),
    (answered_by(StarletteHTTPException, "hot.plain"), "exception_handler:on_error"),
    (answered_by(404, "hot.plain"), "exception_handler:on_error"),
    (answered_by(Exception, "hot.plain"), "exception_handler:on_error"),
    (answered_by(500, "hot.plain"), "exception_handler:on_error"),
    (answered_by(Exception, "hot.plain", handler=Limit()), "exception_handler:Limit"),
]

#: What the native handler cannot answer, what FastAPI answers the same way, and what no native handler raises.
UNCONCERNED = [
    answered_by(RequestValidationError, "hot.plain"),
    answered_by(RequestValidationError, "health"),
    answered_by(HTTPException, "health"),
    answered_by(Exception, "health"),
    answered_by(HTTPException, "hot.plain", handler=http_exception_handler),
    answered_by(RequestValidationError, "hot.reads", reads, handler=request_validation_exception_handler),
    answered_by(KeyError, "hot.reads", reads),
    answered_by(WebSocketRequestValidationError, "hot.reads", reads),
    # Starlette looks for the class itself first, and finds FastAPI's handler.
    answered_by(ValidationException, "hot.reads", reads),
]


@pytest.mark.parametrize(("make", "item"), CASES, ids=[make.__name__ for make, _ in CASES])
def test_each_is_refused_by_its_name_and_accepted_by_it(make, item):
    kind, _, name = item.partition(":")
    for bypass in ([], ["middleware:Other"], [f"other:{name}"], [f"{kind}:"]):
        with pytest.raises(RouteError) as refused:
            compile_app(make(bypass), HANDLERS)
        text = str(refused.value)
        assert "test_bypass_policy.py:" in text
        assert "route GET " in text
        assert f'would bypass {item}; accept it with bypass=["{item}"]' in text
    for bypass in ([item], [name], ["middleware:Other", item]):
        (plan,) = compile_app(make(bypass), HANDLERS)
        assert (plan.lane, plan.reason) == ("native", f"bypasses {item}")


@pytest.mark.parametrize("make", UNCONCERNED, ids=[make.__name__ for make in UNCONCERNED])
def test_exception_handlers_that_no_answer_of_the_route_would_meet(make):
    (plan,) = compile_app(make([]), HANDLERS)
    assert (plan.lane, plan.reason) == ("native", None)


def test_each_exception_handler_is_named_once():
    app = answered_by(RequestValidationError, "hot.reads", reads)([])
    app.exception_handlers |= {HTTPException: on_error, 404: on_error, Exception: Limit()}
    with pytest.raises(RouteError, match=r'bypass=\["exception_handler:on_error", "exception_handler:Limit"\]'):
        compile_app(app, HANDLERS)


@pytest.mark.parametrize("handlers", [HANDLERS, None])
def test_a_handler_nothing_is_known_of_may_answer_anything(handlers):
    for key, native in ((RequestValidationError, "hot.reads"), (Exception, "hot.plain")):
        function = reads if native == "hot.reads" else stub
        with pytest.raises(RouteError, match="exception_handler:on_error"):
            compile_app(answered_by(key, native, function)([]), handlers)
