"""What cannot be served is refused at the start: one line that names the file, the route and the fix, exit code 1 or 2."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from harness.plugins import compile_c
from harness.servers import run_bimetal

pytestmark = pytest.mark.bimetal_only

NATIVE = """
from bimetal import Bimetal

app = Bimetal(plugins={plugins})


@app.get({path!r}, handler_type="native", native={name!r})
def stub({signature}): ...
"""


def refused(folder: Path, *args: str, code: int = 1, says: list[str]) -> str:
    """Run the command; it must end with `code` and one line that holds all of `says`. Returns that line."""
    completed = run_bimetal(*args, cwd=folder)
    assert completed.returncode == code, completed.stdout + completed.stderr
    assert "Traceback" not in completed.stdout + completed.stderr
    if code == 1:
        lines = [line for line in completed.stderr.splitlines() if line.startswith("bimetal: error: ")]
        assert len(lines) == 1, completed.stderr
        text = lines[0]
    else:
        text = completed.stderr
    for part in says:
        assert part in text
    return text


def run_app(folder: Path, source: str, *args: str, code: int = 1, says: list[str]) -> str:
    (folder / "main.py").write_text(source)
    return refused(folder, "run", "main:app", "--port", "0", *args, code=code, says=says)


def native_app(plugins: list[str] | None = None, path: str = "/x", name: str = "health", signature: str = "") -> str:
    return NATIVE.format(plugins=plugins or [], path=path, name=name, signature=signature)


def test_an_unknown_native_name(tmp_path: Path) -> None:
    run_app(tmp_path, native_app(name="healht"), says=["main.py:", "GET /x", "'healht'", "did you mean 'health'"])


def test_an_unknown_plugin_of_a_name(tmp_path: Path) -> None:
    run_app(tmp_path, native_app(name="hot.get_user"), says=["main.py:", "GET /x", "'hot.get_user'", "--plugin"])


def test_an_unknown_name_on_the_command_line(tmp_path: Path) -> None:
    source = "from fastapi import FastAPI\napp = FastAPI()\n"
    run_app(tmp_path, source, "--native", "/h=nobody", says=["/h", "'nobody'"])


def test_a_missing_plugin_file(tmp_path: Path) -> None:
    run_app(
        tmp_path, native_app(plugins=["lib/libnone.so"], name="none.x"), says=["lib/libnone.so", "main.py", "GET /x"]
    )
    run_app(
        tmp_path,
        "from fastapi import FastAPI\napp = FastAPI()\n",
        "--plugin",
        "libnone.so",
        says=["libnone.so", "build"],
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"not a library", ""),
        (b"", ""),
        (b"\x7fELF\x02\x01\x01" + bytes(9), ""),
        (b"\x7fELF\x01\x01\x01" + bytes(200), ""),
    ],
    ids=["text", "empty", "truncated", "32 bit"],
)
def test_a_file_that_is_no_library(tmp_path: Path, content: bytes, reason: str) -> None:
    library = tmp_path / "libodd.so"
    library.write_bytes(content)
    run_app(tmp_path, native_app(plugins=["libodd.so"], name="odd.x"), says=["libodd.so", reason])


def test_a_folder_for_a_plugin(tmp_path: Path) -> None:
    run_app(tmp_path, native_app(plugins=["."], name="odd.x"), says=["plugin"])


@pytest.mark.parametrize(
    ("defines", "says"),
    [
        (["NOT_A_PLUGIN"], ["not a Bimetal plugin", "bimetal_plugin_v1"]),
        (["SYMBOL=bimetal_plugin_v7", "MAJOR=7"], ["ABI", "7", "1", "rebuild"]),
        (["MAJOR=9"], ["ABI", "9", "1", "rebuild"]),
        (["MAGIC=1"], ["magic"]),
        (["NULL_TABLE"], []),
        (["PANICS=BM_PANIC_ABORT"], ["panic", "abort", "remove"]),
        (["CAPS=(UINT64_C(1)<<40)"], ["capabilit"]),
        (["DUPLICATE"], ["bad.echo"]),
        (["BAD_META"], ["bad.hello", "JSON"]),
        (["INIT_FAILS"], ["the licence has expired"]),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_a_plugin_that_does_not_fit(tmp_path: Path, defines: list[str], says: list[str]) -> None:
    compile_c(tmp_path, "bad", *defines)
    run_app(tmp_path, native_app(plugins=["libbad.so"], name="bad.hello"), says=["libbad.so", *says])
    checked = run_bimetal("plugin", "check", "libbad.so", cwd=tmp_path)
    assert checked.returncode == 1, checked.stderr
    assert all(part in checked.stdout for part in ["libbad.so: does not load", *says]), checked.stdout


def test_a_path_without_the_parameter_the_handler_reads(tmp_path: Path) -> None:
    compile_c(tmp_path, "fits")
    run_app(tmp_path, native_app(plugins=["libfits.so"], name="fits.echo"), says=["/x", "`text`", "fits.echo"])


STUBS = [
    ("/u/{user_id}", "user_id: str, verbose: bool = False", ["path parameter 'user_id'", "string", "integer"]),
    ("/u/{user_id}", "user_id: int, loud: bool = False", ["'loud'"]),
    ("/u/{user_id}", "user_id: int, verbose: bool", ["'verbose'", "required", "optional"]),
    ("/u/{name}", "name: int", ["'user_id'"]),
]


@pytest.mark.parametrize(("path", "signature", "says"), STUBS, ids=[stub[1] for stub in STUBS])
def test_a_stub_that_disagrees_with_the_handler(
    tmp_path: Path, hot_library: Path, path: str, signature: str, says: list[str]
) -> None:
    source = native_app(plugins=[str(hot_library)], path=path, name="hot.get_user", signature=signature)
    run_app(tmp_path, source, says=["main.py:", f"GET {path}", "hot.get_user", *says])


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        (
            "from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware as Unknown\n"
            "app.add_middleware(Unknown)\n",
            "AsyncExitStackMiddleware",
        ),
        (
            "@app.middleware('http')\nasync def tracer(request, call_next):\n    return await call_next(request)\n",
            "tracer",
        ),
    ],
)
def test_a_native_route_that_would_skip_middleware(tmp_path: Path, extra: str, named: str) -> None:
    run_app(tmp_path, native_app() + extra, says=["main.py:", "GET /x", named, "bypass="])


def test_a_native_route_that_would_skip_dependencies(tmp_path: Path) -> None:
    source = """
