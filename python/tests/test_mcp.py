"""Routes as tools of the Model Context Protocol, asked with the official client over real servers."""

from __future__ import annotations

import asyncio
import importlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request, UploadFile

from bimetal import BimetalError, Server, mcp
from harness.servers import REFERENCE_ONLY, ServerProcess, StartError, start_bimetal, start_uvicorn
from harness.wire import get, request

pytest.importorskip("mcp", reason="the package mcp is not installed")

import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

APP = "mcp_tools:app"

#: The handshake of the older versions of the protocol, and the newest one, which has none.
MODES = ("legacy", "auto")


@pytest.fixture(scope="module", params=["uvicorn"] if REFERENCE_ONLY else ["bimetal", "uvicorn"])
def served(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """On Bimetal a call is an errand of the server; on any other server it goes through ASGI."""
    start = start_bimetal if request.param == "bimetal" else start_uvicorn
    with start(APP) as server:
        yield server.wait_ready()


class Session:
    """What one connected client is asked for, one thing after the other."""

    def __init__(
        self, port: int, path: str = "/mcp", mode: str = "auto", headers: dict[str, str] | None = None
    ) -> None:
        self.url = f"http://127.0.0.1:{port}{path}"
        self.mode = mode
        self.headers = headers

    def run(self, *calls: tuple[str, dict[str, Any]]) -> list[Any]:
        """The results of these calls, an MCPError where the protocol has refused one."""
        return asyncio.run(self._run(calls))

    def tools(self) -> dict[str, Any]:
        return asyncio.run(self._tools())

    def initialized(self) -> Any:
        async def connect() -> Any:
            async with self._client() as (_, client):
                return client.server_info, client.instructions

        return asyncio.run(connect())

    async def _tools(self) -> dict[str, Any]:
        async with self._client() as (_, client):
            return {tool.name: tool for tool in (await client.list_tools()).tools}

    async def _run(self, calls: tuple[tuple[str, dict[str, Any]], ...]) -> list[Any]:
        results: list[Any] = []
        async with self._client() as (_, client):
            for name, arguments in calls:
                try:
                    results.append(await client.call_tool(name, arguments))
                except MCPError as error:
                    results.append(error)
        return results

    def _client(self) -> Any:
        return _Connected(self)


class _Connected:
    def __init__(self, session: Session) -> None:
        self.http = httpx2.AsyncClient(headers=session.headers or {}, timeout=30, verify=False)
        self.client = Client(streamable_http_client(session.url, http_client=self.http), mode=session.mode)

    async def __aenter__(self) -> tuple[Any, Any]:
        await self.http.__aenter__()
        return self.http, await self.client.__aenter__()

    async def __aexit__(self, *failure: Any) -> None:
        await self.client.__aexit__(*failure)
        await self.http.__aexit__(*failure)


def text(result: Any) -> str:
    """The text of a result, the only thing in it."""
    (content,) = result.content
    return str(content.text)


@pytest.mark.parametrize("mode", MODES)
def test_a_client_connects(served: ServerProcess, mode: str) -> None:
    info, instructions = Session(served.port, mode=mode).initialized()
    assert (info.name, info.version, instructions) == ("Shop", "1.2", "Orders of a shop.")


@pytest.mark.parametrize("mode", MODES)
def test_the_tools_are_the_routes(served: ServerProcess, mode: str) -> None:
    tools = Session(served.port, mode=mode).tools()
    assert set(tools) == {
        "get_order", "create_order", "replace_order", "delete_order", "total", "all_optional", "options", "nested", "search",
        "read_file", "greet", "me", "caller", "login", "picture", "blob", "moved", "broken", "health", "order_of_shop",
    }  # fmt: skip
    order = tools["get_order"]
    assert (order.description, order.title) == ("An order by its number.", "Get Order")
    assert order.annotations.read_only_hint and not tools["delete_order"].annotations.read_only_hint
    assert order.input_schema == {
        "type": "object",
        "properties": {
            "order_id": {"type": "integer", "title": "Order Id"},
            "verbose": {"type": "boolean", "default": False, "title": "Verbose"},
        },
        "required": ["order_id"],
        "additionalProperties": False,
    }
    assert order.output_schema["required"] == ["sku", "id"]
    new = tools["create_order"].input_schema
    assert new["required"] == ["sku"] and new["properties"]["sku"]["description"] == "What is ordered."
    assert new["properties"]["kind"]["enum"] == ["gift", "sale"]


def test_schemas_stand_on_their_own(served: ServerProcess) -> None:
    tools = Session(served.port).tools()
    both = tools["replace_order"].input_schema
    assert both["properties"]["body"] == {"$ref": "#/$defs/NewOrder"} and both["required"] == ["sku", "body"]
    assert both["$defs"]["NewOrder"]["required"] == ["sku"]
    recursive = tools["nested"].input_schema
    assert recursive["properties"]["parts"]["items"] == recursive["$defs"]["Part-Input"]["properties"]["parts"]["items"]
    assert list(tools["search"].input_schema["properties"]) == ["q", "tags", "max-items", "x-shop", "seen"]
    assert tools["total"].output_schema["properties"]["result"]["type"] == "number"
    assert "#/components" not in json.dumps([tool.model_dump() for tool in tools.values()])


#: Name and arguments of a call, and the structured content of its result.
CALLS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("get_order", {"order_id": 3}, {"sku": "bolt", "amount": 1, "kind": "sale", "id": 3}),
    ("get_order", {"order_id": 3, "verbose": True}, {"sku": "verbose", "amount": 1, "kind": "sale", "id": 3}),
    ("create_order", {"sku": "nut", "amount": 2}, {"sku": "nut", "amount": 2, "kind": "sale", "id": 7}),
    ("replace_order", {"sku": "a", "body": {"sku": "b"}}, {"sku": "ab", "amount": 1, "kind": "sale", "id": 8}),
    ("total", {"body": [1.5, 2]}, {"result": 3.5}),
    ("all_optional", {}, {"part": None}),
    ("all_optional", {"body": {"sku": "x"}}, {"part": {"sku": "x", "parts": []}}),
    ("options", {}, {"depth": 1, "deep": False}),
    ("nested", {"sku": "a", "parts": [{"sku": "ö"}]}, {"sku": "a", "parts": [{"sku": "ö", "parts": []}]}),
    (
        "search",
        {"q": "a b&c", "tags": ["x", "ü"], "max-items": 3, "x-shop": "s", "seen": "yes"},
        {"q": "a b&c", "tags": ["x", "ü"], "limit": 3, "shop": "s", "seen": "yes"},
    ),
    ("search", {"q": "", "x-shop": None}, {"q": "", "tags": [], "limit": 10, "shop": None, "seen": None}),
    ("read_file", {"path": "a/b c.txt"}, {"result": "a/b c.txt"}),
    ("greet", {"name": "ann & bob?"}, {"result": "hello ann & bob?"}),
    ("login", {"user": "ann", "scopes": ["a", "b"]}, {"user": "ann", "scopes": ["a", "b"]}),
    ("health", {}, {"status": "ok"}),
    ("order_of_shop", {"shop": "corner", "order_id": 4}, {"shop": "corner", "order_id": 4}),
]


