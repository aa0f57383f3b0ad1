"""The application's own exception handlers that answer for a Python route and not for a native one."""

from __future__ import annotations

import json
from typing import Any

from fastapi import FastAPI
from fastapi.exception_handlers import http_exception_handler, request_validation_exception_handler
from fastapi.exceptions import HTTPException, RequestValidationError

from bimetal.binding import HandlerInfo

#: What FastAPI registers itself; a native route answers the same.
_DEFAULTS: tuple[Any, ...] = (http_exception_handler, request_validation_exception_handler)


def unheard_handlers(app: FastAPI, handler: HandlerInfo | None) -> list[str]:
    """The names of the exception handlers whose answers `handler`, a native one, gives in another way.

    Only what the native handler can answer counts: a 422 where it reads something of the request, an `HttpError` or a
    500 where it is not built in. None: nothing is known of it, so that all count.
    """
    found: list[Any] = []
    if handler is None or _reads(handler):
        found.append(_for_class(app, RequestValidationError))
    if handler is None or handler["plugin"] != "builtin":
        found.append(_for_class(app, HTTPException))
        # An exception, and a panic: both end as a 500.
        found += [function for key, function in app.exception_handlers.items() if _is_status(key) or key is Exception]
    own = [function for function in found if function is not None and function not in _DEFAULTS]
    return list(dict.fromkeys(_name(function) for function in own))


def _reads(handler: HandlerInfo) -> bool:
    meta = json.loads(handler["meta"] or "{}")
    return bool(meta.get("parameters") or meta.get("request_body"))


def _for_class(app: FastAPI, error: type[Exception]) -> Any:
    """As Starlette looks for it; `Exception` has its handler elsewhere."""
    classes = (base for base in error.__mro__ if base is not Exception and base in app.exception_handlers)
    return next((app.exception_handlers[base] for base in classes), None)


def _is_status(key: Any) -> bool:
    return isinstance(key, int) and key >= 400


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", None) or type(function).__name__)
