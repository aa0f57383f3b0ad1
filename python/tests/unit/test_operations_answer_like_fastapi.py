"""Dependencies, forms, injected objects, response classes and streams answer as FastAPI does, in the same order of events."""

import contextvars
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Body,
    Cookie,
    Depends,
    FastAPI,
    File,
    Form,
    Header,
    HTTPException,
    Query,
    Request,
    Response,
    Security,
    UploadFile,
)
from fastapi.requests import HTTPConnection
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, StreamingResponse
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader, HTTPBasic, HTTPBasicCredentials, OAuth2PasswordBearer, SecurityScopes
from pydantic import BaseModel
from starlette.testclient import TestClient

from bimetal.compile import compile_app
from unit.plan_runner import PlanRunner, Way


class Item(BaseModel):
    name: str
    tags: list[str] = []


class Filters(BaseModel):
    limit: int = 10
    names: list[str] = []


class Teapot(Exception):
    pass


class Yelling(JSONResponse):
    def render(self, content: Any) -> bytes:
        return super().render(content).upper()


class Renamed(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Any]:
        handler = super().get_route_handler()

        async def renamed(request: Request) -> Response:
            response = await handler(request)
            response.headers["x-route"] = request.scope["route"].path
            return response

        return renamed


class Paging:
    def __init__(self, page: int = 1, size: Annotated[int, Query(le=50)] = 10) -> None:
        self.page, self.size = page, size


