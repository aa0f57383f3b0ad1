"""The JSON body of a compiled route."""

from __future__ import annotations

from typing import Any

from fastapi import params

from bimetal.compile import fields
from bimetal.compile.plan import BodyPlan
from bimetal.compile.reason import NotCompiled


def compile_body(body_params: list[Any], embedded: bool) -> BodyPlan | None:
    """The plan of a handler's body parameter; None without one. Raises NotCompiled for a body only FastAPI can read."""
    if not body_params:
        return None
    for field in body_params:
        if isinstance(field.field_info, params.File):
            raise NotCompiled(f"{field.name!r} is an uploaded file")
        if isinstance(field.field_info, params.Form):
            raise NotCompiled(f"{field.name!r} is a form field")
    if len(body_params) > 1:
        names = ", ".join(repr(field.name) for field in body_params)
        raise NotCompiled(f"several body parameters: {names}")
    (field,) = body_params
    if embedded:
        raise NotCompiled(f"body parameter {field.name!r} is embedded")
    if reason := fields.default_obstacle(field):
        raise NotCompiled(f"body parameter {field.name!r} {reason}")
    default, default_factory = fields.default(field)
    return BodyPlan(
        keyword=field.name,
        validate=fields.validator(field),
        required=fields.is_required(field),
        default=default,
        default_factory=default_factory,
    )
