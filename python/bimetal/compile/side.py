"""One of two schemas that are compared: a stub's and its handler's, or those of two versions of a handler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bimetal.compile.schema import resolve, without_null

_JSON_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", list: "array", dict: "object"}


@dataclass(frozen=True)
class Side:
    """A schema and where its references lead."""

    schema: Any
    root: Mapping[str, Any]

    def at(self, schema: Any) -> Side:
        """A part of the schema, or another one in the same document."""
        return Side(schema, self.root)

    def plain(self) -> Side:
        """The schema of a value that is not null."""
        return self.at(without_null(self.schema, self.root))


def types_of(side: Side) -> frozenset[str]:
    """The JSON types a schema admits, without null; empty when it does not say."""
    schema = resolve(side.schema, side.root)
    declared = schema.get("type")
    if declared is not None:
        names = [declared] if isinstance(declared, str) else declared
        return frozenset(name for name in names if name != "null")
    values = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if values is not None:
        return frozenset(_JSON_TYPES[type(value)] for value in values if type(value) in _JSON_TYPES)
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            parts = [types_of(side.at(part)) for part in schema[key] if part != {"type": "null"}]
            return frozenset().union(*parts) if all(parts) else frozenset()
    return frozenset()


def need(required: bool) -> str:
    """How a difference says whether something has to be there."""
    return "required" if required else "optional"


def named(types: frozenset[str]) -> str:
    """How a difference names JSON types."""
    return " or ".join(sorted(types))
