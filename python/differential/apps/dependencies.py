"""Dependencies of every kind, and the order in which they run."""

from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Body, Cookie, Depends, FastAPI, Header, HTTPException, Path, Query, Request, Response

from differential.apps.twins import seen, twins


def trail(request: Request) -> list[str]:
    """What has run so far for this request."""
    steps: list[str] = request.scope.setdefault("trail", [])
    return steps


Trail = Annotated[list[str], Depends(trail)]


def plain(steps: Trail, q: int = 0, x_token: Annotated[str, Header()] = "none"):
    steps.append("plain")
    return [q, x_token]


async def asynchronous(steps: Trail, session: Annotated[str, Cookie()] = "none"):
    steps.append("asynchronous")
    return session


def yielding(steps: Trail, limit: Annotated[int, Query(le=50)] = 10) -> Iterator[int]:
    steps.append("yielding")
    yield limit
    steps.append("yielded")


async def yielding_async(steps: Trail, inner: Annotated[int, Depends(yielding)]) -> AsyncIterator[int]:
    steps.append("yielding_async")
    try:
        yield inner + 1
    except KeyError as error:
        raise HTTPException(418, f"caught {error}") from None
    finally:
        steps.append("yielded_async")


#: The document names these, so that requests have them.
Kind = Annotated[str, Path(json_schema_extra={"enum": ["key", "value", "http", "none"]})]


class Pages:
    def __init__(self, steps: Trail, skip: int = 0, limit: int = 100, q: str | None = None) -> None:
        steps.append("Pages")
        self.skip, self.limit, self.q = skip, limit, q


class Checker:
    def __init__(self, content: str) -> None:
        self.content = content

    def __call__(self, q: str = "") -> bool:
        return self.content in q

    async def method(self, q: str = "") -> str:
        return f"{self.content}: {q}"


def counted(steps: Trail) -> int:
    steps.append("counted")
    return steps.count("counted")


def refusing(x_key: Annotated[str | None, Header(json_schema_extra={"enum": ["open", "shut"]})] = None) -> str:
    if x_key != "open":
        raise HTTPException(401, "no key", {"WWW-Authenticate": "Key", "X-Seen": repr(x_key)})
    return x_key


def setting(
    response: Response, q: Annotated[str, Query(json_schema_extra={"enum": ["none", "created"]})] = "none"
) -> None:
    response.headers["X-Dependency"] = "yes"
    response.set_cookie("dependency", "1")
    if q == "created":
        response.status_code = 201


def body_dependency(value: Annotated[dict[str, Any], Body()]) -> list[str]:
    return list(value)


app = FastAPI(dependencies=[Depends(counted)])
both = twins(app)


@both("GET", "/plain")
def with_plain(steps: Trail, value: Annotated[Any, Depends(plain)]):
    return {"value": value, "trail": steps}


@both("GET", "/asynchronous")
def with_asynchronous(
    steps: Trail, value: Annotated[str, Depends(asynchronous)], other: Annotated[Any, Depends(plain)]
):
    return {"value": value, "other": other, "trail": steps}


@both("GET", "/yielding/{kind}")
def with_yield(kind: Kind, steps: Trail, value: Annotated[int, Depends(yielding_async)]):
    if kind == "key":
        raise KeyError("of the handler")
    if kind == "value":
        raise ValueError("of the handler")
    if kind == "http":
        raise HTTPException(409, {"trail": steps})
    return {"value": value, "trail": steps}


@both("GET", "/class")
def with_class(pages: Annotated[Pages, Depends()], steps: Trail):
    return {**seen(skip=pages.skip, limit=pages.limit, q=pages.q), "trail": steps}


@both("GET", "/callable")
def with_callable(found: Annotated[bool, Depends(Checker("bar"))], text: Annotated[str, Depends(Checker("x").method)]):
    return seen(found=found, text=text)


@both("GET", "/cached")
def cached(
    first: Annotated[int, Depends(counted)],
    second: Annotated[int, Depends(counted)],
    third: Annotated[int, Depends(counted, use_cache=False)],
    steps: Trail,
):
    return [first, second, third, steps]


@both("GET", "/refusing", dependencies=[Depends(refusing)])
def refused(q: int = 0):
    return {"q": q}


@both("GET", "/setting", dependencies=[Depends(setting)])
def with_response(steps: Trail):
    return {"trail": steps}


@both("GET", "/setting/response", dependencies=[Depends(setting)])
def with_response_object():
    return Response("own", headers={"X-Own": "1"})


@both("POST", "/body")
def with_body(keys: Annotated[list[str], Depends(body_dependency)], q: str = ""):
    return {"keys": keys, "q": q}


@both("POST", "/body/both")
def with_two_bodies(keys: Annotated[list[str], Depends(body_dependency)], other: Annotated[int, Body()]):
    return {"keys": keys, "other": other}


@both("GET", "/same-name")
def same_name(q: Annotated[str, Query()], other: Annotated[Any, Depends(plain)]):
    return {"q": q, "other": other}


router = APIRouter(prefix="/router", dependencies=[Depends(refusing)])


@twins(router)("GET", "/{n}")
def in_router(n: int, steps: Trail):
    return {"n": n, "trail": steps}


app.include_router(router, dependencies=[Depends(setting)])