def make_app(events: list[Any]) -> FastAPI:
    app = FastAPI()
    variable = contextvars.ContextVar("variable", default="unset")

    @app.exception_handler(Teapot)
    def teapot(request: Request, error: Teapot) -> PlainTextResponse:
        events.append("teapot")
        return PlainTextResponse(f"{request.url.path} {request.path_params}", status_code=418)

    # --- dependencies

    def plain(q: int = 0) -> int:
        events.append(f"plain {q}")
        return q

    async def waiting(a: Annotated[int, Depends(plain)], x: Annotated[str | None, Header()] = None) -> str:
        events.append("waiting")
        return f"{a} {x}"

    def opened(a: Annotated[int, Depends(plain)]) -> Any:
        events.append("open")
        try:
            yield a + 1
        except Exception as error:
            events.append(f"opened saw {type(error).__name__}")
            raise
        finally:
            events.append("close")

    async def connected() -> Any:
        events.append("connect")
        yield "connection"
        events.append("disconnect")

    def refusing(token: Annotated[str | None, Cookie()] = None) -> None:
        if token != "right":
            raise HTTPException(401, "no token", headers={"x-why": "token"})

    def sets(value: str = "set") -> str:
        variable.set(value)
        return value

    async def sets_on_loop(value: str = "set") -> str:
        variable.set(value)
        return value

    @app.get("/depends")
    def depends(a: Annotated[int, Depends(plain)], b: Annotated[str, Depends(waiting)]):
        events.append("handler")
        return [a, b]

    @app.get("/uncached")
    async def uncached(
        a: Annotated[int, Depends(plain)],
        b: Annotated[int, Depends(plain, use_cache=False)],
        paging: Annotated[Paging, Depends()],
    ):
        return [a, b, paging.page, paging.size]

    @app.get("/opened")
    def uses_opened(a: Annotated[int, Depends(opened)], c: Annotated[str, Depends(connected)], fail: bool = False):
        events.append("handler")
        if fail:
            raise Teapot
        return [a, c]

    @app.get("/early")
    async def early(a: Annotated[int, Depends(opened, scope="function")], tasks: BackgroundTasks):
        tasks.add_task(events.append, "task")
        return a

    @app.get("/swallowed")
    def swallowed(a: Annotated[int, Depends(opened)]):
        raise HTTPException(409, "conflict")

    @app.get("/guarded", dependencies=[Depends(refusing), Depends(connected)])
    async def guarded() -> str:
        return "in"

    @app.get("/variables")
    def variables(a: Annotated[str, Depends(sets)], value: str = "x"):
        return [a, variable.get()]

    @app.get("/variables/loop")
    async def variables_on_loop(a: Annotated[str, Depends(sets_on_loop)], value: str = "x"):
        return [a, variable.get()]

    # --- parameters only FastAPI's functions read

    @app.get("/lists")
    def lists(names: Annotated[list[str], Query()] = [], ids: Annotated[list[int] | None, Header()] = None):  # noqa: B006
        return [names, ids]

    @app.get("/model")
    async def model(filters: Annotated[Filters, Query()]):
        return filters

    # --- bodies

    @app.post("/two")
    def two(a: Item, b: Annotated[int, Body()], q: int = 1):
        return [a, b, q]

    @app.post("/embedded")
    async def embedded(item: Annotated[Item, Body(embed=True)]) -> Item:
        return item

    @app.post("/form")
    def form(name: Annotated[str, Form()], sizes: Annotated[list[int], Form()] = []):  # noqa: B006
        return {"name": name, "sizes": sizes}

    @app.post("/form/model")
    async def form_model(filters: Annotated[Filters, Form()]):
        return filters

    @app.post("/file")
    async def file(note: Annotated[str, Form()], file: UploadFile, more: Annotated[bytes, File()] = b""):
        return [note, file.filename, file.content_type, (await file.read()).decode(), len(more)]

    @app.post("/raw")
    async def raw(request: Request):
        return [chunk.decode() async for chunk in request.stream()]

    # --- injected objects

    @app.api_route("/injected/{n}", methods=["GET", "HEAD"])
    def injected(n: int, request: Request, connection: HTTPConnection, response: Response, tasks: BackgroundTasks):
        tasks.add_task(events.append, f"task {n}")
        response.headers["x-n"] = str(n)
        response.set_cookie("n", str(n))
        response.status_code = 202
        return [str(request.url), request.scope["route"].path, connection.path_params, request.method]

    async def tags(response: Response, tasks: BackgroundTasks) -> None:
        response.headers.append("x-tag", "dependency")
        tasks.add_task(events.append, "task of dependency")

    @app.get("/tagged", dependencies=[Depends(tags)])
    async def tagged(response: Response):
        response.headers.append("x-tag", "handler")
        return "tagged"

    @app.get("/tagged/returned", dependencies=[Depends(tags)])
    def tagged_returned():
        return PlainTextResponse("own")

    # --- security

    key, basic = APIKeyHeader(name="x-key"), HTTPBasic(auto_error=False)
    oauth2 = OAuth2PasswordBearer("token", scopes={"read": "r", "write": "w"})

    async def user(scopes: SecurityScopes, token: Annotated[str, Depends(oauth2)]) -> str:
        events.append(f"user {scopes.scope_str}")
        return f"{token} {scopes.scopes}"

    @app.get("/scheme")
    async def scheme(x: Annotated[str, Security(key)]):
        return x

    @app.get("/basic")
    def basic_auth(found: Annotated[HTTPBasicCredentials | None, Depends(basic)]):
        return found

    @app.get("/scopes", dependencies=[Security(user, scopes=["write"])])
    def scoped(me: Annotated[str, Security(user, scopes=["read"])], again: Annotated[str, Depends(user)]):
        return [me, again]

    # --- responses

    @app.get("/html", response_class=HTMLResponse)
    def html():
        return "<p>hi</p>"

    @app.get("/yelling", response_class=Yelling)
    async def yelling() -> Item:
        return Item(name="n")

    @app.get("/redirect", response_class=RedirectResponse)
    def redirect():
        return "/elsewhere"

    @app.delete("/gone", status_code=204)
    def gone() -> None:
        events.append("gone")

    @app.get("/streamed")
    def streamed():
        yield {"n": 1}
        yield {"n": 2}

    @app.get("/streaming-response")
    def streaming_response(c: Annotated[str, Depends(connected)]):
        def chunks():
            events.append("chunks")
            yield c

        return StreamingResponse(chunks(), media_type="text/plain")

    @app.get("/wrong", dependencies=[Depends(opened)])
    def wrong() -> Item:
        return {"no": "name"}

    @app.get("/boom")
    async def boom(c: Annotated[str, Depends(connected)]):
        raise RuntimeError("boom")

    def forgets() -> Any:
        try:
            yield
        except RuntimeError:
            events.append("forgotten")

    @app.get("/forgets")
    def forgotten(c: Annotated[None, Depends(forgets)]):
        raise RuntimeError("boom")

    # --- where routes stand

    router = APIRouter(prefix="/in/{r}", dependencies=[Depends(plain)], route_class=Renamed)

    @router.get("/{n}")
    def included(r: str, n: int):
        return [r, n]

    app.include_router(router, prefix="/api", dependencies=[Depends(refusing)])
    return app


