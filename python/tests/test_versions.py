"""Which versions of FastAPI and Starlette are compiled, and how the others are served: on the `asgi` lane, with one warning."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.fastapi_source import installed_beside
from harness.servers import START_TIMEOUT, environment, run_bimetal, start_bimetal, start_uvicorn
from harness.wire import json_body, request

pytestmark = pytest.mark.bimetal_only

#: The oldest release the package accepts (see pyproject.toml), with the newest Starlette it takes.
OLDEST = ("fastapi==0.115.0", "starlette==0.38.6")

APP = """
import sys
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Request
from pydantic import BaseModel

class Item(BaseModel):
    name: str
    price: float = 1.5

def skip(skip: int = 0):
    yield skip

app = FastAPI()
router = APIRouter(prefix="/in")

@app.get("/sync/{number}")
def sync(number: int, skip: Annotated[int, Depends(skip)]):
    return {"number": number, "skip": skip}

@app.post("/items")
async def items(item: Item) -> Item:
    return item

@router.get("/router")
async def inner(request: Request):
    return request.url.path

app.include_router(router)

@app.get("/loaded")
def loaded():
    return [name for name in sys.modules if name.startswith("bimetal.")]
"""

#: Changes the version before anything else is imported, as if that release were installed.
SHIM = """
import {package}
{package}.__version__ = {version!r}
"""

EMBEDDED = """
import sys
import bimetal, application
with bimetal.Server(application.app), bimetal.Server(application.app):
    print("served", file=sys.stderr)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "application.py").write_text(APP)
    return tmp_path


def pretend(folder: Path, version: str, package: str = "fastapi") -> dict[str, str]:
    """The environment in which `version` is the one of the package."""
    (folder / "shim").mkdir()
    (folder / "shim" / "sitecustomize.py").write_text(SHIM.format(package=package, version=version))
    return with_path(folder, folder / "shim")


def with_path(folder: Path, first: Path) -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join([str(first), environment(folder)["PYTHONPATH"]])}


def lanes(folder: Path, env: dict[str, str]) -> dict[str, tuple[str, str | None]]:
    """Lane and reason of the application's own routes, by path."""
    done = run_bimetal("routes", "application:app", "--json", cwd=folder, env=env)
    assert done.returncode == 0, done.stderr
    own = [route for route in json.loads(done.stdout) if route["handler"].startswith("application.")]
    return {route["path"]: (route["lane"], route["reason"]) for route in own}


def warnings(output: str) -> list[str]:
    return [line for line in output.splitlines() if "asgi lane" in line]


def assert_served_through_asgi(folder: Path, version: str, env: dict[str, str], package: str = "FastAPI") -> None:
    """Same answers as uvicorn's, one warning, and none of the modules that know FastAPI's internals."""
    shown = lanes(folder, env)
    assert {lane for lane, _ in shown.values()} == {"asgi"} and len(shown) == 4
    assert {reason for _, reason in shown.values()} == {shown["/items"][1]}
    assert f"{package} {version} is outside the versions" in (shown["/items"][1] or "")
    with (
        start_bimetal("application:app", cwd=folder, env=env) as ours,
        start_uvicorn("application:app", cwd=folder, env=env) as reference,
    ):
        ours.wait_output("serves application:app")
        reference.wait_ready()
        headers, body = json_body({"name": "n"})
        for method, target, content in (
            ("GET", "/sync/4?skip=2", None),
            ("GET", "/sync/x", None),
            ("GET", "/in/router", None),
            ("POST", "/items", body),
            ("POST", "/items", b"{"),
            ("GET", "/nowhere", None),
            ("GET", "/openapi.json", None),
        ):
            sent = (method, target, headers if content else (), content)
            answer, expected = request(ours.port, *sent), request(reference.port, *sent)
            assert (answer.status, answer.body) == (expected.status, expected.body), sent
        loaded = request(ours.port, "GET", "/loaded").json()
        assert "bimetal.compile.routes" in loaded
        internal = (
            "bimetal.lane.",
            "bimetal.compile.python_route",
            "bimetal.compile.steps",
            "bimetal.compile.response",
        )
        # The entry knows no more of FastAPI than that it is an application.
        assert [name for name in loaded if name.startswith(internal)] == ["bimetal.lane.entry"]
        (line,) = warnings(ours.output)
    assert line.startswith("WARNING bimetal: every Python route is on the asgi lane: ")
    assert f"{package} {version} is outside the versions Bimetal compiles (" in line and "install one of those" in line


@pytest.mark.parametrize("version", ["0.160.0", "0.163.99", "7.0.0"])
def test_an_unknown_version_is_served_through_asgi(folder: Path, version: str) -> None:
    assert_served_through_asgi(folder, version, pretend(folder, version))


def test_an_unknown_starlette_is_served_through_asgi(folder: Path) -> None:
    assert_served_through_asgi(folder, "1.99.0", pretend(folder, "1.99.0", "starlette"), "Starlette")


def test_the_oldest_release_is_served_through_asgi(folder: Path) -> None:
    """A real one: much of what the lanes call is not there."""
    assert_served_through_asgi(folder, "0.115.0", with_path(folder, installed_beside(*OLDEST)))


def test_a_known_version_is_compiled_without_a_warning(folder: Path) -> None:
    env = pretend(folder, "0.163.0")
    assert [lane for lane, _ in lanes(folder, env).values()] == ["sync", "async", "async", "sync"]
    with start_bimetal("application:app", cwd=folder, env=env) as server:
        output = server.wait_output("serves application:app")
        assert request(server.port, "GET", "/sync/4").json() == {"number": 4, "skip": 0}
        assert warnings(output) == [] and warnings(server.output) == []


def test_each_embedded_server_warns_once_where_nobody_set_up_a_log(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", EMBEDDED],
        cwd=folder,
        env=environment(folder) | pretend(folder, "0.163.3"),
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT,
        check=True,
    )
    first, second, served = done.stderr.splitlines()
    assert served == "served"
    assert first == second and first.startswith("every Python route is on the asgi lane: FastAPI 0.163.3 is outside")


def test_an_application_of_another_kind_has_no_warning(folder: Path) -> None:
    (folder / "application.py").write_text(
        "async def app(scope, receive, send):\n"
        "    await send({'type': 'http.response.start', 'status': 204, 'headers': []})\n"
        "    await send({'type': 'http.response.body'})\n"
    )
    with start_bimetal("application:app", cwd=folder, env=pretend(folder, "7.0.0")) as server:
        server.wait_output("serves application:app")
        assert request(server.port, "GET", "/").status == 204
        assert warnings(server.output) == []
