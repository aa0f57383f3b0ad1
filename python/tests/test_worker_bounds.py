"""What a worker process may take: time to start, and memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.load import Load
from harness.servers import START_TIMEOUT, start_bimetal
from harness.wire import get
from test_workers import serve

pytestmark = pytest.mark.bimetal_only


@pytest.mark.parametrize(
    ("version", "stages"),
    [
        ("hangs", {"import": "importing workers:app"}),
        ("waits", {"import": "compiling", "startup": "waiting for the application's startup (lifespan)"}),
    ],
)
def test_a_worker_that_does_not_come_to_serve_is_killed_and_its_stage_named(
    tmp_path: Path, version: str, stages: dict[str, str]
) -> None:
    (tmp_path / "version").write_text(version)
    arguments = ("--workers", "2", "--startup-timeout", "3")
    with start_bimetal("workers:app", *arguments, env={"FOLDER": str(tmp_path)}) as server:
        assert server.process.wait(START_TIMEOUT) == 1
        said = "worker 1 did not come to serve within 3s (--startup-timeout) and was killed while "
        assert server.output.count(said) == 1, server.output
        # As far as it has come: the machine may have been busy.
        reached = [stage for note, stage in stages.items() if (tmp_path / note).exists()]
        if reached == list(stages.values()):
            assert said + reached[-1] in server.output, server.output


def test_a_worker_that_has_grown_is_replaced_without_a_failure(tmp_path: Path) -> None:
    with serve(tmp_path, "--max-memory", "300", "--max-memory-jitter", "20") as served:
        before = served.serving(2)
        with Load(served.port, "/pid") as load:
            grown = get(served.port, "/grow/400").json()
            assert grown in before
            (other,) = before - {grown}
            served.server.wait_output("(--max-memory); another one takes its place")
            assert other in served.serving(2, without=frozenset({grown}))
        assert not load.failures
        assert served.server.output.count("has grown to") == 1


def test_a_limit_below_what_a_worker_begins_with_does_not_hold(tmp_path: Path) -> None:
    with serve(tmp_path, "--max-memory", "1", workers=1) as served:
        before = served.serving(1)
        served.server.wait_output("the limit does not hold for it")
        get(served.port, "/grow/50")
        assert served.serving(1) == before
        assert "has grown to" not in served.server.output
