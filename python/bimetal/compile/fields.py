"""Reading FastAPI's `ModelField`: how a value is validated, and what stands in for a missing one."""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any, Literal

from fastapi import params
from pydantic import TypeAdapter
from pydantic_core import SchemaValidator

PlainKind = Literal["str", "int", "float", "bool"]

#: `copy.deepcopy` gives these back as they are, so that all requests may share one default.
_IMMUTABLE = (
    str,
    int,
    float,
    bool,
    complex,
    bytes,
    enum.Enum,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    decimal.Decimal,
    uuid.UUID,
    type(None),
)


def adapter(field: Any) -> TypeAdapter[Any]:
    """The Pydantic adapter with which FastAPI validates the field."""
    return field._type_adapter  # type: ignore[no-any-return]


def validator(field: Any) -> Callable[[Any], Any]:
    """What `field.validate` does with a value, without the list of errors: returns the value or raises."""
    type_adapter = adapter(field)
    schema_validator = type_adapter.validator
    # A deferred adapter holds a stand-in until its types are complete; only the adapter knows when to replace it.
    if type(schema_validator) is SchemaValidator:
        return partial(schema_validator.validate_python, from_attributes=True)
    return partial(type_adapter.validate_python, from_attributes=True)


def plain_kind(field: Any) -> PlainKind | None:
    """The field's kind when Pydantic validates it as a bare `str`, `int`, `float` or `bool` and nothing else."""
    if getattr(field, "config", None):
        return None
    schema: Any = adapter(field).core_schema
    if schema.get("type") == "default":
        if "on_error" in schema or schema.get("validate_default"):
            return None
        schema = schema["schema"]
    if set(schema) - {"type", "metadata"}:
        return None
    kind = schema["type"]
    return kind if kind in ("str", "int", "float", "bool") else None


def runs_functions(field: Any) -> bool:
    """Whether validating the field runs functions of Python, which must not happen twice for one value."""
    return _has_function(adapter(field).core_schema)


def _has_function(schema: Any) -> bool:
    if isinstance(schema, dict):
        kind = schema.get("type")
        if isinstance(kind, str) and (kind.startswith("function-") or kind == "custom-error"):
            return True
        return any(_has_function(part) for key, part in schema.items() if key != "metadata")
    if isinstance(schema, (list, tuple)):
        return any(map(_has_function, schema))
    return False


def is_form(field: Any) -> bool:
    """Whether the field is a form field or an uploaded file."""
    return isinstance(field.field_info, params.Form)


def is_required(field: Any) -> bool:
    """Whether a request without the value is refused."""
    return bool(field.field_info.is_required())


def default(field: Any) -> tuple[Any, Callable[[], Any] | None]:
    """The value of an absent optional field, and the factory that makes it anew where it must not be shared."""
    if is_required(field):
        return None, None
    if field.field_info.default_factory is None:
        value = field.default
        if isinstance(value, _IMMUTABLE):
            return value, None
    return None, partial(_fresh_default, field)


def has_own_default(field: Any) -> bool:
    """Whether the field's default, if it has one, can be had without the request."""
    info = field.field_info
    if is_required(field):
        return True
    takes_others = info.default_factory is not None and getattr(info, "default_factory_takes_validated_data", False)
    return not (info.validate_default or takes_others)


def _fresh_default(field: Any) -> Any:
    return deepcopy(field.default)
