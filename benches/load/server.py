"""A system's process: pinned to its cores, watched from outside."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from types import TracebackType

from .systems import System
from .work import Work

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_START = 60.0


class Broken(Exception):
    """A system does not start, or answers wrongly; the text says what it did."""


class Server:
    """A running system. A context manager: leaving it ends the process and its children."""

    def __init__(self, system: System, places: dict[str, str], cores: str, environment: dict[str, str]) -> None:
        """Starts it. `cores` are those that it may use, as taskset reads them: `0`, `0,1`."""
        self.system = system
        self.port = _free_port()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the server
        command = [part.format(port=self.port, **places) for part in system.command]
        self._process = subprocess.Popen(
            ["taskset", "-c", cores, *command],
            cwd=places["apps"],
            env={**os.environ, **environment, "LOAD_CRATES": places["crates"]},
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._log.close()

    def wait(self) -> None:
        """Returns when it accepts connections."""
        end = time.monotonic() + _START
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError as error:
                if self._process.poll() is not None or time.monotonic() > end:
                    raise Broken(f"{self.system.name} does not listen: {self._said()}") from error
                time.sleep(0.05)
            else:
                return

    def check(self, work: Work) -> None:
        """Sends the request of `work` and compares the answer."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(client):
            client.request(work.method, work.target, body=work.body or None, headers=work.headers)
            reply = client.getresponse()
            body = reply.read()
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if reply.status != 200 or answer != work.answer:
            raise Broken(f"{self.system.name} answers {work.name} with {reply.status} {body[:200]!r}: {self._said()}")

    def cpu(self) -> float:
        """Seconds of CPU time of the process and its children so far."""
        total = 0
        for pid in self._pids():
            with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
                total += int(fields[11]) + int(fields[12])
        return total / _TICK

    def memory(self) -> int:
        """Resident bytes of the process and its children."""
        total = 0
        for pid in self._pids():
            with contextlib.suppress(OSError), open(f"/proc/{pid}/statm") as file:
                total += int(file.read().split()[1]) * _PAGE
        return total

    def _pids(self) -> list[int]:
        found = [self._process.pid]
        for pid in found:
            with contextlib.suppress(OSError):
                for task in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{task}/children") as file:
                        found += [int(child) for child in file.read().split()]
        return found

    def _said(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return " / ".join(lines[-3:]) or "it printed nothing"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
