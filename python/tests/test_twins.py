"""A native handler and the Python body of its route: the body in its place, compared by tests, compared while serving."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, Response

from harness.plugins import compile_c
from harness.servers import REFERENCE_ONLY, START_TIMEOUT, run_bimetal, start_bimetal
from harness.wire import Connection, get, request

if REFERENCE_ONLY:
    pytest.skip("has no counterpart in uvicorn", allow_module_level=True)

import bimetal.server
import bimetal.shadow
from bimetal import Bimetal, Server, native
from bimetal.errors import RouteError
from bimetal.testing import TwinCase, assert_twins

#: Exchanges that may wait for their comparison.
WAITING = 64


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    """`twin.hello` answers `{"hello":"from C"}`, `twin.echo` the path parameter `text`, `twin.broken` 500."""
    return str(compile_c(tmp_path_factory.mktemp("library"), "twin"))


def with_route(
    library: str, body: Callable[..., Any], path: str = "/hello", name: str = "twin.hello", **options: Any
) -> Bimetal:
    """An application with one native route whose stub has a body."""
    app = Bimetal(plugins=[library])
    app.api_route(path, methods=options.pop("methods", ["GET"]), handler_type="native", native=name, **options)(body)
    return app


def same() -> Any:
    return {"hello": "from C"}


def other() -> Any:
    return JSONResponse({"hello": "from Python", "more": [1, 2]}, 201, headers={"X-More": "1"})


def empty() -> Any:
    """A stub."""


# The body in the handler's place.

FALLBACK = """
from bimetal import Bimetal
app = Bimetal(plugins={plugins})

@app.get("/x", handler_type="native", native={name!r}, fallback={fallback!r})
def x():
    return "python"

@app.get("/hello", handler_type="native", native="twin.hello", fallback={fallback!r})
def hello():
    return "python"