@pytest.mark.parametrize("mode", MODES)
def test_calls(served: ServerProcess, mode: str) -> None:
    results = Session(served.port, mode=mode).run(*[(name, arguments) for name, arguments, _ in CALLS])
    for (name, arguments, answer), result in zip(CALLS, results, strict=True):
        assert (result.is_error, result.structured_content) == (False, answer), (name, arguments)
        assert json.loads(text(result)) == answer.get("result", answer)


def test_failures_of_a_route_are_errors_of_the_tool(served: ServerProcess) -> None:
    absent, invalid, body, moved, broken = Session(served.port).run(
        ("get_order", {"order_id": 101}),
        ("get_order", {"order_id": "x"}),
        ("create_order", {"sku": "", "amount": 0}),
        ("moved", {}),
        ("broken", {}),
    )
    assert absent.is_error and absent.structured_content == {"status": 404, "body": {"detail": "no such order"}}
    assert text(absent) == 'HTTP 404 Not Found\n{"detail":"no such order"}'
    assert invalid.is_error and invalid.structured_content["status"] == 422
    assert invalid.structured_content["body"]["detail"][0]["loc"] == ["path", "order_id"]
    assert [error["loc"] for error in body.structured_content["body"]["detail"]] == [
        ["body", "sku"],
        ["body", "amount"],
    ]
    assert moved.is_error and text(moved) == "HTTP 307 Temporary Redirect, to /names/ann"
    assert broken.is_error and broken.structured_content == {"status": 500, "body": "Internal Server Error"}


