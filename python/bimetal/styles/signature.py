"""The signature of a handler, with annotations in place of their names."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """The signature; annotations that cannot be evaluated yet stay as they are, for FastAPI to judge."""
    try:
        return inspect.signature(function, eval_str=True)
    except (NameError, SyntaxError, TypeError):
        if sys.version_info >= (3, 14):
            import annotationlib

            return inspect.signature(function, annotation_format=annotationlib.Format.FORWARDREF)
        return inspect.signature(function)


def with_signature(
    function: Callable[..., Any], parameters: Sequence[inspect.Parameter], returns: Any
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorates what is called in place of `function`: its name and documentation, and this signature."""

    def decorate(called: Callable[..., Any]) -> Callable[..., Any]:
        endpoint = functools.wraps(function)(called)
        # FastAPI takes every argument by its keyword, so the order says nothing.
        by_keyword = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
        setattr(endpoint, "__signature__", inspect.Signature(by_keyword, return_annotation=returns))  # noqa: B010
        return endpoint

    return decorate
