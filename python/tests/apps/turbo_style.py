"""Handlers in TurboAPI's style: a shop with users, orders and what else such guides show."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Annotated

from pydantic import BaseModel, Field

from bimetal.styles.turboapi import (
    APIRouter,
    Depends,
    Header,
    HTMLResponse,
    HTTPException,
    JSONResponse,
    Query,
    Response,
    TurboAPI,
)

app = TurboAPI(title="Turbo style")


class User(BaseModel):
    id: int
    name: str
    email: str


class Item(BaseModel):
    name: str = Field(min_length=1)
    price: float = Field(gt=0)


USERS = {number: User(id=number, name=f"user{number}", email=f"user{number}@example.com") for number in range(1, 51)}


@app.get("/")
def root():
    return {"hello": "turbo"}


@app.get("/users")
def list_users(page: int = 1, size: int = 10):
    if page < 1 or not 1 <= size <= 50:
        return {"error": "page and size begin with 1, and size ends with 50"}, 400
    users = list(USERS.values())[(page - 1) * size : page * size]
    return {"page": page, "total": len(USERS), "users": users}


@app.get("/users/{user_id}")
def get_user(user_id: int):
    if user_id not in USERS:
        return {"error": "no such user"}, 404
    return USERS[user_id]


@app.post("/users")
def create_user(name: str, email: str, age: int | None = None):
    return {"name": name, "email": email, "age": age}, 201


@app.put("/users/{user_id}")
async def change_user(user_id: int, name: str, email: str = "unchanged", notify: Annotated[bool, Query()] = False):
    await asyncio.sleep(0)
    return {"user_id": user_id, "name": name, "email": email, "notify": notify}


@app.patch("/users/{user_id}")
def rename_user(user_id: int, name: Annotated[str, Field(min_length=2)]) -> dict[str, object]:
    return {"user_id": user_id, "name": name}


@app.delete("/users/{user_id}")
def delete_user(user_id: int):
    return None, 204


@app.get("/typed/{user_id}")
def typed(user_id: int) -> User | tuple[dict[str, str], int]:
    if user_id not in USERS:
        return {"error": "no such user"}, 404
    return USERS[user_id]


@app.post("/typed")
async def create_typed(name: str, secret: str) -> tuple[User, int]:
    # The response model leaves out what it does not have.
    return {"id": 99, "name": name, "email": "new@example.com", "secret": secret}, 201


@app.post("/items")
def create_item(item: Item, dry: bool = False):
    return {"item": item, "dry": dry}, 201


@app.post("/whole")
def whole(data):
    return {"data": data}


@app.post("/tags")
def tags(tags: list[str]):
    return tags


@app.get("/points")
def points():
    return 1, 2


@app.get("/triple")
def triple():
    return {"a": 1}, 201, {"not": "a status"}


@app.get("/page/{name}")
def page(name: str):
    return HTMLResponse(f"<h1>{name}</h1>"), 203


@app.get("/config")
def config(response: Response):
    response.headers["Cache-Control"] = "public, max-age=60"
    return {"theme": "dark"}, 203


@app.get("/data")
def data(if_none_match: Annotated[str | None, Header()] = None):
    tag = '"v1"'
    if if_none_match == tag:
        return Response(status_code=304, headers={"ETag": tag})
    return JSONResponse({"data": [1, 2, 3]}, headers={"ETag": tag})


async def _part(name: str) -> dict[str, str]:
    await asyncio.sleep(0)
    return {"part": name}


@app.get("/dashboard")
async def dashboard():
    user, orders, news = await asyncio.gather(_part("user"), _part("orders"), _part("news"))
    return {"user": user, "orders": orders, "news": news}


@app.post("/lines")
def lines(count: int) -> Iterator[dict[str, int]]:
    for number in range(count):
        yield {"line": number}


def signed_in(token: Annotated[str, Header()]) -> str:
    if token != "secret":
        raise HTTPException(401, "who are you?")
    return "ann"


router = APIRouter(prefix="/shop/{shop}", tags=["orders"])


@router.post("/orders")
def order(shop: str, sku: str, amount: int = 1, user: str = Depends(signed_in)):
    if amount < 1:
        return {"error": "nothing to order"}, 400
    return {"shop": shop, "sku": sku, "amount": amount, "user": user}, 201


app.include_router(router)


def added(left: int, right: int):
    return {"sum": left + right}


app.add_api_route("/sum", added, methods=["POST"])


@app.get("/health", handler_type="native")
def health() -> dict[str, str]: ...
