"""Path, query, header and cookie parameters of many types, and parameter models."""

import datetime as dt
import enum
import uuid
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import Cookie, FastAPI, Header, Path, Query
from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

from differential.apps.twins import seen, twins

app = FastAPI()
both = twins(app)


class Colour(str, enum.Enum):
    RED = "red"
    GREEN = "green"


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2


@both("GET", "/health")
def health():
    return {"status": "ok"}


@both("GET", "/path/int/{value}")
def path_int(value: int):
    return {"value": value, "seen": seen(value)}


@both("GET", "/path/float/{value}")
def path_float(value: float):
    return seen(value)


@both("GET", "/path/bool/{value}")
def path_bool(value: bool):
    return {"value": value}


@both("GET", "/path/str/{value}")
def path_str(value: str):
    return {"value": value, "length": len(value)}


@both("GET", "/path/typed/{colour}/{size}/{day}")
def path_typed(colour: Colour, size: Size, day: dt.date):
    return seen(colour=colour, size=size, day=day)


@both("GET", "/path/bounded/{value}/{text}")
def path_bounded(value: Annotated[int, Path(ge=-2, lt=10)], text: Annotated[str, Path(min_length=2, max_length=6)]):
    return seen(value=value, text=text)


@both("GET", "/path/rest/{rest:path}")
def path_rest(rest: str):
    return {"rest": rest}


@both("GET", "/path/converted/{number:int}/{ratio:float}/{key:uuid}")
def path_converted(number: int, ratio: float, key: uuid.UUID):
    return seen(number=number, ratio=ratio, key=key)


@both("GET", "/query/int")
def query_int(value: int):
    return {"value": value}


@both("GET", "/query/float")
def query_float(value: float = 0.5):
    return {"seen": seen(value)}


@both("GET", "/query/bool")
def query_bool(value: bool = False):
    return {"value": value}


@both("GET", "/query/str")
def query_str(value: str, other: str | None = None, empty: str = ""):
    return seen(value=value, other=other, empty=empty)


@both("GET", "/query/optional")
def query_optional(value: int | None = None, text: str | None = None, number: float | None = None):
    return seen(value=value, text=text, number=number)


@both("GET", "/query/constrained")
def query_constrained(
    value: Annotated[int, Query(ge=1, le=9, alias="the-value")],
    text: Annotated[str, Query(pattern="^[a-z]+$", max_length=5)] = "abc",
    ratio: Annotated[float, Query(gt=0, allow_inf_nan=False)] = 1.0,
):
    return seen(value=value, text=text, ratio=ratio)


@both("GET", "/query/types")
def query_types(
    moment: dt.datetime | None = None,
    day: dt.date | None = None,
    at: dt.time | None = None,
    span: dt.timedelta | None = None,
    key: uuid.UUID | None = None,
    cost: Decimal | None = None,
    colour: Colour = Colour.RED,
    size: Size | None = None,
    choice: Literal["a", "b", 3] = "a",
    raw: bytes = b"",
    secret: int | str | None = None,
):
    return {
        **seen(moment=moment, day=day, at=at, span=span, key=key, cost=cost, size=size, raw=raw, secret=secret),
        "colour": colour,
        "choice": choice,
        "moment_json": moment,
        "cost_json": cost,
        "span_json": span,
    }


@both("GET", "/query/union")
def query_union(value: int | bool | float | str, other: Annotated[float | int, Query(union_mode="left_to_right")] = 1):
    return seen(value=value, other=other)


@both("GET", "/query/lists")
def query_lists(
    words: Annotated[list[str], Query()] = [],  # noqa: B006
    numbers: Annotated[list[int] | None, Query(max_length=3)] = None,
    unique: Annotated[set[int], Query()] = set(),  # noqa: B006
    pair: Annotated[tuple[int, str], Query()] = (1, "x"),
):
    words.append("changed")
    return seen(words=words, numbers=numbers, unique=sorted(unique), pair=pair)


@both("GET", "/query/aliases")
def query_aliases(
    first: Annotated[str, Query(alias="item-query")] = "none",
    second: Annotated[str, Query(validation_alias="Second")] = "none",
    third: Annotated[str, Query(alias="third[]")] = "none",
    stripped: Annotated[str, BeforeValidator(lambda value: value.strip())] = "none",
):
    return seen(first=first, second=second, third=third, stripped=stripped)


@both("GET", "/header")
def header(
    user_agent: Annotated[str | None, Header()] = None,
    x_number: Annotated[int, Header()] = 1,
    x_text: Annotated[str, Header(min_length=1)] = "none",
    under_score: Annotated[str | None, Header(convert_underscores=False)] = None,
    accept: Annotated[str, Header()] = "none",
    x_when: Annotated[dt.datetime | None, Header()] = None,
    x_flag: Annotated[bool, Header(alias="X-Flag")] = False,
):
    return seen(
        user_agent=user_agent,
        x_number=x_number,
        x_text=x_text,
        under_score=under_score,
        accept=accept,
        x_when=x_when,
        x_flag=x_flag,
    )


@both("GET", "/header/lists")
def header_lists(
    x_token: Annotated[list[str] | None, Header()] = None,
    x_numbers: Annotated[list[int], Header()] = [],  # noqa: B006
):
    return seen(x_token=x_token, x_numbers=x_numbers)


@both("GET", "/header/required")
def header_required(x_token: Annotated[str, Header()], x_number: Annotated[float, Header()]):
    return seen(x_token=x_token, x_number=x_number)


@both("GET", "/cookie")
def cookie(
    session: Annotated[str | None, Cookie()] = None,
    count: Annotated[int, Cookie()] = 0,
    dashed: Annotated[str, Cookie(alias="dash-ed")] = "none",
    flag: Annotated[bool | None, Cookie()] = None,
):
    return seen(session=session, count=count, dashed=dashed, flag=flag)


@both("GET", "/cookie/required")
def cookie_required(session: Annotated[str, Cookie(max_length=8)]):
    return {"session": session}


@both("GET", "/mixed/{a}/{b}")
def mixed(
    a: int,
    b: str,
    x_token: Annotated[str, Header()] = "none",
    q: int = 0,
    session: Annotated[str, Cookie()] = "none",
):
    return {"a": a, "b": b, "x_token": x_token, "q": q, "session": session}


class Filter(BaseModel):
    model_config = ConfigDict(extra="forbid")
    limit: int = Field(100, gt=0, le=100)
    order_by: Literal["created_at", "updated_at"] = "created_at"
    tags: list[str] = []


class Loose(BaseModel):
    model_config = ConfigDict(extra="allow")
    q: str
    page: Annotated[int, Field(alias="pageNumber")] = 1
    words: set[str] | None = None
    either: Annotated[str | None, Field(validation_alias=AliasChoices("either", "or"))] = None


class Heads(BaseModel):
    x_token: str | None = None
    x_tags: list[str] = []
    save_data: bool = False


class Jar(BaseModel):
    session: str | None = None
    count: int = 0


@both("GET", "/model/query")
def model_query(data: Annotated[Filter, Query()]):
    return data


@both("GET", "/model/loose")
def model_loose(data: Annotated[Loose, Query()]):
    extra: dict[str, Any] = data.model_extra or {}
    return {"repr": repr(data.model_copy(update={"words": sorted(data.words or ())})), "extra": list(extra)}


@both("GET", "/model/header")
def model_header(data: Annotated[Heads, Header()]):
    return {"data": data, "set": sorted(data.model_fields_set)}


@both("GET", "/model/cookie")
def model_cookie(data: Annotated[Jar, Cookie()]):
    return {"data": data, "set": sorted(data.model_fields_set)}