def test_arguments_that_make_no_request(served: ServerProcess) -> None:
    unknown, missing, cookie, *others = Session(served.port).run(
        ("get_order", {"order_id": 1, "order": 2}),
        ("get_order", {}),
        ("search", {"q": "x", "seen": "a; role=admin"}),
        ("greet", {"name": "ann/secret"}),
        ("greet", {"name": ".."}),
        ("greet", {"name": ""}),
    )
    assert unknown.is_error and text(unknown) == "get_order has no argument 'order'; it takes: order_id, verbose"
    assert missing.is_error and text(missing) == "get_order needs the argument 'order_id'"
    assert cookie.is_error and "'a; role=admin' is none" in text(cookie)
    assert len(others) == 3
    assert all(other.is_error and "one segment of a path" in text(other) for other in others)


@pytest.mark.parametrize("mode", MODES)
def test_an_unknown_tool(served: ServerProcess, mode: str) -> None:
    (error,) = Session(served.port, mode=mode).run(("secret", {"name": "ann"}))
    assert isinstance(error, MCPError) and error.code == -32602
    assert "there is no tool 'secret'" in error.message


@pytest.mark.parametrize("mode", MODES)
def test_the_caller_s_authorization_is_passed_on(served: ServerProcess, mode: str) -> None:
    headers = {"Authorization": "Bearer ann", "X-Trace": "t1", "X-Other": "no"}
    (known,) = Session(served.port, mode=mode, headers=headers).run(("me", {}))
    assert known.structured_content == {"token": "ann", "host": f"127.0.0.1:{served.port}", "trace": "t1"}
    (unknown,) = Session(served.port, mode=mode).run(("me", {}))
    assert unknown.is_error and unknown.structured_content["status"] == get(served.port, "/me").status


def test_a_route_sees_the_caller(served: ServerProcess) -> None:
    (direct,) = Session(served.port).run(("caller", {}))
    assert direct.structured_content == {"client": "127.0.0.1", "url": f"http://127.0.0.1:{served.port}/caller"}
    # Behind a proxy on this machine, which is trusted.
    proxied = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https", "Host": "shop.example"}
    (through,) = Session(served.port, headers=proxied).run(("caller", {}))
    assert through.structured_content == {"client": "192.0.2.7", "url": "https://shop.example/caller"}


def test_what_is_no_text(served: ServerProcess) -> None:
    picture, blob, nothing = Session(served.port).run(("picture", {}), ("blob", {}), ("delete_order", {"order_id": 1}))
    (image,) = picture.content
    assert (image.type, image.mime_type, image.data) == ("image", "image/png", "iVBORw==")
    (resource,) = blob.content
    assert (resource.type, resource.resource.blob) == ("resource", "//4A")
    assert (nothing.is_error, nothing.content) == (False, [])


def test_there_is_nothing_to_stream_or_to_end(served: ServerProcess) -> None:
    for method in ("GET", "DELETE"):
        refused = request(served.port, method, "/mcp", [("Accept", "text/event-stream")])
        assert (refused.status, refused.header("allow")) == (405, "POST")


def test_hosts_that_are_answered(served: ServerProcess) -> None:
    message = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).encode()
    headers = [("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream")]
    assert request(served.port, "POST", "/few", headers, message).status == 421
    answered = request(served.port, "POST", "/few", [("Host", "shop.example"), *headers], message)
    assert [tool["name"] for tool in answered.json()["result"]["tools"]] == ["health", "order_of_shop"]


def tools_app() -> Any:
    """The application, in this process."""
    sys.path.insert(0, str(Path(__file__).parent / "apps"))
    try:
        return importlib.import_module("mcp_tools").app
    finally:
        sys.path.pop(0)


def test_below_a_root_path() -> None:
    with start_uvicorn(APP, "--root-path", "/api") as uvicorn, Server(tools_app(), root_path="/api") as server:
        for port in (server.port, uvicorn.wait_ready().port):
            (result,) = Session(port).run(("caller", {}))
            assert result.structured_content["url"] == f"http://127.0.0.1:{port}/api/caller"


def test_in_a_mounted_application() -> None:
    """The application that is mounted has no lifespan of its own; the one around it runs it."""
    inner = FastAPI()
    inner.get("/here")(lambda: "inside")
    mcp.mount(inner)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with inner.router.lifespan_context(inner):
            yield

    outer = FastAPI(lifespan=lifespan)
    outer.get("/here")(lambda: "outside")
    outer.mount("/inner", inner)
    with Server(outer) as server:
        (tool,) = Session(server.port, "/inner/mcp").tools()
        (result,) = Session(server.port, "/inner/mcp").run((tool, {}))
        assert text(result) == '"inside"'


