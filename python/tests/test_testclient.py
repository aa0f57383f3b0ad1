"""`bimetal.testing.TestClient` has the interface and the habits of Starlette's: each test runs with both."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import pytest
import starlette.testclient
from fastapi import BackgroundTasks, Cookie, FastAPI, HTTPException, Request, Response, UploadFile, WebSocket
from fastapi.responses import RedirectResponse, StreamingResponse
from starlette.websockets import WebSocketDisconnect

from harness.servers import REFERENCE_ONLY

CLIENTS: dict[str, Any] = {"starlette": starlette.testclient.TestClient}
if not REFERENCE_ONLY:
    import bimetal.testing

    CLIENTS["bimetal"] = bimetal.testing.TestClient


@pytest.fixture(params=list(CLIENTS))
def client_class(request: pytest.FixtureRequest) -> Any:
    return CLIENTS[request.param]


def make_app() -> FastAPI:
    """A fresh application with a log of what happened in `app.state.log`."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        app.state.log.append("startup")
        yield {"from_lifespan": "yes"}
        app.state.log.append("shutdown")

    app = FastAPI(lifespan=lifespan)
    app.state.log = []

    @app.get("/hello/{name}")
    def hello(name: str, q: str = "") -> dict[str, str]:
        return {"hello": name, "q": q}

    @app.post("/item")
    async def item(item: dict[str, int]) -> dict[str, int]:
        return item

    @app.post("/upload")
    async def upload(file: UploadFile) -> dict[str, object]:
        return {"name": file.filename, "size": len(await file.read())}

    @app.get("/about")
    def about(request: Request) -> dict[str, object]:
        return {
            "url": str(request.url),
            "agent": request.headers["user-agent"],
            "state": sorted(request.scope["state"]),
        }

    @app.get("/boom")
    def boom() -> None:
        raise ValueError("boom")

    @app.get("/boom/async")
    async def boom_async() -> None:
        raise KeyError("async boom")

    @app.get("/refused")
    def refused() -> None:
        raise HTTPException(403, "refused")

    @app.get("/background")
    async def background(tasks: BackgroundTasks) -> str:
        async def slow() -> None:
            for _ in range(20):
                await asyncio.sleep(0)
            app.state.log.append("background")

        tasks.add_task(slow)
        tasks.add_task(app.state.log.append, "background, sync")
        return "ok"

    @app.get("/background/fails")
    def background_fails(tasks: BackgroundTasks) -> str:
        def fails() -> None:
            raise RuntimeError("in the background")

        tasks.add_task(fails)
        return "ok"

    @app.get("/redirect")
    def redirect() -> RedirectResponse:
        return RedirectResponse("/hello/redirected")

    @app.get("/login")
    def login(response: Response) -> str:
        response.set_cookie("session", "s1")
        return "ok"

    @app.get("/session")
    async def session(session: str | None = Cookie(None)) -> str | None:
        return session

    @app.get("/stream")
    def stream() -> StreamingResponse:
        return StreamingResponse(iter(["a", "b", "c"]), media_type="text/plain")

    @app.websocket("/ws/{n}")
    async def ws(websocket: WebSocket, n: int) -> None:
        await websocket.accept("chosen" if "chosen" in websocket.scope["subprotocols"] else None)
        await websocket.send_json({"n": n, "q": websocket.query_params.get("q"), "x": websocket.headers.get("x")})
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                message = await websocket.receive_text()
                if message == "close":
                    await websocket.close(4001, "as asked")
                    return
                await websocket.send_text(message.upper())
        app.state.log.append("client left")

    @app.websocket("/ws-refused")
    async def ws_refused(websocket: WebSocket) -> None:
        await websocket.close(4003, "not you")

    @app.websocket("/ws-boom")
    async def ws_boom(websocket: WebSocket) -> None:
        await websocket.accept()
        raise RuntimeError("in the socket")

    return app


def test_requests(client_class: Any) -> None:
    client = client_class(make_app())
    assert client.get("/hello/ann", params={"q": "a b"}).json() == {"hello": "ann", "q": "a b"}
    assert client.post("/item", json={"a": 1}).json() == {"a": 1}
    assert client.post("/item", json={"a": "x"}).status_code == 422
    assert client.post("/upload", files={"file": ("f.txt", b"12345")}).json() == {"name": "f.txt", "size": 5}
    assert client.get("/nothing").status_code == 404
    assert client.get("/refused").json() == {"detail": "refused"}
    assert client.options("/hello/x").status_code == 405
    assert client.get("/stream").text == "abc"
    client.close()


def test_the_application_sees_the_base_url(client_class: Any) -> None:
    seen = client_class(make_app()).get("/about?x=1").json()
    assert seen["url"] == "http://testserver/about?x=1" and seen["agent"] == "testclient"
    other = client_class(make_app(), base_url="https://shop.example", headers={"User-Agent": "me"})
    seen = other.get("/about").json()
    assert seen["url"] == "https://shop.example/about" and seen["agent"] == "me"


def test_redirects(client_class: Any) -> None:
    app = make_app()
    assert client_class(app).get("/redirect").json()["hello"] == "redirected"
    reply = client_class(app, follow_redirects=False).get("/redirect")
    assert (reply.status_code, reply.headers["location"]) == (307, "/hello/redirected")


