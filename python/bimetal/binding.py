"""Binding a route to a native handler: the decorator `native` and the mark it leaves on the function."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

_MARK = "__bimetal_native__"


@dataclass(frozen=True)
class NativeBinding:
    """Which native handler answers for a function, and what the route accepts to lose by it."""

    #: The handler's name.
    name: str
    #: `"python"`: the function's body runs where the handler is absent.
    fallback: Literal["python"] | None = None
    #: What the native handler may bypass: `"middleware:CORSMiddleware"`, `"dependency:get_db"`, or only the name.
    bypass: tuple[str, ...] = ()


def native(name: str, *, fallback: Literal["python"] | None = None, bypass: Iterable[str] = ()) -> Callable[[F], F]:
    """Let a native handler answer for a function, under any decorator of plain FastAPI.

    Under Bimetal the route runs on the `native` lane and the function is its stub: its signature documents the route
    in OpenAPI and is checked against the handler. Under any other server the function itself runs.

    Args:
        name: The handler's name: `"health"` is built in, `"hot.price"` is `price` of the plugin `hot`.
        fallback: `"python"` runs the body where the handler or its plugin is absent; None refuses to start.
        bypass: Names of middleware, dependencies and security schemes that the native route may leave out.

    Example:
        ```python
        from fastapi import FastAPI
        import bimetal

        app = FastAPI()

        @app.get("/health")
        @bimetal.native("health")
        def health(): ...
        ```
    """
    binding = make_binding(name, fallback, bypass)

    def mark(function: F) -> F:
        _check_stub(function)
        function.__dict__[_MARK] = binding
        return function

    return mark


def binding_of(function: Any) -> NativeBinding | None:
    """The native binding of a route's function; None for ordinary Python."""
    while function is not None:
        attributes = getattr(function, "__dict__", {})
        if _MARK in attributes:
            binding = attributes[_MARK]
            return binding if isinstance(binding, NativeBinding) else None
        function = attributes.get("__wrapped__")
    return None


def bind(
    function: Any,
    handler_type: str | None,
    name: str | None,
    fallback: Literal["python"] | None,
    bypass: Iterable[str] | None,
) -> Any:
    """The function to give to FastAPI for a route declared with Bimetal's options: a marked copy for a native route.

    The copy keeps the mark on this one route, since a function may serve several.
    """
    if handler_type is None or handler_type == "python":
        given = [key for key, value in (("native", name), ("fallback", fallback), ("bypass", bypass)) if value]
        if given:
            raise TypeError(f'{given[0]}= belongs to native routes: add handler_type="native"')
        return function
    if handler_type != "native":
        raise TypeError(
            f'handler_type={handler_type!r} is unknown; use handler_type="native" for a handler in Rust, '
            'C or C++ (any library with the plugin interface), "python" for an ordinary one'
        )
    _check_stub(function)
    copy = types.FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    if hasattr(function, "__annotate__"):  # Python 3.14 evaluates annotations late, and so must the copy
        setattr(copy, "__annotate__", function.__annotate__)  # noqa: B010, which mypy does not know on older versions
    else:
        copy.__annotations__ = function.__annotations__
    copy.__qualname__ = function.__qualname__
    copy.__module__ = function.__module__
    copy.__doc__ = function.__doc__
    copy.__dict__.update(function.__dict__)
    if hasattr(function, "__type_params__"):
        copy.__type_params__ = function.__type_params__  # type: ignore[attr-defined]
    copy.__dict__[_MARK] = make_binding(name or function.__name__, fallback, bypass or ())
    return copy


def make_binding(name: str, fallback: str | None, bypass: Iterable[str]) -> NativeBinding:
    """A checked binding. Raises TypeError for values of the wrong kind."""
    if not isinstance(name, str) or not name:
        raise TypeError(f"the native handler's name must be a non-empty string, not {name!r}")
    if fallback not in (None, "python"):
        raise TypeError(f'fallback={fallback!r} is unknown; use fallback="python" or leave it out')
    if isinstance(bypass, str):
        raise TypeError(f"bypass must be a list of names: bypass=[{bypass!r}]")
    return NativeBinding(name, "python" if fallback else None, tuple(bypass))


def _check_stub(function: Any) -> None:
    if not isinstance(function, types.FunctionType):
        raise TypeError(
            f"the stub of a native route must be a function written with def, not a {type(function).__name__}"
        )


class HandlerInfo(TypedDict):
    """One native handler a host knows."""

    #: The name routes are bound to.
    name: str
    #: The plugin it comes from.
    plugin: str
    #: `builtin`, `static`, or the path of the plugin's library.
    source: str
    #: `sync`, `blocking` or `async`.
    kind: str
    #: Parameters, body and response: a JSON object.
    meta: str


class PluginChange(TypedDict):
    """A plugin library whose file has changed, and what a reload makes of it."""

    #: The library's path.
    path: str
    #: The plugin's name.
    plugin: str
    old_version: str
    new_version: str
    old_sha256: str
    new_sha256: str
