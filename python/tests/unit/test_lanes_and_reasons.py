"""Which lane a route gets, and the reason a reader sees where it is not a compiled one."""

from __future__ import annotations

import functools
from typing import Annotated, Any

import fastapi
import fastapi.routing
import pytest
from fastapi import (
    BackgroundTasks,
    Body,
    Cookie,
    Depends,
    FastAPI,
    Form,
    Header,
    Query,
    Request,
    Response,
    Security,
    UploadFile,
)
from fastapi.requests import HTTPConnection
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from fastapi.security import HTTPBasic
from fastapi.sse import EventSourceResponse
from pydantic import BaseModel
from starlette.convertors import CONVERTOR_TYPES, Convertor, register_url_convertor
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.routing import BaseRoute, Host, Match, Mount, Route

from bimetal import APIRouter, Bimetal
from bimetal.compile import compile_app, versions


class Item(BaseModel):
    name: str


def get_db() -> None: ...


async def get_client() -> None: ...


def headers(x: Annotated[list[str], Header()]): ...
def cookies(x: Annotated[Item, Cookie()]): ...
def form(x: Annotated[str, Form()]): ...
def upload(x: UploadFile): ...
def dependency(x: Annotated[None, Depends(get_db)]): ...
def waiting_dependency(x: Annotated[None, Depends(get_client)], y: Annotated[None, Depends(get_db)]): ...
async def waits_later(x: Annotated[None, Depends(get_db)], y: Annotated[None, Depends(get_client)]): ...
def security(x: Annotated[Any, Security(HTTPBasic())]): ...
async def security_on_loop(x: Annotated[Any, Security(HTTPBasic())]): ...
def own_connection(connection: HTTPConnection): ...
def request(request: Request): ...
def request_and_body(request: Request, item: Item): ...
def response(response: Response): ...
def background(tasks: BackgroundTasks): ...
def one_body(a: Item, q: int = 1): ...
def two_bodies(a: Item, b: Item): ...
def embedded(a: Annotated[Item, Body(embed=True)]): ...
def query_list(x: Annotated[list[int], Query()]): ...
def query_model(x: Annotated[Item, Query()]): ...
def generator():
    yield 1


async def async_generator():
    yield 1


def opened(x: Annotated[Any, Depends(generator)]): ...
def connected(x: Annotated[Any, Depends(async_generator)]): ...


def wrapped(function: Any) -> Any:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return call


async def coroutine(): ...


class Callable:
    def __call__(self): ...


#: Handler, options of the route; lane, whether it is a bare call, where it starts, how its body arrives.
PLANS = [
    (get_db, {}, "sync", True, "runner", "whole"),
    (coroutine, {}, "async", True, "loop", "whole"),
    (one_body, {}, "sync", True, "runner", "whole"),
    (headers, {}, "sync", False, "runner", "whole"),
    (cookies, {}, "sync", False, "runner", "whole"),
    (query_list, {}, "sync", False, "runner", "whole"),
    (query_model, {}, "sync", False, "runner", "whole"),
    (two_bodies, {}, "sync", False, "runner", "whole"),
    (embedded, {}, "sync", False, "runner", "whole"),
    (form, {}, "sync", False, "runner", "small"),
    (upload, {}, "sync", False, "runner", "small"),
    (request, {}, "sync", False, "runner", "stream"),
    (own_connection, {}, "sync", False, "runner", "stream"),
    (request_and_body, {}, "sync", False, "runner", "whole"),
    (response, {}, "sync", False, "runner", "whole"),
    (background, {}, "sync", False, "runner", "whole"),
    (dependency, {}, "sync", False, "runner", "whole"),
    (get_db, {"dependencies": [Depends(get_db)]}, "sync", False, "runner", "whole"),
    (coroutine, {"dependencies": [Depends(get_db)]}, "async", False, "runner", "whole"),
    (waiting_dependency, {}, "sync", False, "loop", "whole"),
    (waits_later, {}, "async", False, "runner", "whole"),
    (opened, {}, "sync", False, "runner", "whole"),
    (connected, {}, "sync", False, "loop", "whole"),
    (security, {}, "sync", False, "runner", "whole"),
    (security_on_loop, {}, "async", False, "loop", "whole"),
    (get_db, {"response_class": PlainTextResponse}, "sync", False, "runner", "whole"),
    (get_db, {"status_code": 204}, "sync", False, "runner", "whole"),
    (get_db, {"status_code": 201}, "sync", True, "runner", "whole"),
    (get_db, {"response_class": JSONResponse}, "sync", True, "runner", "whole"),
    (wrapped(coroutine), {}, "async", True, "loop", "whole"),
    (functools.partial(coroutine), {"operation_id": "p"}, "async", True, "loop", "whole"),
    (Callable(), {"operation_id": "c"}, "sync", True, "runner", "whole"),
]


