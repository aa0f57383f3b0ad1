"""Dependencies of every kind; `/events` shows in which order they ran."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, Header, HTTPException, Request, Response, Security
from fastapi.security import APIKeyHeader, HTTPBasic, HTTPBasicCredentials, OAuth2PasswordBearer, SecurityScopes

events: list[str] = []


async def on_every_route(request: Request) -> None:
    if request.url.path != "/events":
        events.append("app dependency")


app = FastAPI(dependencies=[Depends(on_every_route)])


@app.get("/events")
async def read_events(until: str) -> list[str]:
    """What happened since the last time, once `until` has: what follows a response may end after it has arrived."""
    while until not in events:
        await asyncio.sleep(0.001)
    seen = events.copy()
    events.clear()
    return seen


def page(q: str | None = None, skip: int = 0, limit: int = 100):
    return {"q": q, "skip": skip, "limit": limit}


async def async_page(skip: int = 0):
    return skip * 2


class Pager:
    def __init__(self, size: int = 10) -> None:
        self.size = size


class Callable_:
    def __init__(self, word: str) -> None:
        self.word = word

    def __call__(self, q: str = "") -> bool:
        return self.word in q


contains_bar = Callable_("bar")


@app.get("/sync")
def with_sync(commons: Annotated[dict, Depends(page)]):
    return commons


@app.get("/async")
async def with_async(double: Annotated[int, Depends(async_page)], pager: Annotated[Pager, Depends()]):
    return [double, pager.size]


@app.get("/callable")
async def with_callable(found: Annotated[bool, Depends(contains_bar)]):
    return found


def sync_resource() -> Iterator[str]:
    events.append("sync enter")
    try:
        yield "sync"
    except ValueError as error:
        events.append(f"sync saw {error}")
        raise HTTPException(409, "turned by the dependency") from error
    finally:
        events.append("sync exit")


async def async_resource(inner: Annotated[str, Depends(sync_resource)]) -> AsyncIterator[str]:
    events.append("async enter")
    try:
        yield f"async({inner})"
    finally:
        events.append("async exit")


async def function_scoped() -> AsyncIterator[str]:
    events.append("function enter")
    yield "function"
    events.append("function exit")


@app.get("/yield")
async def with_yield(
    resource: Annotated[str, Depends(async_resource)],
    scoped: Annotated[str, Depends(function_scoped, scope="function")],
    background: BackgroundTasks,
    fail: bool = False,
):
    events.append(f"handler {resource} {scoped}")
    background.add_task(events.append, "background")
    if fail:
        raise ValueError("broken")
    return resource


@app.get("/yield/sync")
def with_yield_sync(resource: Annotated[str, Depends(async_resource)]):
    events.append("sync handler")
    return resource


def counted(request: Request) -> int:
    request.state.count = getattr(request.state, "count", 0) + 1
    return request.state.count


def uses_counted(count: Annotated[int, Depends(counted)]) -> int:
    return count


@app.get("/cached")
def cached(
    first: Annotated[int, Depends(counted)],
    second: Annotated[int, Depends(uses_counted)],
    third: Annotated[int, Depends(counted, use_cache=False)],
):
    return [first, second, third]


def sets_header(response: Response) -> None:
    response.headers["X-From-Dependency"] = "yes"
    response.status_code = 202


@app.get("/response", dependencies=[Depends(sets_header)])
async def with_response():
    return "ok"


def check_token(x_token: Annotated[str, Header()]) -> None:
    if x_token != "secret":
        raise HTTPException(status_code=403, detail="no", headers={"X-Why": "token"})


router = APIRouter(prefix="/guarded", dependencies=[Depends(check_token)])


@router.get("/item")
def guarded():
    return "in"


app.include_router(router)

oauth = OAuth2PasswordBearer(tokenUrl="token", scopes={"read": "Read", "write": "Write"})
basic = HTTPBasic()
api_key = APIKeyHeader(name="X-Key")


async def user(scopes: SecurityScopes, token: Annotated[str, Depends(oauth)]) -> str:
    if token not in ("read", "write"):
        raise HTTPException(401, "bad token", headers={"WWW-Authenticate": f'Bearer scope="{scopes.scope_str}"'})
    return f"{token} for {scopes.scopes}"


@app.get("/oauth")
async def with_oauth(who: Annotated[str, Security(user, scopes=["read"])]):
    return who


@app.get("/basic")
def with_basic(who: Annotated[HTTPBasicCredentials, Depends(basic)]):
    return who.username


@app.get("/key")
def with_key(key: Annotated[str, Depends(api_key)]):
    return key


def replaced() -> str:
    return "original"


@app.get("/overridden")
def overridden(value: Annotated[str, Depends(replaced)]):
    return value


app.dependency_overrides[replaced] = lambda: "override"