JSON = {"content-type": "application/json"}
URLENCODED = {"content-type": "application/x-www-form-urlencoded"}
MULTIPART = {"content-type": "multipart/form-data; boundary=b"}
FILE = (
    b'--b\r\ncontent-disposition: form-data; name="note"\r\n\r\nhello\r\n'
    b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.txt"\r\ncontent-type: text/x\r\n\r\ncontent\r\n--b--\r\n'
)
TOKEN = {"cookie": "token=right"}
REQUESTS: list[tuple[str, str, dict[str, str], bytes | None]] = [
    ("GET", "/depends?q=3", {"x": "head"}, None),
    ("GET", "/depends", {}, None),
    ("GET", "/depends?q=x", {}, None),
    ("GET", "/depends?q=007", {}, None),
    ("GET", "/uncached?q=4&page=2", {}, None),
    ("GET", "/uncached?q=x&size=99", {}, None),
    ("GET", "/opened?q=1", {}, None),
    ("GET", "/opened?q=x", {}, None),
    ("GET", "/opened?fail=true", {}, None),
    ("GET", "/opened?fail=maybe", {}, None),
    ("GET", "/early?q=1", {}, None),
    ("GET", "/swallowed", {}, None),
    ("GET", "/guarded", {}, None),
    ("GET", "/guarded", TOKEN, None),
    ("GET", "/variables?value=y", {}, None),
    ("GET", "/variables/loop?value=y", {}, None),
    ("GET", "/lists?names=a&names=b", {"ids": "1"}, None),
    ("GET", "/lists", {"ids": "x"}, None),
    ("GET", "/lists", {}, None),
    ("GET", "/model?limit=5&names=a&names=b", {}, None),
    ("GET", "/model?limit=x", {}, None),
    ("POST", "/two?q=2", JSON, b'{"a":{"name":"n"},"b":3}'),
    ("POST", "/two", JSON, b'{"a":{"name":1},"c":3}'),
    ("POST", "/two", JSON, b"{"),
    ("POST", "/two", JSON, b""),
    ("POST", "/embedded", JSON, b'{"item":{"name":"n"}}'),
    ("POST", "/embedded", JSON, b'{"name":"n"}'),
    ("POST", "/form", URLENCODED, b"name=n&sizes=1&sizes=2"),
    ("POST", "/form", URLENCODED, b"sizes=x"),
    ("POST", "/form", JSON, b'{"name":"n"}'),
    ("POST", "/form", {}, b""),
    ("POST", "/form/model", URLENCODED, b"limit=3&names=a"),
    ("POST", "/file", MULTIPART, FILE),
    ("POST", "/file", MULTIPART, FILE[:60]),
    ("POST", "/file", {"content-type": "multipart/form-data"}, FILE),
    ("POST", "/raw", {}, b"content"),
    ("GET", "/injected/3?q=1", {}, None),
    ("HEAD", "/injected/3", {}, None),
    ("GET", "/injected/x", {}, None),
    ("GET", "/tagged", {}, None),
    ("GET", "/tagged/returned", {}, None),
    ("GET", "/scheme", {"x-key": "k"}, None),
    ("GET", "/scheme", {}, None),
    ("GET", "/basic", {"authorization": "Basic YTpi"}, None),
    ("GET", "/basic", {"authorization": "Basic !"}, None),
    ("GET", "/basic", {}, None),
    ("GET", "/scopes", {"authorization": "Bearer t"}, None),
    ("GET", "/scopes", {}, None),
    ("GET", "/html", {}, None),
    ("GET", "/yelling", {}, None),
    ("GET", "/redirect", {}, None),
    ("DELETE", "/gone", {}, None),
    ("GET", "/streamed", {}, None),
    ("GET", "/streaming-response", {}, None),
    ("GET", "/api/in/r/3", TOKEN, None),
    ("GET", "/api/in/r/x", TOKEN, None),
    ("GET", "/api/in/r/3", {}, None),
]
#: Requests after which an exception leaves the application.
FAILING = ["/wrong", "/boom", "/forgets"]


