"""`bimetal.Server`: many in one process, quick to start, and nothing left behind when they stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import concurrency
import errors
import lanes
import lifespans
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.routing import Route

from harness.servers import REFERENCE_ONLY
from harness.wire import Connection, get

if REFERENCE_ONLY:
    pytest.skip("has no counterpart in uvicorn", allow_module_level=True)

import bimetal


class Resources:
    """The threads and open descriptors of this process at one moment."""

    def __init__(self) -> None:
        gc.collect()
        self.threads = set(os.listdir("/proc/self/task"))
        self.descriptors = Counter(filter(None, map(_opened, os.listdir("/proc/self/fd"))))

    def assert_nothing_new(self) -> None:
        now = Resources()
        assert now.threads <= self.threads, [thread.name for thread in threading.enumerate()]
        assert not now.descriptors - self.descriptors


def _opened(number: str) -> str:
    """What a descriptor stands for, without the number of a socket or pipe; nothing for one closed meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        return os.readlink(f"/proc/self/fd/{number}").split(":")[0]
    return ""


def test_start_and_stop() -> None:
    server = bimetal.Server(lanes.app)
    assert not server.running
    server.start()
    assert server.running and server.host == "127.0.0.1" and server.port > 0
    assert server.url == f"http://127.0.0.1:{server.port}"
    assert get(server.port, "/sync/health").json() == {"status": "ok"}
    port = server.port
    server.stop()
    assert not server.running
    with pytest.raises(ConnectionRefusedError):
        get(port, "/sync/health")
    server.stop()


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"io_thread": 2}, TypeError, "a server has no setting 'io_thread'; see bimetal.options.Limits"),
        ({"io_threads": "2"}, TypeError, "argument 'io_threads': 'str' object cannot be interpreted as an integer"),
        ({"keep_alive": -1.0}, ValueError, "keep_alive: -1 is not a time in seconds"),
        ({"ssl_cert_reqs": 7}, ValueError, "ssl_cert_reqs=7 is unknown"),
    ],
)
def test_a_setting_that_is_none(settings: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        bimetal.Server(lanes.app, **settings).start()


def test_a_server_can_start_again() -> None:
    server = bimetal.Server(lanes.app)
    for _ in range(5):
        with server:
            assert get(server.port, "/async/health").json() == {"status": "ok"}


def test_many_servers_at_once() -> None:
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(bimetal.Server(lanes.app)) for _ in range(30)]
        assert len({server.port for server in servers}) == 30
        for n, server in enumerate(servers):
            assert get(server.port, f"/sync/int/{n}").json() == {"value": n}
            assert get(server.port, f"/async/int/{n}").json() == {"value": n}


def test_servers_are_apart() -> None:
    """The lifespan state and the counters of one are not the other's."""
    with bimetal.Server(lifespans.app) as first, bimetal.Server(lifespans.app) as second:
        assert get(first.port, "/state").json()["shared"] == ["one", "more"]
        assert get(second.port, "/state").json()["shared"] == ["one", "more"]
        assert first.stats()["requests"] == second.stats()["requests"]
        get(first.port, "/plain")
        assert first.stats()["requests"]["sync"] == second.stats()["requests"]["sync"] + 1


def touch_every_lane(port: int) -> None:
    with Connection(port) as connection:
        assert connection.request("GET", "/sync/health").status == 200
        assert connection.request("GET", "/async/health").status == 200
        assert connection.request("GET", "/sync/response/stream").status == 200
        assert connection.request("GET", "/openapi.json").status == 200


def test_two_hundred_servers_leave_nothing_behind() -> None:
    def cycle() -> None:
        with bimetal.Server(lanes.app) as server:
            touch_every_lane(server.port)

    for _ in range(5):
        cycle()
    before = Resources()
    for _ in range(200):
        cycle()
    before.assert_nothing_new()


def test_servers_without_a_request_leave_nothing_behind() -> None:
    with bimetal.Server(lanes.app):
        pass
    before = Resources()
    for _ in range(50):
        with bimetal.Server(lanes.app):
            pass
    before.assert_nothing_new()


