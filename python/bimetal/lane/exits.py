"""Dependencies with `yield`: entered when their turn comes, left when the request ends."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
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
    return await stack.enter_async_context(_in_thread(exchange, contextmanager(step.call)(**values)))


@asynccontextmanager
async def _in_thread(exchange: Exchange, manager: AbstractContextManager[Any]) -> AsyncGenerator[Any, None]:
    """A context manager whose two halves are run on runner threads, each in a copy of the context."""
    value = await exchange.in_thread(manager.__enter__)
    try:
        yield value
    except BaseException as error:
        if not await exchange.in_thread(partial(manager.__exit__, type(error), error, error.__traceback__)):
            raise
    else:
        await exchange.in_thread(partial(manager.__exit__, None, None, None))
