"""Worker processes under a supervisor: they share a port, are replaced when they die, and drained when they are replaced."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.load import Load
from harness.servers import APPS, START_TIMEOUT, STOP_TIMEOUT, ServerProcess, free_port, start_bimetal, until
from harness.wire import Connection, get

pytestmark = pytest.mark.bimetal_only


def workers_of(server: ServerProcess) -> set[int]:
    """The processes the supervisor has started and that have not been waited for."""
    tasks = Path(f"/proc/{server.pid}/task")
    found: set[int] = set()
    for task in tasks.iterdir():
        with contextlib.suppress(OSError):
            found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Served:
    """A supervisor and what it leaves in its folder."""

    def __init__(self, folder: Path, server: ServerProcess) -> None:
        self.folder = folder
        self.server = server
        self.port = server.port

    def write(self, version: str) -> None:
        (self.folder / "version").write_text(version)

    def note(self, name: str) -> None:
        until((self.folder / name).exists, name)

    def go(self) -> None:
        (self.folder / "go").touch()

    def serving(self, count: int, version: str = "1", without: frozenset[int] = frozenset()) -> set[int]:
        """Wait until `count` workers of this version answer, and nobody else; the workers."""
        pids: set[int] = set()

        def asked() -> bool:
            try:
                answer = get(self.port, "/pid").json()
            except OSError:
                return False  # it was with a worker that has been killed
            if answer["version"] != version or answer["pid"] in without:
                pids.clear()
            else:
                pids.add(answer["pid"])
            return len(pids) == count and workers_of(self.server) == pids

        until(asked, f"{count} workers of version {version}; {pids}")
        return pids


@contextlib.contextmanager
def serve(folder: Path, *args: str, workers: int = 2) -> Iterator[Served]:
    (folder / "version").write_text("1")
    started = start_bimetal("workers:app", "--workers", str(workers), *args, env={"FOLDER": str(folder)})
    with started as server:
        yield Served(folder, server.wait_ready())


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serve(tmp_path) as served:
        yield served


def test_workers_share_the_port_and_one_speaks_for_all(served: Served) -> None:
    served.serving(2)
    assert served.server.stop() == 0
    output = served.server.output
    assert output.count("serves workers:app on http://127.0.0.1:") == 1
    assert "(2 workers)" in output
    assert output.count("/pid") == 1
    assert "Traceback" not in output and "ERROR" not in output


def test_a_worker_killed_under_load_is_replaced(served: Served) -> None:
    before = served.serving(2)
    with Load(served.port, "/pid") as load:
        for _ in range(3):
            victim = sorted(before)[0]
            os.kill(victim, signal.SIGKILL)
            before = served.serving(2, without=frozenset({victim}))
            answers = load.answers
            until(lambda answers=answers: load.answers > answers + 50, "answers")
    # What was in flight on the one that died, of each client at most.
    assert len(load.failures) <= 3 * load.clients, load.failures
    assert "was ended by SIGKILL" in served.server.output


def test_a_first_worker_that_does_not_start_is_the_end(tmp_path: Path) -> None:
    (tmp_path / "version").write_text("broken")
    with start_bimetal("workers:app", "--workers", "4", env={"FOLDER": str(tmp_path)}) as server:
        assert server.process.wait(START_TIMEOUT) == 1
        assert server.output.count("RuntimeError: this version is broken") == 1
        assert "worker 1 ended with exit code 1 before it served" in server.output


def test_a_crash_loop_ends_with_a_reason(served: Served) -> None:
    workers = served.serving(2)
    served.write("broken")
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    assert served.server.process.wait(START_TIMEOUT) == 1
    assert "no worker serves, and 5 in a row have failed" in served.server.output


def test_a_broken_version_does_not_matter_to_those_that_serve(served: Served) -> None:
    victim, other = sorted(served.serving(2))
    served.write("broken")
    os.kill(victim, signal.SIGKILL)
    served.server.wait_output("the next one is started in 1s")
    assert get(served.port, "/pid").json()["pid"] == other
    served.write("1")
    assert other in served.serving(2)


def test_sighup_replaces_all_without_a_failure(served: Served) -> None:
    old = served.serving(2)
    with Load(served.port, "/pid") as load:
        for version in ("2", "3"):
            served.write(version)
            served.server.process.send_signal(signal.SIGHUP)
            new = served.serving(2, version)
            assert not new & old
            old = new
    assert not load.failures
    assert load.answers > 100


def test_sighup_with_broken_code_changes_nothing(served: Served) -> None:
    old = served.serving(2)
    served.write("broken")
    with Load(served.port, "/pid") as load:
        served.server.process.send_signal(signal.SIGHUP)
        served.server.wait_output("before it served; the old workers go on serving")
        assert served.serving(2) == old
    assert not load.failures
    assert served.server.output.count("RuntimeError: this version is broken") == 1


def test_requests_in_flight_finish_when_workers_are_replaced_and_when_they_stop(served: Served) -> None:
    for order in (signal.SIGHUP, signal.SIGTERM):
        for name in ("held", "go"):
            (served.folder / name).unlink(missing_ok=True)
        pids = served.serving(2, served.folder.joinpath("version").read_text())
        with Connection(served.port) as held:
            held.send_request("GET", "/held")
            served.note("held")
            if order == signal.SIGHUP:
                served.write("2")
            served.server.process.send_signal(order)
            if order == signal.SIGHUP:
                # One of the old is left, with the request.
                until(lambda: len(workers_of(served.server)) == 3, "the new workers and one old")
            else:
                until(lambda: len(workers_of(served.server)) == 1, "the worker with the request")
            served.go()
            assert held.read_reply().json()["pid"] in pids
    assert served.server.process.wait(STOP_TIMEOUT) == 0


def test_an_interrupt_from_a_terminal_drains(served: Served) -> None:
    """It goes to the supervisor and its workers."""
    served.serving(2)
    with Connection(served.port) as held:
        held.send_request("GET", "/held")
        served.note("held")
        os.killpg(served.server.pid, signal.SIGINT)
        until(lambda: len(workers_of(served.server)) == 1, "the worker with the request")
        served.go()
        assert held.read_reply().status == 200
    assert served.server.process.wait(STOP_TIMEOUT) == 0
    assert "Traceback" not in served.server.output


def test_a_second_interrupt_does_not_wait(served: Served) -> None:
    pids = served.serving(2)
    with Connection(served.port) as held:
        held.send_request("GET", "/held")
        served.note("held")
        os.killpg(served.server.pid, signal.SIGINT)
        until(lambda: len(workers_of(served.server)) == 1, "the worker with the request")
        os.killpg(served.server.pid, signal.SIGINT)
        assert served.server.process.wait(STOP_TIMEOUT) == 0
    assert not any(map(alive, pids))
    assert "Traceback" not in served.server.output


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "with the interpreter held"])
def test_no_worker_outlives_its_supervisor(tmp_path: Path, busy: bool) -> None:
    with serve(tmp_path, "--drain-timeout", "0.1") as served:
        pids = served.serving(2)
        with Connection(served.port) as connection:
            if busy:
                connection.send_request("GET", "/spin")
                served.note("gil")
            served.server.process.kill()
            until(lambda: not any(map(alive, pids)), "the end of the workers")


def test_a_stop_does_not_wait_for_a_busy_interpreter(tmp_path: Path) -> None:
    with serve(tmp_path, "--drain-timeout", "0.1") as served:
        served.serving(2)
        with Connection(served.port) as connection:
            connection.send_request("GET", "/spin")
            served.note("gil")
            assert served.server.stop() == 0
        assert "does not end in time and is killed" in served.server.output


def test_a_stopped_worker_is_replaced_and_a_busy_one_is_not(tmp_path: Path) -> None:
    with serve(tmp_path, "--heartbeat-timeout", "2") as served:
        served.serving(2)
        with Connection(served.port) as connection:
            busy = connection.request("GET", "/gil/4000").json()["pid"]
        (victim,) = served.serving(2) - {busy}
        os.kill(victim, signal.SIGSTOP)
        # New connections may wait at the one that has been stopped.
        served.server.wait_output("has shown no sign of life")
        assert busy in served.serving(2, without=frozenset({victim}))


def test_a_worker_that_has_had_its_requests_is_replaced_without_a_failure(tmp_path: Path) -> None:
    with serve(tmp_path, "--max-requests", "100", "--max-requests-jitter", "50") as served:
        seen: set[int] = set()
        with Load(served.port, "/pid") as load:

            def replaced() -> bool:
                seen.update(workers_of(served.server))
                return len(seen) >= 6

            until(replaced, "four replacements")
        assert not load.failures
        assert served.server.stop() == 0
        assert "ERROR" not in served.server.output


def test_app_run(tmp_path: Path) -> None:
    (tmp_path / "version").write_text("1")
    port = free_port()
    command = [sys.executable, str(APPS / "workers.py")]
    with ServerProcess(command, port, APPS, {"FOLDER": str(tmp_path), "PORT": str(port)}) as server:
        served = Served(tmp_path, server.wait_ready())
        assert server.pid not in served.serving(2)
        assert server.stop() == 0


def test_a_program_without_a_file_has_no_workers() -> None:
    program = "import bimetal; bimetal.Bimetal().run(workers=2)"
    command = ["sh", "-c", f"echo '{program}' | {sys.executable} -"]
    with ServerProcess(command, 0, APPS) as server:
        assert server.process.wait(START_TIMEOUT) == 1
        assert "worker processes start the program again" in server.output
