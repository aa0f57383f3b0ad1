"""Comparing what two versions of a native handler say about themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bimetal.compile.side import Side, named, need, types_of

#: Whether it has to be there, and its JSON types; none where the schema does not say.
_Value = tuple[bool, frozenset[str]]


def check_replacement(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Each difference between the parameters and bodies that two versions of a handler take, as text.

    What they answer with may differ. The metadata is that of `bimetal.compile.stub`.
    """
    differences = _differences(_parameters(old), _parameters(new))
    old_body, new_body = old.get("request_body") or None, new.get("request_body") or None
    if bool(old_body) != bool(new_body):
        return [*differences, f"only the {'old' if old_body else 'new'} one takes a request body"]
    if old_body is None or new_body is None:
        return differences
    before, after = (
        _members(Side(body.get("schema"), _root(meta))) for body, meta in ((old_body, old), (new_body, new))
    )
    if before is None or after is None:
        return differences
    members = [{f"body field {name!r}": field for name, field in side.items()} for side in (before, after)]
    return differences + _differences(*members)


def _differences(old: dict[str, _Value], new: dict[str, _Value]) -> list[str]:
    differences = []
    for what in dict.fromkeys([*old, *new]):
        if what not in new or what not in old:
            differences.append(f"{what} is in the {'old' if what in old else 'new'} one only")
            continue
        (required, types), (new_required, new_types) = old[what], new[what]
        if required != new_required:
            differences.append(f"{what} is {need(required)} in the old one, {need(new_required)} in the new one")
        if types and new_types and types != new_types:
            differences.append(f"{what} is {named(types)} in the old one, {named(new_types)} in the new one")
    return differences


def _parameters(meta: Mapping[str, Any]) -> dict[str, _Value]:
    return {
        f"{parameter['in']} parameter {parameter['name']!r}": (
            bool(parameter.get("required")),
            types_of(Side(parameter.get("schema"), _root(meta))),
        )
        for parameter in meta.get("parameters") or []
    }


def _members(side: Side) -> dict[str, _Value] | None:
    """The fields of an object; None for anything else."""
    model = side.plain()
    members = model.schema.get("properties")
    if not isinstance(members, dict):
        return None
    required = model.schema.get("required") or []
    return {name: (name in required, types_of(model.at(part))) for name, part in members.items()}


def _root(meta: Mapping[str, Any]) -> dict[str, Any]:
    return {"components": {"schemas": meta.get("schemas") or {}}}
