"""Path, query, header and cookie parameters of a compiled route."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi._compat import field_annotation_is_sequence
from fastapi.dependencies import utils
from starlette.convertors import (
    Convertor,
    FloatConvertor,
    IntegerConvertor,
    PathConvertor,
    StringConvertor,
    UUIDConvertor,
)

from bimetal.compile import fields
from bimetal.compile.plan import ParamPlan, Source
from bimetal.compile.reason import NotCompiled

#: Convertors whose text reaches the field unchanged.
_TEXT = (StringConvertor, PathConvertor)
#: Convertors that hand the field a number, with the kind of field that takes exactly this number.
_NUMBERS = ((IntegerConvertor, "int"), (FloatConvertor, "float"))
_KNOWN = (StringConvertor, PathConvertor, IntegerConvertor, FloatConvertor, UUIDConvertor)


def compile_params(dependant: Any, convertors: dict[str, Convertor[Any]]) -> tuple[ParamPlan, ...]:
    """The plans of a handler's parameters, in FastAPI's order. Raises NotCompiled for one only FastAPI can read."""
    return (
        *(_path_param(field, convertors) for field in dependant.path_params),
        *(_param(field, "query") for field in dependant.query_params),
        *(_param(field, "header") for field in dependant.header_params),
        *(_param(field, "cookie") for field in dependant.cookie_params),
    )


def known_convertor(convertor: Convertor[Any]) -> bool:
    """Whether the convertor is one of Starlette's own, which the Rust router knows too."""
    return type(convertor) in _KNOWN


def _path_param(field: Any, convertors: dict[str, Convertor[Any]]) -> ParamPlan:
    plan = _param(field, "path")
    convertor = convertors.get(plan.alias)
    if convertor is None:
        raise NotCompiled(f"path parameter {field.name!r} is not in the path")
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


def _param(field: Any, source: Source) -> ParamPlan:
    what = f"{source} parameter {field.name!r}"
    if utils._get_param_model(field) is not None:
        raise NotCompiled(f"{what} is a parameter model")
    if field_annotation_is_sequence(field.field_info.annotation):
        raise NotCompiled(f"{what} is a list")
    if fields.runs_functions(field):
        raise NotCompiled(f"{what} is validated by a function")
    if reason := fields.default_obstacle(field):
        raise NotCompiled(f"{what} {reason}")
    kind = fields.plain_kind(field)
    default, default_factory = fields.default(field)
    return ParamPlan(
        keyword=field.name,
        alias=_request_name(field, what),
        source=source,
        kind=kind or "validator",
        validate=None if kind else fields.validator(field),
        required=fields.is_required(field),
        default=default,
        default_factory=default_factory,
    )


def _request_name(field: Any, what: str) -> str:
    names = utils._get_param_aliases(field)
    if len(names) != 1:
        raise NotCompiled(f"{what} has several aliases")
    return names[0][1]


def _converted(convert: Callable[[str], Any], validate: Callable[[Any], Any]) -> Callable[[str], Any]:
    def validate_converted(text: str) -> Any:
        return validate(convert(text))

    return validate_converted