"""


@pytest.mark.parametrize(("plugins", "lost"), [(["none.so"], True), (["absent"], True), ([], True), (None, False)])
def test_the_body_stands_in_for_a_library_or_a_handler_that_is_absent(
    library: str, tmp_path: Path, plugins: list[str] | None, lost: bool
) -> None:
    source = FALLBACK.format(plugins=[library] if plugins is None else plugins, name="twin.none", fallback="python")
    (tmp_path / "main.py").write_text(source)
    with start_bimetal("main:app", cwd=tmp_path) as server:
        server.wait_ready()
        assert get(server.port, "/x").json() == "python"
        assert get(server.port, "/hello").json() == ("python" if lost else {"hello": "from C"})
        assert "native handler 'twin.none' is not available, the Python body runs" in server.output


def test_without_fallback_what_is_absent_stops_the_start(library: str, tmp_path: Path) -> None:
    for plugins, says in [([library], "'twin.none'"), (["none.so"], "none.so"), (["absent"], "absent")]:
        (tmp_path / "main.py").write_text(FALLBACK.format(plugins=plugins, name="twin.none", fallback=None))
        refused = run_bimetal("run", "main:app", "--port", "0", cwd=tmp_path)
        assert refused.returncode == 1
        assert "GET /x" in refused.stderr and says in refused.stderr


# Compared by tests.


def test_twins_that_agree(library: str) -> None:
    assert_twins(with_route(library, same), "/hello", ["/hello", "/hello?more=1"])

    def echo(request: Request) -> Response:
        return Response(request.path_params["text"], headers={"Content-Type": "text/plain"})

    app = with_route(library, echo, "/echo/{text}", "twin.echo", methods=["GET", "PUT"])
    assert_twins(
        app, "/echo/{text}", ["/echo/a", "/echo/gr%C3%BC%20x", TwinCase("/echo/a", "PUT", {"X-A": "1"}, body=b"x")]
    )


def test_twins_that_differ_are_shown_case_by_case(library: str) -> None:
    def sometimes(request: Request) -> Any:
        return other() if "odd" in request.query_params else same()

    with pytest.raises(AssertionError) as failure:
        assert_twins(with_route(library, sometimes), "GET /hello", ["/hello", "/hello?odd=1"])
    text = str(failure.value)
    assert "'twin.hello'" in text and "sometimes" in text and "differ in 1 of 2 cases" in text
    assert text.splitlines()[2:] == [
        "GET /hello?odd=1",
        "    status: native 200, python 201",
        "    header x-more: native nothing, python '1'",
        '    body $.hello: native "from C", python "from Python"',
        "    body $.more: native nothing, python [1, 2]",
    ]


def test_what_may_differ(library: str) -> None:
    def spaced() -> Any:
        return Response(b'{ "hello": "from C" }', media_type="application/json", headers={"X-More": "1"})

    app = with_route(library, spaced)
    assert_twins(app, "/hello", ["/hello"], ignore_headers=["x-more"])
    with pytest.raises(AssertionError, match="header x-more"):
        assert_twins(app, "/hello", ["/hello"])
    with pytest.raises(AssertionError, match=r"body: native .*, python "):
        assert_twins(app, "/hello", ["/hello"], exact=True, ignore_headers=["X-More"])


def test_a_body_that_raises_is_named(library: str) -> None:
    def fails() -> Any:
        raise LookupError("no such hello")

    with pytest.raises(AssertionError, match=r"status: native 200, python 500[\s\S]*LookupError\('no such hello'\)"):
        assert_twins(with_route(library, fails), "/hello", ["/hello"])


def test_refusals_of_a_rust_handler_are_those_of_its_twin(hot_library: Path) -> None:
    app = Bimetal(plugins=[hot_library])

    @app.get("/users/{user_id}", handler_type="native", native="hot.get_user")
    def get_user(user_id: int, verbose: bool = False) -> Any:
        name = f"user{user_id}"
        return {"id": user_id, "name": name, "email": f"{name}@example.com" if verbose else None}

    @app.get("/missing", handler_type="native", native="hot.missing")
    def missing() -> Any:
        raise HTTPException(404, "There is no such thing")

    assert_twins(app, "/users/{user_id}", ["/users/7", "/users/7?verbose=yes", "/users/seven", "/users/7?verbose=2"])
    assert_twins(app, "/missing", ["/missing"])


def test_under_plain_fastapi() -> None:
    app = FastAPI()

    @app.get("/health")
    @native("health")
    def health() -> Any:
        return {"status": "ok"}

    assert_twins(app, "/health", ["/health"])


def test_nothing_to_compare(library: str) -> None:
    app = with_route(library, same)
    app.get("/python")(same)
    app.get("/empty", handler_type="native", native="twin.hello")(empty)
    app.get("/absent", handler_type="native", native="twin.none", fallback="python")(same)
    for route, cases, says in [
        ("/nothing", ["/nothing"], "no such route; native routes are /empty, /hello"),
        ("POST /hello", ["/hello"], "no such route"),
        ("/python", ["/python"], "on the sync lane"),
        ("/absent", ["/absent"], "'twin.none' is not available"),
        ("/empty", ["/empty"], "empty has no body"),
        ("/hello", [], "there are no cases"),
        ("/hello", ["/python"], "the route /python answers it"),
        ("/hello", [TwinCase("/hello", "POST")], "no route answers it"),
    ]:
        with pytest.raises(ValueError, match=says):
            assert_twins(app, route, cases)


# Compared while serving.


def wait_for(reached: Callable[[], bool]) -> None:
    """Wait for what another thread is about to do."""
    deadline = time.monotonic() + START_TIMEOUT
    while not reached():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.002)


def shadow(server: Server) -> dict[str, int]:
    counts: dict[str, int] = server.stats()["shadow"]
    return counts


class Gate:
    """A Python body that tells when it has begun, and goes on when it may."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.may_go = threading.Event()

    def held(self) -> Callable[[], Any]:
        def body() -> Any:
            self.begun.set()
            assert self.may_go.wait(START_TIMEOUT)
            return same()

        return body


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.may_go.set()


def test_a_shadow_that_agrees(library: str) -> None:
    with Server(with_route(library, same, shadow=1.0)) as server:
        with Connection(server.port) as connection:
            for n in range(20):
                assert connection.request("GET", f"/hello?n={n}").json() == same()
        wait_for(lambda: shadow(server)["compared"] == 20)
        assert server.stats()["requests"] == {"native": 20, "sync": 0, "async": 0, "asgi": 0}
    assert shadow(server) == {"compared": 20, "different": 0, "failed": 0, "dropped": 0}


def test_a_shadow_that_differs(library: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "bimetal"), Server(with_route(library, other, shadow=1)) as server:
        for n in range(15):
            assert get(server.port, f"/hello?n={n}").json() == same()
        wait_for(lambda: shadow(server)["compared"] == 15)
    assert shadow(server) == {"compared": 15, "different": 15, "failed": 0, "dropped": 0}
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 10, "only the first few are logged"
    for part in [
        "/hello?n=0",
        "'twin.hello'",
        "native 200, python 201",
        '$.hello: native "from C", python "from Python"',
    ]:
        assert part in lines[0]
    assert lines[-1].endswith("further ones are only counted")


