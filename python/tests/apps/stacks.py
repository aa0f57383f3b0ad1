"""Middleware of several kinds around one another: the order of layers, and ASGI middleware that interferes.

`asgi` has one ASGI middleware that does what `X-Do` says; the others are combinations.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from behind import routes
from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.middleware.httpsredirect import HTTPSRedirectMiddleware
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import JSONResponse, PlainTextResponse
from journal import Broken, name_of, note
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware

Action = Callable[[Any, Any, Any, Any], Awaitable[None]]
ACTIONS: dict[str, Action] = {}


def action(function: Action) -> Action:
    ACTIONS[function.__name__.replace("_", "-")] = function
    return function


class Interfering:
    """A pure ASGI middleware."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        what = dict(scope["headers"]).get(b"x-do", b"").decode()
        note("asgi before")
        await ACTIONS.get(what, passes)(self.app, scope, receive, send)
        note("asgi after")


async def passes(app, scope, receive, send):
    await app(scope, receive, send)


@action
async def header(app, scope, receive, send):
    async def changed(message):
        if message["type"] == "http.response.start":
            message["headers"].append((b"x-asgi", b"appended"))
            message["status"] = 298 if message["status"] == 200 else message["status"]
        await send(message)

    await app(scope, receive, changed)


@action
async def records(app, scope, receive, send):
    async def recorded(message):
        if message["type"] == "http.response.start":
            note("start", message["status"], sorted(name for name, _ in message["headers"]))
        else:
            note(message["type"], message.get("more_body", False))
        await send(message)

    await app(scope, receive, recorded)


@action
async def duplicates_body(app, scope, receive, send):
    async def twice(message):
        if message["type"] == "http.response.start":
            message = {
                **message,
                "headers": [(name, value) for name, value in message["headers"] if name != b"content-length"],
            }
        elif message.get("body"):
            await send({**message, "more_body": True})
        await send(message)

    await app(scope, receive, twice)


@action
async def alters_body(app, scope, receive, send):
    async def altered(message):
        if message["type"] == "http.response.body":
            message = {**message, "body": message.get("body", b"").swapcase()}
        await send(message)

    await app(scope, receive, altered)


@action
async def collects_body(app, scope, receive, send):
    start: dict[str, Any] = {}
    body = b""

    async def collected(message):
        nonlocal body
        if message["type"] == "http.response.start":
            start.update(message)
            return
        body += message.get("body", b"")
        if not message.get("more_body", False):
            text = body[::-1]
            start["headers"] = [(b"x-collected", b"%d" % len(text)), (b"content-length", b"%d" % len(text))]
            await send(start)
            await send({"type": "http.response.body", "body": text})

    await app(scope, receive, collected)


@action
async def drops_everything(app, scope, receive, send):
    async def dropped(message):
        note("dropped", message["type"])

    await app(scope, receive, dropped)


@action
async def drops_and_answers(app, scope, receive, send):
    async def dropped(message):
        pass

    await app(scope, receive, dropped)
    await PlainTextResponse("instead", 203)(scope, receive, send)


@action
async def own_response(app, scope, receive, send):
    await JSONResponse({"own": scope["path"]}, 202)(scope, receive, send)


@action
async def raises_before(app, scope, receive, send):
    raise Broken("before the application")


@action
async def raises_after(app, scope, receive, send):
    await app(scope, receive, send)
    raise Broken("after the application")


@action
async def raises_in_send(app, scope, receive, send):
    async def failing(message):
        raise Broken("in send")

    await app(scope, receive, failing)


@action
async def catches(app, scope, receive, send):
    try:
        await app(scope, receive, send)
    except Exception as error:
        note("asgi caught", name_of(error))
        await PlainTextResponse(f"caught {name_of(error)}", 502)(scope, receive, send)


@action
async def swallows(app, scope, receive, send):
    try:
        await app(scope, receive, send)
    except Broken as error:
        note("asgi swallowed", name_of(error))


