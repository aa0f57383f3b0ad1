"""Everything a handler can raise, and the handlers for it."""

from __future__ import annotations

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError, ResponseValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException as StarletteHTTPException


class Unicorn(Exception):
    def __init__(self, name: str) -> None:
        self.name = name


class BabyUnicorn(Unicorn):
    pass


app = FastAPI()


@app.exception_handler(Unicorn)
async def unicorn_handler(request: Request, exc: Unicorn):
    return JSONResponse({"oops": exc.name, "path": request.url.path}, 418, headers={"X-Unicorn": "1"})


@app.exception_handler(LookupError)
def lookup_handler(request: Request, exc: LookupError):
    return PlainTextResponse(f"{type(exc).__name__} at {request.url.path}", 410)


@app.exception_handler(ResponseValidationError)
async def response_handler(request: Request, exc: ResponseValidationError):
    return JSONResponse({"response": [e["type"] for e in exc.errors()]}, 500)


@app.exception_handler(507)
async def storage_handler(request: Request, exc: Exception):
    return PlainTextResponse("full", 507)


def register(kind: str, path: str, function):
    """The same failure in a `def` and in an `async def` route."""

    def sync_route(n: int = 0):
        return function(n)

    async def async_route(n: int = 0):
        return function(n)

    sync_route.__name__ = f"sync_{kind}"
    async_route.__name__ = f"async_{kind}"
    app.get(f"/sync/{path}")(sync_route)
    app.get(f"/async/{path}")(async_route)


def raises(error):
    def function(n: int):
        raise error() if callable(error) else error

    return function


register("http", "http", raises(lambda: HTTPException(404, "not here")))
register("http_dict", "http-dict", raises(lambda: HTTPException(400, {"code": 7, "ü": None}, {"X-Error": "e"})))
register("http_204", "http-204", raises(lambda: HTTPException(204)))
register("http_304", "http-304", raises(lambda: HTTPException(304, headers={"ETag": '"x"'})))
register("http_507", "http-507", raises(lambda: HTTPException(507, "disk")))
register("starlette", "starlette", raises(lambda: StarletteHTTPException(402)))
register("unicorn", "unicorn", raises(lambda: Unicorn("Yolo")))
register("baby", "baby", raises(lambda: BabyUnicorn("Mini")))
register("key", "key", raises(lambda: KeyError("k")))
register("value", "value", raises(lambda: ValueError("unexpected value")))
register("system_exit_like", "base", raises(lambda: ZeroDivisionError()))
register("validation", "validation", raises(lambda: RequestValidationError([{"loc": ["x"], "msg": "m", "type": "t"}])))
register("unserialisable", "unserialisable", lambda n: {"value": object()})
register("nan", "nan", lambda n: {"value": float("nan")})
register("recursion", "recursion", lambda n: (lambda d: d.update(self=d) or d)({}))
register("stop_iteration", "stop-iteration", raises(lambda: StopIteration("x")))


@app.get("/sync/model", response_model=int)
def wrong_model():
    return "not a number"


@app.get("/async/model")
async def async_wrong_model() -> list[int]:
    return ["a", 1, "b"]  # type: ignore[list-item]


@app.get("/fine")
def fine():
    return "fine"


plain = FastAPI()


@plain.get("/sync/boom")
def sync_boom():
    raise RuntimeError("sync boom")


@plain.get("/async/boom")
async def async_boom():
    raise RuntimeError("async boom")


@plain.get("/model")
def model() -> int:
    return "no"  # type: ignore[return-value]


caught = FastAPI()


@caught.exception_handler(Exception)
async def everything(request: Request, exc: Exception):
    return PlainTextResponse(f"caught {exc}", 500)


@caught.exception_handler(RequestValidationError)
async def validation(request: Request, exc: RequestValidationError):
    return JSONResponse({"errors": exc.errors(), "body": exc.body}, 400)


@caught.exception_handler(404)
async def not_found(request: Request, exc: HTTPException):
    return JSONResponse({"nothing at": request.url.path}, 404)


@caught.get("/boom")
def caught_boom(n: int = 0):
    raise RuntimeError("boom")


@caught.post("/item")
def caught_item(body: dict[str, int]):
    return body


debug = FastAPI(debug=True)


@debug.get("/boom")
async def debug_boom():
    raise RuntimeError("seen")
