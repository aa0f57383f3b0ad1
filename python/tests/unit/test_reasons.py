"""Every reason is one of the table, every one of the table can come about, and the guide shows the table."""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fastapi
import fastapi.routing
import pytest
import starlette
from fastapi import Depends, FastAPI, Form
from fastapi.staticfiles import StaticFiles
from starlette.convertors import CONVERTOR_TYPES, Convertor, register_url_convertor
from starlette.responses import FileResponse
from starlette.routing import Host, Route

import bimetal
from bimetal import Bimetal, Server
from bimetal.compile import compile_app, python_route, reason, routes
from bimetal.compile.reason import REASONS, NotCompiled, Reason, found_in
from bimetal.errors import BimetalError
from unit import lanes_page

Patch = pytest.MonkeyPatch
#: For each reason: what makes a route's text hold it. Gives an application, or a server of one.
SCENARIOS: dict[Reason, Callable[[Patch], Any]] = {}


def comes_about(meant: Reason) -> Callable[[Callable[[Patch], Any]], Callable[[Patch], Any]]:
    def register(scenario: Callable[[Patch], Any]) -> Callable[[Patch], Any]:
        SCENARIOS[meant] = scenario
        return scenario

    return register


def read(a: int = 1) -> int:
    return a


def nothing() -> None: ...


def simple(kind: type[FastAPI] = FastAPI, **options: Any) -> FastAPI:
    app = kind(openapi_url=None, **options)
    app.get("/x")(read)
    return app


@comes_about(reason.VERSION)
def _(patch: Patch) -> Any:
    patch.setattr(fastapi, "__version__", "9.1.0")
    return simple()


@comes_about(reason.PATCHED)
def _(patch: Patch) -> Any:
    patch.setattr(fastapi.routing, "serialize_response", lambda **_: None)
    return simple()


@comes_about(reason.CLASS_REPLACES)
def _(patch: Patch) -> Any:
    class Special(FastAPI):
        async def __call__(self, *args: Any) -> None:
            await super().__call__(*args)

    return simple(Special)


@comes_about(reason.REPLACED_ON_INSTANCE)
def _(patch: Patch) -> Any:
    app = simple()
    app.build_middleware_stack = lambda: app.router
    return app


@comes_about(reason.ROUTER_CLASS)
def _(patch: Patch) -> Any:
    app = simple()
    app.router = type("Routes", (), {"routes": app.routes})()
    return app


@comes_about(reason.ROUTER_MIDDLEWARE)
def _(patch: Patch) -> Any:
    app = simple()
    app.router.middleware_stack = lambda *_: None
    return app


@comes_about(reason.MIDDLEWARE_BUILT)
def _(patch: Patch) -> Any:
    app = simple()
    app.add_middleware(type("Pure", (), {"__init__": lambda self, app: None}))
    app.middleware_stack = app.build_middleware_stack()
    return app


@comes_about(reason.FORM_LIMITS)
def _(patch: Patch) -> Any:
    app = FastAPI()
    app.router.form_limits = {"max_fields": 1}

    @app.post("/form")
    def form(field: str = Form()): ...

    return app


@comes_about(reason.MAX_BODY_SIZE)
def _(patch: Patch) -> Any:
    app = simple()
    # As FastAPI(max_body_size=...) of 0.165 leaves it.
    app.max_body_size = 10  # type: ignore[attr-defined]
    return app


@comes_about(reason.STACK_REPLACED)
def _(patch: Patch) -> Any:
    app = simple()
    app.middleware_stack = app.router
    return app


@comes_about(reason.ROOT_PATH_DIFFERS)
def _(patch: Patch) -> Any:
    app = simple()
    app.root_path = "/a"
    return Server(app, root_path="/b")


@comes_about(reason.ROOT_PATH_FORM)
def _(patch: Patch) -> Any:
    app = simple()
    app.root_path = "a/"
    return app


@comes_about(reason.DOCUMENTATION)
def _(patch: Patch) -> Any:
    return FastAPI()


@comes_about(reason.STARLETTE_ROUTE)
def _(patch: Patch) -> Any:
    app = simple()
    app.router.routes.append(Route("/s", read))
    return app


