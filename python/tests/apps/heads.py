"""Header and cookie parameters, and response objects of every class, on both compiled lanes."""

from __future__ import annotations

import inspect
from enum import Enum
from typing import Annotated

from fastapi import Cookie, FastAPI, Header
from fastapi.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.background import BackgroundTask

app = FastAPI()
ran: list[str] = []


class Level(str, Enum):
    low = "low"
    high = "high"


class Teapot(Response):
    media_type = "text/teapot"


def on_both(path, handler, **options):
    def sync_route(*args, **kwargs):
        return handler(*args, **kwargs)

    async def async_route(*args, **kwargs):
        return handler(*args, **kwargs)

    for name, route in {"sync": sync_route, "async": async_route}.items():
        route.__signature__ = inspect.signature(handler, eval_str=True)
        app.get(f"/{name}{path}", **options)(route)


def header_text(x_token: Annotated[str, Header()]):
    return {"x_token": x_token}


def header_optional(user_agent: Annotated[str | None, Header()] = None, x_count: Annotated[int, Header()] = 3):
    return {"user_agent": user_agent, "x_count": x_count}


def header_alias(
    value: Annotated[str, Header(alias="X-Mixed-Case")],
    raw_name: Annotated[str, Header(convert_underscores=False)] = "none",
):
    return {"value": value, "raw_name": raw_name}


def header_level(x_level: Annotated[Level, Header()]):
    return {"level": x_level}


def header_bounded(x_small: Annotated[int, Header(le=5)] = 1):
    return {"small": x_small}


def cookie_text(session: Annotated[str, Cookie()]):
    return {"session": session}


def cookie_optional(session: Annotated[str | None, Cookie()] = None, visits: Annotated[int, Cookie()] = 0):
    return {"session": session, "visits": visits}


def everything(q: str, x_token: Annotated[str, Header()], session: Annotated[str, Cookie()], flag: bool = False):
    return {"q": q, "x_token": x_token, "session": session, "flag": flag}


for name, handler in {
    "/header/text": header_text,
    "/header/optional": header_optional,
    "/header/alias": header_alias,
    "/header/level": header_level,
    "/header/bounded": header_bounded,
    "/cookie/text": cookie_text,
    "/cookie/optional": cookie_optional,
    "/everything": everything,
}.items():
    on_both(name, handler)


def cookies_set():
    response = JSONResponse({"set": True}, headers={"X-One": "1"})
    response.set_cookie("a", "1", httponly=True)
    response.set_cookie("b", "2")
    return response


def bad_header():
    response = Response("x")
    response.raw_headers.append((b"x-bad", b"a\r\nb: c"))
    return response


async def chunks():
    yield b"one"
    yield b"two"


RESPONSES = {
    "plain": lambda: Response(b"plain"),
    "empty": lambda: Response(),
    "no-content": lambda: Response(status_code=204),
    "not-modified": lambda: Response(status_code=304, headers={"ETag": '"x"'}),
    "json": lambda: JSONResponse({"ü": [1, 2.5, None]}, status_code=201),
    "html": lambda: HTMLResponse("<b>ü</b>"),
    "text": lambda: PlainTextResponse("ü", headers={"X-Latin": "caf\xe9"}),
    "redirect": lambda: RedirectResponse("/elsewhere?q=ü"),
    "cookies": cookies_set,
    "teapot": lambda: Teapot("short", status_code=418),
    "stream": lambda: StreamingResponse(chunks()),
    "background": lambda: Response("after", background=BackgroundTask(ran.append, "background")),
    "own-type": lambda: Response(b"{}", media_type="application/problem+json"),
    "odd-status": lambda: Response("x", status_code=299),
}
for name, make in RESPONSES.items():
    on_both(f"/response/{name}", make, response_model=None)
#: What cannot be sent.
BROKEN = {"bad-header": bad_header, "bad-status": lambda: Response("x", status_code=1000)}
for name, make in BROKEN.items():
    on_both(f"/response/{name}", make, response_model=None)
