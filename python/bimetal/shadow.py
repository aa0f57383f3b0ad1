"""Running the Python body of a native route for a share of its live requests, to see whether both answer the same."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from bimetal._core import Engine
from bimetal.answers import Answer, differences
from bimetal.compile import RoutePlan

#: How long a Python body may take, in seconds. The next comparison waits for it.
_TIMEOUT = 30.0
#: How many differences are logged. All are counted.
_LOGGED = 10

ASGIApp = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]

logger = logging.getLogger("bimetal")


class Shadow:
    """Compares native exchanges with what the application answers to the same requests, one after the other.

    The request goes through the application as under any ASGI server: with its middleware and dependencies, all but
    what the server's edge does. Its response goes nowhere but into the comparison.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._compared = 0
        self._different = 0
        self._failed = 0

    def counts(self) -> dict[str, int]:
        """Comparisons, those that differed, and requests the Python body gave no answer to."""
        return {"compared": self._compared, "different": self._different, "failed": self._failed}

    async def run(self, engine: Engine, plans: Callable[[], Sequence[RoutePlan]]) -> None:
        """Compare what comes, until cancelled."""
        while True:
            number, scope, status, headers, body = await engine.next_shadowed()
            native = Answer.of_asgi(status, headers, body)
            try:
                python = await self._answer(scope)
            except Exception as error:
                self._failed += 1
                self._log(self._failed, plans()[number], scope, f"the Python body gave no answer: {error!r}")
                continue
            found = differences(native, python)
            if found:
                self._different += 1
                self._log(self._different, plans()[number], scope, "; ".join(found))
            self._compared += 1

    async def _answer(self, scope: MutableMapping[str, Any]) -> Answer:
        exchange = _Exchange()
        # In a context of its own, as each request has one.
        context, loop = contextvars.Context(), asyncio.get_running_loop()
        task = context.run(loop.create_task, exchange.run(self._app, scope))
        return await asyncio.wait_for(task, _TIMEOUT)

    def _log(self, count: int, plan: RoutePlan, scope: MutableMapping[str, Any], text: str) -> None:
        if count > _LOGGED:
            return
        query = scope["query_string"].decode("latin-1")
        target = scope["path"] + (f"?{query}" if query else "")
        last = "; further ones are only counted" if count == _LOGGED else ""
        logger.warning("shadow of %s, GET %s, native handler %r: %s%s", plan.path, target, plan.native, text, last)


class _Exchange:
    """`receive` and `send` of one request without a body."""

    def __init__(self) -> None:
        self._asked = False
        self._answered = asyncio.Event()
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []

    async def run(self, app: ASGIApp, scope: MutableMapping[str, Any]) -> Answer:
        try:
            await app(scope, self._receive, self._send)
        except Exception:
            # What has answered an exception with a 500 raises it again for the server.
            if not self._answered.is_set():
                raise
        if not self._answered.is_set():
            raise RuntimeError("the application ended without a response")
        return Answer.of_asgi(self._status, self._headers, b"".join(self._body))

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._answered.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = list(message.get("headers", ()))
        elif message["type"] == "http.response.body":
            self._body.append(bytes(message.get("body", b"")))
            if not message.get("more_body", False):
                self._answered.set()
