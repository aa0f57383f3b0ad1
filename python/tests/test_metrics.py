"""`/metrics`: what Prometheus can read, of one process and of many as if they were one."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from bimetal import Server
from harness.load import Load
from harness.servers import STOP_TIMEOUT, ServerProcess, start_bimetal
from harness.wire import Connection, get
from test_workers import alive, until, workers_of

pytestmark = pytest.mark.bimetal_only

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]

#: The types of what never goes back.
RISING = ("counter", "histogram")


def scrape(port: int) -> tuple[Samples, dict[str, str]]:
    """Every sample, and the type of each metric; read by Prometheus' own parser."""
    reply = get(port, "/metrics")
    assert reply.status == 200, reply.text
    assert reply.header("content-type") == "text/plain; version=0.0.4; charset=utf-8"
    samples: Samples = {}
    types: dict[str, str] = {}
    for family in text_string_to_metric_families(reply.text):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in samples, key
            samples[key] = sample.value
            types[sample.name] = family.type
    return samples, types


def total(samples: Samples, name: str, **labels: str) -> float:
    return sum(value for (found, has), value in samples.items() if found == name and frozenset(labels.items()) <= has)


def answered(port: int, route: str = "/pid") -> float:
    return total(scrape(port)[0], "bimetal_request_duration_seconds_count", route=route)


def histograms_add_up(samples: Samples) -> None:
    for (name, labels), value in samples.items():
        if name.endswith("_count") and ("seconds" in name):
            buckets = [
                (float(dict(has)["le"]), count)
                for (found, has), count in samples.items()
                if found == name.removesuffix("_count") + "_bucket" and labels < has
            ]
            counts = [count for _, count in sorted(buckets)]
            assert counts == sorted(counts) and counts[-1] == value, (name, labels)


@contextlib.contextmanager
def serve(folder: Path, workers: int = 3) -> Iterator[ServerProcess]:
    env = {"FOLDER": str(folder)}
    with start_bimetal("probes:app", "--probes", "--workers", str(workers), env=env) as server:
        server.wait_ready()
        serving(server, workers)
        yield server


def serving(server: ServerProcess, count: int, without: frozenset[int] = frozenset()) -> set[int]:
    """Wait until so many workers answer, and nobody else; the workers."""
    pids: set[int] = set()

    def asked() -> bool:
        with contextlib.suppress(OSError):
            pid = get(server.port, "/pid").json()["pid"]
            if pid in without:
                pids.clear()
            else:
                pids.add(pid)
        return len(pids) == count and workers_of(server) == pids

    until(asked, f"{count} workers")
    return pids


def test_one_process() -> None:
    app = FastAPI()

    @app.get('/strange/{a}/"quoted"\\path')
    def strange(a: str) -> str:
        return a

    with Server(app, probes=True) as server:
        for _ in range(3):
            assert get(server.port, "/strange/1/%22quoted%22%5Cpath").status == 200
        get(server.port, "/nowhere")
        samples, types = scrape(server.port)
        assert total(samples, "bimetal_request_duration_seconds_count", route='/strange/{a}/"quoted"\\path') == 3
        assert total(samples, "bimetal_requests_total", lane="sync") == 3
        assert total(samples, "bimetal_native_panics_total") == 0
        histograms_add_up(samples)
        assert types["bimetal_requests_total"] == "counter"
        assert types["bimetal_handler_seconds_bucket"] == "histogram"
        for name in ("resident_memory_bytes", "virtual_memory_bytes", "open_fds", "start_time_seconds", "threads"):
            assert samples[(f"process_{name}", frozenset())] > 0, name
        again, _ = scrape(server.port)
        same = ("process_start_time_seconds", frozenset[tuple[str, str]]())
        assert abs(again[same] - samples[same]) <= 1
        cpu = ("process_cpu_seconds_total", frozenset[tuple[str, str]]())
        assert again[cpu] >= samples[cpu]


