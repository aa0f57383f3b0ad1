"""The endpoint: the protocol is the package mcp's, what its tools are and do is the routes'."""

from __future__ import annotations

import asyncio
import base64
import http
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import fastapi.routing
import mcp_types as types
from fastapi import FastAPI
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPError
from starlette.convertors import PathConvertor
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from bimetal.mcp.calling import Reply, Unfit, call
from bimetal.mcp.tools import RouteTool, Selection, tools_of

_Context = ServerRequestContext[dict[str, Any], Request]


class Endpoint:
    """Offers routes of an application as tools.

    Stateless, with JSON answers: each request is complete in itself, so that any worker process can take it.
    """

    def __init__(
        self,
        app: FastAPI,
        selection: Selection,
        *,
        name: str | None,
        instructions: str | None,
        hosts: tuple[list[str], list[str]] | None,
    ) -> None:
        self._app = app
        self._selection = selection
        self._security = (
            TransportSecuritySettings(allowed_hosts=hosts[0], allowed_origins=hosts[1]) if hosts is not None else None
        )
        self._protocol: Server[dict[str, Any]] = Server(
            name or app.title,
            version=app.version,
            instructions=instructions or app.description or None,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
        )
        #: One for each server that runs the application, by its loop.
        self._managers: dict[asyncio.AbstractEventLoop, StreamableHTTPSessionManager] = {}
        self._document: Mapping[str, Any] | None = None
        self._tools: dict[str, RouteTool] = {}

    def mount(self, path: str) -> None:
        """Add the route, and run with the application's lifespan."""
        router = self._app.router
        # A stateless endpoint has nothing to stream and no session to end: GET and DELETE are answered 405.
        router.add_route(path, self, methods=["POST"], include_in_schema=False)  # type: ignore[arg-type]
        inner = router.lifespan_context

        @asynccontextmanager
        async def lifespan(app: Any) -> AsyncIterator[Any]:
            async with inner(app) as state:
                self._current_tools()
                async with self._running():
                    yield state

        router.lifespan_context = lifespan

    @asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        manager = StreamableHTTPSessionManager(
            self._protocol, json_response=True, stateless=True, security_settings=self._security
        )
        async with manager.run():
            self._managers[loop] = manager
            try:
                yield
            finally:
                del self._managers[loop]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        manager = self._managers.get(asyncio.get_running_loop())
        if manager is None:
            raise RuntimeError(
                "the MCP endpoint runs with the application's lifespan, which has not run: "
                'serve with lifespan="auto" or "on"'
            )
        await manager.handle_request(scope, receive, send)

    def _current_tools(self) -> dict[str, RouteTool]:
        document = self._app.openapi()
        if document is not self._document:
            # A reload of plugins may have renewed what it says of native routes.
            self._tools = tools_of(document, self._selection, frozenset(_several_segments(self._app)))
            self._document = document
        return self._tools

    async def _list_tools(self, _: _Context, __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_described(tool) for tool in self._current_tools().values()])

    async def _call_tool(self, context: _Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        tools = self._current_tools()
        tool = tools.get(params.name)
        if tool is None:
            raise MCPError(types.INVALID_PARAMS, f"there is no tool {params.name!r}; there is: {', '.join(tools)}")
        assert context.request is not None
        try:
            passed_on = self._selection.own_headers
            reply = await call(self._app, tool, params.arguments or {}, context.request, passed_on)
        except Unfit as why:
            return types.CallToolResult(content=[types.TextContent(text=str(why))], is_error=True)
        return _result(tool, reply)


def _several_segments(app: FastAPI) -> Iterator[str]:
    """The path parameters with the convertor `path`, as `PATH NAME`."""
    # Before FastAPI 0.161, the routes of a router that is included are in the application's own list.
    contexts: Any = getattr(fastapi.routing, "iter_route_contexts", iter)
    for route in contexts(app.routes):
        for name, convertor in (getattr(route, "param_convertors", None) or {}).items():
            if isinstance(convertor, PathConvertor):
                yield f"{route.path_format} {name}"


def _described(tool: RouteTool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.input_schema,
        output_schema=tool.output_schema,
        # What the methods mean in HTTP; nothing is promised of the others.
        annotations=types.ToolAnnotations(
            read_only_hint=True if tool.method in ("GET", "HEAD", "OPTIONS") else None,
            idempotent_hint=True if tool.method in ("PUT", "DELETE") else None,
        ),
    )


def _result(tool: RouteTool, reply: Reply) -> types.CallToolResult:
    media_type = reply.header("content-type").partition(";")[0].strip().lower()
    is_json = media_type == "application/json" or media_type.endswith("+json")
    value = None
    if is_json and reply.body:
        try:
            value = json.loads(reply.body)
        except ValueError:
            is_json = False
    if not 200 <= reply.status < 300:
        return _failed(reply, value)
    content = [_content(tool, reply, media_type)] if reply.body else []
    result = types.CallToolResult(content=content)
    if tool.output_schema is not None:
        if not is_json:
            # Clients refuse what is not as the tool says.
            result.is_error = True
            return result
        result.structured_content = {"result": value} if tool.wrapped else value
    elif isinstance(value, dict):
        result.structured_content = value
    return result


def _failed(reply: Reply, value: Any) -> types.CallToolResult:
    """An answer that is no success: status and body, for the model to see and for programs."""
    text = reply.body.decode("utf-8", "replace")
    try:
        phrase = http.HTTPStatus(reply.status).phrase
    except ValueError:
        phrase = ""
    said = f"HTTP {reply.status} {phrase}".rstrip()
    if location := reply.header("location"):
        said += f", to {location}"
    return types.CallToolResult(
        content=[types.TextContent(text=f"{said}\n{text}".rstrip())],
        structured_content={"status": reply.status, "body": text if value is None else value},
        is_error=True,
    )


def _content(tool: RouteTool, reply: Reply, media_type: str) -> types.ContentBlock:
    kind = media_type.partition("/")[0]
    encoded = base64.b64encode(reply.body).decode()
    if kind == "image":
        return types.ImageContent(data=encoded, mime_type=media_type)
    if kind == "audio":
        return types.AudioContent(data=encoded, mime_type=media_type)
    try:
        return types.TextContent(text=reply.body.decode())
    except UnicodeDecodeError:
        resource = types.BlobResourceContents(uri=f"urn:tool:{tool.name}", blob=encoded, mime_type=media_type or None)
        return types.EmbeddedResource(resource=resource)
