"""Which server an event loop belongs to: for what runs on that loop and calls routes of the same server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from bimetal._core import Engine


class Serving(NamedTuple):
    """A server that runs in this process."""

    engine: Engine
    #: The path under which a proxy publishes the application; no part of what clients of the server ask for.
    root_path: str


#: By their event loops. Written and read on the loops' own threads.
_servers: dict[asyncio.AbstractEventLoop, Serving] = {}


def begin(loop: asyncio.AbstractEventLoop, engine: Engine, root_path: str) -> None:
    """From now on `engine` serves on `loop`."""
    _servers[loop] = Serving(engine, root_path.rstrip("/"))


def end(loop: asyncio.AbstractEventLoop) -> None:
    """Nothing serves on `loop` any more."""
    _servers.pop(loop, None)


def server_here() -> Serving | None:
    """The server whose event loop is running here; None where it is one of another kind."""
    return _servers.get(asyncio.get_running_loop())