def test_a_scrape_has_the_requests_of_all_workers(tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        before = answered(server.port)
        seen = set()
        for _ in range(300):
            seen.add(get(server.port, "/pid").json()["pid"])
        # Whoever answers, and each of them has answered: the same sum.
        assert len(seen) > 1
        assert {answered(server.port) - before for _ in range(12)} == {300}
        samples, types = scrape(server.port)
        histograms_add_up(samples)
        assert samples[("bimetal_workers", frozenset())] == 3
        for name in ("process_resident_memory_bytes", "bimetal_connections", "bimetal_event_loop_lag_seconds"):
            workers = {dict(labels)["worker"] for found, labels in samples if found == name} - {"supervisor"}
            assert workers == {"1", "2", "3"}, name
        assert types["process_cpu_seconds_total"] == "counter"


class Watch:
    """Scrapes without a pause; what went back is noted."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.wrong: list[str] = []
        self.scrapes = 0
        self._last: Samples = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                samples, types = scrape(self.port)
            except (OSError, ValueError):
                continue  # it was with a worker that has been killed
            except AssertionError as error:
                self.wrong.append(str(error))
                return
            for key, value in samples.items():
                if key[0].startswith("process_") or types[key[0]] not in RISING:
                    continue
                if value < self._last.get(key, 0):
                    self.wrong.append(f"{key}: {self._last[key]} -> {value}")
            missing = {key for key in self._last if key[0].startswith("bimetal_request")} - set(samples)
            self.wrong.extend(f"{key} is gone" for key in missing if types.get(key[0]) in RISING)
            self._last = samples
            self.scrapes += 1

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(STOP_TIMEOUT)
        assert not self._thread.is_alive()

    def more(self, count: int = 3) -> None:
        wanted = self.scrapes + count
        until(lambda: self.scrapes >= wanted or bool(self.wrong), "scrapes")


def test_a_worker_that_is_killed_takes_nothing_back(tmp_path: Path) -> None:
    with serve(tmp_path) as server, Watch(server.port) as watch:
        with Load(server.port, "/pid") as load:
            for _ in range(2):
                watch.more()
                victim = sorted(workers_of(server))[0]
                os.kill(victim, signal.SIGKILL)
                serving(server, 3, without=frozenset({victim}))
                assert not alive(victim)
                watch.more()
        assert load.answers
    assert watch.wrong == []


def test_a_reload_takes_nothing_back_and_loses_nothing(tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        before = answered(server.port)
        old = workers_of(server)
        asked = 0
        with Watch(server.port) as watch:
            watch.more()
            # Some on the old workers, and on connections that they close.
            with Connection(server.port) as connection:
                for _ in range(100):
                    asked += connection.request("GET", "/pid").status == 200
            server.process.send_signal(signal.SIGHUP)
            until(lambda: not (workers_of(server) & old) and len(workers_of(server)) == 3, "new workers")
            for _ in range(100):
                asked += get(server.port, "/pid").status == 200
            watch.more()
        assert watch.wrong == []
        assert answered(server.port) - before == asked == 200


def test_a_worker_that_is_stopped_holds_nobody_up(tmp_path: Path) -> None:
    with serve(tmp_path, workers=2) as server:
        before = answered(server.port)
        with Connection(server.port) as connection:
            one = connection.request("GET", "/pid").json()["pid"]
            # What both have counted so far is known.
            assert answered(server.port) - before == 1
            other = next(iter(workers_of(server) - {one}))
            os.kill(other, signal.SIGSTOP)
            try:
                assert connection.request("GET", "/pid").json()["pid"] == one
                text = connection.request("GET", "/metrics").text
            finally:
                os.kill(other, signal.SIGCONT)
            assert 'bimetal_ready{worker="1"}' in text and 'bimetal_ready{worker="2"}' in text
        assert answered(server.port) - before == 2
