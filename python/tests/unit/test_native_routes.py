"""Native routes: how they are declared, what is refused, and what their stubs are held against."""

from __future__ import annotations

import enum
import json
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, Form, Header, Query
from fastapi.security import HTTPBasic
from pydantic import BaseModel, Field
from starlette.middleware.gzip import GZipMiddleware
from starlette.testclient import TestClient

import bimetal
from bimetal import APIRouter, Bimetal
from bimetal.binding import binding_of
from bimetal.compile import compile_app
from bimetal.compile.routes import Compilation
from bimetal.errors import PluginError, RouteError

INTEGER = {"type": "integer", "format": "int64"}
GET_USER = {
    "parameters": [
        {"name": "user_id", "in": "path", "required": True, "schema": INTEGER},
        {"name": "verbose", "in": "query", "required": False, "schema": {"type": ["boolean", "null"]}},
    ],
    "request_body": None,
}
ITEM = {
    "parameters": [],
    "request_body": {
        "required": True,
        "content_type": "application/json",
        "schema": {"$ref": "#/components/schemas/Item"},
    },
    "schemas": {
        "Item": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}},
            "required": ["name"],
        }
    },
}


def handler(name, meta=None):
    return {"name": name, "plugin": "p", "source": "s", "kind": "sync", "meta": json.dumps(meta or {})}


HANDLERS = {
    "health": handler("health"),
    "hot.get_user": handler("hot.get_user", GET_USER),
    "hot.item": handler("hot.item", ITEM),
}


def stub(): ...


def test_declarations():
    app = Bimetal(openapi_url=None)
    app.get("/a", handler_type="native", native="health")(stub)
    app.get("/python")(stub)

    @app.api_route("/health", methods=["GET", "HEAD"], handler_type="native")
    def health(): ...

    app.add_api_route("/b", stub, handler_type="native", native="health")
    router = APIRouter(prefix="/r")
    router.get("/health", handler_type="native")(health)
    app.include_router(router, prefix="/in")
    plans = {plan.path: plan for plan in compile_app(app, HANDLERS)}
    assert {path: plan.native for path, plan in plans.items()} == {
        "/a": "health",
        "/python": None,
        "/health": "health",
        "/b": "health",
        "/in/r/health": "health",
    }
    assert plans["/health"].methods == ("GET", "HEAD")
    assert plans["/a"].lane == "native"
    assert plans["/python"].lane == "sync"


def test_the_mark_stays_on_the_route():
    app = Bimetal()
    assert app.get("/a", handler_type="native", native="health")(stub) is stub
    assert binding_of(stub) is None


def test_under_plain_fastapi():
    app = FastAPI(openapi_url=None)

    @app.get("/health")
    @bimetal.native("health")
    def health():
        return "body"

    router = APIRouter()
    router.get("/routed", handler_type="native", native="health")(stub)
    app.include_router(router)
    assert [plan.native for plan in compile_app(app, HANDLERS)] == ["health", "health"]
    assert TestClient(app).get("/health").json() == "body"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"handler_type": "cpp"}, 'use handler_type="native"'),
        ({"native": "health"}, 'add handler_type="native"'),
        ({"fallback": "python"}, 'add handler_type="native"'),
        ({"handler_type": "native", "fallback": "rust"}, 'use fallback="python"'),
        ({"handler_type": "native", "bypass": "middleware:A"}, "must be a list"),
    ],
)
def test_wrong_options(options, says):
    with pytest.raises(TypeError, match=says):
        Bimetal().get("/x", **options)(stub)


def test_an_absent_handler():
    app = Bimetal(openapi_url=None)
    app.get("/x", handler_type="native", native="helth")(stub)
    with pytest.raises(PluginError, match=r"test_native_routes.py:\d+: route GET /x: .*'helth'; did you mean 'health'"):
        compile_app(app, HANDLERS)


