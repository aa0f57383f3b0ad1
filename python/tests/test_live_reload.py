"""`bimetal run --reload`: edited sources and rebuilt plugins are taken in while clients go on asking."""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.load import Load
from harness.plugins import compile_generation
from harness.servers import STOP_TIMEOUT, ServerProcess, bimetal_command, environment, free_port, start_bimetal
from harness.wire import Connection, get
from test_workers import alive, until, workers_of

pytestmark = pytest.mark.bimetal_only

SOURCE = """
import asyncio, os, pathlib
from bimetal import Bimetal

app = Bimetal({options})
folder = pathlib.Path(__file__).parent

@app.get("/version")
async def version():
    return {{"version": {version!r}, "pid": os.getpid()}}

@app.get("/held")
async def held():
    (folder / "held").touch()
    while not (folder / "go").exists():
        await asyncio.sleep(0.01)
    return {version!r}
"""
NATIVE = """
@app.get("/native", handler_type="native", native="gen.version")
def native(): ...
"""


class Project:
    """A folder with an application that is being worked on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "main.py"

    def write(self, version: str, more: str = "", options: str = "") -> None:
        """Save it, as an editor does."""
        fresh = self.folder / "main.py.tmp"
        fresh.write_text(SOURCE.format(version=version, options=options) + more)
        fresh.rename(self.path)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.write("1")
    return project


@contextlib.contextmanager
def serve(project: Project, *args: str) -> Iterator[ServerProcess]:
    with start_bimetal("main:app", "--reload", *args, cwd=project.folder) as server:
        yield server.wait_ready()


def wait_for_version(server: ServerProcess, version: str) -> None:
    """Until this version answers and the process before it has ended."""

    def answers() -> bool:
        answer = get(server.port, "/version").json()
        return answer["version"] == version and workers_of(server) == {answer["pid"]}

    until(answers, f"version {version}")


def test_an_edit_takes_over_without_a_failure(project: Project) -> None:
    with serve(project) as server:
        wait_for_version(server, "1")
        with Load(server.port, "/version") as load:
            for version in ("2", "3"):
                project.write(version)
                wait_for_version(server, version)
        assert not load.failures
        assert load.answers > 100
        assert server.output.count("main.py changed: starting the new code") == 2
        assert server.output.count("serves main:app") == 1
        assert server.output.count("HANDLER") == 1
        assert server.stop() == 0


def test_a_broken_edit_is_said_once_and_the_old_code_serves(project: Project) -> None:
    with serve(project) as server:
        wait_for_version(server, "1")
        pid = get(server.port, "/version").json()["pid"]
        with Load(server.port, "/version") as load:
            project.write("2", more="raise RuntimeError('half an edit')\n")
            server.wait_output("the old code goes on serving until the next change")
            assert get(server.port, "/version").json() == {"version": "1", "pid": pid}
            project.write("2", more="def syntax(:\n")
            server.wait_output("SyntaxError")
            project.write("3")
            wait_for_version(server, "3")
        assert not load.failures
        output = server.output
        assert output.count("Traceback (most recent call last)") == 1
        assert f'main.py", line {len(project.path.read_text().splitlines()) + 1}, in <module>' in output
        assert output.count("\nRuntimeError: half an edit") == 1
        assert "importlib" not in output and "bimetal/loading.py" not in output


def test_a_broken_start_waits_for_the_fix(project: Project) -> None:
    project.write("1", more="import there_is_no_such_module\n")
    with start_bimetal("main:app", "--reload", cwd=project.folder) as server:
        server.wait_output("waiting for the next change")
        assert "there_is_no_such_module" in server.output
        project.write("2")
        wait_for_version(server.wait_ready(), "2")


def test_a_failing_startup_leaves_the_old_code(project: Project) -> None:
    with serve(project) as server:
        wait_for_version(server, "1")
        options = "lifespan=fails"
        failing = "import contextlib\n@contextlib.asynccontextmanager\nasync def fails(app):\n    raise OSError('no database')\n    yield\n"
        source = SOURCE.format(version="2", options=options)
        project.path.write_text(failing + source)
        server.wait_output("the old code goes on serving until the next change")
        assert "OSError: no database" in server.output
        assert get(server.port, "/version").json()["version"] == "1"


def test_a_request_in_flight_finishes_on_the_old_code(project: Project) -> None:
    with serve(project) as server, Connection(server.port) as held:
        held.send_request("GET", "/held")
        until((project.folder / "held").exists, "the request")
        project.write("2")
        until(lambda: get(server.port, "/version").json()["version"] == "2", "version 2")
        (project.folder / "go").touch()
        assert held.read_reply().json() == "1"
        wait_for_version(server, "2")


def test_a_rebuilt_plugin_is_swapped_in_the_running_process(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    built = tmp_path_factory.mktemp("built")
    one, two, other = (compile_generation(built, version) for version in ("1", "2", "3"))
    library = project.folder / "gen.so"

    def install(source: Path) -> None:
        fresh = project.folder / "gen.so.tmp"
        shutil.copy(source, fresh)
        fresh.rename(library)

    install(one)
    project.write("1", NATIVE, f'plugins=[("gen.so", {{"folder": {str(project.folder)!r}}})]')
    with serve(project) as server:
        wait_for_version(server, "1")
        pid = get(server.port, "/version").json()["pid"]
        with Load(server.port, "/native") as load:
            install(two)
            until(lambda: get(server.port, "/native").text == "2", "version 2 of the plugin")
            library.unlink()
            library.write_bytes(other.read_bytes()[:-100])
            server.wait_output("the plugins are not reloaded, the old versions go on serving")
            install(other)
            until(lambda: get(server.port, "/native").text == "3", "version 3 of the plugin")
        assert not load.failures
        assert get(server.port, "/version").json()["pid"] == pid
        assert server.output.count("the plugins are not reloaded") == 1


def test_a_plugin_that_appears_starts_a_new_process(project: Project) -> None:
    library = compile_generation(project.folder, "1").rename(project.folder / "later.so")
    options = f'plugins=[("gen.so", {{"folder": {str(project.folder)!r}}})]'
    project.write(
        "1",
        NATIVE.replace('"gen.version"', '"gen.version", fallback="python"').replace("...", 'return "python"'),
        options,
    )
    with serve(project) as server:
        assert get(server.port, "/native").json() == "python"
        library.rename(project.folder / "gen.so")
        until(lambda: get(server.port, "/native").text == "1", "the plugin")
        wait_for_version(server, "1")


def test_what_is_not_watched_changes_nothing(project: Project) -> None:
    elsewhere = project.folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "settings.ini").write_text("1")
    with serve(
        project, "--reload-dir", "elsewhere", "--reload-include", "*.ini", "--reload-exclude", "not_*"
    ) as server:
        wait_for_version(server, "1")
        project.write("2")
        (elsewhere / "notes.txt").write_text("2")
        (elsewhere / "not_this.ini").write_text("2")
        (elsewhere / "settings.ini").write_text("2")
        wait_for_version(server, "2")
        assert server.output.count("changed: starting the new code") == 1
        assert "settings.ini changed" in server.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_both(project: Project, number: signal.Signals) -> None:
    with serve(project) as server:
        wait_for_version(server, "1")
        (worker,) = workers_of(server)
        if number == signal.SIGINT:
            os.killpg(server.pid, number)
        else:
            server.process.send_signal(number)
        assert server.process.wait(STOP_TIMEOUT) == 0
        assert not alive(worker)
        assert "Traceback" not in server.output


def test_the_worker_does_not_outlive_the_parent(project: Project) -> None:
    with serve(project) as server:
        wait_for_version(server, "1")
        (worker,) = workers_of(server)
        server.process.kill()
        until(lambda: not alive(worker), "the end of the worker")


def test_in_a_terminal(project: Project) -> None:
    """Output is coloured, the application can read what is typed, and Ctrl-C ends both."""
    project.write("1", "print('asked', input(), flush=True)\n")
    port = free_port()
    ours, theirs = pty.openpty()
    env = {key: value for key, value in environment(project.folder).items() if key != "NO_COLOR"} | {"TERM": "xterm"}
    command = [bimetal_command(), "run", "main:app", "--reload", "--port", str(port)]
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", *command],
        cwd=project.folder,
        env=env,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    output = bytearray()

    def read() -> None:
        with contextlib.suppress(OSError):
            while piece := os.read(ours, 4096):
                output.extend(piece)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        os.write(ours, b"typed\n")
        until(lambda: b"serves main:app" in output, "the start")
        assert b"asked typed" in output
        assert get(port, "/version").json()["version"] == "1"
        project.write("2", "print('asked', input(), flush=True)\n")
        os.write(ours, b"again\n")
        until(lambda: get(port, "/version").json()["version"] == "2", "version 2")
        assert b"asked again" in output
        os.write(ours, b"\x03")
        assert process.wait(STOP_TIMEOUT) == 0
    finally:
        process.kill()
        process.wait(STOP_TIMEOUT)
        reader.join(STOP_TIMEOUT)
        os.close(ours)
    assert b"\x1b[" in output
    assert b"Traceback" not in output