from bimetal import APIRouter, Bimetal
from fastapi import Depends
from fastapi.security import HTTPBasic

def guard(): ...

app = Bimetal()
router = APIRouter(dependencies=[Depends(guard), Depends(HTTPBasic())])

@router.get("/x", handler_type="native", native="health")
def stub(): ...

app.include_router(router)
"""
    run_app(tmp_path, source, says=["main.py:", "GET /x", "dependency:guard", "security:HTTPBasic", "bypass="])


def test_a_native_route_whose_errors_the_application_words_itself(tmp_path: Path, hot_library: Path) -> None:
    source = native_app(
        plugins=[str(hot_library)],
        path="/u/{user_id}",
        name="hot.get_user",
        signature="user_id: int, verbose: bool = False",
    )
    source += """
from fastapi.exceptions import RequestValidationError

@app.exception_handler(RequestValidationError)
def teapot(request, error): ...
"""
    run_app(tmp_path, source, says=["main.py:", "GET /u/{user_id}", 'bypass=["exception_handler:teapot"]'])


def test_a_port_in_use(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("from fastapi import FastAPI\napp = FastAPI()\n")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused(tmp_path, "run", "main:app", "--port", port, says=["127.0.0.1", port, "use"])


def test_an_address_of_another_machine(tmp_path: Path) -> None:
    source = "from fastapi import FastAPI\napp = FastAPI()\n"
    run_app(tmp_path, source, "--host", "192.0.2.1", says=["192.0.2.1"])
    run_app(tmp_path, source, "--host", "no.such.host.invalid", says=["no.such.host.invalid"])


def test_a_module_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("app = None\n")
    refused(tmp_path, "run", "mian:app", says=["mian", str(tmp_path), "did you mean main"])


def test_an_attribute_that_is_not_there(tmp_path: Path) -> None:
    run = ["main.py", "'app'", "did you mean"]
    run_app(tmp_path, "from fastapi import FastAPI\napi = FastAPI()\n", says=run)


def test_something_that_is_no_application(tmp_path: Path) -> None:
    run_app(tmp_path, "app = {'not': 'callable'}\n", says=["main:app", "dict"])


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("x = 1\nraise RuntimeError('at import')\n", ["main.py:2", "RuntimeError", "at import"]),
        ("def broken(:\n", ["main.py:1", "SyntaxError"]),
        ("import no_such_dependency\n", ["main.py:1", "no_such_dependency"]),
        ("1/0\n", ["main.py:1", "ZeroDivisionError"]),
        ("raise SystemExit('bye')\n", ["main.py:1", "SystemExit"]),
    ],
)
def test_an_exception_at_import(tmp_path: Path, source: str, says: list[str]) -> None:
    run_app(tmp_path, source, says=says)


def test_the_traceback_is_there_when_asked_for(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("def f():\n    raise RuntimeError('deep')\nf()\n")
    completed = run_bimetal("run", "main:app", "--traceback", cwd=tmp_path)
    assert completed.returncode == 1
    assert "Traceback" in completed.stderr and "in f" in completed.stderr


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["run"], ["MODULE:APP"]),
        (["run", "main:app", "--port", "x"], ["--port"]),
        (["run", "main:app", "--port", "70000"], ["--port"]),
        (["run", "main:app", "--nonsense"], ["--nonsense"]),
        (["run", "main:app", "--native", "health"], ["PATH=HANDLER"]),
        (["run", "main:app", "--lifespan", "maybe"], ["--lifespan"]),
        (["frobnicate"], ["frobnicate"]),
        (["routes"], ["MODULE:APP"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_wrong_usage(tmp_path: Path, args: list[str], says: list[str]) -> None:
    refused(tmp_path, *args, code=2, says=says)


def test_the_commands_agree(tmp_path: Path) -> None:
    """`bimetal routes` refuses what `bimetal run` would refuse."""
    (tmp_path / "main.py").write_text(native_app(name="nobody"))
    refused(tmp_path, "routes", "main:app", says=["main.py:", "GET /x", "'nobody'"])
