"""Dependencies with `yield`: entered when their turn comes, left when the request ends."""

from __future__ import annotations

import inspect
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import partial
from typing import Any

from fastapi.dependencies import utils

from bimetal.compile.plan import StepPlan
from bimetal.lane.exchange import Exchange

#: Since 0.162.7 FastAPI keeps the scope that shields the ends of async generators in the request.
_TAKES_REQUEST = "request" in inspect.signature(utils._solve_generator).parameters


async def enter(exchange: Exchange, step: StepPlan, values: dict[str, Any]) -> Any:
    """What the generator yields; the rest of it runs when the stack that the step belongs to is left."""
    assert exchange.stacks is not None
    after_response, before_response = exchange.stacks
    stack = before_response if step.ends_early else after_response
    if step.kind == "async generator":
        await exchange.enter_loop()
        options: dict[str, Any] = {"request": exchange.request} if _TAKES_REQUEST else {}
        return await utils._solve_generator(dependant=step.dependant, stack=stack, sub_values=values, **options)
    if step.limit is not None:
        await exchange.enter_loop()
        await stack.enter_async_context(step.limit.get_semaphore())
    return await stack.enter_async_context(_InThread(exchange, contextmanager(step.call)(**values)))


class _InThread(AbstractAsyncContextManager[Any]):
    """A context manager whose two halves are run on runner threads, each in a copy of the context."""

    def __init__(self, exchange: Exchange, manager: Any) -> None:
        self.exchange = exchange
        self.manager = manager

    async def __aenter__(self) -> Any:
        return await self.exchange.in_thread(self.manager.__enter__)

    async def __aexit__(self, *raised: Any) -> bool:
        return bool(await self.exchange.in_thread(partial(self.manager.__exit__, *raised)))
