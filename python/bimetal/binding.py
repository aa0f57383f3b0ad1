"""Binding a route to a native handler: the decorator `native` and the mark it leaves on the function."""

from __future__ import annotations

import dis
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
    #: The share of GET requests that the function's body answers as well, to be compared; None or 0: none.
    shadow: float | None = None


def native(
    name: str,
    *,
    fallback: Literal["python"] | None = None,
    bypass: Iterable[str] = (),
    shadow: float | None = None,
) -> Callable[[F], F]:
    """Let a native handler answer for a function, under any decorator of plain FastAPI.

    Under Bimetal the route runs on the `native` lane and the function is its stub: its signature documents the route
    in OpenAPI and is checked against the handler. Under any other server the function itself runs.

    Args:
        name: The handler's name: `"health"` is built in, `"hot.price"` is `price` of the plugin `hot`.
        fallback: `"python"` runs the body where the handler or its plugin is absent; None refuses to start.
        bypass: Names of middleware, dependencies, security schemes and exception handlers that the native route may
            leave out.
        shadow: The share of live GET requests, 0 to 1, that the body answers as well, after the response, to be
            compared: see `Server.stats`. The body's side effects happen.

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
    binding = make_binding(name, fallback, bypass, shadow)

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
    shadow: float | None = None,
) -> Any:
    """The function to give to FastAPI for a route declared with Bimetal's options: a marked copy for a native route.

    The copy keeps the mark on this one route, since a function may serve several.
    """
    if handler_type is None or handler_type == "python":
        options = (("native", name), ("fallback", fallback), ("bypass", bypass), ("shadow", shadow))
        given = [key for key, value in options if value]
        if given:
            raise TypeError(f'{given[0]}= belongs to native routes: add handler_type="native"')
        return function
    if handler_type != "native":
        raise TypeError(
            f'handler_type={handler_type!r} is unknown; use handler_type="native" for a handler in Rust, '
            'C or C++ (any library with the plugin interface), "python" for an ordinary one'
        )
    _check_stub(function)
    copy = copy_of(function)
    copy.__dict__[_MARK] = make_binding(name or function.__name__, fallback, bypass or (), shadow)
    return copy


def copy_of(function: Any) -> Any:
    """Another function that does the same, for marks that belong to one route.

    Raises TypeError for what is no function.
    """
    if isinstance(function, types.MethodType):
        return types.MethodType(copy_of(function.__func__), function.__self__)
    if not isinstance(function, types.FunctionType):
        raise TypeError(
            f"the handler has to be a function written with def or async def, not a {type(function).__name__}"
        )
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
    return copy


def make_binding(name: str, fallback: str | None, bypass: Iterable[str], shadow: float | None = None) -> NativeBinding:
    """A checked binding. Raises TypeError for values of the wrong kind."""
    if not isinstance(name, str) or not name:
        raise TypeError(f"the native handler's name must be a non-empty string, not {name!r}")
    if fallback not in (None, "python"):
        raise TypeError(f'fallback={fallback!r} is unknown; use fallback="python" or leave it out')
    if isinstance(bypass, str):
        raise TypeError(f"bypass must be a list of names: bypass=[{bypass!r}]")
    if shadow is not None and (isinstance(shadow, bool) or not isinstance(shadow, int | float)):
        raise TypeError(f"shadow must be a share from 0 to 1, not {shadow!r}")
    if shadow is not None and not 0 <= shadow <= 1:
        raise TypeError(
            f"shadow={shadow!r} is no share: use a number from 0 to 1, like 0.01 for one request in a hundred"
        )
    return NativeBinding(name, "python" if fallback else None, tuple(bypass), shadow or None)


def has_body(function: Any) -> bool:
    """Whether a stub has a body that could answer: more than `...`, `pass` or a text."""
    while (inner := getattr(function, "__wrapped__", None)) is not None:
        function = inner
    return not isinstance(function, types.FunctionType) or _steps(function) not in _NOTHING


def _steps(function: Any) -> list[tuple[str, Any]]:
    instructions = dis.get_instructions(function.__code__)
    return [(step.opname, step.argval) for step in instructions if step.opname != "NOP"]


def _empty() -> None: ...


async def _empty_coroutine() -> None: ...


#: What the two do: nothing but to return None.
_NOTHING = (_steps(_empty), _steps(_empty_coroutine))


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


class PluginInfo(TypedDict):
    """One plugin a host has loaded."""

    name: str
    version: str
    #: `builtin`, `static`, or the path of the library.
    source: str
    #: The library's SHA-256 in hexadecimal; empty where the plugin is linked in.
    sha256: str
    #: Major and minor version of the plugin interface it was built for.
    abi: str
    #: Name and version of the SDK, the compiler, the target.
    sdk: str
    rustc: str
    target: str
