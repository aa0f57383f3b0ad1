"""Path, query, header and cookie parameters of a compiled route."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi._compat import field_annotation_is_sequence
from fastapi.dependencies import utils
from starlette.convertors import Convertor, FloatConvertor, IntegerConvertor, PathConvertor, StringConvertor

from bimetal.compile import fields
from bimetal.compile.plan import ParamPlan, Source

#: Convertors whose text reaches the field unchanged.
_TEXT = (StringConvertor, PathConvertor)
#: Convertors that hand the field a number, with the kind of field that takes exactly this number.
_NUMBERS = ((IntegerConvertor, "int"), (FloatConvertor, "float"))


def compile_params(dependant: Any, convertors: Mapping[str, Convertor[Any]]) -> tuple[ParamPlan, ...] | None:
    """The plans of a step's parameters, in FastAPI's order; None where only FastAPI's own functions can read one."""
    plans: list[ParamPlan] = []
    for field in dependant.path_params:
        if (plan := _path_param(field, convertors)) is None:
            return None
        plans.append(plan)
    sources: tuple[Source, ...] = ("query", "header", "cookie")
    for source in sources:
        for field in getattr(dependant, f"{source}_params"):
            if (plan := _param(field, source)) is None:
                return None
            plans.append(plan)
    return tuple(plans)


def _path_param(field: Any, convertors: Mapping[str, Convertor[Any]]) -> ParamPlan | None:
    plan = _param(field, "path")
    convertor = convertors.get(plan.alias) if plan is not None else None
    if plan is None or convertor is None:
        return None
    if type(convertor) in _TEXT:
        return plan
    for convertor_type, kind in _NUMBERS:
        if type(convertor) is convertor_type and plan.kind == kind:
            return plan
    return ParamPlan(
        keyword=plan.keyword,
        alias=plan.alias,
        source="path",
        kind="validator",
        validate=_converted(convertor.convert, fields.validator(field)),
    )


def _param(field: Any, source: Source) -> ParamPlan | None:
    aliases = utils._get_param_aliases(field)
    if (
        len(aliases) != 1
        or utils._get_param_model(field) is not None
        or field_annotation_is_sequence(field.field_info.annotation)
        or fields.runs_functions(field)
        or not fields.has_own_default(field)
    ):
        return None
    kind = fields.plain_kind(field)
    default, default_factory = fields.default(field)
    return ParamPlan(
        keyword=field.name,
        alias=aliases[0][1],
        source=source,
        kind=kind or "validator",
        validate=None if kind else fields.validator(field),
        required=fields.is_required(field),
        default=default,
        default_factory=default_factory,
    )


def _converted(convert: Callable[[str], Any], validate: Callable[[Any], Any]) -> Callable[[str], Any]:
    def validate_converted(text: str) -> Any:
        return validate(convert(text))

    return validate_converted
