"""Routes with a native twin in `fixtures/twin`: native under Bimetal with the plugin, ordinary FastAPI under uvicorn.

`app` has typed stubs, `bare` the same routes with stubs that say nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

from fastapi import Body, Cookie, FastAPI, Form, Header, HTTPException, Path, Query, Response
from fastapi.responses import PlainTextResponse, RedirectResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

import bimetal


class Color(str, enum.Enum):
    red = "red"
    green = "green"
    blue = "blue"


class Page(BaseModel):
    model_config = ConfigDict(extra="forbid")
    limit: int = Field(ge=1, le=100)
    tags: list[str] = []


class Range(BaseModel):
    start: int
    end: int | None = None


class Trace(BaseModel):
    x_trace_id: int
    x_hops: list[str] = []


class Jar(BaseModel):
    model_config = ConfigDict(extra="forbid")
    first: str
    second: bool | None = None


class Login(BaseModel):
    model_config = ConfigDict(extra="forbid")
    user: str = Field(min_length=3, max_length=8, pattern="^[a-z]+$")
    age: int = Field(ge=18)
    groups: list[str] = []
    remember: bool = False


class Dim(BaseModel):
    w: int
    h: float


class Item(BaseModel):
    name: str
    price: float
    tags: list[str] = []
    count: int | None = None
    active: bool = True
    color: Color = Color.red
    dims: list[Dim] = []


class Limited(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int = Field(ge=1, lt=10)
    s: str = Field(min_length=2, max_length=3, pattern="^x")
    f: float | None = Field(default=None, ge=0.5, le=2.5)
    t: list[int] = Field(default=[1], min_length=1, max_length=2)
    d: dict[str, int] = Field(default={}, max_length=2)
    pair: tuple[int, str] | None = None
    numbers: set[int] = set()


class Circle(BaseModel):
    kind: Literal["circle"]
    radius: float


class Square(BaseModel):
    kind: Literal["square"]
    side: int


class Sized(BaseModel):
    small: int = Field(ge=0, le=255)
    count: int = Field(ge=0, le=2**32 - 1)
    offset: int = Field(ge=-(2**31), le=2**31 - 1)
    letter: str = Field(min_length=1, max_length=1)
    big: int | None = Field(default=None, ge=0, le=2**64 - 1)


class Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)
    first_name: str
    inner_list: list[list[int]]
    by_key: dict[str, Dim] = {}
    next: Camel | None = None


def path(number: int, ratio: float, flag: bool, color: Color) -> tuple[int, float, bool, Color]:
    return number, ratio, flag, color


def bounded(
    number: Annotated[int, Path(ge=1, le=10)], word: Annotated[str, Path(max_length=3, pattern="^[a-z]+$")]
) -> tuple[int, str]:
    return number, word


def query(
    number: int,
    ratio: Annotated[float, Query(gt=0.5, le=100)] = 1.5,
    flag: bool = False,
    color: Color | None = None,
    text: Annotated[str, Query(min_length=2, max_length=5, pattern="^[a-c]")] = "ab",
    tags: Annotated[list[int], Query(max_length=3)] = [],  # noqa: B006
    fives: Annotated[int | None, Query(multiple_of=5, description="Counted in fives.")] = None,
) -> tuple[int, float, bool, Color | None, str, list[int], int | None]:
    return number, ratio, flag, color, text, tags, fives


def page(page: Annotated[Page, Query()]) -> Page:
    return page


def range_(range: Annotated[Range | None, Query()] = None, step: int | None = None) -> tuple[Range | None, int | None]:
    return range, step


def headers(
    x_token: Annotated[str, Header(min_length=3)],
    x_number: Annotated[int | None, Header()] = None,
    x_many: Annotated[list[int], Header()] = [],  # noqa: B006
) -> tuple[str, int | None, list[int]]:
    return x_token, x_number, x_many


def trace(trace: Annotated[Trace | None, Header()] = None) -> Trace | None:
    return trace


def cookies(session: Annotated[int, Cookie(ge=1)], theme: Annotated[Color, Cookie()] = Color.red) -> tuple[int, Color]:
    return session, theme


def jar(jar: Annotated[Jar, Cookie()]) -> Jar:
    return jar


def login(login: Annotated[Login, Form()]) -> Login:
    return login


def vote(choice: Annotated[int, Form()], comment: Annotated[str | None, Form()] = None) -> tuple[int, str | None]:
    return choice, comment


def range_form(range: Annotated[Range | None, Form()] = None) -> Range | None:
    return range


def item(item: Item) -> Item:
    return item


def item_or_none(item: Item | None = None) -> Item | None:
    return item


def limited(item: Limited) -> Limited:
    return item


def shape(shape: Annotated[Circle | Square, Body(discriminator="kind")]) -> float:
    return shape.radius if isinstance(shape, Circle) else float(shape.side)


def either(either: Annotated[int | str | list[int] | Dim, Body()]) -> int | str | list[int] | Dim:
    return either


def sized(sized: Sized) -> Sized:
    return sized


def camel(camel: Camel) -> Camel:
    return camel


def renamed(
    page_size: Annotated[int, Query(alias="pageSize")],
    ids: Annotated[list[int] | None, Query()] = None,
    level: Annotated[int | None, Query(ge=0, le=255)] = None,
) -> tuple[int, list[int] | None, int | None]:
    return page_size, ids, level


def list_(list: list[int]) -> list[int]:
    return list


def all_(
    p: int, q: int, x_h: Annotated[int, Header()], c: Annotated[int, Cookie()], item: Dim
) -> tuple[int, int, int, int, Dim]:
    return p, q, x_h, c, item


def moved(to: str) -> RedirectResponse:
    return RedirectResponse(to)


def plain() -> str:
    return "plain"


def created(dim: Dim, response: Response) -> Dim:
    response.headers["X-Width"] = str(dim.w)
    return dim


def accepted(dim: Dim) -> Dim:
    return dim


def stored(dim: Dim) -> Dim:
    if dim.w == 0:
        raise HTTPException(409, "flat")
    return dim


def removed() -> Response:
    return Response(status_code=204)


def missing() -> Dim:
    raise HTTPException(404, "no such thing", {"X-Why": "never was"})


class CsvResponse(StreamingResponse):
    media_type = "text/csv"


def rows(count: int, broken: bool = False) -> CsvResponse:
    def lines() -> Iterator[str]:
        for number in range(count):
            yield f"{number},{number * number}\n"
        if broken:
            raise OSError("the table is gone")

    return CsvResponse(lines())


#: Method, path, handler, the Python function, and what else the decorator is told.
ROUTES: list[tuple[str, str, str, Callable[..., Any], dict[str, Any]]] = [
    ("GET", "/path/{number}/{ratio}/{flag}/{color}", "path", path, {}),
    ("GET", "/bounded/{number}/{word}", "bounded", bounded, {}),
    ("GET", "/query", "query", query, {}),
    ("GET", "/page", "page", page, {}),
    ("GET", "/range", "range", range_, {}),
    ("GET", "/headers", "headers", headers, {}),
    ("GET", "/trace", "trace", trace, {}),
    ("GET", "/cookies", "cookies", cookies, {}),
    ("GET", "/jar", "jar", jar, {}),
    ("POST", "/login", "login", login, {}),
    ("POST", "/vote", "vote", vote, {}),
    ("POST", "/range/form", "range_form", range_form, {}),
    ("POST", "/item", "item", item, {}),
    ("POST", "/item/optional", "item_or_none", item_or_none, {}),
    ("POST", "/limited", "limited", limited, {}),
    ("POST", "/shape", "shape", shape, {}),
    ("POST", "/either", "either", either, {}),
    ("POST", "/sized", "sized", sized, {}),
    ("POST", "/camel", "camel", camel, {}),
    ("GET", "/renamed", "renamed", renamed, {}),
    ("POST", "/list", "list", list_, {}),
    ("POST", "/all/{p}", "all", all_, {}),
    ("GET", "/moved", "moved", moved, {"response_class": RedirectResponse}),
    ("GET", "/plain", "plain", plain, {"response_class": PlainTextResponse}),
    ("POST", "/created", "created", created, {"status_code": 201}),
    ("POST", "/accepted", "accepted", accepted, {"status_code": 202}),
    ("POST", "/stored", "stored", stored, {"status_code": 203}),
    ("DELETE", "/removed", "removed", removed, {"status_code": 204}),
    ("GET", "/missing", "missing", missing, {}),
    ("GET", "/rows/{count}", "rows", rows, {"response_class": CsvResponse}),
]


def application(functions: Callable[[Callable[..., Any]], Callable[..., Any]]) -> FastAPI:
    """An application with all the routes, each with what `functions` makes of its Python function."""
    made = FastAPI(title="Twins")
    for method, route, handler, function, options in ROUTES:
        made.api_route(route, methods=[method], **options)(bimetal.native(f"twin.{handler}")(functions(function)))
    return made


def bare_stub(function: Callable[..., Any]) -> Callable[..., Any]:
    """A stub of the function's name that says nothing else."""

    def stub(): ...

    stub.__name__ = stub.__qualname__ = function.__name__
    return stub


app = application(lambda function: function)
bare = application(bare_stub)
