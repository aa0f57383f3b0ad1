"""Running an application's ASGI lifespan: startup before the server accepts, shutdown after it has drained."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Literal

from bimetal._core import Lifespan
from bimetal.errors import BimetalError

LifespanMode = Literal["auto", "on", "off"]

#: How long an application that reported a failure may take to end, in seconds.
_END_TIMEOUT = 10.0

logger = logging.getLogger("bimetal")


class LifespanRun:
    """The lifespan of one application on the current event loop."""

    def __init__(self, app: Callable[..., Any], mode: LifespanMode, state: dict[str, Any]) -> None:
        self._app = app
        self._mode = mode
        self._state = state
        self._exchange = Lifespan()
        self._task: asyncio.Task[None] | None = None
        self._error: BaseException | None = None
        self._complete = False
        self._failed = False

    async def startup(self) -> None:
        """Run the startup. Raises what the application raised, or BimetalError where it only reported a failure."""
        if self._mode == "off":
            return
        self._task = asyncio.get_running_loop().create_task(self._run(), name="bimetal lifespan")
        message = await self._exchange.started()
        if self._complete:
            return
        await self._ended()
        if self._failed:
            raise self._error or BimetalError(f"the application failed to start: {message or 'no reason given'}")
        if self._mode == "on":
            raise self._error or BimetalError(
                "the application does not support the ASGI lifespan; use lifespan='auto' or 'off'"
            )
        logger.debug("the application does not support the ASGI lifespan", exc_info=self._error)

    async def shutdown(self) -> None:
        """Run the shutdown. Raises what the application raised, or BimetalError where it only reported a failure."""
        if not self._complete or self._task is None:
            return
        if self._task.done():
            if self._error is not None:
                raise self._error
            return
        message = await self._exchange.shutdown()
        await self._ended()
        if self._error is not None:
            raise self._error
        if message is not None:
            raise BimetalError(f"the application failed to shut down: {message or 'no reason given'}")

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self._state}
        try:
            await self._app(scope, self._exchange.receive, self._send)
        except Exception as error:
            self._error = error
        finally:
            self._exchange.finished()

    async def _send(self, message: dict[str, Any]) -> None:
        kind = message.get("type")
        if kind == "lifespan.startup.complete":
            self._complete = True
        elif kind == "lifespan.startup.failed":
            self._failed = True
        await self._exchange.send(message)

    async def _ended(self) -> None:
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=_END_TIMEOUT)
