"""What the tests that need many requests share. Their long versions are run by `make soak`."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.plugins import PLUGIN_TARGET, cargo_build
from harness.servers import ServerProcess, until
from harness.wire import get

LONG = os.environ.get("SOAK") == "long"


@contextmanager
def many_descriptors() -> Iterator[int]:
    """As many descriptors as the system allows, for this process and the servers it starts meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def resident(pid: int) -> int:
    """The resident memory of a process, in bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def descriptors(pid: int) -> int:
    """How many descriptors a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def in_flight(server: ServerProcess) -> int:
    """Requests of which a server with probes has not seen the end, but for the one that asks."""
    text = get(server.port, "/metrics").text
    found = re.search(r"^bimetal_requests_in_flight(?:{[^}]*})? (\d+)", text, re.MULTILINE)
    assert found is not None, text
    return int(found[1]) - 1


def until_idle(server: ServerProcess) -> None:
    """Wait until every request is over, also of clients that have left."""
    until(lambda: in_flight(server) == 0, "the end of every request")


def until_descriptors(server: ServerProcess, baseline: int) -> None:
    """Wait until a server has no more descriptors open than that."""
    until(lambda: descriptors(server.pid) <= baseline, f"no more than {baseline} descriptors")


@dataclass(frozen=True)
class Load:
    """What became of the requests of `benches/load/client`, in milliseconds; `seconds` from the first request to the last
    answer."""

    sent: int
    answered: int
    refused: int
    timeouts: int
    errors: int
    without_retry_after: int
    seconds: float
    p50_ms: float
    p99_ms: float
    answered_p99_ms: float
    refused_p99_ms: float
    refused_max_ms: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answered / self.seconds


def load_client() -> str:
    """The client that keeps to a schedule, built."""
    return str(cargo_build("benches/load/client", PLUGIN_TARGET) / "load-client")


def open_loop(client: str, port: int, path: str, *, rate: float, seconds: float, timeout: float = 30) -> Load:
    """`rate` requests a second, whatever becomes of them, each timed from when it was due."""
    return _run(client, "open", port, path, seconds, timeout, 64, rate)


def closed_loop(client: str, port: int, path: str, *, connections: int, seconds: float, timeout: float = 30) -> Load:
    """On each connection the next request when the last one is answered."""
    return _run(client, "closed", port, path, seconds, timeout, connections)


def _run(client: str, mode: str, port: int, path: str, *numbers: float) -> Load:
    command = [client, mode, f"127.0.0.1:{port}", path, *(f"{number:g}" for number in numbers)]
    # It ends by itself: with its load, or when its last request is given up.
    done = subprocess.run(command, capture_output=True, text=True, timeout=sum(numbers[:2]) + 60)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    return Load(**{name: figures[name] for name in Load.__dataclass_fields__})
