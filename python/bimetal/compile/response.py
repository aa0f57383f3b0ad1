"""The response of a compiled route: what FastAPI's `serialize_response` and response class would make of a result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from fastapi._compat.v2 import _regenerate_error_with_loc
from fastapi.datastructures import DefaultPlaceholder
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import EndpointContext, ResponseValidationError
from fastapi.routing import _extract_endpoint_context
from fastapi.utils import is_body_allowed_for_status_code
from pydantic_core import SchemaSerializer, ValidationError
from starlette.responses import JSONResponse, Response

from bimetal.compile import fields
from bimetal.compile.plan import ResponsePlan

_OPTIONS = ("include", "exclude", "by_alias", "exclude_unset", "exclude_defaults", "exclude_none")


def compile_response(settings: Mapping[str, Any], endpoint: Callable[..., Any]) -> ResponsePlan:
    """The response plan for what `get_request_handler` was given."""
    chosen = not isinstance(settings["response_class"], DefaultPlaceholder)
    response_class: Any = settings["response_class"] if chosen else settings["response_class"].value
    status = settings["status_code"] or None
    field = settings["response_field"]
    # FastAPI lets Pydantic write the bytes only where no response class was chosen, whatever the default class is.
    by_pydantic = field is not None and not chosen
    encoded = by_pydantic or response_class is JSONResponse
    if status is not None and not is_body_allowed_for_status_code(status):
        encoded = False
    options = {name: settings[f"response_model_{name}"] for name in _OPTIONS}
    invalid = partial(_invalid, endpoint)
    if by_pydantic and not encoded:
        to_json = _pydantic_json(field, options)
        return ResponsePlan(
            status=status,
            encoded=False,
            content=_validated(field, to_json, invalid),
            make=partial(Response, media_type="application/json"),
        )
    if not encoded:
        content = _validated(field, partial(field.serialize, **options), invalid) if field else jsonable_encoder
        return ResponsePlan(status=status, encoded=False, content=content, make=response_class)
    make = partial(Response, media_type="application/json")
    if field is None:
        return ResponsePlan(status=status, make=make)
    return ResponsePlan(
        status=status,
        validate=fields.validator(field),
        to_json=_pydantic_json(field, options) if by_pydantic else _rendered_json(field, options),
        invalid=invalid,
        make=make,
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


def _validated(
    field: Any, serialize: Callable[[Any], Any], invalid: Callable[[Any, Any], BaseException]
) -> Callable[[Any], Any]:
    validate = fields.validator(field)

    def content(result: Any) -> Any:
        try:
            value = validate(result)
        except ValidationError as error:
            raise invalid(error, result) from None
        return serialize(value)

    return content


def _invalid(endpoint: Callable[..., Any], error: Any, result: Any) -> BaseException:
    """What FastAPI raises for a result its response model refuses; the lane adds the request's path."""
    return ResponseValidationError(
        errors=_regenerate_error_with_loc(errors=error.errors(include_url=False), loc_prefix=("response",)),
        body=result,
        endpoint_ctx=without_path(endpoint),
    )


def without_path(endpoint: Callable[..., Any]) -> EndpointContext:
    """What FastAPI's errors say of a handler, before the request's path is known."""
    context = _extract_endpoint_context(endpoint).copy()
    context.pop("path", None)
    return context