def test_fallback():
    app = Bimetal(openapi_url=None)

    @app.get("/x/{n}", handler_type="native", native="cold.x", fallback="python")
    def read(n: int):
        return n

    compilation = Compilation(app, HANDLERS)
    (plan,) = compilation.plans
    assert (plan.lane, plan.reason) == ("sync", "native handler 'cold.x' is not available, the Python body runs")
    assert compilation.absent == ["cold.x"]


def guard(): ...


def bypass_app(**options):
    async def tracer(request, call_next): ...

    app = Bimetal(openapi_url=None, dependencies=[Depends(guard)])
    app.add_middleware(GZipMiddleware)
    app.middleware("http")(tracer)
    app.get("/x", dependencies=[Depends(HTTPBasic())], handler_type="native", native="health", **options)(stub)
    return app


EVERYTHING = ["middleware:tracer", "middleware:GZipMiddleware", "dependency:guard", "security:HTTPBasic"]


def test_what_a_native_route_would_bypass():
    with pytest.raises(RouteError) as error:
        compile_app(bypass_app(), HANDLERS)
    assert "test_native_routes.py:" in str(error.value)
    assert "route GET /x" in str(error.value)
    for item in EVERYTHING:
        assert f'"{item}"' in str(error.value)


@pytest.mark.parametrize("names", [EVERYTHING, ["tracer", "GZipMiddleware", "guard", "HTTPBasic"]])
def test_what_a_native_route_accepts_to_bypass(names):
    (plan,) = compile_app(bypass_app(bypass=names), HANDLERS)
    assert plan.lane == "native"
    assert plan.reason == "bypasses " + ", ".join(EVERYTHING)


@pytest.mark.parametrize("left_out", EVERYTHING)
def test_each_bypass_must_be_accepted(left_out):
    with pytest.raises(RouteError, match=f"would bypass {left_out};"):
        compile_app(bypass_app(bypass=[item for item in EVERYTHING if item != left_out]), HANDLERS)


def test_native_routes_of_a_mounted_application():
    inner, outer = Bimetal(), FastAPI()
    inner.get("/x", handler_type="native", native="health")(stub)
    outer.mount("/inner", inner)
    with pytest.raises(RouteError, match=r"/inner/x.*include_router"):
        compile_app(outer, HANDLERS)


class Item(BaseModel):
    name: str
    tags: list[str] = []


class OtherItem(BaseModel):
    name: int
    tags: list[str]
    extra: str | None = None


def fits(user_id: int, verbose: bool = False): ...
def fits_annotated(user_id: int, verbose: Annotated[bool | None, Query()] = None): ...
def item(item: Item): ...
def wrong_type(user_id: str, verbose: bool = False): ...
def wrong_need(user_id: int, verbose: bool): ...
def more(user_id: int, verbose: bool = False, loud: bool = False): ...
def less(user_id: int): ...
def with_header(user_id: int, key: Annotated[str, Header()], verbose: bool = False): ...
def with_body(user_id: int, item: Item, verbose: bool = False): ...
def without_body(q: int = 1): ...
def other_item(item: OtherItem): ...


def compiled(function, path, name):
    app = Bimetal(openapi_url=None)
    app.post(path, handler_type="native", native=name)(function)
    return compile_app(app, HANDLERS)


@pytest.mark.parametrize(
    ("function", "path", "name"),
    [
        (fits, "/u/{user_id}", "hot.get_user"),
        (fits_annotated, "/u/{user_id}", "hot.get_user"),
        (stub, "/u/{user_id}", "hot.get_user"),
        (item, "/i", "hot.item"),
        (stub, "/i", "hot.item"),
    ],
)
def test_stubs_that_agree(function, path, name):
    assert compiled(function, path, name)[0].lane == "native"


