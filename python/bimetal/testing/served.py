"""The server behind a test client, and what is observed of the application while it runs."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from bimetal.lifespan import LifespanMode
from bimetal.server import Server

ASGIApp = Callable[..., Any]


class Observer:
    """An ASGI application around the tested one: notes, by client port, what a response over a socket cannot show."""

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self.app = app
        self.root_path = root_path
        #: Client ports of connections that stand for https ones.
        self.secure_ports: set[int] = set()
        #: The test's context variables, by client port, for WebSocket sessions that are about to begin.
        self.contexts: dict[int, contextvars.Context] = {}
        self._debug: dict[int, dict[str, Any]] = {}
        self._refusals: dict[int, tuple[int, str]] = {}
        self._sessions: dict[int, Callable[[], object]] = {}

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            self._complete(scope)
            await self._websocket(scope["client"][1], scope, receive, send)
        else:
            await self.app(scope, receive, self.http(scope, send))

    def http(self, scope: dict[str, Any], send: Any) -> Callable[[dict[str, Any]], Awaitable[None]]:
        """Complete the scope of an HTTP request, and give the `send` to use with it."""
        self._complete(scope)
        scope["extensions"] = {**(scope.get("extensions") or {}), "http.response.debug": {}}
        port = scope["client"][1]

        async def observed(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.debug":
                self._debug[port] = message["info"]
            else:
                await send(message)

        return observed

    def take_debug(self, port: int) -> dict[str, Any] | None:
        """The `http.response.debug` information of the response just received on this port."""
        return self._debug.pop(port, None)

    def take_refusal(self, port: int) -> tuple[int, str] | None:
        """Code and reason with which the application closed a WebSocket it had not accepted."""
        return self._refusals.pop(port, None)

    def cancel(self, port: int) -> None:
        """Cancel the application's WebSocket session of this port, if it still runs."""
        cancel = self._sessions.get(port)
        if cancel is not None:
            cancel()

    def _complete(self, scope: dict[str, Any]) -> None:
        # As Starlette's client gives it: without putting it before the path, as a server behind a proxy does.
        scope["root_path"] = self.root_path
        if scope["client"][1] in self.secure_ports:
            scope["scheme"] = {"http": "https", "ws": "wss"}.get(scope["scheme"], scope["scheme"])

    async def _websocket(self, port: int, scope: dict[str, Any], receive: Any, send: Any) -> None:
        accepted = False

        async def observed(message: dict[str, Any]) -> None:
            nonlocal accepted
            kind = message["type"]
            if kind == "websocket.accept":
                accepted = True
            elif kind == "websocket.close" and not accepted:
                self._refusals[port] = (message.get("code", 1000), message.get("reason") or "")
            await send(message)

        async def session() -> None:
            await self.app(scope, receive, observed)

        # As under Starlette's client, the application sees what the test has set where it opened the session.
        loop = asyncio.get_running_loop()
        task = self.contexts.pop(port).run(loop.create_task, session())
        self._sessions[port] = lambda: loop.call_soon_threadsafe(task.cancel)
        try:
            await task
        finally:
            self._sessions.pop(port, None)


class Served:
    """One run of the server, from its start to its stop."""

    def __init__(
        self, app: ASGIApp, root_path: str, uvloop: bool, lifespan: LifespanMode, state: dict[str, Any]
    ) -> None:
        self._exceptions: deque[BaseException] = deque()
        self.server = Server(
            app, lifespan=lifespan, on_exception=self._exceptions.append, forwarded_allow_ips=(), uvloop=uvloop
        )
        self.observer = Observer(self.server.entry, root_path)
        self.server._serve_through(self.observer, self.observer.http, state, root_path)
        self.server.start()
        self.address = (self.server.host, self.server.port)

    def wait_idle(self, port: int, timeout: float) -> bool:
        """Wait until the application has finished with what came from this client port."""
        return self.server._running().wait_peer_idle(port, timeout) if self.server.running else True

    def take_exception(self) -> Exception | None:
        """The first exception that left the application since the last call."""
        found = None
        while self._exceptions:
            error = self._exceptions.popleft()
            if found is None and isinstance(error, Exception):
                found = error
        return found


class ServerSlot:
    """The place of a test client's server: started at the first use, replaced when the client is entered."""

    def __init__(self, app: ASGIApp, root_path: str, uvloop: bool, state: dict[str, Any]) -> None:
        self._app = app
        self._root_path = root_path
        self._uvloop = uvloop
        self._state = state
        self._served: Served | None = None
        self._lock = threading.RLock()

    def get(self) -> Served:
        """The running server; one without lifespan when there is none."""
        with self._lock:
            if self._served is None:
                self._served = self._new("off")
            return self._served

    def restart(self) -> None:
        """Stop the server, if any, and start one that runs the application's lifespan."""
        with self._lock:
            self.stop()
            self._served = self._new("on")

    def stop(self) -> None:
        """Stop the server; the next use starts another."""
        with self._lock:
            served, self._served = self._served, None
            if served is not None:
                served.server.stop()

    def _new(self, lifespan: LifespanMode) -> Served:
        return Served(self._app, self._root_path, self._uvloop, lifespan, self._state)