@comes_about(reason.MOUNTED)
def _(patch: Patch) -> Any:
    app = simple()
    app.mount("/m", FastAPI())
    return app


def with_files() -> FastAPI:
    app = FastAPI(openapi_url=None)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent))
    return app


@comes_about(reason.FILES_WITHIN)
def _(patch: Patch) -> Any:
    app = with_files()
    app.add_middleware(type("Pure", (), {"__init__": lambda self, app: None}))
    return app


@comes_about(reason.FILES_TELEMETRY)
def _(patch: Patch) -> Any:
    app = with_files()
    app._native_telemetry = SimpleNamespace(enabled=lambda: True)  # type: ignore[attr-defined]
    return app


@comes_about(reason.FILES_VERSION)
def _(patch: Patch) -> Any:
    patch.setattr(starlette, "__version__", "1.9.0")
    return with_files()


@comes_about(reason.FILES_CHANGED)
def _(patch: Patch) -> Any:
    patch.setattr(FileResponse, "chunk_size", 1024)
    return with_files()


@comes_about(reason.DECIDES_ITSELF)
def _(patch: Patch) -> Any:
    app = simple()
    app.router.routes.append(Host("a.org", app=app))
    return app


@comes_about(reason.BEHIND)
def _(patch: Patch) -> Any:
    app = FastAPI(openapi_url=None)
    app.router.routes.append(Host("a.org", app=app))
    app.get("/x")(read)
    return app


@comes_about(reason.CONVERTOR)
def _(patch: Patch) -> Any:
    class Hex(Convertor[int]):
        regex = "[0-9a-f]+"

    patch.setattr("starlette.convertors.CONVERTOR_TYPES", CONVERTOR_TYPES)
    patch.setitem(CONVERTOR_TYPES, "hex", None)
    register_url_convertor("hex", Hex())
    app = FastAPI(openapi_url=None)
    app.get("/{n:hex}")(read)
    return app


@comes_about(reason.UNDER_ROOT_PATH)
def _(patch: Patch) -> Any:
    app = simple()
    app.root_path = "/a"
    return app


@comes_about(reason.ROUTE_REPLACED)
def _(patch: Patch) -> Any:
    app = simple()
    app.routes[0].handle = lambda *_: None  # type: ignore[attr-defined]
    return app


@comes_about(reason.HANDLER_REPLACED)
def _(patch: Patch) -> Any:
    app = simple()
    app.routes[0].dependant.call = simple  # type: ignore[attr-defined]
    return app


@comes_about(reason.HANDLER_WRAPPED)
def _(patch: Patch) -> Any:
    app = simple()
    app.routes[0].app = lambda *_: None  # type: ignore[attr-defined]
    return app


@comes_about(reason.STREAMS)
def _(patch: Patch) -> Any:
    app = FastAPI(openapi_url=None)

    @app.get("/x")
    def numbers() -> Iterator[int]:
        yield 1

    return app


@comes_about(reason.OWN_HANDLER)
def _(patch: Patch) -> Any:
    class Own(fastapi.routing.APIRoute):
        def get_route_handler(self) -> Any:
            return super().get_route_handler()

    app = FastAPI(openapi_url=None)
    app.router.route_class = Own
    app.get("/x")(read)
    return app


@comes_about(reason.UNKNOWN_HANDLER)
def _(patch: Patch) -> Any:
    patch.setattr(python_route, "_SETTINGS", ("something_new",))
    return simple()


@comes_about(reason.BYPASSES)
def _(patch: Patch) -> Any:
    app = Bimetal(openapi_url=None, dependencies=[fastapi.Depends(read)])
    app.get("/x", handler_type="native", native="health", bypass=["read"])(read)
    return app


@comes_about(reason.GIVEN)
def _(patch: Patch) -> Any:
    return Server(simple(), native={"/up": "health"})


@comes_about(reason.CACHED_BYPASSES)
def _(patch: Patch) -> Any:
    app = Bimetal(openapi_url=None)
    app.get("/x", cache=bimetal.Cache(1, bypass=["nothing"]), dependencies=[Depends(nothing)])(read)
    return app


