"""Start and end of an application, and the state in between."""

from __future__ import annotations

import pathlib
import signal

import pytest

from harness.compare import serve_both
from harness.servers import START_TIMEOUT, start_bimetal
from harness.wire import Connection, get


@pytest.fixture
def record(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "record"


def lines(record: pathlib.Path) -> list[str]:
    return record.read_text().splitlines() if record.exists() else []


def test_state(record: pathlib.Path) -> None:
    """What the lifespan yields is in every request: the same objects, but a dictionary of its own for each."""
    with serve_both("lifespans:app") as pair:
        for _ in range(3):
            reply = pair.same("GET", "/state")
            assert pair.same("GET", "/sync-state").json() == {"number": 7, "own": False}
        assert reply.json() == {
            "shared": ["one", "more", "more", "more"], "number": 8, "app": "yes", "keys": ["number", "own", "shared"],
        }  # fmt: skip


@pytest.mark.parametrize("stop_signal", [signal.SIGTERM, signal.SIGINT])
def test_start_and_end(record: pathlib.Path, stop_signal: signal.Signals) -> None:
    with start_bimetal("lifespans:app", env={"RECORD": str(record)}) as server:
        server.wait_ready()
        assert lines(record) == ["startup"], "startup must be over before the first connection is accepted"
        assert get(server.port, "/plain").json() == "yes"
        server.process.send_signal(stop_signal)
        server.process.wait(START_TIMEOUT)
        assert lines(record) == ["startup", "handler", "shutdown"]


def test_old_event_handlers(record: pathlib.Path) -> None:
    with start_bimetal("lifespans:old", env={"RECORD": str(record)}) as server:
        assert get(server.wait_ready().port, "/").json() == "old"
    assert lines(record) == ["old startup", "old shutdown"]


@pytest.mark.parametrize(
    ("app", "reason"), [("lifespans:failing", "the database is away"), ("lifespans:says_failed", "no licence")]
)
def test_a_failed_start_ends_the_server(app: str, reason: str) -> None:
    with start_bimetal(app) as server:
        assert server.process.wait(START_TIMEOUT) not in (0, -signal.SIGKILL)
        assert reason in server.output


def test_a_failed_end_is_reported(record: pathlib.Path) -> None:
    with start_bimetal("lifespans:failing_late", env={"RECORD": str(record)}) as server:
        assert get(server.wait_ready().port, "/").json() == "up"
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(START_TIMEOUT)
        assert lines(record) == ["shutdown reached"]
        assert "cannot put things away" in server.output


@pytest.mark.parametrize("app", ["unsupported", "returns_at_once"])
def test_an_application_without_lifespan(app: str) -> None:
    with serve_both(f"lifespans:{app}") as pair:
        assert pair.same("GET", "/").status == 200


def test_a_plain_lifespan(record: pathlib.Path) -> None:
    with start_bimetal("lifespans:complete", env={"RECORD": str(record)}) as server:
        assert get(server.wait_ready().port, "/").body == b"['from_lifespan']"
    assert lines(record) == ["bare startup", "bare shutdown"]


def test_lifespan_on_demands_support() -> None:
    with start_bimetal("lifespans:unsupported", "--lifespan", "on") as server:
        assert server.process.wait(START_TIMEOUT) not in (0, -signal.SIGKILL)


def test_lifespan_off_skips_it(record: pathlib.Path) -> None:
    with start_bimetal("lifespans:complete", "--lifespan", "off", env={"RECORD": str(record)}) as server:
        get(server.wait_ready().port, "/")
    assert lines(record) == []


def test_requests_in_flight_finish_before_the_end(record: pathlib.Path) -> None:
    with start_bimetal("streams:app") as server:
        server.wait_ready()
        with Connection(server.port) as slow, Connection(server.port) as opener:
            slow.send_request("GET", "/stream/sync/drain")
            pieces = slow.body(slow.read_head())
            assert next(pieces) == b"first "
            opener.send(b"GET /open/dr")
            server.process.send_signal(signal.SIGTERM)
            opener.send(b"ain HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"".join(pieces) == b"last"
        server.process.wait(START_TIMEOUT)
