"""What handlers return: models, response classes, response objects, streams; and what is injected to shape an answer."""

import datetime as dt
import enum
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Annotated, Any

from fastapi import BackgroundTasks, Body, FastAPI, Path, Query, Request, Response
from fastapi.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    StreamingResponse,
)
from pydantic import BaseModel, Field

from differential.apps.twins import seen, twins

app = FastAPI()
both = twins(app)


class Shouting(PlainTextResponse):
    media_type = "text/x-loud"

    def render(self, content: Any) -> bytes:
        return f"{content}!".upper().encode()


class Kind(enum.Enum):
    A = "a"
    B = "b"


class Public(BaseModel):
    name: str
    balance: Decimal = Decimal("10.50")
    kind: Kind = Kind.A
    nickname: str | None = None
    by_alias: int = Field(3, serialization_alias="byAlias")


class Account(Public):
    secret: str = "hidden"


@both("GET", "/model", response_model=Public)
def filtered(name: str = "ann", nickname: str | None = None):
    return Account(name=name, nickname=nickname)


@both("GET", "/annotated")
def annotated(name: str = "ann") -> Public:
    return Account(name=name)


@both("GET", "/unset", response_model=Account, response_model_exclude_unset=True)
def unset(name: str = "ann"):
    return Account(name=name)


@both("GET", "/defaults", response_model=Account, response_model_exclude_defaults=True)
def defaults(name: str = "ann", secret: str = "hidden"):
    return {"name": name, "secret": secret}


@both("GET", "/none", response_model=Account, response_model_exclude_none=True)
def without_none(nickname: str | None = None):
    return Account(name="ann", nickname=nickname)


@both("GET", "/include", response_model=Account, response_model_include={"name", "kind"})
def included(name: str = "ann"):
    return {"name": name, "secret": "s"}


@both("GET", "/exclude", response_model=Account, response_model_exclude={"secret"}, response_model_by_alias=False)
def excluded(name: str = "ann"):
    return Account(name=name)


@both("GET", "/list", response_model=list[Public])
def listed(count: Annotated[int, Query(ge=0, le=5)] = 2):
    return [{"name": str(n), "secret": n} for n in range(count)]


@both("GET", "/invalid", response_model=Public)
def invalid(kind: str = "a"):
    return {"name": "ann", "kind": kind}


@both("GET", "/union")
def union(which: bool = False) -> Public | dict[str, int]:
    return Public(name="ann") if which else {"a": 1}


@both("GET", "/number")
def number(value: float = 1.0) -> float:
    return value


@both("GET", "/number/plain", response_model=None)
def plain_number(value: float = 1.0, whole: int = 1):
    return [value, whole, {"nested": {"value": value}}]


@both("GET", "/text/plain-str")
def text(value: str = "x"):
    return value


@both("GET", "/moments")
def moments(moment: dt.datetime | None = None, span: dt.timedelta | None = None):
    return {"moment": moment, "span": span, "set": {1}, "bytes": b"x", "kind": Kind.B, "cost": Decimal("1.10")}


@both("POST", "/created", status_code=201)
def created(value: Annotated[Any, Body()] = None):
    return {"value": value}


@both("DELETE", "/gone", status_code=204)
def gone(q: int = 0) -> None:
    return None


@both("GET", "/class/text", response_class=PlainTextResponse)
def as_text(value: str = "grüezi"):
    return value


@both("GET", "/class/html", response_class=HTMLResponse, status_code=202)
def as_html(value: str = "x"):
    return f"<p>{value}</p>"


@both("GET", "/class/own", response_class=Shouting)
def as_own(value: str = "x"):
    return value


@both("GET", "/class/redirect", response_class=RedirectResponse)
def as_redirect(to: str = "/sync/model"):
    return to


@both("GET", "/class/redirect/object")
def redirect_object(to: str = "/", code: Annotated[int, Query(ge=300, le=399)] = 307):
    return RedirectResponse(to, code)


@both("GET", "/object")
def response_object(value: str = "x", code: Annotated[int, Query(ge=200, le=599)] = 200):
    reply = Response(value.encode(), code, media_type="application/x-thing", headers={"X-One": "1"})
    reply.headers.append("X-One", "2")
    reply.set_cookie("a", "b", max_age=5, secure=True)
    reply.set_cookie("c", "d", httponly=True)
    return reply


@both("GET", "/object/json")
def json_object(value: float = 1.0, text: str = "ü"):
    return JSONResponse({"value": value, "text": text}, 201, {"X-Text": "latin"})


#: The document names these, so that requests have them.
Status = Annotated[
    int, Path(json_schema_extra={"enum": [200, 201, 202, 204, 205, 206, 301, 304, 400, 418, 500, 503, 599]})
]


@both("GET", "/injected/{code}")
def injected(code: Status, response: Response, header: Annotated[str, Query()] = "yes"):
    response.status_code = code
    response.headers["X-Extra"] = header
    response.headers.append("Vary", "X-Other")
    response.set_cookie("seen", header, httponly=True)
    return {"code": code}


@both("GET", "/injected/model/out", response_model=Public)
def injected_with_model(response: Response, name: str = "ann"):
    response.status_code = 203
    del response.headers["x-not-there"]
    return {"name": name}


@both("POST", "/background")
def background(tasks: BackgroundTasks, value: Annotated[int, Body(embed=True)] = 0):
    done: list[int] = []
    tasks.add_task(done.append, value)
    tasks.add_task(lambda: done.append(1))
    return {"done": done}


@both("GET", "/background/response")
def background_and_response(tasks: BackgroundTasks, response: Response, q: str = "none"):
    tasks.add_task(len, q)
    response.headers["X-Length"] = str(len(q))
    return seen(q)


@both("GET", "/request/{rest:path}")
def of_the_request(request: Request, rest: str):
    scope = request.scope
    return {
        "method": request.method,
        "url": str(request.url),
        "base": str(request.base_url),
        "path": [scope["path"], seen(scope["raw_path"]), seen(scope["query_string"]), scope["root_path"]],
        "scheme": [scope["scheme"], scope["http_version"], scope["type"]],
        "query": list(request.query_params.multi_items()),
        "cookies": request.cookies,
        "params": dict(request.path_params.items()),
        "rest": rest,
        "route": getattr(scope.get("route"), "path", None),
    }


@both("GET", "/headers")
def all_headers(request: Request):
    # The order of fields with different names has no meaning (RFC 9110, 5.3).
    return sorted(([name, value] for name, value in request.headers.items()), key=lambda field: field[0])


@app.post("/request-body")
async def body_of_the_request(request: Request):
    chunks = [chunk async for chunk in request.stream()]
    return seen(b"".join(chunks))


@app.post("/request-json")
async def json_of_the_request(request: Request):
    return seen(await request.json())


@both("GET", "/stream/{count}")
def stream(count: Annotated[int, Path(le=20)], text: str = "x"):
    return StreamingResponse((f"{n}{text}" for n in range(count)), 200, {"X-Count": str(count)}, "text/csv")


@app.get("/stream-async")
async def stream_async(count: Annotated[int, Query(le=20)] = 3):
    async def pieces() -> AsyncIterator[bytes]:
        for n in range(count):
            yield b"%d\n" % n

    return StreamingResponse(pieces())


@app.get("/stream-json")
def stream_json(count: Annotated[int, Query(le=20)] = 3) -> Iterator[Public]:
    for n in range(count):
        yield Public(name=str(n))