def plan_of(handler: Any, **options: Any) -> Any:
    app = FastAPI(openapi_url=None)
    app.post("/x", name="x", **options)(handler)
    (plan,) = compile_app(app)
    return plan


@pytest.mark.parametrize(("handler", "options", "lane", "direct", "start", "body"), PLANS)
def test_plans_of_a_route(handler, options, lane, direct, start, body):
    plan = plan_of(handler, **options)
    assert (plan.lane, plan.direct is not None, plan.start, plan.body) == (lane, direct, start, body)
    assert plan.reason is None
    assert plan.steps[-1].call is handler
    assert plan.operation.steps is plan.steps


def test_a_bare_call():
    plan = plan_of(one_body, status_code=201)
    assert (plan.direct.handler, plan.direct.body.keyword, plan.direct.status) == (one_body, "a", 201)
    assert plan_of(get_db).direct.body is None
    assert plan_of(get_db).direct.status == 200


@pytest.mark.parametrize("options", [{}, {"response_class": HTMLResponse}, {"response_class": EventSourceResponse}])
@pytest.mark.parametrize("handler", [generator, async_generator])
def test_streams_are_left_to_fastapis_own_handler(handler, options):
    plan = plan_of(handler, **options)
    assert (plan.lane, plan.steps, plan.direct, plan.start, plan.body) == ("async", (), None, "loop", "stream")
    assert plan.reason == "streams its response, FastAPI's own handler runs it"
    assert plan.operation.handler is not None


@pytest.mark.parametrize(
    ("options", "encoded", "status"),
    [
        ({}, True, None),
        ({"response_model": Item}, True, None),
        ({"response_class": JSONResponse, "response_model": Item}, True, None),
        ({"response_class": PlainTextResponse}, False, None),
        ({"response_class": PlainTextResponse, "response_model": str}, False, None),
        ({"status_code": 204}, False, 204),
        ({"status_code": 304, "response_model": None}, False, 304),
        ({"status_code": 201}, True, 201),
    ],
)
def test_responses(options, encoded, status):
    response = plan_of(get_db, **options).response
    assert (response.encoded, response.status) == (encoded, status)
    assert (response.content is None) is encoded
    assert (response.validate is not None) is (encoded and "response_model" in options)


def simple(a: int = 1):
    return a


def plans_of(app: FastAPI) -> dict[str, Any]:
    return {plan.path: plan for plan in compile_app(app)}


@pytest.mark.parametrize(
    "options", [{}, {"response_class": JSONResponse}, {"status_code": 201}, {"response_model": int}, {"tags": ["a"]}]
)
@pytest.mark.parametrize("kind", [FastAPI, Bimetal])
def test_simple_routes_are_compiled(kind, options):
    app = kind(openapi_url=None)
    app.get("/x", **options)(simple)
    (plan,) = compile_app(app)
    assert (plan.lane, plan.reason) == ("sync", None)
    assert plan.direct.status == options.get("status_code", 200)


def test_application_reasons(monkeypatch):
    def app_with(change) -> str:
        app = FastAPI(openapi_url=None)
        app.get("/x")(simple)
        change(app)
        (plan,) = compile_app(app)
        assert plan.lane == "asgi"
        return plan.reason

    def replace_call(app):
        app.build_middleware_stack = lambda: app.router

    assert app_with(replace_call) == "build_middleware_stack was replaced on this FastAPI"

    class Special(FastAPI):
        async def __call__(self, *args):
            await super().__call__(*args)

    app = Special(openapi_url=None)
    app.get("/x")(simple)
    assert compile_app(app)[0].reason == "Special.__call__ replaces FastAPI.__call__"

    with monkeypatch.context() as patch:
        patch.setattr(fastapi.routing, "serialize_response", lambda **_: None)
        assert "has replaced fastapi.routing.serialize_response" in app_with(lambda app: None)
    with monkeypatch.context() as patch:
        patch.setattr(fastapi, "__version__", "9.1.0")
        assert app_with(lambda app: None).startswith("FastAPI 9.1.0 is outside the versions Bimetal compiles")


