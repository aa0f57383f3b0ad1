"""Rate limits: who is refused, on every lane, by what clients are told apart, and what they are told."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from harness.servers import REPOSITORY, ServerProcess, run_bimetal, start_bimetal
from harness.wire import Connection, Headers, Reply, get, json_body, request

pytestmark = pytest.mark.bimetal_only

TOO_MANY = {"detail": "Too Many Requests"}


def statuses(server: ServerProcess, path: str, count: int, headers: Headers = ()) -> list[int]:
    return [get(server.port, path, headers).status for _ in range(count)]


def told(reply: Reply) -> dict[str, str]:
    """What a response says of limits."""
    names = ("retry-after", "ratelimit", "ratelimit-policy")
    return {name: value for name, value in reply.headers if name in names or name.startswith("x-ratelimit-")}


def test_one_limit_for_all_routes() -> None:
    with start_bimetal("rate_limits:general") as server:
        server.wait_ready()
        first = get(server.port, "/one")
        assert (first.status, first.json()) == (200, {"one": 1})
        assert told(first) == {"ratelimit-policy": '"default";q=3;w=60', "ratelimit": '"default";r=2;t=20'}
        missing = get(server.port, "/missing")
        assert (missing.status, missing.json()) == (404, {"detail": "Not Found"})
        assert told(missing)["ratelimit"] == '"default";r=1;t=40'
        assert request(server.port, "POST", "/two").status == 405
        for path in ("/one", "/two", "/missing", "/openapi.json"):
            refused = get(server.port, path)
            assert (refused.status, refused.json()) == (429, TOO_MANY)
            assert told(refused)["ratelimit"] == '"default";r=0;t=60'
            assert told(refused)["retry-after"] == "20"
        with pytest.raises(InvalidStatus) as session:
            connect(f"ws://127.0.0.1:{server.port}/chat")
        assert session.value.response.status_code == 429
        for path in ("/free", "/static/a.css", "/exempt"):
            assert told(get(server.port, path)) == {}
        assert statuses(server, "/free", 5) == [200] * 5
        assert statuses(server, "/own", 2) == [200, 429]
        assert server.stop() == 0


def test_a_session_is_one_request() -> None:
    with start_bimetal("rate_limits:general") as server:
        server.wait_ready()
        for _ in range(3):
            with connect(f"ws://127.0.0.1:{server.port}/chat") as session:
                assert session.recv() == "hello"
        assert get(server.port, "/one").status == 429


@pytest.fixture(scope="module")
def lanes() -> Iterator[ServerProcess]:
    with start_bimetal("rate_limits:lanes", "--probes") as server:
        yield server.wait_ready()


@pytest.mark.parametrize("path", ["/native", "/sync", "/async", "/stream", "/depends"])
def test_each_lane_is_limited(lanes: ServerProcess, path: str) -> None:
    replies = [get(lanes.port, path) for _ in range(4)]
    assert [reply.status for reply in replies] == [200, 200, 200, 429]
    policy = {"ratelimit-policy": '"default";q=3;w=60', "x-ratelimit-limit": "3"}
    for reply, remaining in zip(replies, (2, 1, 0, 0), strict=True):
        expected = policy | {"x-ratelimit-remaining": str(remaining)}
        reset = told(reply)["x-ratelimit-reset"]
        expected |= {"ratelimit": f'"default";r={remaining};t={reset}', "x-ratelimit-reset": reset}
        if reply.status == 429:
            expected["retry-after"] = told(reply)["retry-after"]
            assert 18 <= int(expected["retry-after"]) <= 20
            assert reply.json() == TOO_MANY and reply.header("content-type") == "application/json"
        assert told(reply) == expected
    assert get(lanes.port, path, [("Connection", "close")]).status == 429
    assert request(lanes.port, "HEAD", path).status in (405, 429)
    metrics = get(lanes.port, "/metrics").text
    assert f'bimetal_rate_limited_total{{route="{path}"}} ' in metrics
    assert f'bimetal_rate_limited_total{{route="{path}"}} 0' not in metrics


def test_what_is_below_a_mount_has_the_general_limit(lanes: ServerProcess) -> None:
    reply = get(lanes.port, "/mounted/missing")
    assert reply.status == 404 and told(reply)["x-ratelimit-limit"] == "1000"


def test_bursts_and_names(lanes: ServerProcess) -> None:
    first = get(lanes.port, "/burst")
    assert told(first)["ratelimit-policy"] == '"bursts";q=2;w=2'
    assert statuses(lanes, "/burst/again", 2) == [200, 429]
    assert told(get(lanes.port, "/burst"))["retry-after"] == "1"


def test_bodies_are_read_once_they_are_wanted(lanes: ServerProcess) -> None:
    headers, body = json_body({"a": "x" * 100_000})
    for piece in (body, [body[:50_000], body[50_000:]]):
        reply = request(lanes.port, "POST", "/shop/orders/7", headers, piece)
        assert reply.json() == {"number": 7, "a": "x" * 100_000} and told(reply)
    invalid = request(lanes.port, "POST", "/shop/orders/seven", headers, body)
    assert invalid.status == 422 and told(invalid)["x-ratelimit-remaining"] == "0"
    form = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
        + b"y" * 2_000_000
        + b"\r\n--b--\r\n"
    )
    reply = request(lanes.port, "POST", "/shop/upload", [("Content-Type", "multipart/form-data; boundary=b")], form)
    assert reply.json() == 2_000_000
    assert request(lanes.port, "POST", "/shop/raw", body=b"z" * 300_000).json() == 300_000
    too_large = request(lanes.port, "POST", "/shop/raw", body=[b"z" * 1_000_000] * 17)
    assert too_large.status in (400, 413)


def test_a_refused_upload_is_not_read() -> None:
    with start_bimetal("rate_limits:lanes") as server:
        server.wait_ready()
        headers, body = json_body({"a": 1})
        for _ in range(3):
            assert request(server.port, "POST", "/shop/orders/7", headers, body).status == 200
        for path in ("/shop/orders/7", "/shop/raw"):
            if path == "/shop/raw":
                assert [request(server.port, "POST", path, body=b"z").status for _ in range(3)] == [200] * 3
            with Connection(server.port) as connection:
                length = [*headers, ("Content-Length", "10000000")]
                connection.send_request("POST", path, length)
                connection.send(b"x" * 100)
                reply = connection.read_reply()
                assert (reply.status, reply.header("connection")) == (429, "close")
                # Nobody waits for the rest.
                assert connection.is_closed_by_server()


@pytest.fixture(scope="module")
def keys() -> Iterator[ServerProcess]:
    with start_bimetal("rate_limits:keys", "--probes") as server:
        yield server.wait_ready()


def test_clients_behind_a_proxy(keys: ServerProcess) -> None:
    def seen(client: str, count: int) -> list[int]:
        return statuses(keys, "/client", count, [("X-Forwarded-For", client)])

    assert seen("203.0.113.7", 3) == [200, 200, 429]
    assert seen("203.0.113.8", 1) == [200]
    assert seen("6.6.6.6, 203.0.113.7", 1) == [429]
    # Whoever has one address of IPv6 has many.
    assert seen("2001:db8:1:2::1", 1) + seen("2001:db8:1:2::2", 1) + seen("[2001:db8:1:2::3]:99", 1) == [200, 200, 429]
    assert seen("2001:db8:1:3::1", 1) == [200]
    assert statuses(keys, "/client", 3) == [200, 200, 429]


def test_proxies_that_nobody_trusts() -> None:
    with start_bimetal("rate_limits:keys", "--no-proxy-headers") as server:
        server.wait_ready()
        clients = [[("X-Forwarded-For", f"203.0.113.{number}")] for number in range(3)]
        assert [get(server.port, "/client", client).status for client in clients] == [200, 200, 429]


@pytest.mark.parametrize("path", ["/key", "/native"])
def test_header_fields(keys: ServerProcess, path: str) -> None:
    assert statuses(keys, path, 3, [("X-API-Key", "a")]) == [200, 200, 429]
    assert statuses(keys, path, 1, [("X-API-Key", "b")]) == [200]
    # Without one it is the client that counts.
    assert statuses(keys, path, 3) == [200, 200, 429]
    assert statuses(keys, path, 1, [("X-Forwarded-For", "203.0.113.9")]) == [200]
    assert statuses(keys, path, 1, [("X-API-Key", "203.0.113.9")]) == [200]


@pytest.mark.parametrize("path", ["/tenants/{}", "/coroutine?tenant={}"])
def test_functions(keys: ServerProcess, path: str) -> None:
    assert statuses(keys, path.format("a"), 3) == [200, 200, 429]
    assert get(keys.port, path.format("b")).json() == "b"
    internal = [get(keys.port, path.format("internal")) for _ in range(4)]
    assert [(reply.status, told(reply)) for reply in internal] == [(200, {})] * 4
    assert statuses(keys, path.format("wrong"), 1) == [500]
    assert "no such tenant" in keys.output
    assert statuses(keys, path.format("number"), 1) == [500]
    assert "tenant returned 7 as the key of a rate limit; return a str" in keys.output


def test_functions_before_a_body(keys: ServerProcess) -> None:
    headers, body = json_body({"a": 1})
    replies = [request(keys.port, "POST", "/posted/x", headers, body) for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 429]
    assert replies[0].json() == {"a": 1}


def test_a_function_for_everything() -> None:
    with start_bimetal("rate_limits:by_key") as server:
        server.wait_ready()
        user = [("X-User", "ann")]
        assert [get(server.port, path, user).status for path in ("/", "/missing", "/")] == [200, 404, 429]
        assert statuses(server, "/", 4) == [200] * 4


def test_cross_origin(keys: ServerProcess) -> None:
    origin = [("Origin", "https://a.org"), ("X-Forwarded-For", "203.0.113.30")]
    preflight = [*origin, ("Access-Control-Request-Method", "GET")]
    assert [request(keys.port, "OPTIONS", "/client", preflight).status for _ in range(5)] == [200] * 5
    assert statuses(keys, "/client", 2, origin) == [200, 200]
    refused = get(keys.port, "/client", origin)
    assert (refused.status, refused.header("access-control-allow-origin")) == (429, "https://a.org")


def test_untouched_fastapi() -> None:
    with start_bimetal("rate_limits:untouched") as server:
        server.wait_ready()
        assert statuses(server, "/", 2) == [200, 429]
        assert statuses(server, "/plain", 2) == [200, 429]
        assert told(get(server.port, "/missing")) == {}


NATIVE = """
from bimetal import Bimetal, RateLimit