def test_a_stop_with_open_connections_leaves_nothing_behind() -> None:
    before = Resources()
    for _ in range(20):
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(bimetal.Server(lanes.app))
            for _ in range(5):
                connection = stack.enter_context(Connection(server.port))
                connection.request("GET", "/sync/health")
            server.stop()
    before.assert_nothing_new()


def test_a_failed_start_leaves_nothing_behind() -> None:
    with bimetal.Server(lanes.app) as taken:
        before = Resources()
        for _ in range(20):
            with pytest.raises(bimetal.BindError, match=str(taken.port)):
                bimetal.Server(lanes.app, port=taken.port).start()
            with pytest.raises(RuntimeError, match="the database is away"):
                bimetal.Server(lifespans.failing).start()
        gc.collect()
        before.assert_nothing_new()


def test_stats_by_lane() -> None:
    with bimetal.Server(lanes.app, native={"/native": "health"}) as server:
        targets = {"native": "/native", "sync": "/sync/health", "async": "/async/health", "asgi": "/nothing"}
        for count, (lane, target) in enumerate(targets.items(), start=1):
            for _ in range(count):
                get(server.port, target)
            assert server.stats()["requests"][lane] == count
        assert server.stats()["in_flight"] == 0
        with Connection(server.port) as connection:
            connection.request("GET", "/native")
            assert server.stats()["connections"] >= 1
    assert server.stats()["requests"] == {"native": 2, "sync": 2, "async": 3, "asgi": 4}


@pytest.mark.parametrize("target", ["/sync/boom", "/async/boom", "/model"])
def test_on_exception_hears_of_every_exception(target: str) -> None:
    heard: list[BaseException] = []
    arrived = threading.Event()

    def hear(error: BaseException) -> None:
        heard.append(error)
        arrived.set()

    with bimetal.Server(errors.plain, on_exception=hear) as server:
        assert get(server.port, target).status == 500
        assert arrived.wait(30)
    assert len(heard) == 1
    assert isinstance(heard[0], Exception) and heard[0].__traceback__ is not None


def test_on_exception_does_not_hear_of_handled_ones() -> None:
    heard: list[BaseException] = []
    with bimetal.Server(errors.app, on_exception=heard.append) as server:
        for target in ["/sync/http", "/async/unicorn", "/sync/key", "/nothing", "/sync/http?n=x"]:
            get(server.port, target)
    assert heard == []


def test_stop_waits_for_requests_in_flight() -> None:
    with bimetal.Server(concurrency.app) as server, Connection(server.port) as first, Connection(server.port) as second:
        first.send_request("GET", "/sync/meet/stop/2")
        second.send_request("GET", "/sync/meet/stop/2")
        assert first.read_reply().status == 200
        server.stop()
        assert second.read_reply().status == 200


def test_stop_does_not_wait_longer_than_it_may() -> None:
    """Requests that never end: the stop returns, and so do the clients."""
    server = bimetal.Server(concurrency.app, drain_timeout=0.2).start()
    with Connection(server.port) as waiting:
        waiting.send_request("GET", "/async/meet/never/2")
        while server.stats()["in_flight"] == 0:
            pass
        server.stop()
        with contextlib.suppress(ConnectionError):
            assert waiting.read_reply().status >= 500