@comes_about(reason.ABSENT)
def _(patch: Patch) -> Any:
    app = Bimetal(openapi_url=None)
    app.get("/x", handler_type="native", native="no.such", fallback="python")(read)
    return Server(app)


def texts(made: Any) -> list[str]:
    plans = made.compile() if isinstance(made, Server) else compile_app(made)
    return [plan.reason for plan in plans if plan.reason is not None]


@pytest.mark.parametrize("meant", REASONS, ids=lambda meant: meant.shown)
def test_every_reason_can_come_about(meant, monkeypatch):
    shown = texts(SCENARIOS[meant](monkeypatch))
    assert any(meant in found_in(text) for text in shown), shown
    assert all(map(found_in, shown))


def test_where_a_reason_puts_a_route(monkeypatch):
    lanes = {"application": "asgi", "place": "asgi", "route": "asgi", "handler": "async", "native": "native"}
    lanes["cache"] = "sync"
    for meant, scenario in SCENARIOS.items():
        with monkeypatch.context() as patch:
            made = scenario(patch)
            plans = made.compile() if isinstance(made, Server) else compile_app(made)
        found = {plan.lane for plan in plans if plan.reason and meant in found_in(plan.reason)}
        assert found == ({"sync"} if meant is reason.ABSENT else {lanes[meant.about]}), meant.shown


def test_texts_of_two_reasons():
    text = f"{reason.ABSENT(name='a.b')}; {reason.BEHIND(route='Host')}"
    assert found_in(text) == (reason.ABSENT, reason.BEHIND)
    assert found_in(f"{text}; and something else") == ()
    assert found_in("something else") == ()


@pytest.mark.parametrize("meant", REASONS, ids=lambda meant: meant.shown)
def test_a_reason_is_complete(meant):
    assert meant.meaning.endswith(".")
    assert meant.advice.endswith(".")
    assert "|" not in meant.meaning + meant.advice + meant.text


def sources() -> Iterator[tuple[str, ast.Module]]:
    package = Path(inspect.getfile(bimetal)).parent
    for file in sorted([*(package / "compile").glob("*.py"), package / "server.py"]):
        yield file.name, ast.parse(file.read_text(encoding="utf-8"))


def is_text(node: ast.AST | None) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def test_no_reason_is_written_elsewhere():
    """Reasons travel as results of functions that give `str | None`, in `NotCompiled`, and in plans."""
    written = []
    for name, module in sources():
        for node in ast.walk(module):
            if isinstance(node, ast.FunctionDef) and node.returns and ast.unparse(node.returns) == "str | None":
                written += [
                    f"{name}:{r.lineno}" for r in ast.walk(node) if isinstance(r, ast.Return) and is_text(r.value)
                ]
            if (
                isinstance(node, ast.Assign)
                and is_text(node.value)
                and ast.unparse(node.targets[0]) in ("reason", "why")
            ):
                written.append(f"{name}:{node.lineno}")
            if isinstance(node, ast.Call):
                arguments = [keyword.value for keyword in node.keywords if keyword.arg in ("reason", "why")]
                arguments += node.args if ast.unparse(node.func) == NotCompiled.__name__ else []
                written += [f"{name}:{node.lineno}" for argument in arguments if is_text(argument)]
    assert written == []


def test_the_routes_of_the_test_applications():
    seen = 0
    for name in ("lanes", "dependencies", "routing", "streams", "layers", "errors", "native", "parameters", "sockets"):
        module = importlib.import_module(name)
        for app in vars(module).values():
            if isinstance(app, FastAPI):
                with contextlib.suppress(BimetalError):
                    for text in texts(Server(app)):
                        assert found_in(text), text
                        seen += 1
    assert seen > 50


def test_the_guide_shows_the_table():
    assert lanes_page.PAGE.read_text(encoding="utf-8") == lanes_page.page(), "make docs-lanes writes it anew"
    assert set(lanes_page.SECTIONS) == {meant.about for meant in REASONS}
    assert routes.reason is reason
