"""Three times as many requests as can be answered: what can be answered is, and the rest is refused at once.

With `SOAK=long` the bounds are those that are the defaults. Otherwise a small queue, which is full sooner, and more requests: how much can be
answered may change from one second to the next where other tests run beside this one."""

from __future__ import annotations

import pytest

from harness.servers import start_bimetal
from harness.soak import LONG, closed_loop, load_client, many_descriptors, open_loop, until_idle
from harness.wire import get

pytestmark = pytest.mark.bimetal_only

BOUNDS = () if LONG else ("--limit-queue", "100")
SECONDS = 20.0 if LONG else 1.0
OVERLOAD = 3 if LONG else 10
#: No request is given up before: how long one takes is not what is asserted.
PATIENCE = 120


@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", ["/spin/100000", "/async-spin/100000"])
def test_more_than_can_be_answered(path: str) -> None:
    client = load_client()
    with many_descriptors(), start_bimetal("soaking:app", "--probes", *BOUNDS) as server:
        server.wait_ready()
        peak = closed_loop(client, server.port, path, connections=32, seconds=SECONDS)
        over = open_loop(client, server.port, path, rate=OVERLOAD * peak.rate, seconds=SECONDS, timeout=PATIENCE)
        until_idle(server)
        after = closed_loop(client, server.port, path, connections=32, seconds=SECONDS / 2)
        last = get(server.port, path)
    print(
        f"{path}: {peak.rate:,.0f} answers/s closed loop; of {over.sent / SECONDS:,.0f}/s offered {over.rate:,.0f}/s answered "
        f"({over.rate / peak.rate:.0%}), p99 {over.answered_p99_ms:,.0f} ms; {over.refused:,} refused, "
        f"p99 {over.refused_p99_ms:.1f} ms; afterwards {after.rate:,.0f} answers/s"
    )
    assert (over.errors, over.timeouts) == (0, 0)
    assert over.answered + over.refused == over.sent
    assert over.refused > 0
    assert over.without_retry_after == 0
    assert (after.refused, after.errors, after.timeouts) == (0, 0, 0)
    assert last.status == 200


@pytest.mark.parametrize("path", ["/sync/1", "/async/1"])
def test_a_request_that_waited_too_long_is_refused(path: str) -> None:
    """An age that every request reaches, as the event loop and the threads have something else to do first."""
    with start_bimetal("soaking:app", "--limit-queue-age", "0.000001") as server:
        server.wait_ready()
        reply = get(server.port, path)
        assert (reply.status, reply.header("retry-after")) == (503, "1")
        assert reply.json() == {"detail": "The request waited too long for its turn"}
