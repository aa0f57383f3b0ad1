"""The JSON body of a step, where it is one value."""

from __future__ import annotations

from typing import Any

from bimetal.compile import fields
from bimetal.compile.plan import BodyPlan


def whole_body(body_params: list[Any], embedded: bool) -> BodyPlan | None:
    """The plan of the one body parameter that is the whole JSON document.

    None for all else, which FastAPI's own functions read: no parameter, several, members of the document, forms.
    """
    if embedded or len(body_params) != 1:
        return None
    (field,) = body_params
    if fields.is_form(field) or not fields.has_own_default(field):
        return None
    default, default_factory = fields.default(field)
    return BodyPlan(
        keyword=field.name,
        validate=fields.validator(field),
        required=fields.is_required(field),
        default=default,
        default_factory=default_factory,
    )
