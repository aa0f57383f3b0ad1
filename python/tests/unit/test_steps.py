"""The dependencies of a handler as a list of steps: their order, what they take from each other, how each is run."""

import functools
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Body, Depends, FastAPI, Form, Header, Path, Query, Request, Response, Security
from fastapi.background import BackgroundTasks
from fastapi.requests import HTTPConnection
from fastapi.security import HTTPBasic, OAuth2PasswordBearer, SecurityScopes
from pydantic import AfterValidator, BaseModel

from bimetal.compile import StepPlan, compile_app
from bimetal.compile.steps import compile_steps, is_form, is_plain, step_kind


def steps_of(handler: Any, path: str = "/", overrides: Any = None, **options: Any) -> tuple[StepPlan, ...]:
    app = FastAPI(openapi_url=None)
    app.post(path, **options)(handler)
    (route,) = app.routes
    return compile_steps(route.dependant, route.param_convertors, route._embed_body_fields, overrides)


def named(steps: tuple[StepPlan, ...]) -> list[str]:
    return [getattr(step.call, "__name__", type(step.call).__name__) for step in steps]


class Item(BaseModel):
    name: str


def first(q: int = 1): ...
def second(q: int = 1): ...
def on_first(a: Annotated[int, Depends(first)]): ...
def on_both(a: Annotated[int, Depends(on_first)], b: Annotated[int, Depends(second)]): ...
def opened():
    yield 1


async def connected():
    yield 1


async def waiting(): ...


# --- order, and what is taken


def test_the_handler_alone_is_the_last_step():
    def handler(): ...

    (step,) = steps_of(handler)
    assert (step.call, step.kind, step.takes, step.params) == (handler, "function", (), ())


def test_what_a_dependency_needs_comes_before_it():
    def handler(x: Annotated[int, Depends(on_both)], y: Annotated[int, Depends(first)]): ...

    steps = steps_of(handler)
    assert named(steps) == ["first", "on_first", "second", "on_both", "first", "handler"]
    assert [step.takes for step in steps] == [
        (),
        (("a", 0),),
        (),
        (("a", 1), ("b", 2)),
        (),
        (("x", 3), ("y", 4)),
    ]


def test_dependencies_of_application_router_and_route_come_first_and_are_only_called():
    def handler(x: Annotated[int, Depends(on_first)]): ...

    app = FastAPI(openapi_url=None, dependencies=[Depends(waiting)])
    router = APIRouter(dependencies=[Depends(opened)])
    router.get("/x", dependencies=[Depends(second)])(handler)
    app.include_router(router, dependencies=[Depends(connected)])
    (plan,) = compile_app(app)
    assert named(plan.steps) == ["waiting", "connected", "opened", "second", "first", "on_first", "handler"]
    assert plan.steps[-1].takes == ((None, 0), (None, 1), (None, 2), (None, 3), ("x", 5))


# --- the cache


def test_the_same_dependency_has_the_same_slot():
    def handler(
        a: Annotated[int, Depends(first)],
        b: Annotated[int, Depends(second)],
        c: Annotated[int, Depends(first)],
        d: Annotated[int, Depends(first, use_cache=False)],
    ): ...

    a, b, c, d, last = steps_of(handler)
    assert a.slot == c.slot == d.slot
    assert len({a.slot, b.slot, last.slot}) == 3
    assert [step.use_cache for step in (a, b, c, d)] == [True, True, True, False]


def test_scopes_of_security_separate_slots():
    def user(scopes: SecurityScopes): ...
    def handler(
        a: Annotated[int, Security(user, scopes=["read"])],
        b: Annotated[int, Security(user, scopes=["write"])],
        c: Annotated[int, Security(user, scopes=["read"])],
        d: Annotated[int, Security(first, scopes=["read"])],
        e: Annotated[int, Security(first, scopes=["read"])],
    ): ...

    a, b, c, d, e, _ = steps_of(handler)
    assert a.slot == c.slot != b.slot
    assert d.slot == e.slot
    assert [step.scopes for step in (a, b, c)] == [("read",), ("write",), ("read",)]
    assert a.security_scopes == "scopes"


def test_scopes_add_up_from_the_outside():
    oauth2 = OAuth2PasswordBearer("token")

    def user(scopes: SecurityScopes, token: Annotated[str, Depends(oauth2)]): ...
    def active(user: Annotated[str, Security(user, scopes=["me"])]): ...
    def handler(user: Annotated[str, Security(active, scopes=["items"])]): ...

    steps = steps_of(handler)
    assert named(steps) == ["OAuth2PasswordBearer", "user", "active", "handler"]
    assert steps[1].scopes == ("items", "me")


def test_generators_of_different_scope_do_not_share_a_slot():
    def handler(
        a: Annotated[int, Depends(opened)],
        b: Annotated[int, Depends(opened, scope="function")],
        c: Annotated[int, Depends(opened, scope="request")],
    ): ...

    a, b, c, _ = steps_of(handler)
    assert a.slot == c.slot != b.slot
    assert [step.ends_early for step in (a, b, c)] == [False, True, False]


# --- kinds


class Called:
    def __call__(self): ...


class Awaited:
    async def __call__(self): ...


class Entered:
    async def __call__(self):
        yield 1


class OwnScheme(HTTPBasic):
    async def __call__(self, request: Request):
        return await super().__call__(request)