app = Bimetal()
app.configure_rate_limiting({general})

def user(request): ...

@app.get("/health", handler_type="native"{route})
def health(): ...
"""


@pytest.mark.parametrize(
    ("general", "route"), [("requests_per_minute=5, key=user", ""), ("", ", rate_limit=RateLimit(5, key=user)")]
)
def test_native_routes_wait_for_no_function(tmp_path: Path, general: str, route: str) -> None:
    source = NATIVE.format(general=general, route=route)
    head, _, rest = source.partition("def user")
    before, configure = head.rsplit("app.configure", 1)
    (tmp_path / "main.py").write_text(
        f"{before}def user(request): ...\n\napp.configure{configure}{rest.partition('...')[2]}"
    )
    ended = run_bimetal("run", "main:app", "--port", "0", cwd=tmp_path)
    assert ended.returncode == 1
    for part in ("route GET /health", "the Python function user", "rate_limit=False"):
        assert part in ended.stderr


@contextlib.contextmanager
def each_worker(server: ServerProcess, workers: int) -> Iterator[list[Connection]]:
    """A connection to each of them."""
    with contextlib.ExitStack() as stack:
        found: dict[int, Connection] = {}
        while len(found) < workers:
            connection = stack.enter_context(Connection(server.port))
            found.setdefault(connection.request("GET", "/pid").json(), connection)
        yield list(found.values())


def test_workers_of_a_machine_count_together() -> None:
    env = {"RATE_LIMIT_STORE": "shared", "RATE_LIMIT_REQUESTS": "100"}
    with start_bimetal("rate_limits:outside", "--workers", "3", env=env) as server:
        server.wait_ready()
        with each_worker(server, 3) as connections:
            turns = [connection.request("GET", "/").status for _ in range(50) for connection in connections]
        assert turns == [200] * 100 + [429] * 50


def test_workers_count_together_at_the_same_time() -> None:
    env = {"RATE_LIMIT_STORE": "shared", "RATE_LIMIT_REQUESTS": "500"}
    with start_bimetal("rate_limits:outside", "--workers", "3", env=env) as server:
        server.wait_ready()
        seen: list[int] = []

        def ask(connection: Connection) -> None:
            seen.extend(connection.request("GET", "/").status for _ in range(300))

        with each_worker(server, 3) as connections:
            threads = [threading.Thread(target=ask, args=(connection,)) for connection in connections]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert len(seen) == 900
        # The quota is that of an hour: one more is earned in seven seconds.
        assert 500 <= seen.count(200) <= 505


def test_a_worker_that_is_killed_leaves_the_count() -> None:
    env = {"RATE_LIMIT_STORE": "shared", "RATE_LIMIT_REQUESTS": "10"}
    with start_bimetal("rate_limits:outside", "--workers", "2", env=env) as server:
        server.wait_ready()
        with each_worker(server, 2) as connections:
            assert [connection.request("GET", "/").status for connection in connections * 3] == [200] * 6
            gone = connections[0].request("GET", "/pid").json()
            os.kill(gone, signal.SIGKILL)
            assert [connections[1].request("GET", "/").status for _ in range(5)] == [200] * 4 + [429]
        with each_worker(server, 2) as connections:
            assert [connection.request("GET", "/").status for connection in connections] == [429] * 2


def test_workers_that_count_alone() -> None:
    env = {"RATE_LIMIT_STORE": "process", "RATE_LIMIT_REQUESTS": "5"}
    with start_bimetal("rate_limits:outside", "--workers", "2", env=env) as server:
        server.wait_ready()
        with each_worker(server, 2) as connections:
            for connection in connections:
                assert [connection.request("GET", "/").status for _ in range(6)] == [200] * 5 + [429]


def test_the_guide(tmp_path: Path) -> None:
    text = (REPOSITORY / "docs" / "guide" / "rate-limits.md").read_text()
    for block in re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        (tmp_path / block.split()[1]).write_text(block)
    with start_bimetal("main:app", cwd=tmp_path) as server:
        server.wait_ready()
        replies = [request(server.port, "POST", "/login") for _ in range(3)]
        assert [reply.status for reply in replies] == [200, 200, 429]
        for reply in (replies[0], replies[2]):
            fields = [line for line in (f"{name}: {value}" for name, value in reply.headers) if "ratelimit" in line]
            assert len(fields) == 2
            for line in fields:
                assert line in text
        assert replies[2].text in text
        assert told(get(server.port, "/items/7"))["ratelimit"] == '"default";r=599;t=1'
        assert (
            get(server.port, "/search?q=a", [("X-API-Key", "a")]).header("ratelimit-policy") == '"default";q=10;w=360'
        )
        assert told(get(server.port, "/health")) == told(get(server.port, "/status")) == {}
    with start_bimetal("tenants:app", cwd=tmp_path) as server:
        server.wait_ready()
        assert statuses(server, "/a/reports", 11) == [200] * 10 + [429]
        assert statuses(server, "/b/reports", 1) == [200]
    ended = run_bimetal("run", "machines:app", "--port", "0", cwd=tmp_path)
    assert ended.returncode == 1 and "redis://***@cache:6379/0 cannot be used" in ended.stderr
