"""Bare calls of handlers, and what does not fit one, answer as FastAPI does: status, headers, body, and what is raised.

What has dependencies, forms or injected objects is in `test_operations_answer_like_fastapi.py`.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import math
import uuid
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Optional

import pytest
from fastapi import APIRouter, Body, FastAPI, HTTPException, Path, Query, Request
from fastapi.exceptions import ResponseValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, computed_field
from starlette.testclient import TestClient

from bimetal.compile import compile_app
from unit.plan_runner import PlanRunner


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Item(BaseModel):
    name: str
    price: float = 1.5
    tags: list[str] = []
    when: datetime.datetime | None = None

    @computed_field
    def label(self) -> str:
        return f"{self.name}!"


class Aliased(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    inner_name: str = Field(alias="innerName", default="x")
    skipped: int | None = None


@dataclass
class Point:
    x: int
    y: int = 0


class Teapot(Exception):
    pass


def even(value: int) -> int:
    if value % 2:
        raise ValueError("odd")
    return value


def make_app() -> FastAPI:
    app = FastAPI()

    @app.exception_handler(Teapot)
    async def teapot(request: Request, error: Teapot) -> PlainTextResponse:
        route = request.scope["route"].path
        params = dict(request.path_params)
        return PlainTextResponse(f"{route} {params} {await request.body()!r}", status_code=418)

    @app.get("/plain/{a}")
    def plain(a: int, b: str = "b", c: float = 0.5, d: bool = False, e: int | None = None) -> Any:
        return {"a": a, "b": b, "c": c, "d": d, "e": e}

    @app.get("/rich/{colour}/{key}")
    async def rich(
        colour: Colour,
        key: uuid.UUID,
        day: datetime.date = datetime.date(2020, 1, 2),
        kind: Literal["a", "b"] = "a",
        size: Annotated[int, Query(gt=0, le=10)] = 3,
        twice: Annotated[int, AfterValidator(even)] = 2,
        text: Optional[str] = Query(None, alias="the-text", min_length=2),  # noqa: UP045
        money: decimal.Decimal = decimal.Decimal("1.10"),
    ):
        return {
            "colour": colour,
            "key": key,
            "day": day,
            "kind": kind,
            "size": size,
            "twice": twice,
            "t": text,
            "m": money,
        }

    @app.get("/typed/{n:int}/{f:float}/{rest:path}")
    def typed(n: int, f: float, rest: str):
        return [n, f, rest]

    @app.get("/mixed/{n:int}/{u:uuid}")
    def mixed(n: float, u: uuid.UUID):
        return [n, u]

    @app.get("/refusing/{n:int}")
    def refusing(n: str):
        return n

    @app.get("/default-factory")
    def default_factory(items: Annotated[str, Query(default_factory=lambda: "made")]):
        return items

    @app.post("/item")
    def item(item: Item) -> Item:
        return item

    @app.post("/item-unset", response_model=Item, response_model_exclude_unset=True)
    async def item_unset(item: Item):
        return item

    @app.post("/item-include", response_model=Item, response_model_include={"name", "label"}, status_code=201)
    def item_include(item: Item):
        return item

    @app.post("/aliased", response_model=Aliased, response_model_by_alias=False, response_model_exclude_none=True)
    def aliased(item: Aliased):
        return item

    @app.post("/point")
    def point(point: Point) -> Point:
        return point

    @app.post("/list")
    def numbers(values: list[int]) -> list[float]:
        return values

    @app.post("/dict")
    def dictionary(value: dict[str, Any]):
        return value

    @app.post("/optional")
    def optional(item: Item | None = None, q: int = 1):
        return {"item": item, "q": q}

    @app.post("/defaulted")
    def defaulted(value: Annotated[list[int], Body()] = [1, 2]):  # noqa: B006
        value.append(3)
        return value

    @app.post("/any")
    def anything(value: Annotated[Any, Body()]):
        return value

    @app.get("/wrong")
    def wrong() -> Item:
        return {"nothing": 1}

    @app.get("/floats")
    def floats() -> dict[str, float]:
        return {"a": 1e16, "b": 0.1, "c": 1e-7, "big": 1e300, "whole": 3.0}

    @app.get("/nan")
    def nan() -> float:
        return math.nan

    @app.get("/plain-nan")
    def plain_nan():
        return math.nan

    @app.get("/explicit", response_class=JSONResponse)
    def explicit() -> dict[str, float]:
        return {"a": 1e16, "b": 0.1, "ü": 1}

    @app.get("/explicit-nan", response_class=JSONResponse)
    def explicit_nan() -> float:
        return math.nan

    @app.get("/http-error")
    def http_error():
        raise HTTPException(404, {"why": "gone"}, headers={"x-a": "1"})

    @app.post("/teapot/{n}")
    async def raises_teapot(n: int, value: Annotated[Any, Body()]):
        raise Teapot

    @app.get("/boom")
    def boom():
        raise RuntimeError("boom")

    @app.get("/response")
    def response():
        return PlainTextResponse("hi", status_code=203, headers={"x-b": "2"})

    @app.get("/stream")
    async def stream():
        return StreamingResponse(iter(["a", "b"]), media_type="text/x")

    @app.get("/bad-response")
    async def bad_response():
        def chunks():
            raise Teapot
            yield ""

        return StreamingResponse(chunks())

    router = APIRouter(prefix="/in/{x}")
    deeper = APIRouter(prefix="/deep")

    @deeper.get("/{y}", tags=["t"])
    def deep(x: int, y: str, z: int = Path(gt=3)):
        if y == "tea":
            raise Teapot
        return [x, y, z]

    router.include_router(deeper, prefix="/{z}")
    app.include_router(router, prefix="/api")
    return app


UUID = "12345678-1234-5678-1234-567812345678"
JSON = {"content-type": "application/json"}
REQUESTS = [
    ("GET", "/plain/1", None),
    ("GET", "/plain/-7?b=&c=2.5&d=true&e=0", None),
    ("GET", "/plain/x", None),
    ("GET", "/plain/1?d=maybe", None),
    ("GET", "/plain/1?d=yes&c=1e3&e=%201", None),
    ("GET", "/plain/1?b=first&b=last&unknown=1", None),
    ("HEAD", "/plain/1", None),
    ("POST", "/plain/1", None),
    ("GET", "/plain/1/", None),
    ("GET", f"/rich/red/{UUID}", None),
    ("GET", f"/rich/green/{UUID}", None),
    ("GET", f"/rich/blue/{UUID}?day=2024-02-29&kind=b&size=10&twice=4&the-text=abc&money=3.140", None),
    ("GET", f"/rich/blue/{UUID}?size=0&twice=3&the-text=a", None),
    ("GET", "/rich/blue/no-uuid", None),
    ("GET", "/typed/7/2.5/a/b/c", None),
    ("GET", "/typed/007/3/", None),
    ("GET", "/typed/-7/3/x", None),
    ("GET", f"/mixed/3/{UUID}", None),
    ("GET", "/refusing/3", None),
    ("GET", "/default-factory", None),
    ("GET", "/default-factory?items=given", None),
    ("POST", "/item", b'{"name":"n\xc3\xbc","when":"2024-01-01T00:00:00Z"}'),
    ("POST", "/item", b'{"name":1}'),
    ("POST", "/item", b'{"name":'),
    ("POST", "/item", b""),
    ("POST", "/item", b"null"),
    ("POST", "/item-unset", b'{"name":"n","tags":["a"]}'),
    ("POST", "/item-include", b'{"name":"n"}'),
    ("POST", "/aliased", b'{"innerName":"n"}'),
    ("POST", "/aliased", b'{"inner_name":"n","skipped":2}'),
    ("POST", "/point", b'{"x":1}'),
    ("POST", "/list", b"[1,2,3]"),
    ("POST", "/list", b'["1"]'),
    ("POST", "/dict", b'{"a":{"b":[null,true,1.0]},"a":2}'),
    ("POST", "/optional", b""),
    ("POST", "/optional?q=4", b"null"),
    ("POST", "/optional", b'{"name":"n"}'),
    ("POST", "/defaulted", b""),
    ("POST", "/defaulted", b""),
    ("POST", "/any", b'"text"'),
    ("POST", "/any", b"null"),
    ("GET", "/floats", None),
    ("GET", "/nan", None),
    ("GET", "/explicit", None),
    ("GET", "/http-error", None),
    ("POST", "/teapot/4", b'{"a":1}'),
    ("GET", "/response", None),
    ("GET", "/stream", None),
    ("GET", "/api/in/3/5/deep/why", None),
    ("GET", "/api/in/3/2/deep/why", None),
    ("GET", "/api/in/3/5/deep/tea", None),
]
#: Requests after which an exception leaves the application.
FAILING = ["/wrong", "/plain-nan", "/explicit-nan", "/boom", "/bad-response"]


@pytest.fixture(scope="module")
def clients():
    runner_app = make_app()
    runner = PlanRunner(runner_app, compile_app(runner_app))
    return TestClient(make_app()), TestClient(runner), runner


@pytest.mark.parametrize(("method", "url", "body"), REQUESTS)
def test_same_answer(clients, method, url, body):
    fastapi, planned, _ = clients
    headers = JSON if body is not None else {}
    expected = fastapi.request(method, url, content=body, headers=headers)
    answer = planned.request(method, url, content=body, headers=headers)
    assert answer.status_code == expected.status_code
    assert answer.content == expected.content
    assert sorted(answer.headers.multi_items()) == sorted(expected.headers.multi_items())


@pytest.mark.parametrize("url", FAILING)
def test_same_exception(clients, url):
    fastapi, planned, runner = clients
    with pytest.raises((ResponseValidationError, ValueError, RuntimeError)) as expected:
        fastapi.get(url)
    with pytest.raises(type(expected.value)) as error:
        planned.get(url)
    # The line differs: each application was made by a call of its own, of the same function.
    assert str(error.value) == str(expected.value)
    assert runner.ways[-1][0] in ("sync", "async")


@pytest.mark.parametrize(
    ("url", "lane", "way"),
    [
        ("/plain/1", "sync", "direct"),
        ("/stream", "async", "direct"),
        (f"/rich/red/{UUID}", "async", "operation"),
        ("/api/in/3/5/deep/why", "sync", "direct"),
        ("/plain/x", "sync", "operation"),
        ("/nowhere", "asgi", "asgi"),
    ],
)
def test_the_plans_did_answer(clients, url, lane, way):
    _, planned, runner = clients
    planned.get(url)
    assert runner.ways[-1] == (lane, way)


@pytest.mark.parametrize(("body", "way"), [(b'{"name":1}', "direct"), (b'{"name":', "operation"), (b"", "operation")])
def test_what_refuses_a_body(clients, body, way):
    """A validator must not run twice for one value: its refusal is the answer."""
    _, planned, runner = clients
    assert planned.post("/item", content=body, headers=JSON).status_code == 422
    assert runner.ways[-1] == ("sync", way)


def test_exception_handlers_see_the_scope_of_routing():
    def build() -> FastAPI:
        app = FastAPI(root_path="/proxy")

        @app.exception_handler(Teapot)
        def teapot(request: Request, error: Teapot) -> JSONResponse:
            scope = request.scope
            return JSONResponse(
                {
                    "root_path": scope["root_path"],
                    "endpoint": scope["endpoint"].__name__,
                    "path_params": scope["path_params"],
                    "route": scope["route"].path,
                    "url": str(request.url_for("raises", n=5)),
                    "app": scope["app"] is app,
                    "router": scope["router"] is app.router,
                }
            )

        @app.get("/t/{n:int}")
        def raises(n: int):
            raise Teapot

        return app

    app = build()
    runner = PlanRunner(app, compile_app(app))
    answer = TestClient(runner).get("/t/4")
    assert runner.ways == [("sync", "direct")]
    assert answer.json() == TestClient(build()).get("/t/4").json()


def test_server_error_handler_and_debug_page():
    def build(debug: bool) -> FastAPI:
        app = FastAPI(debug=debug)
        if not debug:

            @app.exception_handler(Exception)
            async def on_error(request: Request, error: Exception) -> PlainTextResponse:
                return PlainTextResponse(f"handled {error}", status_code=500)

        @app.get("/")
        def boom():
            raise RuntimeError("boom")

        return app

    for debug in (False, True):
        app = build(debug)
        answer = TestClient(PlanRunner(app, compile_app(app)), raise_server_exceptions=False).get("/")
        expected = TestClient(build(debug), raise_server_exceptions=False).get("/")
        assert answer.status_code == expected.status_code == 500
        if debug:
            assert "RuntimeError: boom" in answer.text
        else:
            assert answer.text == expected.text == "handled boom"