@pytest.mark.parametrize(
    ("function", "path", "name", "differences"),
    [
        (wrong_type, "/u/{user_id}", "hot.get_user", ["'user_id' is string in the stub, integer in the handler"]),
        (wrong_need, "/u/{user_id}", "hot.get_user", ["'verbose' is required in the stub, optional in the handler"]),
        (more, "/u/{user_id}", "hot.get_user", ["query parameter 'loud' is in the stub only"]),
        (less, "/u/{user_id}", "hot.get_user", ["query parameter 'verbose' is in the handler only"]),
        (with_header, "/u/{user_id}", "hot.get_user", ["header parameter 'key' is in the stub only"]),
        (with_body, "/u/{user_id}", "hot.get_user", ["the stub takes a request body, the handler none"]),
        (stub, "/u/{id}", "hot.get_user", ["reads path parameter 'user_id', which is not in the path"]),
        (
            without_body,
            "/i",
            "hot.item",
            ["the handler takes a request body, the stub none", "'q' is in the stub only"],
        ),
        (
            other_item,
            "/i",
            "hot.item",
            [
                "body field 'extra' is in the stub only",
                "body field 'name' is integer in the stub, string in the handler",
                "body field 'tags' is required in the stub, optional in the handler",
            ],
        ),
    ],
)
def test_stubs_that_differ(function, path, name, differences):
    with pytest.raises(RouteError) as error:
        compiled(function, path, name)
    text = str(error.value)
    assert f"route POST {path}" in text
    assert repr(name) in text
    assert "test_native_routes.py:" in text
    assert "\n" not in text
    for difference in differences:
        assert difference in text


class Kind(str, enum.Enum):
    a = "a"
    b = "b"


class Dim(BaseModel):
    w: int


class Limited(BaseModel):
    name: str = Field(min_length=2, pattern="^a")
    size: int = Field(default=3, ge=1, lt=10)
    kind: Kind = Kind.a
    dims: list[Dim] = Field(default=[], max_length=2)
    byte: int | None = None


def limited_meta(**changes):
    properties = {
        "name": {"type": "string", "minLength": 2, "pattern": "^a"},
        "size": {"type": "integer", "format": "int64", "minimum": 1, "exclusiveMaximum": 10, "default": 3},
        "kind": {"$ref": "#/components/schemas/Kind", "default": "a"},
        "dims": {"type": "array", "items": {"$ref": "#/components/schemas/Dim"}, "maxItems": 2, "default": []},
        "byte": {"type": ["integer", "null"], "format": "uint8", "minimum": 0, "maximum": 255, "default": None},
    }
    schema = {"type": "object", "properties": properties | changes.pop("properties", {}), "required": ["name"]}
    ref = {"$ref": "#/components/schemas/Limited"}
    schemas = {
        "Limited": schema | changes.pop("schema", {}),
        "Kind": {"type": "string", "enum": changes.pop("kinds", ["a", "b"])},
        "Dim": {"type": "object", "properties": {"w": changes.pop("w", {"type": "integer"})}, "required": ["w"]},
    }
    body = {"required": True, "content_type": "application/json", "schema": ref} | changes.pop("body", {})
    response = {"status": 200, "content_type": "application/json", "schema": ref}
    return {"parameters": [], "request_body": body, "response": response, "schemas": schemas} | changes


def takes(item: Limited): ...
def gives(item: Limited) -> Limited: ...
def only_gives() -> Limited: ...
def takes_a_form(item: Annotated[Limited, Form()]): ...
def takes_none(item: Limited | None = None): ...
def takes_a_page(page: Annotated[Dim, Query()]): ...
def takes_pages(page: Annotated[Dim | None, Query()] = None): ...
def takes_a_header(x_w: Annotated[int, Header(le=5)]): ...


def told(function, meta):
    app = Bimetal(openapi_url=None)
    app.post("/x", handler_type="native", native="p.x")(function)
    try:
        compile_app(app, {"p.x": handler("p.x", meta)})
    except RouteError as error:
        return str(error).partition(" differ: ")[2].split("; ")
    return []


@pytest.mark.parametrize("function", [takes, gives, only_gives, stub])
def test_a_stub_that_says_the_same(function):
    assert told(function, limited_meta()) == []


