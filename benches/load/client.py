"""The client that keeps to a schedule (`client/`), on the core that is not the servers'."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from .server import Broken, Server

CORE = 1


@dataclass(frozen=True)
class Outcome:
    """What became of the requests. Latencies in milliseconds; in percentiles and the largest, what failed counts as
    answered at the timeout, in the mean it does not count. `late_ms`: how far the client itself was behind at worst;
    `seconds`: from the first request to the last answer."""

    sent: int
    answered: int
    timeouts: int
    errors: int
    unfinished: int
    mean_ms: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    late_ms: float
    seconds: float
    refused: int
    refused_p99_ms: float
    refused_max_ms: float
    without_retry_after: int
    answered_p99_ms: float

    @property
    def failed(self) -> int:
        """Those that were answered with an error, a refusal included."""
        return self.errors + self.refused


@dataclass(frozen=True)
class Client:
    """The built program."""

    program: Path

    def open(
        self, server: Server, path: str, *, seconds: float, timeout: float, connections: int, rate: float
    ) -> Outcome:
        """`rate` requests a second for `seconds`, however they are answered; each is timed from when it was due."""
        return self._run(server, "open", path, seconds, timeout, connections, rate)

    def closed(self, server: Server, path: str, *, seconds: float, timeout: float, connections: int) -> Outcome:
        """On each of `connections` the next request when the last one is answered, for `seconds`."""
        return self._run(server, "closed", path, seconds, timeout, connections)

    def _run(self, server: Server, mode: str, path: str, *numbers: float) -> Outcome:
        """Raises `Broken` when the client fails."""
        command = ["taskset", "-c", str(CORE), str(self.program), mode, f"127.0.0.1:{server.port}", path]
        command += [f"{number:g}" for number in numbers]
        seconds, timeout, *_ = numbers
        try:
            # It ends by itself: with its load, or when its last request is given up.
            limit = seconds + timeout + 60
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit)
        except subprocess.TimeoutExpired as error:
            raise Broken(f"the client has not ended after {limit:g} s") from error
        if done.returncode:
            raise Broken(f"the client: {done.stderr.strip()[-300:]}")
        return Outcome(**json.loads(done.stdout))


def require_two_cores() -> None:
    """Ends the program where the server and the client cannot have a core each. Allows itself and them many sockets."""
    # So that the servers end with this process when it is told to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if shutil.which("taskset") is None:
        sys.exit("error: taskset is missing (Debian: apt-get install util-linux)")
    if (os.cpu_count() or 1) < 2:
        sys.exit("error: the server and the client need a core each; this machine has one")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
