"""Workers that are killed, replaced and stopped under a steady load. A short version of each; `make soak` runs the long ones."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from harness.rate import Rate
from harness.servers import STOP_TIMEOUT, until
from harness.wire import Connection
from test_workers import Served, serve, workers_of

pytestmark = pytest.mark.bimetal_only

LONG = os.environ.get("SOAK") == "long"

RATE = 500
"""Requests a second."""

STEADY = 1.0
"""How long a worker has to have served for its end not to count as a failed start, in seconds."""

DRAIN = 1.0


@pytest.mark.timeout(1800 if LONG else 180)
def test_killed_workers_cost_what_they_had_in_flight(tmp_path: Path) -> None:
    kills = 100 if LONG else 5
    began = time.monotonic()
    with serve(tmp_path) as served:
        served.serving(2)
        start = time.monotonic() - began
        pauses = []
        with Rate(served.port, "/pid", RATE) as rate:
            for _ in range(kills):
                ready = served.server.output.count("a worker serves")
                victim, other = oldest_first(served)
                killed = rate.kill(victim)
                until(lambda ready=ready: served.server.output.count("a worker serves") > ready, "a new worker")
                pauses.append(time.monotonic() - killed)
                answered = rate.outcome.answered
                until(lambda answered=answered: rate.outcome.answered > answered + RATE * STEADY, "answers")
                assert other in workers_of(served.server)
        outcome = rate.outcome
        print(
            f"{kills} kills at {RATE} requests/s: {outcome.answered:,} answered, {outcome.in_flight} lost in flight, "
            f"{outcome.again} sent again on another connection, {len(outcome.failed)} failed; replaced after "
            f"{sorted(pauses)[len(pauses) // 2]:.2f} s (median), {max(pauses):.2f} s (most); two workers from "
            f"nothing in {start:.2f} s"
        )
        assert not outcome.failed, outcome.failed
        assert served.server.output.count("was ended by SIGKILL") == kills


def oldest_first(served: Served) -> list[int]:
    pids = workers_of(served.server)
    assert len(pids) == 2, pids
    return sorted(pids, key=lambda pid: int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]))


@pytest.mark.timeout(1800 if LONG else 180)
def test_reloads_lose_nothing(tmp_path: Path) -> None:
    reloads = 20 if LONG else 2
    with serve(tmp_path) as served:
        served.serving(2)
        with Rate(served.port, "/pid", RATE) as rate:
            for number in range(2, reloads + 2):
                served.write(str(number))
                served.server.process.send_signal(signal.SIGHUP)
                served.serving(2, str(number))
        outcome = rate.outcome
        print(
            f"{reloads} reloads at {RATE} requests/s: {outcome.answered:,} answered, {outcome.again} sent again on "
            f"another connection, {len(outcome.failed)} failed"
        )
        assert not outcome.failed, outcome.failed
        assert outcome.in_flight == 0


def test_a_stop_finishes_what_is_in_flight_and_waits_for_nobody_else(tmp_path: Path) -> None:
    with serve(tmp_path, "--drain-timeout", str(DRAIN + 5)) as served:
        served.serving(2)
        with (
            Connection(served.port) as held,
            Connection(served.port) as idle,
            Connection(served.port) as events,
        ):
            held.send_request("GET", "/held")
            served.note("held")
            assert idle.request("GET", "/pid").status == 200
            events.send_request("GET", "/events")
            head = events.read_head()
            assert next(events.body(head))
            began = time.monotonic()
            served.server.process.send_signal(signal.SIGTERM)
            assert idle.is_closed_by_server()
            idle_for = time.monotonic() - began
            served.go()
            assert held.read_reply().status == 200
            assert served.server.process.wait(STOP_TIMEOUT) == 0
            took = time.monotonic() - began
        assert (tmp_path / "disconnected").exists()
        print(f"a stop: idle connections closed after {idle_for:.2f} s, over after {took:.2f} s (limit {DRAIN + 5} s)")


@pytest.mark.parametrize("workers", [2, 1])
@pytest.mark.parametrize("where", ["def", "loop"])
def test_a_stop_does_not_wait_for_a_loop_without_an_end(tmp_path: Path, where: str, workers: int) -> None:
    with serve(tmp_path, "--drain-timeout", str(DRAIN), workers=workers) as served:
        with Connection(served.port) as busy:
            busy.send_request("GET", f"/busy/{where}")
            served.note("busy")
            began = time.monotonic()
            served.server.process.send_signal(signal.SIGTERM)
            code = served.server.process.wait(STOP_TIMEOUT)
            took = time.monotonic() - began
        assert code == (1 if workers == 1 and where == "loop" else 0)
        assert ("a handler does not let it go" in served.server.output) == bool(code)
        print(f"a stop with {workers} workers, one in `while True: pass` ({where}): {took:.2f} s (limit {DRAIN} s)")


@pytest.mark.timeout(180)
def test_a_busy_worker_is_not_silent(tmp_path: Path) -> None:
    """However long it keeps the interpreter to itself."""
    seconds = 10 if LONG else 3
    with serve(tmp_path, "--heartbeat-timeout", "2", "--max-requests", "1000000", workers=1) as served:
        with Connection(served.port) as connection:
            (before,) = served.serving(1)
            assert connection.request("GET", f"/gil/{seconds * 1000}").json()["pid"] == before
        assert served.serving(1) == {before}
        assert "no sign of life" not in served.server.output
        print(f"a worker that holds the interpreter for {seconds} s is not killed (--heartbeat-timeout 2)")
