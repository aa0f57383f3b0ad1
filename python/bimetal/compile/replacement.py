"""Comparing what two versions of a native handler say about themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bimetal.compile.stub import Parameter, _compatible, _members, _named, _need, _types


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
    before = _members(old_body.get("schema") or {}, _root(old))
    after = _members(new_body.get("schema") or {}, _root(new))
    if before is None or after is None:
        return differences
    named = [{f"body field {name!r}": field for name, field in members.items()} for members in (before, after)]
    return differences + _differences(*named)


def _differences(old: dict[str, Parameter], new: dict[str, Parameter]) -> list[str]:
    differences = []
    for what in dict.fromkeys([*old, *new]):
        if what not in new or what not in old:
            differences.append(f"{what} is in the {'old' if what in old else 'new'} one only")
            continue
        (required, types), (new_required, new_types) = old[what], new[what]
        if required != new_required:
            differences.append(f"{what} is {_need(required)} in the old one, {_need(new_required)} in the new one")
        if not _compatible(types, new_types):
            differences.append(f"{what} is {_named(types)} in the old one, {_named(new_types)} in the new one")
    return differences


def _parameters(meta: Mapping[str, Any]) -> dict[str, Parameter]:
    return {
        f"{parameter['in']} parameter {parameter['name']!r}": (
            bool(parameter.get("required")),
            _types(parameter.get("schema"), _root(meta)),
        )
        for parameter in meta.get("parameters") or []
    }


def _root(meta: Mapping[str, Any]) -> dict[str, Any]:
    return {"components": {"schemas": meta.get("schemas") or {}}}
