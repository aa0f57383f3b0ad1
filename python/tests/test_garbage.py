"""A request leaves nothing behind for the garbage collector: what it made goes with its last reference.

Cycles cost twice: their memory stays until the collector comes, and it comes the more often.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, Request
from fastapi.responses import JSONResponse

from bimetal import Server
from harness.wire import Connection

REQUESTS = 20


def sync_dependency() -> Iterator[int]:
    yield 1


async def async_dependency() -> AsyncIterator[int]:
    yield 1


def application(kind: str) -> FastAPI:
    app = FastAPI()

    if kind == "dispatch":

        @app.middleware("http")
        async def adds(request: Request, call_next: Callable[[Request], Any]) -> Any:
            response = await call_next(request)
            response.headers["x-added"] = "1"
            return response

    if kind == "asgi":

        class Passes:
            def __init__(self, app: Any) -> None:
                self.app = app

            async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
                await self.app(scope, receive, send)

        app.add_middleware(Passes)

    @app.get("/sync")
    def plain() -> dict[str, int]:
        return {"a": 1}

    @app.get("/async")
    async def plain_async() -> dict[str, int]:
        return {"a": 1}

    @app.get("/sync/exit")
    def exits(one: Annotated[int, Depends(sync_dependency)]) -> int:
        return one

    @app.get("/async/exit")
    async def async_exits(one: Annotated[int, Depends(async_dependency)]) -> int:
        return one

    @app.get("/sync/task")
    def task(tasks: BackgroundTasks) -> JSONResponse:
        tasks.add_task(str)
        return JSONResponse({})

    return app


@pytest.mark.parametrize("kind", ["none", "dispatch", "asgi"])
def test_requests_leave_no_cycles(kind: str) -> None:
    with Server(application(kind)) as server, Connection(server.port) as connection:
        for path in ["/sync", "/async", "/sync/exit", "/async/exit", "/sync/task"]:
            assert connection.request("GET", path).status == 200
            gc.collect()
            gc.disable()
            gc.set_debug(gc.DEBUG_SAVEALL)
            try:
                for _ in range(REQUESTS):
                    assert connection.request("GET", path).status == 200
                gc.collect()
                left = Counter(
                    type(item).__name__ for item in gc.garbage if type(item).__module__.startswith("bimetal")
                )
            finally:
                gc.set_debug(0)
                gc.garbage.clear()
                gc.enable()
            # A few may be of a request that has not quite ended.
            assert all(count < REQUESTS / 2 for count in left.values()), (path, left)