class Both:
    """The application under FastAPI and under the plans, each with what happens in it."""

    def __init__(self, middleware: str = "") -> None:
        self.expected_events: list[Any] = []
        self.events: list[Any] = []
        app = with_middleware(make_app(self.events), self.events, middleware)
        self.runner = PlanRunner(app, compile_app(app))
        reference = with_middleware(make_app(self.expected_events), self.expected_events, middleware)
        self.fastapi = TestClient(reference, follow_redirects=False)
        self.planned = TestClient(self.runner, follow_redirects=False)

    def clear(self) -> None:
        self.expected_events.clear()
        self.events.clear()


@pytest.fixture(scope="module")
def made() -> Both:
    return Both()


@pytest.fixture
def both(made: Both) -> Both:
    made.clear()
    return made


@pytest.mark.parametrize(("method", "url", "headers", "body"), REQUESTS)
def test_same_answer(both, method, url, headers, body):
    expected = both.fastapi.request(method, url, content=body, headers=headers)
    answer = both.planned.request(method, url, content=body, headers=headers)
    assert answer.status_code == expected.status_code
    assert answer.content == expected.content
    assert sorted(answer.headers.multi_items()) == sorted(expected.headers.multi_items())
    assert both.events == both.expected_events
    assert both.runner.ways[-1][0] in ("sync", "async")


@pytest.mark.parametrize("url", FAILING)
def test_same_exception(both, url):
    with pytest.raises(Exception) as expected:  # noqa: PT011
        both.fastapi.get(url)
    with pytest.raises(type(expected.value)) as error:
        both.planned.get(url)
    assert str(error.value) == str(expected.value)
    assert both.events == both.expected_events


@pytest.mark.parametrize(
    ("url", "lane", "way"),
    [
        ("/depends", "sync", "operation"),
        ("/scheme", "async", "operation"),
        ("/html", "sync", "operation"),
        ("/streamed", "async", "operation"),
        ("/api/in/r/3", "async", "operation"),
        ("/nowhere", "asgi", "asgi"),
    ],
)
def test_the_plans_did_answer(both: Both, url: str, lane: str, way: Way) -> None:
    both.planned.get(url)
    assert both.runner.ways[-1] == (lane, way)


def with_middleware(app: FastAPI, events: list[Any], kinds: str) -> FastAPI:
    """Middleware from the inside out: `f`unctions and ASGI `a`pplications."""

    async def function(request: Request, call_next: Any) -> Response:
        events.append("function in")
        response = await call_next(request)
        events.append(f"function out {response.status_code}")
        response.headers.append("x-function", request.url.path)
        return response

    class Application:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            async def noting(message: Any) -> None:
                events.append(message["type"])
                await send(message)

            await self.app(scope, receive, noting)

    for kind in kinds:
        if kind == "f":
            app.middleware("http")(function)
        else:
            app.add_middleware(Application)
    return app


@pytest.fixture(scope="module", params=["f", "ff", "a", "fa", "af"])
def made_within(request: pytest.FixtureRequest) -> Both:
    return Both(request.param)


@pytest.mark.parametrize(("method", "url", "headers", "body"), REQUESTS[::2])
def test_same_answer_within_middleware(made_within, method, url, headers, body):
    made_within.clear()
    test_same_answer(made_within, method, url, headers, body)
    assert made_within.runner.ways[-1][1] == "operation"


@pytest.mark.parametrize("url", FAILING)
def test_same_exception_within_middleware(made_within, url):
    made_within.clear()
    test_same_exception(made_within, url)


def test_overrides_are_looked_at_for_each_request():
    def real() -> str:
        return "real"

    def needing(a: Annotated[str, Depends(real)]) -> str:
        return f"needs {a}"

    def stand_in(q: int = 5) -> str:
        return f"stand-in {q}"

    app = FastAPI()

    @app.get("/")
    def read(a: Annotated[str, Depends(needing)]):
        return a

    runner = PlanRunner(app, compile_app(app))
    client = TestClient(runner)
    assert client.get("/").json() == "needs real"
    app.dependency_overrides[real] = stand_in
    assert client.get("/?q=6").json() == "needs stand-in 6"
    assert client.get("/?q=x").json()["detail"][0]["loc"] == ["query", "q"]
    app.dependency_overrides[needing] = lambda: "all new"
    assert client.get("/").json() == "all new"
    app.dependency_overrides.clear()
    assert client.get("/").json() == "needs real"
    assert set(runner.ways) == {("sync", "operation")}
