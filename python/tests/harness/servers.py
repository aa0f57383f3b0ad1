"""Servers as processes of their own: Bimetal, and uvicorn as the reference it is compared with."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
APPS = TESTS / "apps"
REPOSITORY = TESTS.parent.parent

#: Every test passes on uvicorn too when this is "uvicorn", but for those marked `bimetal_only`.
REFERENCE_ONLY = os.environ.get("BIMETAL_REFERENCE") == "uvicorn"

#: Upper bounds in seconds, reached only when something hangs.
START_TIMEOUT = 60.0
STOP_TIMEOUT = 20.0


class StartError(AssertionError):
    """A server ended, or did not accept, before it was ready."""


class ServerProcess:
    """A server started from a command line; its output is kept for the tests and for failure messages."""

    def __init__(
        self,
        command: Sequence[str],
        port: int,
        cwd: Path,
        env: dict[str, str] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.command = list(command)
        self.port = port
        self._output = tempfile.TemporaryFile("w+b")  # noqa: SIM115 (closed with the server)
        self.process = subprocess.Popen(
            self.command,
            cwd=cwd,
            env=environment(cwd) | (env or {}),
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=pass_fds,
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def output(self) -> str:
        """Standard output and error so far."""
        return self.output_since(0)

    @property
    def output_size(self) -> int:
        """How many bytes of output there are so far."""
        return os.fstat(self._output.fileno()).st_size

    def output_since(self, size: int) -> str:
        """The output behind its first `size` bytes."""
        return os.pread(self._output.fileno(), max(self.output_size - size, 0), size).decode(errors="replace")

    def wait_ready(self) -> ServerProcess:
        """Wait until the port accepts connections."""
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            if self.process.poll() is not None:
                raise StartError(f"{self.command} ended with {self.process.returncode}:\n{self.output}")
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                if time.monotonic() > deadline:
                    self.kill()
                    raise StartError(f"{self.command} does not accept on port {self.port}:\n{self.output}") from None
                time.sleep(0.02)

    def wait_output(self, text: str, since: int = 0) -> str:
        """Wait until the output holds `text` behind its size `since`; returns all of it."""
        deadline = time.monotonic() + START_TIMEOUT
        while text not in self.output_since(since):
            if time.monotonic() > deadline or self.process.poll() is not None:
                assert text in self.output_since(since), (
                    f"{text!r} is not in the output of {self.command}:\n{self.output}"
                )
                break
            time.sleep(0.01)
        return self.output

    def stop(self) -> int:
        """End it as an operator would, with SIGTERM; returns the exit code. One that does not end is a failure."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"{self.command} did not end on SIGTERM:\n{self.output}") from None
        return self.process.returncode

    def kill(self) -> None:
        """End it and everything it started, whatever state it is in."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait(STOP_TIMEOUT)

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            self.kill()
            self._output.close()


def environment(cwd: Path) -> dict[str, str]:
    """The environment of every server: the same for both, so that nothing but the server differs."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("BIMETAL_", "UVICORN_"))}
    # The order of sets shows in response bodies.
    env |= {"PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1"}
    # What the tests themselves run with comes last: `make versions` puts another FastAPI there.
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(cwd), str(APPS), env.get("PYTHONPATH")]))
    return env


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until `condition` holds; a failure that names `what` when it never does."""
    deadline = time.monotonic() + START_TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.01)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def bimetal_command() -> str:
    """The `bimetal` program installed beside the interpreter that runs the tests."""
    program = Path(sys.executable).parent / "bimetal"
    if not program.exists():
        raise StartError(f"{program} is not there: install the package into this environment (`make build`)")
    return str(program)


def start_bimetal(app: str, *args: str, cwd: Path = APPS, env: dict[str, str] | None = None) -> ServerProcess:
    """`bimetal run` on a free port; not ready yet. In reference mode this is uvicorn too."""
    if REFERENCE_ONLY:
        return start_uvicorn(app, *args, cwd=cwd, env=env)
    port = free_port()
    return ServerProcess([bimetal_command(), "run", app, "--port", str(port), *args], port, cwd, env)


def start_bimetal_at(path: Path, app: str, *args: str, env: dict[str, str] | None = None) -> ServerProcess:
    """`bimetal run` on a Unix socket; ready."""
    server = ServerProcess([bimetal_command(), "run", app, "--uds", str(path), *args], 0, APPS, env)
    return wait_ready_at(path, server)


def start_uvicorn_at(path: Path, app: str, *args: str) -> ServerProcess:
    """`uvicorn` on a Unix socket; ready."""
    command = [sys.executable, "-m", "uvicorn", app, "--uds", str(path), "--http", "httptools", "--loop", "asyncio"]
    return wait_ready_at(path, ServerProcess([*command, *args], 0, APPS))


def wait_ready_at(path: Path, server: ServerProcess) -> ServerProcess:
    """Wait until the Unix socket accepts connections."""
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(path))
            return server
        except OSError:
            if server.process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
                continue
            server.kill()
            raise StartError(f"{server.command} does not accept on {path}:\n{server.output}") from None


def start_uvicorn(app: str, *args: str, cwd: Path = APPS, env: dict[str, str] | None = None) -> ServerProcess:
    """`uvicorn` on a free port, on the parser and the loop that production uses; not ready yet."""
    port = free_port()
    # There is no uvloop for a Python 3.13 without a GIL: there it is the loop that uvicorn finds.
    loop = "auto" if sysconfig.get_config_var("Py_GIL_DISABLED") else "uvloop"
    command = [sys.executable, "-m", "uvicorn", app, "--port", str(port), "--http", "httptools", "--loop", loop]
    return ServerProcess([*command, "--timeout-keep-alive", "75", *args], port, cwd, env)


def run_bimetal(*args: str, cwd: Path = APPS, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A `bimetal` command that is expected to end by itself."""
    return subprocess.run(
        [bimetal_command(), *args],
        cwd=cwd,
        env=environment(cwd) | (env or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT,
    )
