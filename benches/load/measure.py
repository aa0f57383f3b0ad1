"""Timing: the systems in turns, round after round, so that all of them see the same machine."""

from __future__ import annotations

import contextlib
import re
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .server import Broken, Server
from .work import Work

_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


@dataclass(frozen=True)
class Load:
    """How a work is offered: `connections` at once, for `seconds`, from the client's core."""

    connections: int
    seconds: float
    core: int


@dataclass(frozen=True)
class Sample:
    """One run of one system: requests a second, CPU microseconds a request, latencies in milliseconds."""

    rate: float
    cpu_us: float
    p50_ms: float
    p99_ms: float


@dataclass
class Series:
    """The samples of one system at one work, one a round."""

    samples: list[Sample] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """The median of requests a second."""
        return statistics.median(sample.rate for sample in self.samples)

    @property
    def cpu_us(self) -> float:
        """The median of CPU microseconds a request."""
        return statistics.median(sample.cpu_us for sample in self.samples)

    @property
    def p50_ms(self) -> float:
        """The median of the rounds' median latencies."""
        return statistics.median(sample.p50_ms for sample in self.samples)

    @property
    def p99_ms(self) -> float:
        """The median of the rounds' 99th percentiles."""
        return statistics.median(sample.p99_ms for sample in self.samples)

    def ratios(self, base: Series) -> list[float]:
        """Requests a second against those of `base`, round by round."""
        return [mine.rate / other.rate for mine, other in zip(self.samples, base.samples, strict=True)]

    def cpu_ratios(self, base: Series) -> list[float]:
        """CPU time a request of `base` against this one's, round by round: above 1 is cheaper than `base`."""
        return [other.cpu_us / mine.cpu_us for mine, other in zip(self.samples, base.samples, strict=True)]


def rounds(
    servers: Sequence[Server], work: Work, load: Load, count: int, tell: Callable[[str], None]
) -> tuple[dict[str, Series], list[str]]:
    """Times `work` on each server, `count` rounds; every second round goes backwards.

    Also gives what failed: a server of which a request fails takes no further part and has no series.
    """
    series = {server.system.name: Series() for server in servers}
    failures: list[str] = []

    def run(server: Server, load: Load) -> Sample | None:
        try:
            return _run(server, work, load, script)
        except Broken as error:
            failures.append(str(error))
            del series[server.system.name]
            return None

    with _script(work) as script:
        for server in servers:
            run(server, Load(load.connections, min(1.0, load.seconds), load.core))
        for number in range(count):
            for server in servers if number % 2 == 0 else list(reversed(servers)):
                name = server.system.name
                if name not in series:
                    continue
                tell(f"{work.name}, round {number + 1} of {count}: {name}")
                if sample := run(server, load):
                    series[name].samples.append(sample)
    return series, failures


@contextlib.contextmanager
def _script(work: Work) -> Iterator[Path | None]:
    """A script for wrk that sends the request; none for a plain GET."""
    if work.method == "GET":
        yield None
        return
    lines = [f'wrk.method = "{work.method}"', f"wrk.body = [==[{work.body}]==]"]
    lines += [f'wrk.headers["{name}"] = "{value}"' for name, value in work.headers.items()]
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "request.lua"
        script.write_text("\n".join(lines))
        yield script


def _run(server: Server, work: Work, load: Load, script: Path | None) -> Sample:
    url = f"http://127.0.0.1:{server.port}{work.target}"
    command = ["taskset", "-c", str(load.core), "wrk", "-t1", f"-c{load.connections}", f"-d{load.seconds:g}s"]
    command += ["--latency", *(["-s", str(script)] if script else []), url]
    before = server.cpu()
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=load.seconds + 60)
    used = server.cpu() - before
    said = done.stdout
    requests = re.search(r"(\d+) requests in", said)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    if done.returncode or not requests or not rate or not int(requests[1]):
        raise Broken(f"wrk against {server.system.name}: {(done.stderr or said).strip()[-300:]}")
    failures = re.search(r"(Non-2xx.*|Socket errors.*)", said)
    if failures:
        raise Broken(f"{server.system.name} failed under load at {work.name}: {failures[1]}")
    return Sample(
        rate=float(rate[1]),
        cpu_us=used / int(requests[1]) * 1e6,
        p50_ms=_latency(said, "50%"),
        p99_ms=_latency(said, "99%"),
    )


def _latency(said: str, percentile: str) -> float:
    found = re.search(rf"^\s+{percentile}\s+([\d.]+)(us|ms|s|m)\s*$", said, re.MULTILINE)
    return float(found[1]) * _UNITS[found[2]] if found else float("nan")
