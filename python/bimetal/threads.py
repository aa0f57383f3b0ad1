"""What a runner thread of the `sync` lane has in common with the worker threads Starlette would use."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from anyio._backends._asyncio import AsyncIOBackend
from anyio._core._eventloop import claim_worker_thread

#: Keeps the claim for as long as the thread lives: collected, it would undo itself.
_thread = threading.local()


def runner_start(loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
    """A function to call once on each runner thread: makes `anyio.from_thread` reach `loop` from handlers there."""

    def start() -> None:
        # Entered and not left: the thread is a worker of this loop for all of its life.
        _thread.claim = claim_worker_thread(AsyncIOBackend, loop)
        _thread.claim.__enter__()

    return start
