"""Where a function was written: for error messages and tables."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def location(function: Callable[..., Any]) -> str:
    """`file:line` of the function's definition, or its name where there is no source file."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return qualified_name(function)
    return f"{code.co_filename}:{code.co_firstlineno}"


def qualified_name(function: Callable[..., Any]) -> str:
    """`module.qualname`, the name under which logs and tables show a handler."""
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    module = getattr(function, "__module__", None)
    return f"{module}.{name}" if module else str(name)
