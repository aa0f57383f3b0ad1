"""JSON bodies: one model and several, embedded and bare types, unions and nesting."""

import dataclasses
import datetime as dt
import enum
import uuid
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import Body, FastAPI
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from differential.apps.twins import seen, twins

app = FastAPI()
both = twins(app)


class Colour(enum.Enum):
    RED = "red"
    BLUE = 2


class Owner(BaseModel):
    name: str
    born: dt.datetime | None = None
    tags: list[str] = []


class Item(BaseModel):
    model_config = ConfigDict(validate_by_name=True)
    name: str
    price: float = 0
    count: int = Field(0, alias="howMany")
    owner: Owner | None = None
    extra: dict[str, Any] = {}


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    number: int
    ratio: float = 0.5
    flag: bool = False
    text: Annotated[str, Field(min_length=1, max_length=5)] = "x"


class Many(BaseModel):
    moment: dt.datetime
    key: uuid.UUID | None = None
    cost: Decimal = Decimal("1.0")
    colour: Colour = Colour.RED
    numbers: list[int] = []
    unique: set[str] = set()
    pair: tuple[int, str] | None = None
    table: dict[int, float] = {}
    bounded: Annotated[int, Field(ge=0, lt=100)] = 1
    either: int | str | None = None


class Checked(BaseModel):
    name: str
    again: str = ""

    @field_validator("name")
    @classmethod
    def not_root(cls, value: str) -> str:
        if value == "root":
            raise ValueError("root is taken")
        return value.strip()

    @model_validator(mode="after")
    def equal(self) -> "Checked":
        if self.again and self.again != self.name:
            raise ValueError("not the same")
        return self


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str


class Tree(BaseModel):
    value: Any = None
    children: list["Tree"] = []


@dataclasses.dataclass
class Point:
    x: int
    y: float = 0.5


@both("POST", "/item")
def one_model(item: Item):
    return item


@both("POST", "/item/seen")
def one_model_seen(item: Item):
    return {"repr": repr(item), "set": sorted(item.model_fields_set)}


@both("PUT", "/item/{n}")
def model_and_parameters(n: int, item: Item, q: str | None = None):
    return {"n": n, "q": q, "item": item}


@both("POST", "/strict")
def strict(value: Strict):
    return {"repr": repr(value)}


@both("POST", "/many")
def many_types(value: Many):
    return {"repr": repr(value.model_copy(update={"unique": sorted(value.unique)})), "moment": value.moment}


@both("POST", "/checked")
def checked(value: Checked):
    return value


@both("POST", "/optional")
def optional_model(item: Owner | None = None):
    return {"given": item is not None, "item": item}


@both("POST", "/several")
def several(item: Item, owner: Owner, importance: Annotated[int, Body(gt=0)] = 1, note: Annotated[str, Body()] = ""):
    return {"item": item, "owner": owner, "importance": importance, "note": note}


@both("POST", "/embedded")
def embedded(item: Annotated[Owner, Body(embed=True)]):
    return {"item": item}


@both("POST", "/embedded/optional")
def embedded_optional(item: Annotated[Owner | None, Body(embed=True)] = None):
    return {"item": item}


@both("POST", "/any")
def anything(value: Annotated[Any, Body()] = None):
    return {"value": value, "repr": repr(value)}


@both("POST", "/any/back")
def anything_back(value: Annotated[Any, Body()]):
    return value


@both("POST", "/dict")
def dictionary(value: dict[str, Any]):
    return {"value": value, "keys": list(value)}


@both("POST", "/dict/numbers")
def dictionary_of_numbers(value: dict[int, float]):
    return {"repr": repr(value)}


@both("POST", "/list")
def list_of_models(items: list[Owner]):
    return [item.name for item in items]


@both("POST", "/list/numbers")
def list_of_numbers(value: list[int]):
    return {"sum": sum(value), "repr": repr(value)}


@both("POST", "/bare/int")
def bare_int(value: Annotated[int, Body()]):
    return {"value": value}


@both("POST", "/bare/float")
def bare_float(value: Annotated[float, Body()]):
    return seen(value)


@both("POST", "/bare/str")
def bare_str(value: Annotated[str, Body(max_length=200)]):
    return seen(value)


@both("POST", "/bare/bool")
def bare_bool(value: Annotated[bool, Body()]):
    return seen(value)


@both("POST", "/bare/bytes")
def bare_bytes(value: Annotated[bytes, Body()]):
    return seen(value)


@both("POST", "/bare/moment")
def bare_moment(value: Annotated[dt.datetime, Body()]):
    return {"value": value, "repr": repr(value)}


@both("POST", "/union")
def union(value: Owner | Point | list[int] | str):
    return {"repr": repr(value)}


@both("POST", "/discriminated")
def discriminated(pet: Annotated[Cat | Dog, Field(discriminator="kind")]):
    return {"repr": repr(pet)}


@both("POST", "/tree")
def tree(value: Tree):
    return value


@both("POST", "/dataclass")
def dataclass_body(value: Point):
    return {"repr": repr(value), "value": value}


@both("DELETE", "/item")
def body_of_delete(value: Owner | None = None):
    return {"value": value}


@both("POST", "/media", openapi_extra={"x-note": "another media type"})
def media_type(value: Annotated[Owner, Body(media_type="application/vnd.api+json")]):
    return value