@action
async def copies_scope(app, scope, receive, send):
    await app({**scope, "path": "/target", "raw_path": b"/target", "query_string": b"n=5"}, receive, send)


@action
async def changes_scope(app, scope, receive, send):
    scope["method"] = "POST" if scope["method"] == "GET" else "GET"
    scope["headers"] = [*scope["headers"], (b"x-added", b"asgi")]
    await app(scope, receive, send)


@action
async def state(app, scope, receive, send):
    scope.setdefault("state", {})["mark"] = "from asgi"
    await app(scope, receive, send)


@action
async def prefix(app, scope, receive, send):
    await app({**scope, "root_path": "/prefix", "path": "/prefix" + scope["path"]}, receive, send)


@action
async def alters_receive(app, scope, receive, send):
    async def altered():
        message = await receive()
        if message["type"] == "http.request":
            message = {**message, "body": message.get("body", b"").replace(b"1", b"9")}
        return message

    await app(scope, altered, send)


@action
async def reads_first(app, scope, receive, send):
    messages = []
    while True:
        messages.append(await receive())
        if not messages[-1].get("more_body", False):
            break
    note("read", sum(len(message.get("body", b"")) for message in messages))
    messages.reverse()

    async def replayed():
        return messages.pop() if messages else await receive()

    await app(scope, replayed, send)


@action
async def twice(app, scope, receive, send):
    async def dropped(message):
        pass

    await app(dict(scope), receive, dropped)
    await app(scope, receive, send)


asgi = routes(FastAPI(middleware=[Middleware(Interfering)]))


class Named:
    """Notes when it is entered and left, and marks the answer."""

    def __init__(self, app: Any, name: str) -> None:
        self.app, self.name = app, name

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def marked(message):
            if message["type"] == "http.response.start":
                message["headers"].append((b"x-layer", self.name.encode()))
                note(self.name, "start", message["status"])
            await send(message)

        note(self.name, "enter")
        try:
            await self.app(scope, receive, marked)
        except Exception as error:
            note(self.name, "saw", name_of(error))
            raise


class Dispatching(BaseHTTPMiddleware):
    def __init__(self, app: Any, name: str) -> None:
        super().__init__(app)
        self.name = name

    async def dispatch(self, request: Request, call_next: Any):
        note(self.name, "before")
        try:
            response = await call_next(request)
        except Exception as error:
            note(self.name, "saw", name_of(error))
            raise
        note(self.name, "after", response.status_code)
        response.headers.append("X-Layer", self.name)
        return response


cors = (
    CORSMiddleware,
    {"allow_origins": ["https://a.example"], "allow_credentials": True, "expose_headers": ["X-Layer"]},
)
gzip = (GZipMiddleware, {"minimum_size": 50})
hosts = (TrustedHostMiddleware, {"allowed_hosts": ["testserver", "*.good.example"]})
https = (HTTPSRedirectMiddleware, {})
first, second = (Dispatching, {"name": "first"}), (Dispatching, {"name": "second"})
pure = (Named, {"name": "pure"})

#: From the innermost to the outermost, as they are added.
STACKS: dict[str, list[tuple[Any, dict[str, Any]]]] = {
    "usual": [gzip, first, cors],
    "inside-out": [cors, gzip, hosts, first],
    "dispatch-between": [first, gzip, second, hosts],
    "pure-inside": [pure, first, cors, gzip],
    "pure-outside": [gzip, cors, first, pure],
    "redirecting": [first, https, pure],
    "known-only": [gzip, cors, hosts],
}


def stacked(layers: list[tuple[Any, dict[str, Any]]]) -> FastAPI:
    app = routes(FastAPI())
    for middleware, options in layers:
        app.add_middleware(middleware, **options)
    return app


usual, inside_out, dispatch_between, pure_inside, pure_outside, redirecting, known_only = map(stacked, STACKS.values())
