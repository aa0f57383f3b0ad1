"""Comparing a native route's typed stub with what its handler says about itself.

The handler's metadata is JSON: `{"parameters": [{"name", "in", "required", "schema"}], "request_body": {"required",
"content_type", "schema"} or null, "schemas": {name: schema}}` and more, with JSON Schema in `schema`; references into
`schemas` have the form `#/components/schemas/name`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi.dependencies.models import Dependant
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError

from bimetal.compile import fields

_PLACES = ("path", "query", "header", "cookie")
Parameter = tuple[bool, frozenset[str]]


def check_stub(effective: Any, meta: Mapping[str, Any]) -> list[str]:
    """Each way in which the route's stub contradicts the handler, as text; a stub without parameters promises nothing.

    The route's path is compared for every stub: a handler cannot read a path parameter the route does not have.
    """
    root = {"components": {"schemas": meta.get("schemas") or {}}}
    handler = {
        (parameter["in"], parameter["name"]): (bool(parameter.get("required")), _types(parameter.get("schema"), root))
        for parameter in meta.get("parameters") or []
    }
    differences = [
        f"the handler reads path parameter {name!r}, which is not in the path"
        for place, name in handler
        if place == "path" and name not in effective.param_convertors
    ]
    dependant: Dependant = effective.dependant
    stub = _stub_parameters(dependant)
    if not stub and not dependant.body_params:
        return differences
    differences += _parameter_differences(stub, handler)
    differences += _body_differences(dependant, meta.get("request_body"), root)
    return differences


def _stub_parameters(dependant: Dependant) -> dict[tuple[str, str], Parameter]:
    found = {}
    for place in _PLACES:
        for field in getattr(dependant, f"{place}_params"):
            name = field.alias if place != "header" else field.alias.lower()
            found[place, name] = (fields.is_required(field), _types(_schema(field)))
    return found


def _parameter_differences(
    stub: dict[tuple[str, str], Parameter], handler: dict[tuple[str, str], Parameter]
) -> list[str]:
    differences = []
    for (place, name), (required, types) in stub.items():
        what = f"{place} parameter {name!r}"
        if (place, name) not in handler:
            differences.append(f"{what} is in the stub only")
            continue
        handler_required, handler_types = handler[place, name]
        if required != handler_required:
            differences.append(f"{what} is {_need(required)} in the stub, {_need(handler_required)} in the handler")
        if not _compatible(types, handler_types):
            differences.append(f"{what} is {_named(types)} in the stub, {_named(handler_types)} in the handler")
    for place, name in handler:
        if (place, name) not in stub and place != "path":
            differences.append(f"{place} parameter {name!r} is in the handler only")
        elif (place, name) not in stub:
            differences.append(f"path parameter {name!r} is missing in the stub's signature")
    return differences


def _body_differences(dependant: Dependant, body: Any, root: dict[str, Any]) -> list[str]:
    if bool(dependant.body_params) != bool(body):
        return [
            "the stub takes a request body, the handler none"
            if not body
            else "the handler takes a request body, the stub none"
        ]
    if not body or len(dependant.body_params) != 1:
        return []
    own_schema = _schema(dependant.body_params[0])
    ours, theirs = _members(own_schema, own_schema), _members(body.get("schema") or {}, root)
    if ours is None or theirs is None:
        return []
    differences = []
    for name in ours.keys() | theirs.keys():
        what = f"body field {name!r}"
        if name not in theirs:
            differences.append(f"{what} is in the stub only")
        elif name not in ours:
            differences.append(f"{what} is in the handler only")
        else:
            (required, types), (handler_required, handler_types) = ours[name], theirs[name]
            if required != handler_required:
                differences.append(f"{what} is {_need(required)} in the stub, {_need(handler_required)} in the handler")
            if not _compatible(types, handler_types):
                differences.append(f"{what} is {_named(types)} in the stub, {_named(handler_types)} in the handler")
    return sorted(differences)


def _schema(field: Any) -> dict[str, Any]:
    try:
        return dict(fields.adapter(field).json_schema())
    except (PydanticInvalidForJsonSchema, PydanticSchemaGenerationError):
        return {}


def _members(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Parameter] | None:
    """The fields of an object schema; None for anything else."""
    resolved = _resolve(schema, root)
    if not isinstance(resolved.get("properties"), dict):
        return None
    required = resolved.get("required") or []
    return {name: (name in required, _types(part, root)) for name, part in resolved["properties"].items()}


def _types(schema: Any, root: dict[str, Any] | None = None) -> frozenset[str]:
    """The JSON types a schema admits, without null; empty when it does not say."""
    if not isinstance(schema, dict):
        return frozenset()
    root = schema if root is None else root
    schema = _resolve(schema, root)
    declared = schema.get("type")
    if declared is not None:
        names = [declared] if isinstance(declared, str) else declared
        return frozenset(name for name in names if name != "null")
    values = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if values is not None:
        return frozenset(_JSON_TYPES[type(value)] for value in values if type(value) in _JSON_TYPES)
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            parts = [_types(part, root) for part in schema[key] if part != {"type": "null"}]
            return frozenset().union(*parts) if all(parts) else frozenset()
    return frozenset()


def _resolve(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    for _ in range(16):
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return schema
        target: Any = root
        for part in reference[2:].split("/"):
            target = target.get(part) if isinstance(target, dict) else None
        if not isinstance(target, dict):
            return {}
        schema = target
    return {}


_JSON_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", list: "array", dict: "object"}


def _compatible(ours: frozenset[str], theirs: frozenset[str]) -> bool:
    return not ours or not theirs or ours == theirs


def _need(required: bool) -> str:
    return "required" if required else "optional"


def _named(types: frozenset[str]) -> str:
    return " or ".join(sorted(types))
