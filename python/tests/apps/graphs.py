"""Graphs of dependencies: what runs, how often, in which order, with which values; overridden while the application runs."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

from fastapi import (
    APIRouter,
    Body,
    Cookie,
    Depends,
    FastAPI,
    Form,
    Header,
    HTTPException,
    Path,
    Query,
    Request,
    Security,
)
from fastapi.security import HTTPBearer, OAuth2PasswordBearer, SecurityScopes
from journal import Known, note
from pydantic import BaseModel, Field

counter = iter(range(10**9))


async def of_application() -> None:
    note("of the application")


app = FastAPI(dependencies=[Depends(of_application)])


@app.exception_handler(Known)
async def known_handler(request: Request, error: Known):
    note("handler", error)
    raise HTTPException(418, "never converted") if str(error) == "raise" else error


# Every kind of callable.


def sync_function(q: int = 1) -> str:
    note("sync function")
    return f"sync function {q}"


async def async_function(q: int = 2) -> str:
    note("async function")
    return f"async function {q}"


class Plain:
    def __init__(self, q: int = 3) -> None:
        note("class")
        self.q = q

    def method(self, q: int = 4) -> str:
        note("method", self.q)
        return f"method {q}"

    async def async_method(self, q: int = 5) -> str:
        note("async method", self.q)
        return f"async method {q}"

    @classmethod
    def class_method(cls, q: int = 6) -> str:
        note("class method")
        return f"class method {q}"

    @staticmethod
    async def static_method(q: int = 7) -> str:
        note("static method")
        return f"static method {q}"


class SyncCall:
    def __call__(self, q: int = 8) -> str:
        note("sync call")
        return f"sync call {q}"


class AsyncCall:
    async def __call__(self, q: int = 9) -> str:
        note("async call")
        return f"async call {q}"


class SyncGeneratorCall:
    def __call__(self, q: int = 10) -> Iterator[str]:
        note("sync generator call")
        yield f"sync generator call {q}"
        note("sync generator call exit")


class AsyncGeneratorCall:
    async def __call__(self, q: int = 11) -> AsyncIterator[str]:
        note("async generator call")
        yield f"async generator call {q}"
        note("async generator call exit")


def returns_awaitable(q: int = 12) -> Any:
    """A plain function whose result happens to be a coroutine: nobody awaits it."""
    coroutine = async_function(q)
    coroutine.close()
    note("returns awaitable")
    return type(coroutine).__name__


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        note("wrapped", sorted(kwargs))
        return function(*args, **kwargs)

    return wrapper


class Settings(BaseModel):
    q: int = Field(13, le=100)
    name: str = "settings"


plain = Plain(0)
KINDS: dict[str, Callable[..., Any]] = {
    "sync-function": sync_function,
    "async-function": async_function,
    "class": Plain,
    "method": plain.method,
    "async-method": plain.async_method,
    "class-method": Plain.class_method,
    "static-method": Plain.static_method,
    "sync-call": SyncCall(),
    "async-call": AsyncCall(),
    "sync-generator-call": SyncGeneratorCall(),
    "async-generator-call": AsyncGeneratorCall(),
    "partial": functools.partial(sync_function, q=20),
    "async-partial": functools.partial(async_function),
    "partial-generator": functools.partial(AsyncGeneratorCall().__call__),
    "lambda": lambda q=14: f"lambda {q}",
    "returns-awaitable": returns_awaitable,
    "wrapped": wrapped(sync_function),
    "wrapped-async": wrapped(async_function),
    "model": Settings,
}


def register_kind(name: str, call: Callable[..., Any]) -> None:
    @app.get(f"/kind/sync/{name}", response_model=None)
    def sync_route(value: Any = Depends(call)):
        return value.q if isinstance(value, Plain) else value

    @app.get(f"/kind/async/{name}", response_model=None)
    async def async_route(value: Any = Depends(call)):
        return value.q if isinstance(value, Plain) else value


for name, call in KINDS.items():
    register_kind(name, call)

# The cache of a request.


def once() -> int:
    note("once")
    return next(counter)


async def each_time() -> int:
    note("each time")
    return next(counter)


def left(value: int = Depends(once), other: int = Depends(each_time, use_cache=False)) -> list[int]:
    note("left")
    return [value, other]


async def right(value: int = Depends(once), other: int = Depends(each_time, use_cache=False)) -> list[int]:
    note("right")
    return [value, other]


def held() -> Iterator[int]:
    note("held enter")
    yield next(counter)
    note("held exit")


def relative(*values: int) -> list[int]:
    """The order in which the values were made, without how many requests came before."""
    return [sorted(set(values)).index(value) for value in values]


@app.get("/cache/diamond", dependencies=[Depends(right), Depends(once)])
def diamond(
    a=Depends(left),
    b=Depends(right),
    c=Depends(once),
    d=Depends(once, use_cache=False),
    e=Depends(left, use_cache=False),
):
    return relative(*a, *b, c, d, *e)


@app.get("/cache/generators")
async def cached_generators(
    a=Depends(held),
    b=Depends(held),
    c=Depends(held, use_cache=False),
    d=Depends(held, scope="function"),
    e=Depends(held, scope="request"),
    f=Depends(held, scope="function"),
):
    note("handler")
    return relative(a, b, c, d, e, f)


def falsy() -> None:
    note("falsy")


@app.get("/cache/falsy")
def cached_none(a=Depends(falsy), b=Depends(falsy)):
    return [a, b]


@app.get("/cache/first-uncached")
def first_uncached(a=Depends(once, use_cache=False), b=Depends(once), c=Depends(once)):
    return relative(a, b, c)


# Security schemes with scopes.

oauth = OAuth2PasswordBearer(tokenUrl="token", scopes={"a": "A", "b": "B"}, auto_error=False)
bearer = HTTPBearer()


async def user(scopes: SecurityScopes, token: Annotated[str | None, Depends(oauth)]) -> list[Any]:
    note("user for", scopes.scope_str)
    if token == "none":
        raise HTTPException(
            401, f"needs {scopes.scope_str}", {"WWW-Authenticate": f'Bearer scope="{scopes.scope_str}"'}
        )
    return [token, scopes.scopes, scopes.scope_str]


def active(found: Annotated[list[Any], Security(user, scopes=["a"])]) -> list[Any]:
    note("active")
    return found


async def unscoped() -> str:
    note("unscoped")
    return "unscoped"


@app.get("/scopes", dependencies=[Security(user, scopes=["route"])])
async def scoped(
    one: Annotated[list[Any], Security(active, scopes=["b"])],
    two: Annotated[list[Any], Security(active, scopes=["b"])],
    three: Annotated[list[Any], Security(user, scopes=["b", "a"])],
    four: Annotated[list[Any], Security(user)],
    five: Annotated[list[Any], Depends(user)],
    six: Annotated[str, Security(unscoped, scopes=["c"])],
    seven: Annotated[str, Security(unscoped)],
):
    return [one, two, three, four, five, six, seven]


@app.get("/bearer")
def with_bearer(credentials: Annotated[Any, Security(bearer)]):
    return [credentials.scheme, credentials.credentials]


# Places: path decorator, routers in routers, include_router, application.


def at(place: str) -> Any:
    async def dependency(request: Request) -> AsyncIterator[None]:
        note("enter", place, request.path_params)
        yield
        note("exit", place)

    return Depends(dependency)


inner = APIRouter(prefix="/inner", dependencies=[at("inner router")])
outer = APIRouter(prefix="/outer", dependencies=[at("outer router")])


@inner.get("/{item}", dependencies=[at("decorator"), at("second of the decorator")])
def in_all_places(item: int, parameter: Annotated[None, at("parameter")]):
    note("handler", item)
    return item


outer.include_router(inner, dependencies=[at("include in outer")])
app.include_router(outer, prefix="/places", dependencies=[at("include in the application")])
app.include_router(inner, prefix="/again", dependencies=[at("other include")])

# Validation errors: whose, in which order, and who runs nevertheless.


class Item(BaseModel):
    size: int
    name: str


def needs_query(a: Annotated[int, Query(gt=0)]) -> int:
    note("needs query", a)
    return a


async def needs_header(b: Annotated[int, Header(alias="X-B")], over: Annotated[int, Depends(needs_query)]) -> int:
    note("needs header", b)
    return b


def needs_cookie(c: Annotated[int, Cookie()]) -> Iterator[int]:
    note("needs cookie", c)
    yield c
    note("exit", c)


async def needs_nothing() -> AsyncIterator[None]:
    note("needs nothing")
    try:
        yield
    finally:
        note("exit of nothing")


async def needs_body(item: Item) -> str:
    note("needs body", item)
    return item.name


@app.post("/errors/{p}")
def errors(
    p: int,
    d: Annotated[int, Query()],
    before: Annotated[None, Depends(needs_nothing)],
    header: Annotated[int, Depends(needs_header)],
    query: Annotated[int, Depends(needs_query)],
    cookie: Annotated[int, Depends(needs_cookie)],
    body: Annotated[str, Depends(needs_body)],
    more: Annotated[Item, Body()],
    again: Annotated[int, Path(alias="p", gt=5)],
    after: Annotated[None, Depends(needs_nothing, use_cache=False)],
):
    note("handler")
    return [p, d, header, query, cookie, body, more, again]


def raises_first(q: int) -> None:
    note("raises", q)
    raise HTTPException(409, "before the others are read")


@app.get("/errors/raises")
def raising_before_invalid(first: Annotated[None, Depends(raises_first)], second: Annotated[int, Depends(needs_query)]):
    return "never"


@app.get("/errors/invalid-before-raises")
def invalid_before_raising(second: Annotated[int, Depends(needs_query)], first: Annotated[None, Depends(raises_first)]):
    return "never"


def form_of(name: Annotated[str, Form()], size: Annotated[int, Form()] = 1) -> list[Any]:
    note("form", name, size)
    return [name, size]


@app.post("/form")
async def with_form(parts: Annotated[list[Any], Depends(form_of)], extra: Annotated[str, Form()] = "none"):
    return [parts, extra]


# Overrides, changed through the application itself.


def original(q: str = "q") -> str:
    note("original", q)
    return f"original {q}"


def below(value: Annotated[str, Depends(original)], held_value: Annotated[int, Depends(held)]) -> str:
    note("below")
    return f"below {value}"


@app.get("/overridden/sync")
def overridden_sync(value: Annotated[str, Depends(below)]):
    return value


@app.get("/overridden/async", dependencies=[Depends(original)])
async def overridden_async(value: Annotated[str, Depends(below)], same: Annotated[str, Depends(original)]):
    return [value, same]


@app.get("/overridden/scopes")
async def overridden_scopes(value: Annotated[Any, Security(user, scopes=["z"])]):
    return value


@app.get("/overridden/plain")
def not_overridden(q: int = 0):
    return q


async def replacement(size: int, x_word: Annotated[str, Header()] = "word") -> AsyncIterator[str]:
    note("replacement enter")
    yield f"replacement {size} {x_word}"
    note("replacement exit")


async def replaced_user(scopes: SecurityScopes) -> list[str]:
    note("replaced user", scopes.scope_str)
    return scopes.scopes


def replaced_by_override(other: Annotated[str, Depends(sync_function)]) -> str:
    note("an override with a dependency")
    return f"over {other}"


def refusing() -> str:
    raise HTTPException(403, "overridden")


OVERRIDES: dict[str, dict[Any, Any]] = {
    "nothing": {},
    "generator": {original: replacement},
    "nested": {original: replaced_by_override, sync_function: lambda: "override of an override's dependency"},
    "refuses": {original: refusing},
    "parent": {below: lambda: "instead of below"},
    "held": {held: lambda: 7},
    "user": {user: replaced_user},
    "itself": {original: original},
    "application": {of_application: lambda: note("instead of the application's")},
}


@app.post("/override/{name}")
async def override(name: str):
    """Takes effect with the next request."""
    app.dependency_overrides.clear()
    app.dependency_overrides |= OVERRIDES[name]
    return sorted(key.__name__ for key in app.dependency_overrides)


@app.post("/override-as-new/{name}")
def override_as_new(name: str):
    app.dependency_overrides = dict(OVERRIDES[name])
    return len(app.dependency_overrides)