def test_cookies(client_class: Any) -> None:
    client = client_class(make_app())
    assert client.get("/session").json() is None
    client.get("/login")
    assert client.get("/session").json() == "s1"
    assert client_class(make_app(), cookies={"session": "given"}).get("/session").json() == "given"


def test_the_lifespan_runs_with_the_context_only(client_class: Any) -> None:
    app = make_app()
    with client_class(app) as client:
        assert app.state.log == ["startup"]
        assert client.get("/about").json()["state"] == ["from_lifespan"]
    assert app.state.log == ["startup", "shutdown"]
    app.state.log.clear()
    client = client_class(app)
    assert client.get("/hello/x").status_code == 200
    assert app.state.log == []


def test_a_failed_startup_raises(client_class: Any) -> None:
    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        raise RuntimeError("no database")
        yield

    with pytest.raises(RuntimeError, match="no database"), client_class(FastAPI(lifespan=lifespan)):
        pass


@pytest.mark.parametrize(("target", "error"), [("/boom", ValueError), ("/boom/async", KeyError)])
def test_exceptions_of_the_application(client_class: Any, target: str, error: type[Exception]) -> None:
    app = make_app()
    with pytest.raises(error, match="boom") as raised:
        client_class(app).get(target)
    assert any("boom" in entry.name for entry in raised.traceback), "the traceback leads to the handler"
    quiet = client_class(app, raise_server_exceptions=False)
    reply = quiet.get(target)
    assert (reply.status_code, reply.text) == (500, "Internal Server Error")
    assert quiet.get("/hello/x").status_code == 200


def test_background_tasks_are_done_when_the_call_returns(client_class: Any) -> None:
    app = make_app()
    client = client_class(app)
    for _ in range(10):
        app.state.log.clear()
        assert client.get("/background").json() == "ok"
        assert app.state.log == ["background", "background, sync"]


def test_exceptions_of_background_tasks(client_class: Any) -> None:
    with pytest.raises(RuntimeError, match="in the background"):
        client_class(make_app()).get("/background/fails")


def test_websocket(client_class: Any) -> None:
    app = make_app()
    client = client_class(app)
    with client.websocket_connect("/ws/7?q=x", headers={"X": "y"}) as socket:
        assert socket.receive_json() == {"n": 7, "q": "x", "x": "y"}
        socket.send_text("hello")
        assert socket.receive_text() == "HELLO"
    assert app.state.log == ["client left"], "the endpoint has ended when the context has"


def test_websocket_subprotocols_and_close(client_class: Any) -> None:
    with client_class(make_app()).websocket_connect("/ws/1", subprotocols=["other", "chosen"]) as socket:
        assert socket.accepted_subprotocol == "chosen"
        socket.receive_json()
        socket.send_text("close")
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
    assert (closed.value.code, closed.value.reason) == (4001, "as asked")


def test_websocket_refused(client_class: Any) -> None:
    client = client_class(make_app())
    with pytest.raises(WebSocketDisconnect) as refused, client.websocket_connect("/ws-refused"):
        pass
    assert (refused.value.code, refused.value.reason) == (4003, "not you")
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/ws/not-a-number"):
        pass


def test_websocket_exception(client_class: Any) -> None:
    client = client_class(make_app())
    with pytest.raises(RuntimeError, match="in the socket"), client.websocket_connect("/ws-boom") as socket:
        socket.receive_text()


def test_a_websocket_session_sees_the_context_variables_of_the_test(client_class: Any) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="default")
    app = FastAPI()

    @app.websocket("/ws")
    async def ws(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(variable.get())
        variable.set("set by the application")

    client = client_class(app)
    for value in ["first", "second"]:
        variable.set(value)
        with client.websocket_connect("/ws") as socket:
            assert socket.receive_text() == value
        assert variable.get() == value


def test_dependency_overrides(client_class: Any) -> None:
    from fastapi import Depends

    def real() -> str:
        return "real"

    app = FastAPI()

    @app.get("/")
    def root(value: str = Depends(real)) -> str:
        return value

    client = client_class(app)
    assert client.get("/").json() == "real"
    app.dependency_overrides[real] = lambda: "fake"
    assert client_class(app).get("/").json() == "fake"
    assert client.get("/").json() == "fake", "an override set while the client lives counts from then on"
    app.dependency_overrides.clear()
    assert client.get("/").json() == "real"


def test_routes_added_later(client_class: Any) -> None:
    app = FastAPI()
    client = client_class(app)
    assert client.get("/late").status_code == 404
    app.get("/late")(lambda: "late")
    assert client_class(app).get("/late").json() == "late"


def test_many_clients(client_class: Any) -> None:
    clients = [client_class(make_app()) for _ in range(20)]
    assert [client.get(f"/hello/{n}").json()["hello"] for n, client in enumerate(clients)] == [
        str(n) for n in range(20)
    ]
    for client in clients:
        client.close()


def test_a_plain_asgi_application(client_class: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x", b"1")]})
        await send({"type": "http.response.body", "body": b"plain"})

    reply = client_class(app).get("/")
    assert (reply.content, reply.headers["x"]) == (b"plain", "1")
