"""The response of a compiled route: what FastAPI's `serialize_response` and response class would make of a result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from fastapi._compat.v2 import _regenerate_error_with_loc
from fastapi.datastructures import DefaultPlaceholder
from fastapi.exceptions import ResponseValidationError
from fastapi.routing import _extract_endpoint_context
from fastapi.utils import is_body_allowed_for_status_code
from pydantic_core import SchemaSerializer
from starlette.responses import JSONResponse

from bimetal.compile import fields
from bimetal.compile.plan import ResponsePlan
from bimetal.compile.reason import NotCompiled

_OPTIONS = ("include", "exclude", "by_alias", "exclude_unset", "exclude_defaults", "exclude_none")


def compile_response(settings: Mapping[str, Any], endpoint: Callable[..., Any]) -> ResponsePlan:
    """The response plan for what `get_request_handler` was given. Raises NotCompiled."""
    default_class = isinstance(settings["response_class"], DefaultPlaceholder)
    response_class: Any = settings["response_class"].value if default_class else settings["response_class"]
    if response_class is not JSONResponse:
        raise NotCompiled(f"response class {response_class.__name__}")
    status = settings["status_code"] or 200
    if not is_body_allowed_for_status_code(status):
        raise NotCompiled(f"status {status} has no body")
    field = settings["response_field"]
    if field is None:
        return ResponsePlan(status=status)
    options = {name: settings[f"response_model_{name}"] for name in _OPTIONS}
    return ResponsePlan(
        status=status,
        validate=fields.validator(field),
        # FastAPI lets Pydantic write the bytes only where no response class was chosen.
        to_json=_pydantic_json(field, options) if default_class else _rendered_json(field, options),
        invalid=partial(_invalid, endpoint),
    )


def _pydantic_json(field: Any, options: dict[str, Any]) -> Callable[[Any], bytes]:
    type_adapter = fields.adapter(field)
    serializer: Any = type_adapter.serializer
    if type(serializer) is SchemaSerializer:
        return partial(serializer.to_json, **options)
    return partial(type_adapter.dump_json, **options)


def _rendered_json(field: Any, options: dict[str, Any]) -> Callable[[Any], bytes]:
    serialize = partial(field.serialize, **options)

    def to_json(value: Any) -> bytes:
        return bytes(JSONResponse(serialize(value)).body)

    return to_json


def _invalid(endpoint: Callable[..., Any], error: Any, result: Any) -> BaseException:
    """What FastAPI raises for a result its response model refuses; the replay adds the request's path."""
    context = dict(_extract_endpoint_context(endpoint))
    context.pop("path", None)
    return ResponseValidationError(
        errors=_regenerate_error_with_loc(errors=error.errors(include_url=False), loc_prefix=("response",)),
        body=result,
        endpoint_ctx=context,  # type: ignore[arg-type]
    )
