"""Comparing a native route's typed stub with what its handler says about itself.

The handler's metadata is JSON: `{"parameters": [{"name", "in", "required", "schema"}], "request_body": {"required",
"content_type", "schema"} or null, "response": {"status", "content_type", "schema"} or null, "status": code,
"schemas": {name: schema}}` and more, with JSON Schema in `schema`; references into `schemas` have the form
`#/components/schemas/name`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi.dependencies.models import Dependant
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError

from bimetal.compile import fields
from bimetal.compile.schema import Schema, as_pydantic, resolve
from bimetal.compile.side import Side, named, need, types_of

_PLACES = ("path", "query", "header", "cookie")
#: Keywords that limit a value, and how a difference names them.
_LIMITS = {
    "minimum": "minimum",
    "maximum": "maximum",
    "exclusiveMinimum": "exclusive minimum",
    "exclusiveMaximum": "exclusive maximum",
    "multipleOf": "factor",
    "minLength": "minimum length",
    "maxLength": "maximum length",
    "pattern": "pattern",
    "minItems": "minimum number of items",
    "maxItems": "maximum number of items",
    "minProperties": "minimum number of entries",
    "maxProperties": "maximum number of entries",
}
_BITS = (8, 16, 32, 64)
#: Limits that an integer of Rust has by its size, and which need no words in the stub.
_SIZES: dict[str, dict[str, int]] = {
    **{f"int{bits}": {"minimum": -(2 ** (bits - 1)), "maximum": 2 ** (bits - 1) - 1} for bits in _BITS},
    **{f"uint{bits}": {"minimum": 0, "maximum": 2**bits - 1} for bits in _BITS},
}
_MAX_DEPTH = 16


@dataclass(frozen=True)
class _Parameter:
    required: bool
    side: Side


def check_stub(effective: Any, meta: Mapping[str, Any]) -> list[str]:
    """Each way in which the route's stub contradicts the handler, as text, field by field.

    A stub without parameters and body promises nothing about the request, one without a return type nothing about the
    response. The route's path is compared for every stub: a handler cannot read a parameter the path does not have.
    """
    root = {"components": {"schemas": {name: as_pydantic(part) for name, part in (meta.get("schemas") or {}).items()}}}
    handler = {
        (parameter["in"], _shown(parameter["in"], parameter["name"])): _Parameter(
            bool(parameter.get("required")), Side(as_pydantic(parameter.get("schema")), root)
        )
        for parameter in meta.get("parameters") or []
    }
    differences = [
        f"the handler reads path parameter {name!r}, which is not in the path"
        for place, name in handler
        if place == "path" and name not in effective.param_convertors
    ]
    dependant: Dependant = effective.dependant
    stub = _stub_parameters(dependant)
    if stub or dependant.body_params:
        differences += _parameter_differences(stub, handler)
        differences += _body_differences(effective, meta.get("request_body"), root)
    return differences + _response_differences(effective, meta.get("response"), root)


def status_differences(declared: int | None, meta: Mapping[str, Any]) -> list[str]:
    """How the status code that a stub declares contradicts the one that the handler does, as text.

    A handler that declares none answers with the stub's, unless its response sets another.
    """
    status = declared_status(meta)
    if declared is None or status is None or declared == status:
        return []
    return [f"the status code is {declared} in the stub, {status} in the handler"]


def declared_status(meta: Mapping[str, Any]) -> int | None:
    """The status code that a handler says its responses have, unless they set another."""
    status = meta.get("status")
    return status if isinstance(status, int) else None


def _stub_parameters(dependant: Dependant) -> dict[tuple[str, str], _Parameter]:
    found = {}
    for place in _PLACES:
        for field in getattr(dependant, f"{place}_params"):
            schema = _schema(field)
            side = Side(schema, schema)
            required = fields.is_required(field)
            model = side.plain()
            members = model.schema.get("properties")
            if not isinstance(members, dict):
                found[place, _shown(place, field.alias)] = _Parameter(required, side)
                continue
            # A model of parameters: each of its fields is one.
            needed = model.schema.get("required") or []
            for name, part in members.items():
                wire = name.replace("_", "-") if place == "header" else name
                found[place, _shown(place, wire)] = _Parameter(required and name in needed, side.at(part))
    return found


def _shown(place: str, name: str) -> str:
    return name.lower() if place == "header" else name


def _parameter_differences(
    stub: dict[tuple[str, str], _Parameter], handler: dict[tuple[str, str], _Parameter]
) -> list[str]:
    differences = []
    for (place, name), ours in stub.items():
        what = f"{place} parameter {name!r}"
        if (place, name) not in handler:
            differences.append(f"{what} is in the stub only")
            continue
        theirs = handler[place, name]
        if ours.required != theirs.required:
            differences.append(f"{what} is {need(ours.required)} in the stub, {need(theirs.required)} in the handler")
        differences += _differences(what, ours.side, theirs.side)
    for place, name in handler:
        if (place, name) not in stub and place != "path":
            differences.append(f"{place} parameter {name!r} is in the handler only")
        elif (place, name) not in stub:
            differences.append(f"path parameter {name!r} is missing in the stub's signature")
    return differences


def _body_differences(effective: Any, body: Any, root: Mapping[str, Any]) -> list[str]:
    field = effective.body_field
    if (field is not None) != bool(body):
        return [
            "the stub takes a request body, the handler none"
            if not body
            else "the handler takes a request body, the stub none"
        ]
    if not body:
        return []
    content_type = body.get("content_type") or "application/json"
    if fields.is_form(field) != ("form" in content_type):
        ours = "a form" if fields.is_form(field) else "JSON"
        return [f"the request body is {ours} in the stub, {content_type} in the handler"]
    differences = []
    required = fields.is_required(field)
    if required != bool(body.get("required")):
        theirs = need(bool(body.get("required")))
        differences.append(f"the request body is {need(required)} in the stub, {theirs} in the handler")
    schema = _schema(field)
    return differences + _differences("body", Side(schema, schema), Side(as_pydantic(body.get("schema")), root))


def _response_differences(effective: Any, response: Any, root: Mapping[str, Any]) -> list[str]:
    """What the stub's response model and the handler's response contradict each other in."""
    field = effective.response_field
    if field is None or not isinstance(response, Mapping) or not response.get("schema"):
        return []
    if "json" not in (response.get("content_type") or ""):
        return []
    schema = _schema(field, "serialization")
    theirs = Side(as_pydantic(response["schema"]), root)
    return _differences("response", Side(schema, schema), theirs, is_response=True)


def _differences(what: str, ours: Side, theirs: Side, is_response: bool = False, depth: int = 0) -> list[str]:
    """How two schemas of the same value differ. Of responses only fields and types are compared."""
    own, other = ours.plain(), theirs.plain()
    types, handler_types = types_of(own), types_of(other)
    if not types or not handler_types or depth > _MAX_DEPTH:
        return []
    if types != handler_types:
        return [f"{what} is {named(types)} in the stub, {named(handler_types)} in the handler"]
    differences: list[str] = []
    if not is_response:
        differences += _null_differences(what, ours, theirs)
        differences += _limit_differences(what, own.schema, other.schema)
        differences += _default_differences(what, own.schema, other.schema)
    differences += _value_differences(what, own.schema, other.schema)
    if types == {"array"}:
        for step, part, handler_part in _elements(own.schema, other.schema):
            differences += _differences(
                _within(what, step), own.at(part), other.at(handler_part), is_response, depth + 1
            )
    if types == {"object"}:
        differences += _member_differences(what, own, other, is_response, depth)
    return differences


def _member_differences(what: str, ours: Side, theirs: Side, is_response: bool, depth: int) -> list[str]:
    own, other = ours.schema.get("properties"), theirs.schema.get("properties")
    if not isinstance(own, dict) or not isinstance(other, dict):
        if isinstance(own, dict) or isinstance(other, dict):
            return []
        parts = ours.schema.get("additionalProperties"), theirs.schema.get("additionalProperties")
        return _differences(_within(what, ".*"), ours.at(parts[0]), theirs.at(parts[1]), is_response, depth + 1)
    differences = []
    for name in sorted(own.keys() | other.keys()):
        member = _member(what, name)
        if name not in other:
            differences.append(f"{member} is in the stub only")
        elif name not in own:
            differences.append(f"{member} is in the handler only")
        else:
            if not is_response:
                required, handler_required = (name in (side.schema.get("required") or []) for side in (ours, theirs))
                if required != handler_required:
                    differences.append(
                        f"{member} is {need(required)} in the stub, {need(handler_required)} in the handler"
                    )
            differences += _differences(member, ours.at(own[name]), theirs.at(other[name]), is_response, depth + 1)
    closed, handler_closed = (side.schema.get("additionalProperties") is False for side in (ours, theirs))
    if closed != handler_closed and not is_response:
        refusing, other_side = ("stub", "handler") if closed else ("handler", "stub")
        differences.append(f"{what} may have no further fields in the {refusing}, and may in the {other_side}")
    return differences


def _member(what: str, name: str) -> str:
    return f"{what} field {name!r}" if what in ("body", "response") else _within(what, f".{name}")


def _within(what: str, step: str) -> str:
    """The name of a part: `body field 'dims[]'` in `body field 'dims'`."""
    return f"{what[:-1]}{step}'" if what.endswith("'") else what + step


def _elements(ours: Schema, theirs: Schema) -> Iterator[tuple[str, Any, Any]]:
    positions, handler_positions = ours.get("prefixItems"), theirs.get("prefixItems")
    if isinstance(positions, list) and isinstance(handler_positions, list):
        for index, pair in enumerate(zip(positions, handler_positions, strict=False)):
            yield f"[{index}]", *pair
    elif not positions and not handler_positions:
        yield "[]", ours.get("items"), theirs.get("items")


def _null_differences(what: str, ours: Side, theirs: Side) -> list[str]:
    may, handler_may = _is_nullable(ours), _is_nullable(theirs)
    # What need not be there says so by its default.
    if may == handler_may or what == "body" or "parameter" in what:
        return []
    return [
        f"{what} may {'' if may else 'not '}be null in the stub, and may {'' if handler_may else 'not '}in the handler"
    ]


def _limit_differences(what: str, ours: Schema, theirs: Schema) -> list[str]:
    differences = []
    for keyword, name in _LIMITS.items():
        by_size = _SIZES.get(theirs.get("format", ""), {}).get(keyword)
        limit, handler_limit = ours.get(keyword), theirs.get(keyword, by_size)
        if limit == handler_limit or (limit is None and handler_limit == by_size):
            continue
        if {"prefixItems"} & (ours.keys() | theirs.keys()) and keyword in ("minItems", "maxItems"):
            continue
        differences.append(
            f"{what} has {_limited(name, limit)} in the stub, {_limited(name, handler_limit)} in the handler"
        )
    return differences


def _default_differences(what: str, ours: Schema, theirs: Schema) -> list[str]:
    if ours.get("default") is None or theirs.get("default") is None:
        return []
    default, handler_default = ours["default"], theirs["default"]
    if default == handler_default and isinstance(default, bool) == isinstance(handler_default, bool):
        return []
    return [f"{what} is {json.dumps(default)} by default in the stub, {json.dumps(handler_default)} in the handler"]


def _value_differences(what: str, ours: Schema, theirs: Schema) -> list[str]:
    values, handler_values = _values(ours), _values(theirs)
    if values is None or handler_values is None:
        if values is handler_values:
            return []
        told, silent = ("stub", "handler") if values is not None else ("handler", "stub")
        listed = ", ".join(sorted(values or handler_values or ()))
        return [f"{what} is one of {listed} in the {told}, any in the {silent}"]
    differences = [f"{what} may be {value} in the stub only" for value in sorted(values - handler_values)]
    return differences + [f"{what} may be {value} in the handler only" for value in sorted(handler_values - values)]


def _values(schema: Schema) -> set[str] | None:
    values = schema.get("enum", [schema["const"]] if "const" in schema else None)
    return None if values is None else {json.dumps(value) for value in values if value is not None}


def _schema(field: Any, mode: Any = "validation") -> Schema:
    try:
        return dict(fields.adapter(field).json_schema(mode=mode))
    except (PydanticInvalidForJsonSchema, PydanticSchemaGenerationError):
        return {}


def _is_nullable(side: Side) -> bool:
    schema = resolve(side.schema, side.root)
    if schema.get("type") == "null":
        return True
    return any(_is_nullable(side.at(part)) for part in schema.get("anyOf") or ())


def _limited(name: str, limit: Any) -> str:
    return f"no {name}" if limit is None else f"{name} {limit}"