def test_any_worker_can_take_a_request(served: ServerProcess) -> None:
    """What one process has told a client is nothing that another one has to know."""
    headers = [("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream")]
    client = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client}
    welcome = request(served.port, "POST", "/mcp", headers, json.dumps(hello).encode())
    assert welcome.json()["result"]["protocolVersion"] == "2025-06-18"
    assert welcome.header("mcp-session-id") is None
    call = {
        "jsonrpc": "2.0",
        "id": 2,
        "method": "tools/call",
        "params": {"name": "greet", "arguments": {"name": "ann"}},
    }
    with Server(tools_app()) as other:
        spoken = [*headers, ("MCP-Protocol-Version", "2025-06-18")]
        answer = request(other.port, "POST", "/mcp", spoken, json.dumps(call).encode())
    assert answer.json()["result"]["structuredContent"] == {"result": "hello ann"}


@pytest.mark.bimetal_only
def test_calls_run_on_the_lanes_of_their_routes() -> None:
    """A native route answers natively, and a route of Python is not called through ASGI."""
    with Server(tools_app()) as server:
        before = server.stats()["requests"]
        Session(server.port).run(("health", {}), ("get_order", {"order_id": 1}), ("create_order", {"sku": "a"}))
        after = server.stats()["requests"]
    assert {lane: after[lane] - before[lane] for lane in ("native", "sync", "async")} == {
        "native": 1,
        "sync": 1,
        "async": 1,
    }


def test_plain_fastapi() -> None:
    """An application that knows nothing of Bimetal but the endpoint, with a lifespan of its own; twice in a row."""
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, str]]:
        events.append("up")
        yield {"greeting": "hello"}
        events.append("down")

    app = FastAPI(lifespan=lifespan, openapi_url=None)

    @app.get("/greet/{name}")
    async def greet(name: str, request: Request) -> str:
        return f"{request.state.greeting} {name}"

    mcp.mount(app)
    for _ in range(2):
        with Server(app) as server:
            (result,) = Session(server.port).run(("greet", {"name": "ann"}))
            assert result.structured_content == {"result": "hello ann"}
    assert events == ["up", "down"] * 2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"include": ["list_order"]}, "makes the tool 'list_order'; did you mean 'list_orders'?"),
        ({"exclude": ["x"]}, "makes the tool 'x'; there is: list_orders"),
        ({"tags": ["public"]}, "makes the tag 'public'; there is: shop"),
        ({"include": ["upload"]}, "POST /files cannot be the tool 'upload'"),
        ({}, "GET /orders/twice and POST /orders/twice are both the tool 'twice'"),
    ],
)
def test_what_is_refused_at_the_start(options: dict[str, Any], says: str) -> None:
    app = FastAPI()

    @app.get("/orders", tags=["shop"])
    def list_orders() -> None: ...

    @app.post("/files")
    def upload(file: UploadFile) -> None: ...

    if not options:
        app.get("/orders/twice", operation_id="twice")(lambda: None)
        app.post("/orders/twice", operation_id="twice")(lambda: None)
    mcp.mount(app, **options)
    with pytest.raises(BimetalError) as raised:
        Server(app).start()
    assert says in str(raised.value)


def test_the_command_line_says_so_on_one_line(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        "from fastapi import FastAPI\nfrom bimetal import mcp\napp = FastAPI()\nmcp.mount(app, include=['x'])\n"
    )
    with start_bimetal("main:app", cwd=tmp_path) as server:
        with pytest.raises(StartError):
            server.wait_ready()
        assert "bimetal: error: no route in the OpenAPI document makes the tool 'x'" in server.output


def test_a_path_that_is_none() -> None:
    for path in ("mcp", "/mcp/{name}"):
        with pytest.raises(ValueError, match="no path of an endpoint"):
            mcp.mount(FastAPI(), path)


def test_without_the_package() -> None:
    source = "import sys; sys.modules['mcp'] = None; from fastapi import FastAPI; from bimetal import mcp; mcp.mount(FastAPI())"
    ended = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60)
    assert 'BimetalError: the MCP endpoint needs the package mcp: pip install "bimetal[mcp]"' in ended.stderr


def test_without_a_lifespan() -> None:
    seen: list[BaseException] = []
    with Server(tools_app(), lifespan="off", on_exception=seen.append) as server:
        assert request(server.port, "POST", "/mcp", [("Content-Type", "application/json")], b"{}").status == 500
    (error,) = seen
    assert "the MCP endpoint runs with the application's lifespan, which has not run" in str(error)
