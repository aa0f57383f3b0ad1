"""The dependencies of a handler, and the handler, as a list of steps in the order in which FastAPI calls them.

FastAPI solves dependencies depth first: those of a dependency before itself. Where the same dependency stands in
several places it is a step in each: whether the later ones take the first one's result is decided when a request runs,
because they do not if the first one failed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi.dependencies import models, utils
from fastapi.security.base import SecurityBase

from bimetal.compile import fields
from bimetal.compile.body import whole_body
from bimetal.compile.params import compile_params
from bimetal.compile.plan import ParamPlan, StepKind, StepPlan

Overrides = Mapping[Callable[..., Any], Callable[..., Any]]


def compile_steps(
    dependant: models.Dependant,
    convertors: Mapping[str, Any],
    embed: bool,
    overrides: Overrides | None = None,
) -> tuple[StepPlan, ...]:
    """The steps of a handler, itself the last.

    Args:
        dependant: FastAPI's description of the handler.
        convertors: Those of the route's path parameters.
        embed: Whether body parameters are members of the body rather than the whole.
        overrides: What takes the place of dependencies, as in `app.dependency_overrides`; such steps leave the
            reading of parameters to FastAPI's functions.
    """
    return tuple(_Flattened(convertors, embed, overrides or {}).of(dependant))


class _Flattened:
    def __init__(self, convertors: Mapping[str, Any], embed: bool, overrides: Overrides) -> None:
        self.convertors = convertors
        self.embed = embed
        self.overrides = overrides
        self.steps: list[StepPlan] = []
        self.slots: dict[Any, int] = {}

    def of(self, dependant: models.Dependant) -> list[StepPlan]:
        self.add(dependant, dependant)
        return self.steps

    def add(self, original: models.Dependant, dependant: models.Dependant) -> int:
        """Add the steps of `dependant`, which stands in for `original`; the number of the last."""
        takes = []
        for dependency in dependant.dependencies:
            number = self.add(dependency, self.overridden(dependency))
            takes.append((dependency.name, number))
        slot = self.slots.setdefault(models._get_cache_key(dependant=original), len(self.slots))
        self.steps.append(self.step(original, dependant, tuple(takes), slot))
        return len(self.steps) - 1

    def overridden(self, dependency: models.Dependant) -> models.Dependant:
        if not self.overrides:
            return dependency
        assert dependency.call is not None
        assert dependency.path is not None
        options: dict[str, Any] = {"concurrency": dependency.concurrency} if hasattr(dependency, "concurrency") else {}
        # FastAPI reads every dependency anew once there are overrides, the replaced and the others.
        return utils.get_dependant(
            path=dependency.path,
            call=self.overrides.get(dependency.call, dependency.call),
            name=dependency.name,
            parent_oauth_scopes=models._get_oauth_scopes(dependant=dependency),
            scope=dependency.scope,
            **options,
        )

    def step(
        self,
        original: models.Dependant,
        dependant: models.Dependant,
        takes: tuple[tuple[str | None, int], ...],
        slot: int,
    ) -> StepPlan:
        assert dependant.call is not None
        head = (dependant.path_params, dependant.query_params, dependant.header_params, dependant.cookie_params)
        request = (dependant.http_connection_param_name, dependant.request_param_name)
        return StepPlan(
            call=dependant.call,
            kind=step_kind(dependant.call),
            dependant=dependant,
            takes=takes,
            slot=slot,
            use_cache=original.use_cache,
            params=self.params(dependant),
            reads_head=any(head),
            reads_body=bool(dependant.body_params),
            body=whole_body(dependant.body_params, self.embed),
            request=tuple(name for name in request if name is not None),
            response=dependant.response_param_name,
            background=dependant.background_tasks_param_name,
            security_scopes=dependant.security_scopes_param_name,
            scopes=tuple(models._get_oauth_scopes(dependant=dependant)),
            ends_early=original.scope == "function",
        )

    def params(self, dependant: models.Dependant) -> tuple[ParamPlan, ...] | None:
        return None if self.overrides else compile_params(dependant, self.convertors)


def step_kind(call: Callable[..., Any]) -> StepKind:
    """How FastAPI runs a dependency."""
    if models._is_async_gen_callable(call):
        return "async generator"
    if models._is_gen_callable(call):
        return "generator"
    if models._is_coroutine_callable(call):
        return "immediate" if _never_waits(call) else "coroutine"
    return "function"


def _never_waits(call: Any) -> bool:
    """Whether it is one of FastAPI's security schemes, which are `async def` and wait for nothing."""
    if not isinstance(call, SecurityBase):
        return False
    method = type(call).__call__
    return bool(getattr(method, "__module__", "").startswith("fastapi.security."))


def is_plain(steps: tuple[StepPlan, ...]) -> bool:
    """Whether all there is to do is to call the handler with its parameters and, at most, a whole JSON body."""
    (*dependencies, handler) = steps
    return (
        not dependencies
        and handler.params is not None
        and not (handler.request or handler.response or handler.background or handler.security_scopes)
        and (not handler.reads_body or (handler.body is not None and not is_form(handler)))
    )


def is_form(step: StepPlan) -> bool:
    """Whether the step's body parameters are form fields or files."""
    return any(fields.is_form(field) for field in step.dependant.body_params)
