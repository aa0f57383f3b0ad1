"""A tool's call as a request to its route, in this process, and the answer to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote_to_bytes, urlencode

from fastapi import FastAPI
from starlette.requests import Request
from starlette.types import Message

from bimetal.errors import BimetalError
from bimetal.mcp.tools import RouteTool
from bimetal.serving import server_here

Fields = list[tuple[bytes, bytes]]

#: What a scope holds of the request to the endpoint itself, and no other request has.
_OF_THE_ENDPOINT = ("endpoint", "path_params", "route", "router", "app")


class Unfit(Exception):
    """The arguments make no request; the text says why."""


@dataclass(frozen=True)
class Reply:
    """The answer of a route."""

    status: int
    headers: Fields
    body: bytes

    def header(self, name: str) -> str:
        """The first value of a header field; empty where there is none."""
        wanted = name.lower().encode()
        return next((value.decode("latin-1") for key, value in self.headers if key.lower() == wanted), "")


async def call(
    app: FastAPI, tool: RouteTool, arguments: Mapping[str, Any], caller: Request, passed_on: Sequence[str]
) -> Reply:
    """Call the route of `tool` on behalf of `caller`, whose header fields `passed_on` it gets.

    Raises Unfit.
    """
    target, headers, body = _request(tool, arguments)
    # Routes see the host that the caller has asked for, in links that they make as well.
    for name in ("host", *passed_on):
        headers += [(name.encode(), value.encode("latin-1")) for value in caller.headers.getlist(name)]
    root_path = str(caller.scope.get("root_path", "")).rstrip("/")
    server = server_here()
    if server is None:
        return await _through_asgi(app, tool.method, quote(root_path) + target, headers, body, caller)
    # Where the application is mounted in another one, its routes are below the mount.
    mounted_at = root_path.removeprefix(app.root_path.rstrip("/") or server.root_path)
    client = (caller.client.host, caller.client.port) if caller.client is not None else None
    secure = caller.scope.get("scheme") == "https"
    try:
        answer = server.engine.call(
            tool.method, quote(mounted_at) + target, headers, body, client=client, secure=secure
        )
        return Reply(*await answer)
    except (BimetalError, ValueError) as error:
        raise Unfit(str(error)) from error


def _request(tool: RouteTool, arguments: Mapping[str, Any]) -> tuple[str, Fields, bytes]:
    unknown = [name for name in arguments if name not in tool.arguments]
    if unknown:
        known = ", ".join(tool.arguments) or "no arguments"
        raise Unfit(f"{tool.name} has no argument {', '.join(map(repr, unknown))}; it takes: {known}")
    path, query, headers, cookies = tool.path, list[tuple[str, str]](), Fields(), list[str]()
    members: dict[str, Any] = {}
    content: Any = members
    has_body = tool.needs_body
    for key, argument in tool.arguments.items():
        if key not in arguments:
            if argument.place == "path":
                raise Unfit(f"{tool.name} needs the argument {key!r}")
            continue
        value = arguments[key]
        if argument.place == "path":
            text = _text(value)
            if not argument.takes_slashes and ("/" in text or text in ("", ".", "..")):
                # It would be the path of another route, which may not be offered.
                raise Unfit(f"the argument {key!r} of {tool.name} is one segment of a path: {text!r} is none")
            path = path.replace("{" + argument.name + "}", quote(text, safe="/" if argument.takes_slashes else ""))
        elif argument.place == "query":
            query += [(argument.name, text) for text in _texts(value)]
        elif argument.place == "header":
            headers += [(argument.name.lower().encode(), text.encode()) for text in _texts(value)]
        elif argument.place == "cookie":
            for text in _texts(value):
                if ";" in text:
                    # What follows it would be another cookie.
                    raise Unfit(f"the argument {key!r} of {tool.name} is the value of a cookie: {text!r} is none")
                cookies.append(f"{argument.name}={text}")
        else:
            has_body = True
            if argument.place == "member":
                members[argument.name] = value
            else:
                content = value
    if cookies:
        headers.append((b"cookie", "; ".join(cookies).encode()))
    body = b""
    if has_body:
        if tool.media_type == "application/x-www-form-urlencoded":
            if not isinstance(content, dict):
                raise Unfit(f"the body of {tool.name} is a form: an object")
            pairs = [(name, text) for name, value in content.items() for text in _texts(value)]
            body = urlencode(pairs).encode()
        else:
            body = json.dumps(content, ensure_ascii=False).encode()
        headers.append((b"content-type", (tool.media_type or "application/json").encode()))
    return path + ("?" + urlencode(query) if query else ""), headers, body


def _texts(value: Any) -> Iterator[str]:
    """A value as a client would write it in a query: a list as several, null as none."""
    if value is None:
        return
    if isinstance(value, list):
        for item in value:
            yield _text(item)
    else:
        yield _text(value)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


async def _through_asgi(app: FastAPI, method: str, target: str, headers: Fields, body: bytes, caller: Request) -> Reply:
    """Under another server: a request of the caller's to the application."""
    path, _, query = target.partition("?")
    raw = path.encode()
    scope = {key: value for key, value in caller.scope.items() if key not in _OF_THE_ENDPOINT}
    scope = {key: value for key, value in scope.items() if not key.startswith("fastapi")}
    scope |= {
        "method": method,
        "path": _unquoted(raw),
        "raw_path": raw,
        "query_string": query.encode(),
        "headers": [*headers, (b"content-length", str(len(body)).encode())] if body else headers,
        "state": dict(caller.scope.get("state", {})),
    }
    incoming = iter([{"type": "http.request", "body": body, "more_body": False}])
    answer: dict[str, Any] = {}
    content = bytearray()

    async def receive() -> Message:
        return next(incoming, {"type": "http.disconnect"})

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.update(message)
        elif message["type"] == "http.response.body":
            content.extend(message.get("body", b""))

    try:
        await app(scope, receive, send)
    except Exception:
        # Starlette answers 500 and lets the exception go on to the server, which logs it.
        if "status" not in answer:
            raise
    return Reply(answer["status"], [(bytes(name), bytes(value)) for name, value in answer["headers"]], bytes(content))


def _unquoted(raw: bytes) -> str:
    return unquote_to_bytes(raw).decode("utf-8", "replace")