async def tracer(request, call_next):
    return await call_next(request)


@pytest.mark.parametrize(
    "add",
    [
        lambda app: app.middleware("http")(tracer),
        lambda app: app.add_middleware(BaseHTTPMiddleware, dispatch=tracer),
        lambda app: app.add_middleware(type("Pure", (), {"__init__": lambda self, app: None})),
    ],
)
def test_within_middleware_operations_start_on_the_loop(add):
    """Bare calls do not pass middleware."""
    app = FastAPI(openapi_url=None)
    app.get("/x")(simple)
    app.get("/depends")(dependency)
    add(app)
    for plan in compile_app(app):
        assert (plan.lane, plan.reason, plan.direct, plan.start) == ("sync", None, None, "loop")


@pytest.mark.parametrize(
    ("version", "known"),
    [
        ("0.163.2", True),
        ("0.163.3", False),
        ("0.161.0", True),
        ("0.160.0", False),
        ("0.164.0", False),
        ("0.165.0", True),
        ("0.165.1", False),
        ("1.163.0", False),
        ("0.163.2rc1", False),
        ("dev", False),
    ],
)
def test_versions(version, known):
    assert (versions.untested_fastapi(version) is None) is known


@pytest.mark.parametrize(("version", "known"), [("1.10.0", True), ("1.7.0", True), ("1.6.9", False), ("1.11.0", False)])
def test_versions_of_starlette(version, known):
    assert (versions.untested_starlette(version) is None) is known


def test_attributes_changed_later_change_nothing():
    """FastAPI's handler keeps what the route was made with, and so does the plan."""
    app = FastAPI(openapi_url=None)

    @app.get("/x")
    def read() -> Item: ...

    app.routes[0].response_field = None
    app.routes[0].status_code = 418
    (plan,) = compile_app(app)
    assert plan.response.status is None
    assert plan.response.validate is not None


def test_a_replaced_handler_is_seen():
    app = FastAPI(openapi_url=None)
    app.get("/x")(simple)
    app.routes[0].dependant.call = coroutine
    assert compile_app(app)[0].reason == "the handler was replaced after the route was made"

    async def other(scope, receive, send): ...

    app.routes[0].app = other
    assert "the route's handler was wrapped by" in compile_app(app)[0].reason


def test_order_mounts_and_static_routes():
    app = FastAPI()
    app.get("/a")(simple)
    app.mount("/static", lambda *_: None)
    app.get("/b/{x:path}", name="b")(simple)
    app.router.routes.append(Route("/c", simple, methods=["POST"]))
    app.websocket("/ws")(coroutine)
    plans = compile_app(app)
    assert [plan.path for plan in plans] == [
        *("/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc"),
        *("/a", "/static/{path:path}", "/b/{x:path}", "/c"),
    ]
    assert [plan.lane for plan in plans[4:]] == ["sync", "asgi", "sync", "asgi"]
    assert plans[5].methods == ()
    assert plans[5].reason == "mounted application"
    assert plans[7].methods == ("POST",)


class Odd(BaseRoute):
    def matches(self, scope):
        return Match.NONE, {}


class OddRoute(fastapi.routing.APIRoute):
    def matches(self, scope):
        return Match.NONE, {}


class OwnHandler(fastapi.routing.APIRoute):
    def get_route_handler(self):
        return super().get_route_handler()


class OddRouter(fastapi.APIRouter):
    async def handle(self, *args): ...


def include_odd(app):
    router = OddRouter()
    router.get("/odd")(simple)
    app.include_router(router)


