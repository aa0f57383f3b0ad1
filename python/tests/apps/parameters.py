"""Every kind of request parameter FastAPI reads, and every way to shape a response."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal

from fastapi import Body, Cookie, FastAPI, File, Form, Header, Path, Query, Response, UploadFile, status
from fastapi.responses import HTMLResponse, PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field, field_validator

app = FastAPI(title="Parameters")


class Colour(str, Enum):
    red = "red"
    green = "green"


@app.get("/path/int/{value}")
def path_int(value: int):
    return {"value": value}


@app.get("/path/float/{value}")
async def path_float(value: float):
    return {"value": value}


@app.get("/path/enum/{colour}")
def path_enum(colour: Colour):
    return {"colour": colour}


@app.get("/path/uuid/{value}")
async def path_uuid(value: uuid.UUID):
    return {"value": value}


@app.get("/path/bounded/{value}")
def path_bounded(value: Annotated[int, Path(ge=1, lt=10)]):
    return value


@app.get("/path/rest/{rest:path}")
async def path_rest(rest: str):
    return {"rest": rest}


@app.get("/path/convertor/{value:int}/end")
def path_convertor(value: int):
    return value


@app.get("/path/me")
def path_me():
    return "me"


@app.get("/path/{name}")
def path_name(name: str):
    return {"name": name}


@app.get("/query")
def query(
    required: str,
    number: int = 3,
    flag: bool = False,
    optional: str | None = None,
    many: Annotated[list[str], Query()] = [],  # noqa: B006
    aliased: Annotated[str, Query(alias="item-name", min_length=2, max_length=5)] = "abc",
    literal: Literal["a", "b"] = "a",
    day: dt.date | None = None,
):
    return {
        "required": required, "number": number, "flag": flag, "optional": optional,
        "many": many, "aliased": aliased, "literal": literal, "day": day,
    }  # fmt: skip


class Filter(BaseModel):
    model_config = ConfigDict(extra="forbid")
    limit: int = Field(100, gt=0, le=100)
    order_by: Literal["created_at", "updated_at"] = "created_at"
    tags: list[str] = []


@app.get("/query/model")
async def query_model(filter_query: Annotated[Filter, Query()]):
    return filter_query


@app.get("/header")
def header(
    user_agent: Annotated[str | None, Header()] = None,
    x_token: Annotated[list[str] | None, Header()] = None,
    number: Annotated[int, Header(alias="X-Number")] = 1,
):
    return {"user_agent": user_agent, "x_token": x_token, "number": number}


@app.get("/cookie")
async def cookie(session: Annotated[str | None, Cookie()] = None, count: Annotated[int, Cookie()] = 0):
    return {"session": session, "count": count}


@app.post("/form")
async def form(username: Annotated[str, Form()], age: Annotated[int, Form()] = 1):
    return {"username": username, "age": age}


class Login(BaseModel):
    username: str
    password: str


@app.post("/form/model")
def form_model(data: Annotated[Login, Form()]):
    return data


@app.post("/file/bytes")
def file_bytes(file: Annotated[bytes, File()]):
    return {"size": len(file), "sum": sum(file)}


@app.post("/file/uploads")
async def file_uploads(files: list[UploadFile], note: Annotated[str, Form()] = "none"):
    return {
        "note": note,
        "files": [[f.filename, f.content_type, f.size, len(await f.read()), dict(f.headers)] for f in files],
    }


class Item(BaseModel):
    name: str
    price: float
    tags: list[str] = []
    owner: Owner | None = None


class Owner(BaseModel):
    name: str
    born: dt.datetime | None = None


Item.model_rebuild()


@app.post("/item", status_code=status.HTTP_201_CREATED)
def item(item: Item):
    return item


@app.put("/item/{item_id}")
async def item_and_path(item_id: int, item: Item, q: str | None = None):
    return {"item_id": item_id, "q": q, **item.model_dump()}


@app.post("/embed")
async def embed(item: Annotated[Item, Body(embed=True)], importance: Annotated[int, Body(gt=0)]):
    return {"item": item, "importance": importance}


@app.post("/any")
async def anything(value: Annotated[Any, Body()] = None):
    return {"value": value}


@app.post("/list")
def many_items(items: list[Item]):
    return [i.name for i in items]


@app.post("/optional")
def optional_item(item: Item | None = None):
    return {"given": item is not None}


class Account(BaseModel):
    name: str
    secret: str = "hidden"
    balance: Decimal = Decimal("10.50")
    nickname: str | None = None

    @field_validator("name")
    @classmethod
    def not_root(cls, value: str) -> str:
        if value == "root":
            raise ValueError("root is taken")
        return value


class PublicAccount(BaseModel):
    name: str
    balance: Decimal


@app.post("/account", response_model=PublicAccount)
def account(account: Account):
    return account


@app.get("/account/unset", response_model=Account, response_model_exclude_unset=True)
async def account_unset():
    return Account(name="x")


@app.get("/account/include", response_model=Account, response_model_include={"name"})
def account_include():
    return {"name": "x", "secret": "s"}


@app.get("/account/invalid", response_model=PublicAccount)
async def account_invalid():
    return {"name": "no balance"}


@app.get("/union")
def union(which: int = 0) -> Account | Owner:
    return (
        Account(name="a") if which else Owner(name="o", born=dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.timezone.utc))
    )


@app.get("/status/{code}")
def any_status(code: int, response: Response):
    response.status_code = code
    response.headers["X-Extra"] = "yes"
    response.set_cookie("seen", "1", httponly=True)
    return {"code": code}


@app.delete("/gone", status_code=204)
def gone() -> None:
    return None


@app.get("/text", response_class=PlainTextResponse)
def text():
    return "grüezi"


@app.get("/html", response_class=HTMLResponse, status_code=202)
async def html():
    return "<p>hello</p>"


@app.get("/response")
async def response_object():
    reply = Response(b"\x00\x01", media_type="application/octet-stream", headers={"X-A": "1"})
    reply.headers.append("X-A", "2")
    reply.set_cookie("a", "b")
    reply.set_cookie("c", "d")
    return reply


@app.api_route("/any-method", methods=["GET", "PUT", "PATCH", "OPTIONS", "REPORT"])
def any_method():
    return "ok"
