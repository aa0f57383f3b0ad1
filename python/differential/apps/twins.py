"""What all applications share: handlers registered twice, and what they answer."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, FastAPI

Handler = Callable[..., Any]


def twins(app: FastAPI | APIRouter) -> Callable[..., Callable[[Handler], Handler]]:
    """A decorator that registers a `def` function as `/sync{path}`, and its `async def` twin as `/async{path}`."""

    def route(method: str, path: str, **options: Any) -> Callable[[Handler], Handler]:
        def register(function: Handler) -> Handler:
            @functools.wraps(function)
            async def twin(*args: Any, **kwargs: Any) -> Any:
                return function(*args, **kwargs)

            # FastAPI looks through __wrapped__ to tell `def` from `async def`; only the signature is wanted.
            twin.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
            del twin.__wrapped__  # type: ignore[attr-defined]
            app.add_api_route(f"/sync{path}", function, methods=[method], **options)
            app.add_api_route(f"/async{path}", twin, methods=[method], **options)
            return function

        return register

    return route


def seen(*positional: Any, **values: Any) -> Any:
    """Type and `repr` of each value: one list for a single one, an object by name for several."""
    if positional:
        (value,) = positional
        return [type(value).__name__, repr(value)]
    return {name: seen(value) for name, value in values.items()}
