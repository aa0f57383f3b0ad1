"""Routes of every kind that are offered as tools of the Model Context Protocol."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Cookie, Depends, File, Form, Header, HTTPException, Query, Request, Response
from fastapi.responses import RedirectResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field

from bimetal import APIRouter, Bimetal, mcp

app = Bimetal(title="Shop", version="1.2", description="A shop with tools.")


class Part(BaseModel):
    sku: str
    parts: list[Part] = []


class NewOrder(BaseModel):
    sku: str = Field(min_length=1, description="What is ordered.")
    amount: int = Field(1, ge=1)
    kind: Literal["gift", "sale"] = "sale"


class Order(NewOrder):
    id: int


@app.get("/orders/{order_id}")
def get_order(order_id: int, verbose: bool = False) -> Order:
    """An order by its number."""
    if order_id > 100:
        raise HTTPException(404, "no such order")
    return Order(id=order_id, sku="verbose" if verbose else "bolt")


@app.post("/orders", status_code=201)
async def create_order(order: NewOrder) -> Order:
    return Order(id=7, **order.model_dump())


@app.put("/orders/{sku}")
def replace_order(sku: str, order: NewOrder) -> Order:
    """The path and the body have a member of one name."""
    return Order(id=8, sku=sku + order.sku)


@app.post("/totals")
def total(prices: list[float]) -> float:
    return sum(prices)


@app.post("/all-optional")
def all_optional(order: Annotated[NewOrder | None, Query()] = None, part: Part | None = None):
    return {"part": part}


class Options(BaseModel):
    depth: int = 1
    deep: bool = False


@app.post("/options")
def options(given: Options) -> Options:
    return given


@app.post("/parts")
def nested(part: Part) -> Part:
    return part


@app.get("/search")
async def search(
    q: str,
    tags: Annotated[list[str], Query(default_factory=list)],
    limit: Annotated[int, Query(alias="max-items", description="How many.")] = 10,
    x_shop: Annotated[str | None, Header()] = None,
    seen: Annotated[str | None, Cookie()] = None,
):
    return {"q": q, "tags": tags, "limit": limit, "shop": x_shop, "seen": seen}


@app.get("/files/{path:path}")
def read_file(path: str) -> str:
    return path


@app.get("/names/{name}")
def greet(name: str) -> str:
    return f"hello {name}"


@app.get("/names/{name}/secret", tags=["hidden"])
def secret(name: str) -> str:
    return "secret"


bearer = HTTPBearer()


@app.get("/me")
def me(given: Annotated[HTTPAuthorizationCredentials, Depends(bearer)], request: Request):
    return {"token": given.credentials, "host": request.headers["host"], "trace": request.headers.get("x-trace")}


@app.get("/caller")
def caller(request: Request):
    assert request.client is not None
    return {"client": request.client.host, "url": str(request.url)}


@app.post("/login")
def login(user: Annotated[str, Form()], scopes: Annotated[list[str], Form(default_factory=list)]):
    return {"user": user, "scopes": scopes}


@app.post("/upload", tags=["hidden"])
def upload(file: Annotated[bytes, File()]):
    return len(file)


@app.get("/picture")
def picture():
    return Response(b"\x89PNG", media_type="image/png")


@app.get("/blob")
def blob():
    return Response(b"\xff\xfe\x00", media_type="application/octet-stream")


@app.delete("/orders/{order_id}", status_code=204)
def delete_order(order_id: int) -> None: ...


@app.get("/moved")
def moved():
    return RedirectResponse("/names/ann")


@app.get("/broken")
def broken():
    raise RuntimeError("broken")


@app.get("/health", handler_type="native")
def health() -> dict[str, str]:
    return {"status": "ok"}


router = APIRouter(prefix="/shops/{shop}", tags=["shops"])


@router.get("/orders/{order_id}", operation_id="order_of_shop")
def of_shop(shop: str, order_id: int):
    return {"shop": shop, "order_id": order_id}


app.include_router(router)

mcp.mount(app, exclude=["secret"], headers=["authorization", "X-Trace"], instructions="Orders of a shop.")
mcp.mount(app, "/few", include=["health"], tags=["shops"], name="Few", allowed_hosts=["shop.example"])
