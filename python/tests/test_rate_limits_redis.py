"""Rate limits in a Redis: servers that count together, and what becomes of requests while Redis is gone, held up, or wrong."""

from __future__ import annotations

import contextlib
import statistics
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from harness.redis import Redis
from harness.servers import ServerProcess, free_port, run_bimetal, start_bimetal, until
from harness.wire import Connection, get

pytestmark = pytest.mark.bimetal_only

#: Redis is waited for longer than by default, where a test is about something else: this machine may be busy.
PATIENT = "2"

Start = Callable[..., ServerProcess]


@pytest.fixture
def redis() -> Iterator[Redis]:
    with Redis() as redis:
        yield redis


@pytest.fixture
def start(redis: Redis) -> Iterator[Start]:
    with contextlib.ExitStack() as stack:

        def start(requests: int, timeout: str = PATIENT, **settings: str) -> ServerProcess:
            env = {"RATE_LIMIT_STORE": redis.url, "RATE_LIMIT_REQUESTS": str(requests), "RATE_LIMIT_TIMEOUT": timeout}
            env |= {f"RATE_LIMIT_{name.upper()}": value for name, value in settings.items()}
            return stack.enter_context(start_bimetal("rate_limits:outside", "--probes", env=env)).wait_ready()

        yield start


def statuses(server: ServerProcess, count: int) -> list[int]:
    with Connection(server.port) as connection:
        return [connection.request("GET", "/").status for _ in range(count)]


def figure(server: ServerProcess, name: str) -> float:
    lines = get(server.port, "/metrics").text.splitlines()
    return float(next(line.split()[-1] for line in lines if line.startswith(name + " ")))


def is_up(server: ServerProcess) -> bool:
    return figure(server, "bimetal_rate_limit_store_up") == 1


def test_three_servers_overshoot_by_less_than_a_percent(start: Start) -> None:
    limit = 1000
    servers = [start(limit, on_error="closed") for _ in range(3)]
    seen: list[int] = []

    def ask(server: ServerProcess) -> None:
        seen.extend(statuses(server, 250))

    threads = [threading.Thread(target=ask, args=(server,)) for server in servers for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 1500 and set(seen) == {200, 429}
    # An hour's quota: what is earned again meanwhile is a fraction of a request.
    assert limit <= seen.count(200) <= limit * 1.01


def test_headers_and_keys(start: Start, redis: Redis) -> None:
    server = start(7)
    reply = get(server.port, "/")
    assert reply.header("ratelimit-policy") == '"default";q=7;w=3600'
    assert reply.header("ratelimit") == '"default";r=6;t=515'
    assert statuses(server, 7) == [200] * 6 + [429]
    refused = get(server.port, "/")
    assert refused.header("ratelimit") == '"default";r=0;t=3600'
    assert 510 < int(refused.header("retry-after") or 0) <= 515
    secret = [("Authorization", "Bearer secret")]
    assert [get(server.port, "/key", secret).status for _ in range(3)] == [200, 200, 429]
    keys = redis.command("KEYS", "*")
    assert isinstance(keys, list) and len(keys) == 2
    assert "bimetal:*:127.0.0.1" in keys
    assert not any("secret" in key for key in keys)
    # Nothing is kept for longer than it counts.
    assert all(0 < int(str(redis.command("PTTL", key))) <= 3_600_000 for key in keys)


def test_scripts_that_have_been_flushed(start: Start, redis: Redis) -> None:
    server = start(5, on_error="closed")
    assert statuses(server, 2) == [200, 200]
    assert redis.command("SCRIPT", "FLUSH") == "OK"
    assert statuses(server, 4) == [200, 200, 200, 429]


def test_without_redis_each_server_holds_to_the_limit_alone(start: Start, redis: Redis) -> None:
    server = start(20)
    assert statuses(server, 5) == [200] * 5
    redis.kill()
    # It goes on where Redis was.
    assert statuses(server, 20) == [200] * 15 + [429] * 5
    assert "Redis does not answer, rate limits are kept without it" in server.output
    assert redis.password not in server.output
    assert figure(server, "bimetal_rate_limit_store_up") == 0
    assert figure(server, "bimetal_rate_limit_unanswered_total") == 20
    redis.start()
    until(lambda: is_up(server), "the server has found Redis again")
    assert "Redis answers again" in server.output
    # This one knows nothing of the clients.
    assert statuses(server, 25) == [200] * 20 + [429] * 5
    assert server.stop() == 0


def test_without_redis_requests_can_be_refused(start: Start, redis: Redis) -> None:
    server = start(20, on_error="closed")
    assert statuses(server, 3) == [200] * 3
    redis.kill()
    with Connection(server.port) as connection:
        for _ in range(20):
            reply = connection.request("GET", "/")
            assert (reply.status, reply.json()) == (503, {"detail": "Rate limits cannot be checked at the moment"})
            assert reply.header("retry-after") == "1"
    assert get(server.port, "/pid").status == 200
    redis.start()
    until(lambda: is_up(server), "the server has found Redis again")
    assert statuses(server, 3) == [200] * 3


@pytest.mark.parametrize("on_error", ["open", "closed"])
def test_a_redis_that_hangs_holds_nobody_up(start: Start, redis: Redis, on_error: str) -> None:
    server = start(100_000, timeout="0.005", on_error=on_error)
    redis.hold()
    try:
        took = []
        with Connection(server.port) as connection:
            for _ in range(200):
                began = time.perf_counter()
                status = connection.request("GET", "/").status
                took.append(time.perf_counter() - began)
                assert status == (200 if on_error == "open" else 503)
        assert statistics.median(took) < 0.05
        assert sum(took) < 5
        assert not is_up(server)
    finally:
        redis.go_on()
    until(lambda: is_up(server), "the server has found Redis again")
    until(lambda: statuses(server, 1) == [200], "an answer")
    assert server.stop() == 0


def test_a_server_stops_while_redis_hangs(start: Start, redis: Redis) -> None:
    server = start(100, timeout="0.005")
    redis.hold()
    try:
        assert statuses(server, 10) == [200] * 10
        assert server.stop() == 0
    finally:
        redis.go_on()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://:secret@127.0.0.1/", "the Redis at http://***@127.0.0.1/ cannot be used"),
        ("redis://:secret@127.0.0.1:{port}/0", "the Redis at redis://***@127.0.0.1:{port}/0 cannot be used"),
        ("redis://no-such-host.invalid/", "the Redis at redis://no-such-host.invalid/ cannot be used"),
        ("redis://127.0.0.1:{closed}/0", "the Redis at redis://127.0.0.1:{closed}/0 cannot be used"),
        ("redis://:{password}@127.0.0.1:{port}/99", "the Redis at redis://***@127.0.0.1:{port}/99 cannot be used"),
    ],
)
def test_a_wrong_url_is_named_at_the_start(redis: Redis, url: str, says: str) -> None:
    names = {"port": redis.port, "closed": free_port(), "password": redis.password}
    env = {"RATE_LIMIT_STORE": url.format(**names)}
    ended = run_bimetal("run", "rate_limits:outside", "--port", "0", env=env)
    assert ended.returncode == 1
    assert says.format(**names) in ended.stderr
    assert "secret" not in ended.stderr and redis.password not in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_server_can_start_before_redis(start: Start, redis: Redis) -> None:
    redis.kill()
    server = start(10, required="no")
    assert statuses(server, 3) == [200] * 3
    redis.start()
    until(lambda: is_up(server), "the server has found Redis")
    assert statuses(server, 11) == [200] * 10 + [429]
