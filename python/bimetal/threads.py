"""What a runner thread of the `sync` lane has in common with the worker threads Starlette would use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from anyio._backends._asyncio import AsyncIOBackend
from anyio._core._eventloop import threadlocals


def runner_start(loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
    """A function to call once on each runner thread: makes `anyio.from_thread` reach `loop` from handlers there."""
    token: Any = loop
    try:
        from anyio.lowlevel import EventLoopToken
    except ImportError:
        pass  # AnyIO before 4.11 keeps the loop itself, and the backend beside it.
    else:
        token = EventLoopToken(AsyncIOBackend, loop)

    def start() -> None:
        # AnyIO's own context manager for this undoes it when it is collected, which at a thread's end is too late.
        threadlocals.current_async_backend = AsyncIOBackend
        threadlocals.current_token = token

    return start