def wrapped(function: Any) -> Any:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return call


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (first, "function"),
        (Item, "function"),
        (Called(), "function"),
        (functools.partial(first, 2), "function"),
        (lambda: 1, "function"),
        (waiting, "coroutine"),
        (Awaited(), "coroutine"),
        (functools.partial(waiting), "coroutine"),
        (wrapped(waiting), "coroutine"),
        (opened, "generator"),
        (wrapped(opened), "generator"),
        (connected, "async generator"),
        (Entered(), "async generator"),
        (HTTPBasic(), "immediate"),
        (OAuth2PasswordBearer("token"), "immediate"),
        (OwnScheme(), "coroutine"),
    ],
)
def test_kinds(call, kind):
    assert step_kind(call) == kind


# --- parameters and injected objects


def test_injected_objects():
    def handler(r: Request, c: HTTPConnection, answer: Response, tasks: BackgroundTasks, s: SecurityScopes): ...

    (step,) = steps_of(handler)
    assert set(step.request) == {"r", "c"}
    assert (step.response, step.background, step.security_scopes) == ("answer", "tasks", "s")
    assert not step.reads_head
    assert not step.reads_body


def test_parameters_that_rust_can_read_stay_with_their_step():
    def needs(h: Annotated[str, Header()], n: Annotated[int, Path()]): ...
    def handler(n: int, x: Annotated[str, Depends(needs)], q: float = 1.5): ...

    needed, last = steps_of(handler, "/{n}")
    assert [(p.keyword, p.source, p.kind) for p in needed.params] == [("n", "path", "int"), ("h", "header", "str")]
    assert [(p.keyword, p.source, p.default) for p in last.params] == [("n", "path", None), ("q", "query", 1.5)]


def many(q: Annotated[list[int], Query()]): ...
def model(q: Annotated[Item, Query()]): ...
def validated_default(q: Annotated[int, Query(validate_default=True)] = 3): ...
def made_of_others(q: Annotated[int, Query(default_factory=lambda data: len(data))]): ...
def validated_by_function(q: Annotated[int, AfterValidator(abs)]): ...
def not_in_path(q: Annotated[int, Path()]): ...


@pytest.mark.parametrize(
    "dependency", [many, model, validated_default, made_of_others, validated_by_function, not_in_path]
)
def test_parameters_that_only_fastapi_reads(dependency):
    def handler(x: Annotated[int, Depends(dependency)], q: int = 1): ...

    doubtful, last = steps_of(handler)
    assert doubtful.params is None
    assert doubtful.reads_head
    assert len(last.params) == 1


def test_bodies():
    def whole(item: Item): ...
    def optional(item: Item | None = None): ...
    def several(item: Item, n: Annotated[int, Body()]): ...
    def embedded(item: Annotated[Item, Body(embed=True)]): ...
    def form(name: Annotated[str, Form()]): ...

    plans = {}
    for handler in (whole, optional, several, embedded, form):
        (plans[handler.__name__],) = steps_of(handler)
    assert all(step.reads_body for step in plans.values())
    assert {name for name, step in plans.items() if step.body is not None} == {"whole", "optional"}
    assert plans["whole"].body.required
    assert not plans["optional"].body.required
    assert plans["whole"].body.validate({"name": "n"}) == Item(name="n")
    assert {name for name, step in plans.items() if is_form(step)} == {"form"}


def test_a_body_of_a_dependency_embeds_that_of_the_handler():
    """FastAPI makes all of them members of one document, once there are two."""

    def needs(item: Item): ...
    def handler(x: Annotated[int, Depends(needs)], other: Item): ...

    needed, last = steps_of(handler)
    assert (needed.body, last.body) == (None, None)


def test_the_same_body_in_two_places_is_one():
    def needs(item: Item): ...
    def handler(x: Annotated[int, Depends(needs)], item: Item): ...

    needed, last = steps_of(handler)
    assert (needed.body.keyword, last.body.keyword) == ("item", "item")


@pytest.mark.parametrize(
    ("handler", "plain"),
    [
        (first, True),
        (lambda item: item, True),
        (on_first, False),
        (many, False),
        (lambda: 1, True),
    ],
)
def test_what_is_a_bare_call(handler, plain):
    assert is_plain(steps_of(handler)) is plain


# --- overrides


def test_an_override_takes_the_place_of_a_dependency_with_dependencies_of_its_own():
    def stand_in(c: Annotated[int, Depends(waiting)], h: Annotated[str, Header()]): ...
    def handler(x: Annotated[int, Depends(on_both)]): ...

    steps = steps_of(handler, overrides={on_first: stand_in})
    assert named(steps) == ["waiting", "stand_in", "second", "on_both", "handler"]
    assert [step.takes for step in steps] == [(), (("c", 0),), (), (("a", 1), ("b", 2)), (("x", 3),)]
    assert all(step.params is None for step in steps)
    assert steps[1].dependant.header_params[0].name == "h"


def test_an_override_keeps_the_slot_of_what_it_replaces():
    def stand_in(): ...
    def handler(
        a: Annotated[int, Depends(first)],
        b: Annotated[int, Depends(first)],
        c: Annotated[int, Depends(first, use_cache=False)],
        d: Annotated[int, Depends(stand_in)],
    ): ...

    a, b, c, d, _ = steps_of(handler, overrides={first: stand_in})
    assert a.call is b.call is c.call is d.call is stand_in
    assert a.slot == b.slot == c.slot != d.slot
    assert not c.use_cache


def test_an_override_can_be_of_another_kind():
    def handler(a: Annotated[int, Depends(first)]): ...

    for stand_in, kind in ((waiting, "coroutine"), (opened, "generator"), (connected, "async generator")):
        (step, _) = steps_of(handler, overrides={first: stand_in})
        assert step.kind == kind


def test_an_override_of_the_handler_itself_is_none():
    def handler(): ...

    (step,) = steps_of(handler, overrides={handler: waiting})
    assert step.call is handler
