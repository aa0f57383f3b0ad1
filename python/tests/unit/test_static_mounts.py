"""Which mounted `StaticFiles` are native, and what the plan of one holds."""

from __future__ import annotations

import mimetypes
import os
from pathlib import Path

import pytest
import starlette.responses
import starlette.staticfiles
from fastapi import APIRouter, FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Mount

from bimetal.compile import RoutePlan, compile_app
from bimetal.compile.files import StaticFilesPlan, type_tables

HERE = Path(__file__).parent


def plan_of(files: object, **options: object) -> RoutePlan:
    app = FastAPI(openapi_url=None, **options)  # type: ignore[arg-type]
    app.mount("/static", files)
    (plan,) = compile_app(app)
    return plan


def held(plan: RoutePlan) -> StaticFilesPlan:
    assert plan.lane == "native" and plan.reason is None and isinstance(plan.files, StaticFilesPlan)
    return plan.files


def test_arguments_are_carried_over():
    files = held(plan_of(StaticFiles(directory=HERE)))
    assert (files.directories, files.html, files.follow_symlink, files.checked) == ((str(HERE),), False, False, True)
    files = held(plan_of(StaticFiles(directory="unit", html=True, follow_symlink=True, check_dir=False)))
    assert (files.directories, files.html, files.follow_symlink, files.checked) == (("unit",), True, True, True)
    files = held(plan_of(StaticFiles(packages=[("starlette", "middleware")])))
    assert not files.checked
    assert files.directories[0].endswith(os.path.join("starlette", "middleware"))


def test_middleware_at_the_edge_is_in_nobodys_way():
    held(plan_of(StaticFiles(directory=HERE), middleware=[Middleware(CORSMiddleware, allow_origins=["*"])]))


def test_a_subclass_is_an_application_of_its_own():
    class Own(StaticFiles):
        pass

    plan = plan_of(Own(directory=HERE))
    assert (plan.lane, plan.reason) == ("asgi", "mounted application")


def test_what_is_around_a_mount_is_not_left_out():
    app = FastAPI(openapi_url=None)
    around = [Middleware(CORSMiddleware, allow_origins=["*"])]
    app.router.routes.append(Mount("/static", app=StaticFiles(directory=HERE), middleware=around))
    (plan,) = compile_app(app)
    assert (plan.lane, plan.reason) == ("asgi", "mounted application")


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    [
        (StaticFiles, "get_response", lambda *_: None),
        (StaticFiles, "lookup_path", lambda *_: None),
        (starlette.responses.FileResponse, "set_stat_headers", lambda *_: None),
        (starlette.responses.FileResponse, "max_ranges", 3),
        (starlette.responses.FileResponse, "_open_file", lambda *_: None),
        (starlette.responses.Response, "charset", "latin-1"),
        (starlette.responses, "guess_type", lambda *_: ("a/b", None)),
        (starlette.responses, "formatdate", lambda *_: ""),
        (starlette.staticfiles, "FileResponse", object),
        (starlette.staticfiles, "parsedate", lambda *_: None),
        (starlette.staticfiles, "get_route_path", lambda *_: ""),
    ],
)
def test_what_was_replaced_keeps_it_in_python(monkeypatch, owner, name, value):
    files = StaticFiles(directory=HERE)
    monkeypatch.setattr(owner, name, value)
    plan = plan_of(files)
    assert plan.lane == "asgi" and "of the application's own" in (plan.reason or "")


def test_what_was_replaced_on_the_instance_keeps_it_in_python():
    files = StaticFiles(directory=HERE)
    files.get_path = lambda scope: "x"  # type: ignore[method-assign]
    plan = plan_of(files)
    assert (plan.lane, plan.reason) == ("asgi", "static files with a 'get_path' of the application's own")
    odd = StaticFiles(directory=HERE)
    odd.all_directories = [b"bytes"]  # type: ignore[list-item]
    assert plan_of(odd).lane == "asgi"


def test_answers_to_errors():
    for key, plain in [
        (404, False),
        (401, False),
        (405, False),
        (500, True),
        (ValueError, True),
        (starlette.exceptions.HTTPException, False),
    ]:
        assert (
            held(plan_of(StaticFiles(directory=HERE), exception_handlers={key: lambda *_: None})).plain_errors == plain
        )


def test_types_are_those_of_the_moment(monkeypatch):
    monkeypatch.setattr(mimetypes, "_db", mimetypes.MimeTypes())
    mimetypes.add_type("text/odd", ".odd")
    tables = held(plan_of(StaticFiles(directory=HERE))).tables
    assert tables == type_tables()
    assert tables.types[".odd"] == "text/odd; charset=utf-8"
    assert ".gz" in tables.encodings and tables.suffixes[".tgz"] == ".tar.gz"


def test_routers_and_root_paths():
    router = APIRouter()
    router.mount("/static", StaticFiles(directory=HERE))
    app = FastAPI(openapi_url=None, root_path="/api")
    app.include_router(router, prefix="/shop")
    assert [(plan.path, plan.lane) for plan in compile_app(app)] == [
        ("/api/shop/static/{path:path}", "native"),
        ("/api", "asgi"),
        ("/api/{path:path}", "asgi"),
        ("/shop/static/{path:path}", "asgi"),
    ]
