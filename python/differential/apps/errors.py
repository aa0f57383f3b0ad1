"""Exceptions: raised in handlers and dependencies, handled by the application or not."""

from typing import Annotated, Any

from fastapi import Body, Depends, FastAPI, HTTPException, Path, Request
from fastapi.exceptions import RequestValidationError, ResponseValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException as StarletteHTTPException

from differential.apps.twins import twins

app = FastAPI()
both = twins(app)


#: The document names these, so that requests have them.
Kind = Annotated[
    str, Path(json_schema_extra={"enum": ["http", "starlette", "teapot", "key", "index", "unhandled", "none"]})
]


class Teapot(Exception):
    def __init__(self, name: str) -> None:
        self.name = name


class Unhandled(Exception):
    pass


@app.exception_handler(Teapot)
async def teapot(request: Request, error: Teapot):
    return JSONResponse({"teapot": error.name, "path": request.url.path}, 418, {"X-Teapot": "yes"})


@app.exception_handler(LookupError)
def lookup(request: Request, error: LookupError):
    return PlainTextResponse(f"{type(error).__name__}: {error}", 404)


@app.exception_handler(RequestValidationError)
async def invalid(request: Request, error: RequestValidationError):
    return JSONResponse({"errors": repr(error.errors()), "body": repr(error.body)}, 400)


@app.exception_handler(ResponseValidationError)
async def invalid_response(request: Request, error: ResponseValidationError):
    return JSONResponse({"response": repr(error.errors()), "body": repr(error.body)}, 502)


@app.exception_handler(StarletteHTTPException)
async def http(request: Request, error: StarletteHTTPException):
    return JSONResponse({"http": error.detail}, error.status_code, dict(error.headers or {}))


def refusing(q: int = 0) -> int:
    if q < 0:
        raise Teapot("dependency")
    if q == 7:
        raise HTTPException(403, ["of a dependency"])
    if q == 8:
        raise Unhandled("of a dependency")
    return q


class Item(BaseModel):
    name: str
    price: float


@both("GET", "/raise/{kind}")
def raises(kind: Kind, q: Annotated[int, Depends(refusing)], status: int = 400, detail: str | None = None):
    if kind == "http":
        raise HTTPException(status, detail, {"X-Detail": "yes"})
    if kind == "starlette":
        raise StarletteHTTPException(status, detail or "")
    if kind == "teapot":
        raise Teapot(detail or "none")
    if kind == "key":
        raise KeyError(detail)
    if kind == "index":
        raise IndexError(detail)
    if kind == "unhandled":
        raise Unhandled(detail)
    return {"kind": kind, "q": q}


@both("POST", "/item")
def item(item: Item, q: Annotated[int, Depends(refusing)]):
    return item


@both("GET", "/out", response_model=Item)
def out(price: str = "1.5"):
    return {"name": "x", "price": price}


@both("POST", "/any")
def anything(value: Annotated[Any, Body()]):
    raise KeyError(repr(value)[:200])


plain = FastAPI()
both_plain = twins(plain)


@both_plain("GET", "/raise/{kind}")
def raises_plainly(kind: Kind, status: int = 400, detail: str | None = None):
    return raises(kind, 0, status, detail)


@both_plain("POST", "/any")
def echo(value: Annotated[Any, Body()]):
    return value
