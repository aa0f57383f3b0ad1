"""Routes that are compiled: each function as `/sync/...` (`def`) and `/async/...` (`async def`)."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import functools
import inspect
import ipaddress
import pathlib
import uuid
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Body, FastAPI, HTTPException, Query
from fastapi.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)  # fmt: skip
from pydantic import BaseModel, ConfigDict, Field
from starlette.background import BackgroundTask

app = FastAPI()


def both(method: str, path: str, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function on both lanes."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        async def asynchronous(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        # FastAPI looks through __wrapped__ to tell `def` from `async def`; the signature alone is wanted.
        asynchronous.__signature__ = inspect.signature(function, eval_str=True)  # type: ignore[attr-defined]
        del asynchronous.__wrapped__  # type: ignore[attr-defined]
        app.add_api_route(f"/sync{path}", function, methods=[method], **options)
        app.add_api_route(f"/async{path}", asynchronous, methods=[method], **options)
        return function

    return register


# Parameters.


@both("GET", "/health")
def health():
    return {"status": "ok"}


@both("GET", "/int/{value}")
def int_path(value: int):
    return {"value": value}


@both("GET", "/float/{value}")
def float_path(value: float):
    return {"value": value}


@both("GET", "/bool/{value}")
def bool_path(value: bool):
    return {"value": value}


@both("GET", "/str/{value}")
def str_path(value: str):
    return {"value": value}


@both("GET", "/two/{a}/and/{b}")
def two_paths(a: int, b: str):
    return [a, b]


@both("GET", "/rest/{rest:path}")
def rest_path(rest: str):
    return rest


@both("GET", "/query/int")
def int_query(value: int):
    return {"value": value}


@both("GET", "/query/float")
def float_query(value: float = 1.5):
    return {"value": value}


@both("GET", "/query/bool")
def bool_query(value: bool = False):
    return {"value": value}


@both("GET", "/query/str")
def str_query(value: str = "default", other: str = ""):
    return {"value": value, "other": other}


@both("GET", "/query/optional")
def optional_query(value: int | None = None, text: str | None = None, number: float | None = None):
    return [value, text, number]


@both("GET", "/query/constrained")
def constrained_query(
    value: Annotated[int, Query(ge=1, le=9, alias="the-value")],
    day: dt.date | None = None,
    who: uuid.UUID | None = None,
):
    return [value, day, who]


@both("GET", "/query/mutable")
def mutable_default(values: Annotated[list[int], Query(default_factory=list)]):
    values.append(1)
    return values


# Bodies.


class Owner(BaseModel):
    name: str
    tags: list[str] = []


class Item(BaseModel):
    model_config = ConfigDict(validate_by_name=True)
    name: str
    price: float = 0
    count: int = Field(0, alias="howMany")
    owner: Owner | None = None
    extra: dict[str, Any] = {}


@both("POST", "/model")
def model_body(item: Item):
    return item


@both("POST", "/model/dict")
def model_to_dict(item: Item):
    return {"name": item.name, "price": item.price, "repr": repr(item)}


@both("POST", "/model/path/{n}")
def model_and_path(n: int, item: Item, q: str | None = None):
    return {"n": n, "q": q, "name": item.name}


@both("POST", "/json")
def json_body(value: Annotated[Any, Body()]):
    return {"value": value, "repr": repr(value)}


@both("POST", "/dict")
def dict_body(value: dict[str, Any]):
    return value


@both("POST", "/ints")
def list_body(value: list[int]):
    return sum(value)


@both("POST", "/optional")
def optional_body(item: Owner | None = None):
    return {"given": item is not None}


# Results.


class Colour(enum.Enum):
    RED = "red"
    BLUE = 2


class Number(enum.IntEnum):
    ONE = 1


@dataclasses.dataclass
class Point:
    x: int
    y: float = 0.5
    _hidden: str = "seen"
    colour: Colour = Colour.RED


class Plain:
    def __init__(self):
        self.a = 1
        self._b = [2]


class Mapped:
    def keys(self):
        return ["k"]

    def __getitem__(self, key: str) -> str:
        return "v"


class Text(str):
    pass


class Sub(dict):
    pass


class Stamp(BaseModel):
    at: dt.datetime
    cost: decimal.Decimal
    by_alias: int = Field(serialization_alias="byAlias")
    colour: Colour = Colour.BLUE


STAMP = Stamp(at=dt.datetime(2026, 1, 2, 3, 4, 5, 678000, dt.timezone.utc), cost=decimal.Decimal("1.10"), by_alias=3)
RESULTS: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "true": lambda: True,
    "false": lambda: False,
    "int": lambda: -42,
    "big-int": lambda: 2**70,
    "int-edges": lambda: [2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64 - 1, 2**64, 0, -0],
    "str": lambda: 'grüezi \u2028 🦀 \x00\x1f\x7f "quoted" \\ / </script>',
    "empty": lambda: [{}, [], "", (), set(), frozenset()],
    "floats": lambda: [
        0.0,
        -0.0,
        1.0,
        1e16,
        1e15,
        123456789012345680.0,
        1e-5,
        0.0001,
        1e22,
        1.5e300,
        5e-324,
        0.1 + 0.2,
        1 / 3,
        100.0,
    ],
    "nested": lambda: {"a": {"b": [1, {"c": [None, True, 2.5, "x"]}]}, "d": [[[[]]]]},
    "deep": lambda: functools.reduce(lambda inner, _: [inner], range(100), 0),
    "wide": lambda: {f"key{i}": i for i in range(1000)},
    "long": lambda: "ü" * 200_000,
    "keys": lambda: {7: "int", 2.5: "float", True: "bool", None: "none", "s": "str", Text("t"): "text"},
    "key-order": lambda: {"b": 1, "a": 2, "c": 3},
    "duplicate-keys": lambda: {1: "int", "1": "str"},
    "tuple-key": lambda: {(1, 2): 3},
    "date-key": lambda: {dt.date(2026, 1, 1): 1},
    "enum-key": lambda: {Colour.RED: 1, Number.ONE: 2},
    "sa-keys": lambda: {"_sa_instance_state": 1, "_sa": 2, "_same": 3, "name": "x", "nested": {"_sa_x": 1}},
    "tuple": lambda: (1, "two", (3.0,)),
    "set": lambda: {3, 1, 2},
    "frozenset": lambda: frozenset({"one"}),
    "generator": lambda: (i for i in range(3)),
    "bytes": lambda: b"text",
    "bytes-invalid": lambda: b"\xff",
    "datetime": lambda: [
        dt.datetime(2026, 1, 2, 3, 4, 5),
        dt.date(2026, 1, 2),
        dt.time(3, 4),
        dt.timedelta(seconds=90.5),
    ],
    "decimal": lambda: [decimal.Decimal("1.0"), decimal.Decimal("3"), decimal.Decimal("1E+2")],
    "uuid": lambda: uuid.UUID(int=5),
    "path": lambda: pathlib.PurePosixPath("/a/b"),
    "ip": lambda: ipaddress.ip_address("10.0.0.1"),
    "enum": lambda: [Colour.RED, Colour.BLUE, Number.ONE],
    "dataclass": lambda: [Point(1), {"p": Point(2, 2.0)}],
    "model": lambda: STAMP,
    "models": lambda: {"list": [STAMP, Owner(name="o")], "one": Item(name="n", howMany=2)},
    "object": lambda: Plain(),
    "mapping": lambda: Mapped(),
    "subclasses": lambda: [
        Text("text"),
        Sub(a=1),
        type("I", (int,), {})(5),
        type("F", (float,), {})(1.5),
        type("L", (list,), {})([1]),
    ],
    "surrogate": lambda: "\ud800",
    "nan": lambda: float("nan"),
    "infinity": lambda: {"x": [float("-inf")]},
    "lambda": lambda: lambda: 1,
    "class": lambda: Colour,
    "exception": lambda: ValueError("returned, not raised"),
}


@both("GET", "/result/{kind}")
def result(kind: str):
    return RESULTS[kind]()


def with_headers(response: Response) -> Response:
    response.headers["X-One"] = "1"
    response.headers.append("X-One", "2")
    response.set_cookie("c", "d", max_age=5, secure=True)
    return response


done: list[str] = []
RESPONSES: dict[str, Callable[[], Response]] = {
    "plain": lambda: Response(b"bytes"),
    "empty": lambda: Response(status_code=204),
    "not-modified": lambda: Response(status_code=304, headers={"ETag": '"x"'}),
    "json": lambda: JSONResponse({"ü": [1.0, None]}, 201),
    "text": lambda: PlainTextResponse("tëxt"),
    "html": lambda: with_headers(HTMLResponse("<b>")),
    "redirect": lambda: RedirectResponse("/sync/health"),
    "stream": lambda: StreamingResponse(iter(["a", b"b"]), media_type="text/csv"),
    "file": lambda: FileResponse(__file__, headers={"last-modified": "x", "etag": "x"}),
    "media-type": lambda: Response("x", media_type="application/x-thing"),
    "no-length": lambda: Response("x", headers={"content-type": "a/b", "Content-Length": "1"}),
    "background": lambda: JSONResponse(1, background=BackgroundTask(done.append, "background")),
}


@both("GET", "/response/{kind}")
def response(kind: str):
    return RESPONSES[kind]()


@app.get("/done")
async def read_done(clear: bool = False):
    seen = done.copy()
    done.clear()
    return seen


def fail(error: BaseException):
    raise error


RAISES: dict[str, Callable[[], BaseException]] = {
    "http": lambda: HTTPException(418, {"detail": [1]}, {"X-Tea": "pot"}),
    "value": lambda: ValueError("x"),
    "key": lambda: KeyError("x"),
    "unicode": lambda: RuntimeError("\ud800"),
    "group": lambda: ExceptionGroup("group", [ValueError("in a group")]),  # type: ignore[name-defined] # noqa: F821
    "recursion": lambda: RecursionError("deep"),
    "memory": lambda: MemoryError(),
    "unprintable": lambda: type("Unprintable", (Exception,), {"__str__": lambda self: 1 / 0})(),
}


@both("GET", "/raise/{kind}")
def raising(kind: str):
    fail(RAISES[kind]())


# Response models and status codes.


class Public(BaseModel):
    name: str
    price: float
    note: str | None = None


@both("GET", "/out/filter", response_model=Public)
def out_filter():
    return {"name": "n", "price": 1, "secret": "s"}


@both("GET", "/out/annotated")
def out_annotated() -> list[Public]:
    return [Public(name="a", price=2), Public(name="b", price=1e20, note="x")]


@both("GET", "/out/unset", response_model=Public, response_model_exclude_unset=True)
def out_unset():
    return Public(name="a", price=2)


@both("GET", "/out/none", response_model=Public, response_model_exclude_none=True)
def out_none():
    return {"name": "a", "price": 2, "note": None}


@both("GET", "/out/exclude", response_model=Public, response_model_exclude={"price"})
def out_exclude():
    return Public(name="a", price=2)


@both("GET", "/out/alias")
def out_alias() -> Stamp:
    return STAMP


@both("GET", "/out/dataclass", response_model=Point)
def out_dataclass():
    return Point(3)


@both("GET", "/out/int", response_model=int)
def out_int():
    return "12"


@both("GET", "/out/invalid", response_model=Public)
def out_invalid():
    return {"name": 1}


@both("GET", "/out/nan", response_model=Public)
def out_nan():
    return {"name": "x", "price": float("nan")}


@both("GET", "/out/created", status_code=201)
def out_created():
    return {"made": True}


@both("DELETE", "/out/gone", status_code=204)
def out_gone():
    return None


@both("GET", "/out/text", response_class=PlainTextResponse)
def out_text():
    return "plain"


@both("GET", "/out/response")
def out_response() -> JSONResponse:
    return JSONResponse("typed")