@pytest.mark.parametrize(
    ("function", "changes", "differences"),
    [
        (
            takes,
            {"properties": {"name": {"type": "string", "minLength": 3, "maxLength": 9}}},
            [
                "body field 'name' has minimum length 2 in the stub, minimum length 3 in the handler",
                "body field 'name' has no maximum length in the stub, maximum length 9 in the handler",
                "body field 'name' has pattern ^a in the stub, no pattern in the handler",
            ],
        ),
        (
            takes,
            {"properties": {"size": {"type": "integer", "minimum": 1, "exclusiveMaximum": 10, "default": 4}}},
            ["body field 'size' is 3 by default in the stub, 4 in the handler"],
        ),
        (takes, {"kinds": ["a", "c"]}, ['may be "b" in the stub only', 'may be "c" in the handler only']),
        (takes, {"w": {"type": "string"}}, ["body field 'dims[].w' is integer in the stub, string in the handler"]),
        (
            takes,
            {"properties": {"byte": {"type": "integer", "format": "uint8", "minimum": 1}}},
            [
                "body field 'byte' may be null in the stub, and may not in the handler",
                "body field 'byte' has no minimum in the stub, minimum 1 in the handler",
            ],
        ),
        (
            takes,
            {"schema": {"additionalProperties": False}},
            ["body may have no further fields in the handler, and may in the stub"],
        ),
        (takes, {"body": {"required": False}}, ["the request body is required in the stub, optional in the handler"]),
        (takes_none, {}, ["the request body is optional in the stub, required in the handler"]),
        (takes_a_form, {}, ["the request body is a form in the stub, application/json in the handler"]),
        (
            only_gives,
            {"properties": {"name": {"type": "integer"}, "more": {"type": "integer"}}},
            [
                "response field 'more' is in the handler only",
                "response field 'name' is string in the stub, integer in the handler",
            ],
        ),
    ],
)
def test_every_difference_is_told(function, changes, differences):
    found = told(function, limited_meta(**changes))
    assert len(found) == len(differences)
    for difference in differences:
        assert any(difference in text for text in found), (difference, found)


def test_models_of_parameters():
    def meta(place, name, required=True, **schema):
        parameter = {"name": name, "in": place, "required": required, "schema": {"type": "integer", **schema}}
        return {"parameters": [parameter], "request_body": None}

    assert told(takes_a_page, meta("query", "w")) == []
    assert told(takes_a_page, meta("query", "w", False)) == [
        "query parameter 'w' is required in the stub, optional in the handler"
    ]
    assert told(takes_pages, meta("query", "w", False)) == []
    assert told(takes_a_header, meta("header", "X-W", maximum=5)) == []
    assert told(takes_a_header, meta("header", "x-w", maximum=6)) == [
        "header parameter 'x-w' has maximum 5 in the stub, maximum 6 in the handler"
    ]


@pytest.mark.parametrize(("declared", "handlers", "status"), [(None, 201, None), (201, 201, 201), (202, None, 202)])
def test_the_status_of_the_stub_goes_with_the_route(declared, handlers, status):
    app = Bimetal(openapi_url=None)
    app.post("/x", handler_type="native", native="x", status_code=declared)(stub)
    meta = {} if handlers is None else {"status": handlers}
    assert [plan.status for plan in compile_app(app, {"x": handler("x", meta)})] == [status]


def test_stub_and_handler_have_the_same_status():
    app = Bimetal(openapi_url=None)
    app.post("/x", handler_type="native", native="x", status_code=201)(stub)
    with pytest.raises(RouteError, match="'x' differ: the status code is 201 in the stub, 202 in the handler"):
        compile_app(app, {"x": handler("x", {"status": 202})})
    app = Bimetal(openapi_url=None)
    app.post("/x", handler_type="native", native="x", status_code=99)(stub)
    with pytest.raises(RouteError, match="status_code=99: a native handler answers with a status code from 200 to 599"):
        compile_app(app, {"x": handler("x")})