def test_a_response_does_not_wait_for_its_shadow(library: str, gate: Gate) -> None:
    with Server(with_route(library, gate.held(), shadow=1)) as server:
        assert get(server.port, "/hello").json() == same()
        assert gate.begun.wait(START_TIMEOUT)
        with Connection(server.port) as connection:
            for _ in range(WAITING + 10):
                assert connection.request("GET", "/hello").json() == same()
        assert shadow(server) == {"compared": 0, "different": 0, "failed": 0, "dropped": 10}
        gate.may_go.set()
        wait_for(lambda: shadow(server)["compared"] == 1 + WAITING)
        assert get(server.port, "/hello").status == 200
        wait_for(lambda: shadow(server)["compared"] == 2 + WAITING)


def test_only_a_share_is_compared(library: str, gate: Gate) -> None:
    with Server(with_route(library, gate.held(), shadow=0.25)) as server:
        with Connection(server.port) as connection:
            for _ in range(1000):
                assert connection.request("GET", "/hello").status == 200
        # What found no place was dropped before its response was sent.
        assert 150 < shadow(server)["dropped"] + WAITING < 350
        gate.may_go.set()


def test_other_methods_have_no_shadow(library: str) -> None:
    app = with_route(library, other, shadow=1, methods=["GET", "POST", "DELETE"])
    with Server(app) as server:
        for method in ["POST", "DELETE", "GET", "POST"]:
            assert request(server.port, method, "/hello").status == 200
        wait_for(lambda: shadow(server)["compared"] == 1)
    assert shadow(server)["compared"] == 1


def test_a_shadow_sees_the_request_and_runs_with_all_its_dependencies(library: str) -> None:
    seen: list[tuple[str, str, str | None]] = []

    async def guard(request: Request) -> None:
        seen.append((request.method, str(request.url.query), request.headers.get("x-key")))

    app = with_route(library, same, shadow=1, dependencies=[Depends(guard)], bypass=["guard"])
    with Server(app) as server:
        assert get(server.port, "/hello?q=1", [("X-Key", "k")]).status == 200
        wait_for(lambda: shadow(server)["compared"] == 1)
    assert seen == [("GET", "q=1", "k")]
    assert shadow(server)["different"] == 0


def test_a_shadow_that_raises_differs(library: str) -> None:
    def fails() -> Any:
        raise LookupError("on purpose")

    with Server(with_route(library, fails, shadow=1)) as server:
        for _ in range(3):
            assert get(server.port, "/hello").status == 200
        wait_for(lambda: shadow(server)["compared"] == 3)
    assert shadow(server)["different"] == 3


def test_a_shadow_that_never_ends_is_given_up(
    library: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bimetal.shadow, "_TIMEOUT", 0.01)

    async def waits() -> Any:
        await asyncio.Event().wait()

    with caplog.at_level(logging.WARNING, "bimetal"), Server(with_route(library, waits, shadow=1)) as server:
        assert get(server.port, "/hello").status == 200
        assert get(server.port, "/hello").status == 200
        wait_for(lambda: shadow(server)["failed"] == 2)
    assert "gave no answer" in caplog.text


def test_a_stop_does_not_wait_for_a_shadow(library: str) -> None:
    begun = threading.Event()

    async def waits() -> Any:
        begun.set()
        await asyncio.Event().wait()

    with Server(with_route(library, waits, shadow=1)) as server:
        assert get(server.port, "/hello").status == 200
        assert begun.wait(START_TIMEOUT)
    assert shadow(server)["compared"] == 0


def test_a_stop_leaves_a_shadow_behind_that_cannot_be_cancelled(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bimetal.server, "_CLEANUP_TIMEOUT", 0.1)
    begun, cancelled = threading.Event(), threading.Event()

    async def stubborn() -> Any:
        begun.set()
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()

    with Server(with_route(library, stubborn, shadow=1)) as server:
        assert get(server.port, "/hello").status == 200
        assert begun.wait(START_TIMEOUT)
    assert cancelled.is_set()


@pytest.mark.parametrize(
    ("body", "options", "says"),
    [(empty, {}, "which is empty; write the body"), (same, {"methods": ["POST"]}, "compares GET requests")],
)
def test_shadows_that_cannot_be(library: str, body: Callable[..., Any], options: dict[str, Any], says: str) -> None:
    with pytest.raises(RouteError, match=rf"test_twins.py:\d+: route \w+ /hello: shadow= .*{says}"):
        Server(with_route(library, body, shadow=0.5, **options)).compile()


@pytest.mark.parametrize("share", [2, -0.1, "0.5", True, float("nan")])
def test_shares_that_are_none(share: Any) -> None:
    with pytest.raises(TypeError, match="shadow"):
        Bimetal().get("/x", handler_type="native", native="health", shadow=share)(same)
    with pytest.raises(TypeError, match='add handler_type="native"'):
        Bimetal().get("/x", shadow=0.5)(same)
