"""Finding the application that `MODULE:APP` names."""

from __future__ import annotations

import difflib
import importlib
import os
import pkgutil
import sys
import traceback
from collections.abc import Callable
from typing import Any

from bimetal.errors import BimetalError


class LoadError(BimetalError):
    """The application cannot be had; `__cause__` is the exception that stopped it, if one did."""


def load_app(target: str, app_dir: str | None = None, factory: bool = False) -> Callable[..., Any]:
    """The application `MODULE:APP` names, `APP` being `app` when it is left out.

    Args:
        target: For example `main:app` or `shop.api:create_app`.
        app_dir: Where to look for the module first; the working directory by default.
        factory: `APP` is a function that makes the application.

    Raises:
        LoadError: One line with what was not found, or where the import failed.

    Example:
        ```python
        app = load_app("main:app")
        ```
    """
    module_name, _, attribute = target.partition(":")
    attribute = attribute or "app"
    if not module_name or module_name.endswith(".py") or os.sep in module_name:
        suggestion = os.path.splitext(module_name)[0].strip("./").replace(os.sep, ".") or "main"
        raise LoadError(f"{target!r} is not MODULE:APP; write it like {suggestion}:{attribute}")
    directory = os.path.abspath(app_dir or os.getcwd())
    if directory not in sys.path:
        sys.path.insert(0, directory)
    app = _attribute(_module(module_name, target, directory), module_name, attribute)
    if factory:
        app = _called(app, target)
    if not callable(app):
        raise LoadError(f"{target}: {attribute!r} is a {type(app).__name__}, not an application")
    return app  # type: ignore[no-any-return]


def origin(error: BaseException) -> str:
    """`file:line` where an exception was raised, outside the import system and this package."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    own = os.path.dirname(os.path.abspath(__file__))
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(("<frozen", own)) and not frame.filename.endswith("importlib/__init__.py")
    ]
    application = [frame for frame in frames if "site-packages" not in frame.filename]
    best = (application or frames)[-1:] or None
    return f"{best[0].filename}:{best[0].lineno}" if best else "<unknown>"


def describe(error: BaseException) -> str:
    """An exception on one line: its type and the first line of its text."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__


def _module(name: str, target: str, directory: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            near = difflib.get_close_matches(name, _modules(directory, name), n=3)
            hint = f"; did you mean {' or '.join(near)}?" if near else "; check the name, or use --app-dir DIR"
            raise LoadError(f"{target}: there is no module {error.name!r} in {directory}{hint}") from None
        raise _failed(target, error) from error
    except (Exception, SystemExit) as error:
        raise _failed(target, error) from error


def _failed(target: str, error: BaseException) -> LoadError:
    return LoadError(f"{target}: importing it failed: {describe(error)} ({origin(error)})")


def _attribute(module: Any, module_name: str, attribute: str) -> Any:
    found = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            names = [name for name in dir(found) if not name.startswith("_")]
            near = difflib.get_close_matches(part, names, n=3)
            if not near:
                near = [name for name in names if _looks_like_app(getattr(found, name))]
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            where = getattr(module, "__file__", None) or module_name
            raise LoadError(f"{where}: {module_name!r} has no attribute {part!r}{hint}")
        found = getattr(found, part)
    return found


def _called(factory: Any, target: str) -> Any:
    if not callable(factory):
        raise LoadError(f"{target}: --factory needs a function, this is a {type(factory).__name__}")
    try:
        return factory()
    except Exception as error:
        raise LoadError(f"{target}: the factory failed: {describe(error)} ({origin(error)})") from error


def _looks_like_app(value: Any) -> bool:
    from starlette.applications import Starlette

    return isinstance(value, Starlette)


def _modules(directory: str, name: str) -> list[str]:
    parent = name.rpartition(".")[0]
    path = os.path.join(directory, *parent.split(".")) if parent else directory
    prefix = f"{parent}." if parent else ""
    return [prefix + found.name for found in pkgutil.iter_modules([path])]
