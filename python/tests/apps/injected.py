"""What FastAPI hands to handlers and dependencies: Request, HTTPConnection, Response, BackgroundTasks."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

from fastapi import (
    APIRouter,
    BackgroundTasks,
    Body,
    Depends,
    FastAPI,
    File,
    Form,
    HTTPException,
    Request,
    Response,
    UploadFile,
)
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, StreamingResponse
from journal import Known, note
from pydantic import BaseModel
from starlette.background import BackgroundTask
from starlette.background import BackgroundTasks as StarletteTasks
from starlette.requests import ClientDisconnect, HTTPConnection

app = FastAPI()


@app.exception_handler(Known)
async def known(request: Request, error: Known):
    note("handler finds", getattr(request.state, "mark", None), request.path_params, request.scope["path"])
    return JSONResponse({"known": str(error), "body": (await request.body()).decode()}, 418)


def both(path: str, function: Callable[..., Any], methods: tuple[str, ...] = ("GET",), **options: Any) -> None:
    """The same body as a `def` and as an `async def` route; FastAPI reads the parameters of `function`."""

    def sync_route(**values: Any) -> Any:
        return function(**values)

    async def async_route(**values: Any) -> Any:
        return function(**values)

    for kind, route in (("sync", sync_route), ("async", async_route)):
        route.__signature__ = inspect.signature(function, eval_str=True)  # type: ignore[attr-defined]
        app.api_route(f"/{kind}{path}", methods=list(methods), name=f"{kind}_{function.__name__}", **options)(route)


# Response: headers, cookies and the status of a dependency and of the handler.


def dependency_response(response: Response, code: int = 0, cookie: bool = False) -> None:
    response.headers["X-Dependency"] = "sync"
    response.headers.append("Vary", "X-One")
    if code:
        response.status_code = code
    if cookie:
        response.set_cookie("from", "dependency", max_age=5, httponly=True)


async def later_response(response: Response) -> AsyncIterator[None]:
    response.headers["X-Late"] = str(response.headers.get("x-dependency"))
    response.headers.append("Vary", "X-Two")
    yield
    response.headers["X-Too-Late"] = "yes"
    note("status at exit", response.status_code)


class Model(BaseModel):
    a: int = 1


RETURNS: dict[str, Callable[[], Any]] = {
    "json": lambda: {"a": 1},
    "none": lambda: None,
    "response": lambda: Response(b"raw", 206, {"X-Own": "1", "Vary": "X-Own"}),
    "json-response": lambda: JSONResponse({"own": True}, headers={"X-Dependency": "own"}),
    "html": lambda: HTMLResponse("<p>"),
    "redirect": lambda: RedirectResponse("/elsewhere?x=ü"),
    "stream": lambda: StreamingResponse(iter([b"a", b"b"]), 203, {"X-Own": "stream"}),
    "own-background": lambda: PlainTextResponse("own", background=BackgroundTask(note, "own background")),
    "empty": lambda: Response(status_code=204),
}


def responding(
    response: Response,
    background: BackgroundTasks,
    returns: str = "json",
    code: int = 0,
    header: bool = False,
    fail: str = "",
):
    if header:
        response.headers["X-Handler"] = "1"
        response.headers["X-Dependency"] = "replaced"
        response.headers["Content-Type"] = "application/problem+json"
        response.set_cookie("kept", "handler", path="/x", secure=True, samesite="strict")
    if code:
        response.status_code = code
    background.add_task(note, "background")
    if fail == "http":
        raise HTTPException(409, "no", {"X-Error": "1"})
    if fail == "known":
        raise Known("no")
    return RETURNS[returns]()


layers = [Depends(dependency_response), Depends(later_response)]
both("/response", responding)
both("/response/layers", responding, dependencies=layers)
both("/response/created", responding, dependencies=layers, status_code=201)
both("/response/no-content", responding, dependencies=layers, status_code=204)
both("/response/model", responding, dependencies=layers, response_model=Model | None)
both("/response/text", responding, dependencies=layers, response_class=PlainTextResponse)

# Background tasks: of dependencies, of the handler, of a returned response.


def early_tasks(background: BackgroundTasks) -> BackgroundTasks:
    background.add_task(note, "task of the first dependency")
    return background


async def late_tasks(background: BackgroundTasks) -> AsyncIterator[None]:
    background.add_task(async_task, "task of the second dependency")
    yield
    background.add_task(note, "never run")
    note("exit")


def starlette_tasks(tasks: StarletteTasks) -> StarletteTasks:
    return tasks


async def async_task(word: str, *, again: bool = False) -> None:
    note(word, again)


def tasks(
    background: BackgroundTasks,
    first: Annotated[BackgroundTasks, Depends(early_tasks)],
    second: Annotated[None, Depends(late_tasks)],
    plain: Annotated[StarletteTasks, Depends(starlette_tasks)],
    returns: str = "json",
    nested: bool = False,
):
    note(
        "the same tasks:",
        background is first is plain,
        type(background).__name__,
        type(plain).__name__,
        len(background.tasks),
    )
    background.add_task(note, "task of the handler")
    plain.add_task(note, "task of the handler as well")
    background.add_task(async_task, "keywords", again=True)
    if nested:
        background.add_task(lambda: background.add_task(note, "task of a task"))
    return RETURNS[returns]()


def only_dependencies(
    first: Annotated[BackgroundTasks, Depends(early_tasks)],
    second: Annotated[None, Depends(late_tasks)],
    returns: str = "json",
):
    return RETURNS[returns]()


both("/tasks", tasks)
both("/tasks/dependencies", only_dependencies)


def lazy_tasks(returns: str = "json"):
    response = RETURNS[returns]() if returns != "json" else JSONResponse({})
    several = StarletteTasks()
    several.add_task(note, "one")
    several.add_task(async_task, "two")
    response.background = several
    return response


both("/tasks/response", lazy_tasks)

# Request and HTTPConnection.


def scope_facts(connection: HTTPConnection) -> dict[str, Any]:
    scope = connection.scope
    keep = ["type", "http_version", "method", "scheme", "path", "root_path", "query_string", "path_params", "asgi"]
    facts: dict[str, Any] = {key: repr(scope[key]) for key in keep}
    facts["raw_path"] = repr(scope["raw_path"])
    facts["headers"] = sorted(map(repr, scope["headers"]))
    facts["client"] = [type(scope["client"]).__name__, scope["client"][0], type(scope["client"][1]).__name__]
    facts["server"] = [scope["server"][0], type(scope["server"][1]).__name__]
    # Routes and stacks are FastAPI's own; what a server adds of its own is under these.
    facts["keys"] = sorted(key for key in scope if key not in ("extensions", "state"))
    facts["route"] = [
        scope["route"].path,
        scope["endpoint"].__name__,
        scope["app"] is app,
        type(scope["router"]).__name__,
    ]
    return facts


def request_facts(request: Request) -> dict[str, Any]:
    return {
        "method": request.method,
        "url": [str(request.url), request.url.path, request.url.query, request.url.hostname, request.url.port],
        "base_url": str(request.base_url),
        "headers": {key: request.headers.getlist(key) for key in sorted(request.headers) if key != "x-skip"},
        "query": request.query_params.multi_items(),
        "cookies": request.cookies,
        "path_params": request.path_params,
        "client": request.client.host if request.client else None,
        "state": request.state._state,
        "url_for": [
            str(request.url_for("sync_facts", item="a b")),
            str(request.app.url_path_for("async_facts", item="ü")),
        ],
        "keys": len(list(request)) == len(request.scope),
    }


def facts(request: Request, connection: HTTPConnection, item: str):
    same = request.scope is connection.scope
    return {"request": request_facts(request), "scope": scope_facts(connection), "same scope": same}


def dependency_facts(request: Request, connection: HTTPConnection) -> dict[str, Any]:
    request.state.mark = "dependency"
    return scope_facts(connection) | request_facts(request)


def through_dependency(request: Request, found: Annotated[dict[str, Any], Depends(dependency_facts)]):
    return found | {"mark": request.state.mark, "hash": hash(request) == hash(request)}


both("/facts/{item}", facts, ("GET", "POST", "HEAD"))
both("/facts/of/dependency", through_dependency)
router = APIRouter(prefix="/routed/{outer}")


@router.get("/{inner:path}")
async def routed(request: Request):
    return [request.path_params, request.scope["route"].path, str(request.url)]


app.include_router(router)
mounted = FastAPI()


@mounted.get("/facts/{item}")
async def mounted_facts(request: Request):
    return [
        request.path_params,
        request.scope["root_path"],
        str(request.url),
        str(request.base_url),
        request.scope["path"],
    ]


app.mount("/mounted", mounted)


@app.get("/disconnected")
async def disconnected(request: Request):
    return await request.is_disconnected()


# The body: read by whom, how often, in which way.


async def reads_body(request: Request) -> bytes:
    body = await request.body()
    note("dependency read", len(body), type(request.scope["path"]).__name__)
    return body


async def reads_stream(request: Request) -> int:
    sizes = [len(piece) async for piece in request.stream()]
    note("dependency streamed", sum(sizes), "ends with empty:", sizes[-1:] == [0])
    return sum(sizes)


async def reads_form(request: Request) -> list[Any]:
    form = await request.form()
    return [(key, value if isinstance(value, str) else value.filename) for key, value in form.multi_items()]


@app.post("/body/handler")
async def body_in_handler(request: Request):
    first, second = await request.body(), await request.body()
    return [first == second, first.decode("latin-1"), request.headers.get("content-length")]


@app.post("/body/stream")
async def stream_in_handler(request: Request):
    pieces = [piece async for piece in request.stream()]
    try:
        await request.body()
    except RuntimeError as error:
        return [b"".join(pieces).decode("latin-1"), pieces[-1] == b"", str(error)]


@app.post("/body/json")
async def json_in_handler(request: Request):
    return [await request.json(), (await request.body()).decode()]


@app.post("/body/form")
async def form_in_handler(request: Request):
    async with request.form() as form:
        return [
            (key, value if isinstance(value, str) else (value.filename, await value.read()))
            for key, value in form.multi_items()
        ]


@app.post("/body/parsed")
async def body_after_parsing(request: Request, item: Annotated[dict[str, Any], Body()]):
    return [item, (await request.body()).decode(), await request.json()]


@app.post("/body/parsed/stream")
async def stream_after_parsing(request: Request, item: Annotated[dict[str, Any], Body()]):
    return [item, [piece.decode() async for piece in request.stream()]]


@app.post("/body/dependency")
async def body_in_dependency(item: Annotated[dict[str, Any], Body()], body: Annotated[bytes, Depends(reads_body)]):
    return [item, body.decode()]


@app.post("/body/dependency/sync")
def body_in_dependency_of_sync(item: Annotated[dict[str, Any], Body()], body: Annotated[bytes, Depends(reads_body)]):
    return [item, body.decode()]


@app.post("/body/dependency/only")
def body_in_dependency_only(request: Request, body: Annotated[bytes, Depends(reads_body)]):
    return [body.decode("latin-1"), request.method]


@app.post("/body/dependency/stream")
async def stream_in_dependency(request: Request, size: Annotated[int, Depends(reads_stream)]):
    try:
        return [size, await request.body()]
    except RuntimeError as error:
        return [size, str(error)]


@app.post("/body/form/parsed")
async def form_after_parsing(
    request: Request, a: Annotated[str, Form()], again: Annotated[list[Any], Depends(reads_form)]
):
    try:
        body = (await request.body()).decode()
    except RuntimeError as error:
        body = str(error)
    return [a, again, body]


def holds_file(upload: UploadFile) -> Iterator[UploadFile]:
    yield upload
    note("file closed at exit:", upload.file.closed)


@app.post("/body/file")
async def file_in_handler(
    background: BackgroundTasks,
    upload: Annotated[UploadFile, File()],
    held: Annotated[UploadFile, Depends(holds_file)],
):
    background.add_task(lambda: note("file closed in background:", upload.file.closed))
    return [upload.filename, upload.size, (await upload.read()).decode(), held.file is upload.file]


@app.post("/body/unread")
async def unread(request: Request):
    return "unread"


@app.post("/body/failing")
async def failing(request: Request, item: Annotated[dict[str, Any], Body()]):
    request.state.mark = "handler"
    raise Known("after the body")


@app.post("/body/disconnect")
async def disconnect(request: Request):
    try:
        return len(await request.body())
    except ClientDisconnect:
        note("disconnected")
        raise