@pytest.mark.parametrize(
    ("add", "name"),
    [
        (lambda app: app.router.routes.append(Odd()), "Odd"),
        (lambda app: app.router.routes.append(Host("a.org", app=app)), "Host('a.org')"),
        (lambda app: app.router.add_api_route("/o", simple, route_class_override=OddRoute), "OddRoute('/o')"),
        (include_odd, "_IncludedRouter"),
    ],
)
def test_routes_behind_one_that_decides_for_itself(add, name):
    app = FastAPI(openapi_url=None)
    app.get("/before")(simple)
    add(app)
    app.get("/behind")(simple)
    before, odd, behind = compile_app(app)
    assert (before.lane, odd.lane, behind.lane) == ("sync", "asgi", "asgi")
    assert odd.path == "/{path:path}"
    assert behind.reason == f"stands behind {name}, which may take its requests; declare it earlier"


def test_an_own_route_class_that_makes_the_handler_anew():
    app = FastAPI(openapi_url=None)
    app.router.add_api_route("/o", simple, route_class_override=OwnHandler)
    app.get("/behind")(simple)
    own, behind = compile_app(app)
    assert own.reason == "OwnHandler.get_route_handler makes the route's handler"
    assert (own.lane, own.steps, own.direct, own.start, own.body) == ("async", (), None, "loop", "stream")
    assert (behind.lane, behind.direct is not None) == ("sync", True)


def test_an_own_route_class_that_changes_no_handling():
    app = FastAPI(openapi_url=None)
    app.router.add_api_route("/o", simple, route_class_override=type("Named", (fastapi.routing.APIRoute,), {}))
    (plan,) = compile_app(app)
    assert (plan.lane, plan.reason, plan.direct is not None) == ("sync", None, True)


def test_own_convertors_are_widened():
    class Hex(Convertor):
        regex = "[0-9a-f]+"

        def convert(self, value):
            return int(value, 16)

    register_url_convertor("hex", Hex())
    try:
        app = FastAPI(openapi_url=None)
        app.get("/x/{n:hex}/y")(simple)
        (plan,) = compile_app(app)
    finally:
        del CONVERTOR_TYPES["hex"]
    assert plan.path == "/x/{n:path}/y"
    assert plan.reason == "path parameter 'n' has a convertor of the application's own"


def test_included_routers():
    app = FastAPI(openapi_url=None)
    inner, outer, guarded = APIRouter(prefix="/inner"), fastapi.APIRouter(prefix="/outer"), fastapi.APIRouter()
    inner.get("/x/{a}")(simple)
    guarded.get("/g")(simple)
    outer.include_router(inner, prefix="/p")
    app.include_router(outer, prefix="/app")
    app.include_router(guarded, dependencies=[Depends(get_db)])
    app.include_router(guarded, prefix="/html", default_response_class=HTMLResponse)
    plans = plans_of(app)
    assert plans["/app/outer/p/inner/x/{a}"].direct is not None
    assert [step.call for step in plans["/g"].steps] == [get_db, simple]
    assert plans["/html/g"].response.make is HTMLResponse
    assert {plan.lane for plan in plans.values()} == {"sync"}


def test_kinds_of_parameters():
    app = FastAPI(openapi_url=None)

    @app.get("/{p}/{n:int}")
    def read(
        p: str,
        n: int,
        a: int,
        b: float = 1.0,
        c: bool | None = None,
        d: Annotated[int, Query(gt=1)] = 2,
        e: Annotated[str, Query(alias="E")] = "e",
        f: Any = None,
    ): ...

    params = {param.keyword: param for param in compile_app(app)[0].steps[0].params}
    assert {name: param.kind for name, param in params.items()} == {
        "p": "str",
        "n": "int",
        "a": "int",
        "b": "float",
        "c": "validator",
        "d": "validator",
        "e": "str",
        "f": "validator",
    }
    assert [param.source for param in params.values()] == ["path", "path", *["query"] * 6]
    assert params["e"].alias == "E"
    assert params["a"].required
    assert params["d"].default == 2
    assert params["d"].validate("7") == 7
    with pytest.raises(ValueError, match="greater than 1"):
        params["d"].validate("1")


def test_other_applications_have_no_plans():
    assert compile_app(Mount("/", app=simple)) == []


def test_a_root_path_can_be_part_of_the_path():
    app = FastAPI(openapi_url=None, root_path="/proxy")
    app.get("/x")(simple)
    assert [(plan.path, plan.lane) for plan in compile_app(app)] == [
        ("/proxy/x", "sync"),
        ("/proxy", "asgi"),
        ("/proxy/{path:path}", "asgi"),
        ("/x", "sync"),
    ]
