"""JSON Schemas of native handlers and of Pydantic in one form: to be compared, and to stand in one document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Schema = dict[str, Any]

REF_PREFIX = "#/components/schemas/"

#: What belongs to the value and not to the option of being null.
_OUTSIDE = ("title", "description", "default", "examples", "deprecated")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_PARTS = ("items", "additionalProperties", "not")
_MAPS = ("properties", "$defs", "patternProperties")


def as_pydantic(schema: Any, title: str | None = None) -> Any:
    """A handler's schema the way Pydantic writes it: `anyOf` for what may be null, titles for what has a name.

    Formats of numbers stay, which Pydantic does not know.
    """
    if not isinstance(schema, dict):
        return schema
    made = {key: _each(key, value) for key, value in schema.items()}
    kinds = made.get("type")
    if isinstance(kinds, list):
        others = [kind for kind in kinds if kind != "null"]
        inner = {key: value for key, value in made.items() if key not in _OUTSIDE and key != "type"}
        if isinstance(inner.get("enum"), list):
            inner["enum"] = [value for value in inner["enum"] if value is not None]
        parts: list[Schema] = [{"type": kind, **inner} for kind in others]
        if "null" in kinds:
            parts.append({"type": "null"})
        outside = {key: made[key] for key in _OUTSIDE if key in made}
        made = {"anyOf": parts, **outside} if len(parts) > 1 else {**parts[0], **outside}
    choices = _constants(made.get("oneOf") or made.get("anyOf"))
    if choices is not None:
        made = {key: value for key, value in made.items() if key not in ("oneOf", "anyOf")}
        made |= {"type": "string", "enum": choices}
    if "default" in made and made["default"] is None:
        del made["default"]
    if title and "$ref" not in made and "title" not in made:
        made["title"] = title
    return made


def _each(key: str, value: Any) -> Any:
    if key in _LISTS and isinstance(value, list):
        return [as_pydantic(part) for part in value]
    if key in _PARTS:
        return as_pydantic(value)
    if key in _MAPS and isinstance(value, dict):
        return {name: as_pydantic(part, title_of(name)) for name, part in value.items()}
    return value


def _constants(variants: Any) -> list[str] | None:
    """The values of an enum whose variants are listed one by one."""
    if not isinstance(variants, list) or not variants:
        return None
    found: list[str] = []
    for variant in variants:
        if not isinstance(variant, dict) or variant.get("type") != "string":
            return None
        if isinstance(variant.get("const"), str):
            found.append(variant["const"])
        elif isinstance(variant.get("enum"), list):
            found += variant["enum"]
        else:
            return None
    return found


def title_of(name: str) -> str:
    """The title Pydantic gives to a field."""
    return name.title().replace("_", " ").strip()


def resolve(schema: Any, root: Mapping[str, Any]) -> Schema:
    """The schema itself, or what its `$ref` leads to in `root`; empty when that is nowhere."""
    for _ in range(16):
        if not isinstance(schema, dict):
            return {}
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return dict(schema)
        target: Any = root
        for part in reference[2:].split("/"):
            target = target.get(part) if isinstance(target, Mapping) else None
        schema = target
    return {}


def without_null(schema: Any, root: Mapping[str, Any]) -> Schema:
    """The one schema of a value that is not null, references resolved."""
    found = resolve(schema, root)
    for _ in range(16):
        variants = found.get("anyOf") or found.get("oneOf")
        if not isinstance(variants, list):
            break
        others = [part for part in variants if part != {"type": "null"}]
        if len(others) != 1:
            break
        outside = {key: value for key, value in found.items() if key not in ("anyOf", "oneOf")}
        found = {**resolve(others[0], root), **outside}
    return found


def substance(schema: Any) -> Any:
    """What a schema says without titles, descriptions and the sizes of numbers."""
    if isinstance(schema, list):
        return [substance(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    numeric = schema.get("type") in ("integer", "number")
    made: Schema = {}
    for key, value in schema.items():
        if key in ("title", "description") and isinstance(value, str):
            continue
        if key == "format" and numeric:
            continue
        if key in _MAPS and isinstance(value, dict):
            made[key] = {name: substance(part) for name, part in value.items()}
        else:
            made[key] = sorted(value) if key == "required" and isinstance(value, list) else substance(value)
    return made


def references(value: Any) -> Iterator[str]:
    """The names of the components a piece of a document refers to, directly."""
    if isinstance(value, dict):
        for key, part in value.items():
            if key == "$ref" and isinstance(part, str):
                if part.startswith(REF_PREFIX):
                    yield part[len(REF_PREFIX) :]
            else:
                yield from references(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from references(part)


def renamed(value: Any, names: Mapping[str, str]) -> Any:
    """A copy with the components it refers to called otherwise."""
    if isinstance(value, dict):
        made = {}
        for key, part in value.items():
            if key == "$ref" and isinstance(part, str) and part.startswith(REF_PREFIX):
                name = part[len(REF_PREFIX) :]
                made[key] = REF_PREFIX + names.get(name, name)
            else:
                made[key] = renamed(part, names)
        return made
    if isinstance(value, list):
        return [renamed(part, names) for part in value]
    return value