def after_response(events: list[str], finish: threading.Event, *, middleware: bool) -> FastAPI:
    """Routes whose responses are there before all of them has run; that goes on once `finish` is set."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        events.append("shutdown")

    def wait() -> None:
        finish.wait(30)
        events.append("finished")

    async def wait_async() -> None:
        while not finish.is_set():
            await asyncio.sleep(0.005)
        events.append("finished")

    def leaves() -> Iterator[None]:
        yield
        wait()

    app = FastAPI(lifespan=lifespan)
    if middleware:

        @app.middleware("http")
        async def passes(request: Request, call_next: Callable[[Request], Any]) -> Any:
            return await call_next(request)

    @app.get("/task/sync")
    def task(tasks: BackgroundTasks) -> None:
        tasks.add_task(wait)

    @app.get("/task/async")
    async def async_task(tasks: BackgroundTasks) -> None:
        tasks.add_task(wait_async)

    @app.get("/exit", dependencies=[Depends(leaves)])
    def exits() -> None: ...

    @app.get("/response")
    def response() -> JSONResponse:
        return JSONResponse(None, background=BackgroundTask(wait_async))

    app.mount("/mounted", Starlette(routes=[Route("/", lambda _: JSONResponse(None, background=BackgroundTask(wait)))]))
    return app


@pytest.mark.parametrize("middleware", [False, True])
@pytest.mark.parametrize("path", ["/task/sync", "/task/async", "/exit", "/response", "/mounted/"])
def test_stop_waits_for_what_follows_a_response(path: str, middleware: bool) -> None:
    events: list[str] = []
    finish = threading.Event()
    server = bimetal.Server(after_response(events, finish, middleware=middleware), port=0).start()
    assert get(server.port, path).status == 200
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    while server.running and get_or_refused(server.port):
        pass
    assert events == []
    finish.set()
    stopping.join(30)
    assert events == ["finished", "shutdown"]


def get_or_refused(port: int) -> bool:
    """Whether the server still accepts connections."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            return True
    except ConnectionResetError:  # the listener was closed between this connection's handshake and its acceptance
        return True
    except ConnectionRefusedError:
        return False


def test_stop_does_not_wait_for_a_task_longer_than_it_may(caplog: pytest.LogCaptureFixture) -> None:
    events: list[str] = []
    finish = threading.Event()
    server = bimetal.Server(after_response(events, finish, middleware=False), drain_timeout=0.2).start()
    assert get(server.port, "/task/async").status == 200
    server.stop()
    assert events == ["shutdown"]
    assert "background tasks did not finish within the drain timeout" in caplog.text


@pytest.mark.parametrize(("lifespan", "expected"), [("on", True), ("auto", True), ("off", False)])
def test_lifespan_modes(lifespan: str, expected: bool) -> None:
    with bimetal.Server(lifespans.complete, lifespan=lifespan) as server:
        assert (b"from_lifespan" in get(server.port, "/").body) is expected


def test_root_path() -> None:
    import routing

    with bimetal.Server(routing.app, root_path="/api") as server:
        assert get(server.port, "/about/x").json()["root_path"] == "/api"


WRONG: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: bimetal.Server(lanes.app, lifespan="maybe"), TypeError, "maybe"),
    (lambda: bimetal.Server(lanes.app, nonsense=1).start(), TypeError, "nonsense"),
    (lambda: bimetal.Server(lanes.app, native={"/x": "nobody"}).start(), bimetal.PluginError, "nobody"),
    (lambda: bimetal.Server(lanes.app, plugins=["/none.so"]).start(), bimetal.PluginError, "/none.so"),
    (lambda: bimetal.Server(lanes.app, host="192.0.2.1").start(), bimetal.BindError, "192.0.2.1"),
    (lambda: bimetal.Server(lanes.app).port, bimetal.BimetalError, "not running"),
    (lambda: bimetal.Server(lanes.app).stats(), bimetal.BimetalError, "not running"),
]


@pytest.mark.parametrize(("action", "error", "says"), WRONG, ids=[says for _, _, says in WRONG])
def test_wrong_use(action: Callable[[], Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        action()


def test_starting_twice_is_an_error() -> None:
    with bimetal.Server(lanes.app) as server, pytest.raises(bimetal.BimetalError, match="running already"):
        server.start()


def test_starting_from_several_threads() -> None:
    answers: list[Any] = []

    def run(number: int) -> None:
        for _ in range(5):
            with bimetal.Server(lanes.app) as server:
                answers.append(get(server.port, f"/sync/int/{number}").json()["value"] == number)

    workers = [threading.Thread(target=run, args=(number,)) for number in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(100)
        assert not worker.is_alive()
    assert answers == [True] * 30
