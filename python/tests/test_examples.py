"""The examples, as their readers would run them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from websockets.sync.client import connect

from harness.compare import serve_both
from harness.plugins import counters_plugin, hot_plugin, native_only_program, notes_plugin
from harness.postgres import Postgres
from harness.servers import REPOSITORY, ServerProcess, free_port, run_bimetal, start_bimetal, start_uvicorn
from harness.wire import Connection, Reply, get, json_body, request

HYBRID = REPOSITORY / "examples" / "hybrid"


def test_hello() -> None:
    with serve_both("main:app", cwd=REPOSITORY / "examples" / "hello") as pair:
        assert pair.same("GET", "/").json() == {"hello": "world"}
        assert pair.same("GET", "/items/5?q=x").json() == {"item_id": 5, "q": "x"}
        for target in ["/items/five", "/docs", "/openapi.json", "/nothing"]:
            pair.same("GET", target)
        for port in pair.ports:
            with connect(f"ws://127.0.0.1:{port}/echo") as socket:
                socket.send("over there")
                assert socket.recv(timeout=30) == "over there"


@pytest.fixture(scope="module")
def hybrid() -> Iterator[ServerProcess]:
    assert hot_plugin().exists()
    with start_bimetal("main:app", cwd=HYBRID) as server:
        yield server.wait_ready()


@pytest.fixture(scope="module")
def reference() -> Iterator[ServerProcess]:
    with start_uvicorn("hybrid_reference:app") as server:
        yield server.wait_ready()


def where(reply: Reply) -> object:
    """Place and kind of each fault; a parser's own words may differ."""
    detail = reply.json()["detail"]
    return detail if isinstance(detail, str) else [(error["type"], error["loc"]) for error in detail]


@pytest.mark.bimetal_only
class TestHybrid:
    def test_python_routes(self, hybrid: ServerProcess) -> None:
        assert get(hybrid.port, "/hello/ann").json() == {"greeting": "hello ann"}
        assert get(hybrid.port, "/hello/ann?shout=yes").json() == {"greeting": "HELLO ANN"}
        headers, body = json_body({"sku": "bolt", "amount": 3})
        reply = request(hybrid.port, "POST", "/orders", headers, body)
        assert reply.status == 201
        assert reply.json() == {"order": {"sku": "bolt", "amount": 3, "note": None}, "total": 28.5}

    def test_built_in_routes(self, hybrid: ServerProcess) -> None:
        assert get(hybrid.port, "/health").status == 200
        assert get(hybrid.port, "/readyz").status == 200

    def test_plugin_routes(self, hybrid: ServerProcess) -> None:
        assert get(hybrid.port, "/ping").status == 200
        user = get(hybrid.port, "/users/7")
        assert user.status == 200 and user.json()["id"] == 7
        assert get(hybrid.port, "/users/7?verbose=true").json()["id"] == 7
        assert get(hybrid.port, "/users/7?verbose=true").json() != user.json()
        headers, body = json_body({"name": "bolt", "price": 9.5, "tags": ["a"]})
        reply = request(hybrid.port, "POST", "/items", headers, body)
        assert reply.status in (200, 201)
        assert {"name": "bolt", "price": 9.5, "tags": ["a"]}.items() <= reply.json().items()
        assert get(hybrid.port, "/slow").status == 200
        assert get(hybrid.port, "/missing").status == 404
        assert "detail" in get(hybrid.port, "/missing").json()

    @pytest.mark.parametrize("value", ["x", "1.5", "1_0", "%201", "99999999999999999999", "", "%2B1", "1.0"])
    def test_path_parameters_are_read_as_fastapi_reads_them(
        self, hybrid: ServerProcess, reference: ServerProcess, value: str
    ) -> None:
        ours, theirs = (get(server.port, f"/users/{value}") for server in (hybrid, reference))
        if value == "99999999999999999999":
            assert ours.status == 422, "a native i64 has bounds that Python's int has not"
            return
        assert ours.status == theirs.status
        if ours.status == 422:
            assert ours.json() == theirs.json()

    @pytest.mark.parametrize(
        "query", ["verbose=yes", "verbose=OFF", "verbose=2", "verbose=", "verbose=true&verbose=0", "other=1"]
    )
    def test_query_parameters_are_read_as_fastapi_reads_them(
        self, hybrid: ServerProcess, reference: ServerProcess, query: str
    ) -> None:
        ours, theirs = (get(server.port, f"/users/1?{query}") for server in (hybrid, reference))
        assert ours.status == theirs.status
        if ours.status == 422:
            assert ours.json() == theirs.json()

    @pytest.mark.parametrize(
        ("body", "content_type"),
        [
            (b"{}", "application/json"),
            (b'{"name": "x"}', "application/json"),
            (b'{"name": 1, "price": 1}', "application/json"),
            (b'{"name": "x", "price": "dear"}', "application/json"),
            (b"[1]", "application/json"),
            (b"{", "application/json"),
            (b"", "application/json"),
            (b"\xff", "application/json"),
            (b'{"name": "x", "price": 1}', "text/plain"),
            (b'{"name": "x", "price": 1, "extra": 2}', "application/json"),
            (b'{"name": "x", "price": 1}', "application/json; charset=utf-8"),
        ],
    )
    def test_bodies_are_refused_as_fastapi_refuses_them(
        self, hybrid: ServerProcess, reference: ServerProcess, body: bytes, content_type: str
    ) -> None:
        headers = [("Content-Type", content_type)]
        ours, theirs = (request(server.port, "POST", "/items", headers, body) for server in (hybrid, reference))
        assert (ours.status in (200, 201)) == (theirs.status in (200, 201))
        if theirs.status >= 400:
            assert ours.status == theirs.status
            assert where(ours) == where(theirs)

    def test_methods_and_unknown_paths(self, hybrid: ServerProcess, reference: ServerProcess) -> None:
        for method, target in [("POST", "/users/1"), ("DELETE", "/items"), ("HEAD", "/missing"), ("GET", "/none")]:
            ours, theirs = (request(server.port, method, target) for server in (hybrid, reference))
            assert (ours.status, ours.body, ours.header("allow")) == (
                theirs.status,
                theirs.body,
                theirs.header("allow"),
            )

    def test_documentation(self, hybrid: ServerProcess) -> None:
        assert b"swagger-ui" in get(hybrid.port, "/docs").body
        paths = get(hybrid.port, "/openapi.json").json()["paths"]
        assert {
            "/hello/{name}",
            "/orders",
            "/health",
            "/readyz",
            "/ping",
            "/users/{user_id}",
            "/items",
            "/slow",
            "/missing",
        } <= paths.keys()
        parameters = {p["name"]: p["schema"]["type"] for p in paths["/users/{user_id}"]["get"]["parameters"]}
        assert parameters == {"user_id": "integer", "verbose": "boolean"}

    def test_an_async_handler_holds_nobody_up(self, hybrid: ServerProcess) -> None:
        """Many at once on one I/O worker, and others are answered before any of them."""
        slow = [Connection(hybrid.port) for _ in range(100)]
        try:
            for connection in slow:
                connection.send_request("GET", "/slow")
            assert get(hybrid.port, "/ping").status == 200
            assert {connection.read_reply().status for connection in slow} == {200}
        finally:
            for connection in slow:
                connection.close()

    def test_a_client_that_leaves_a_slow_handler(self, hybrid: ServerProcess) -> None:
        for _ in range(20):
            with Connection(hybrid.port) as connection:
                connection.send_request("GET", "/slow")
        assert get(hybrid.port, "/slow").status == 200

    def test_the_table(self, hybrid: ServerProcess) -> None:
        output = hybrid.wait_output(str(hybrid.port))
        for handler in ["health", "readyz", "hot.ping", "hot.get_user", "hot.create_item", "hot.slow", "hot.missing"]:
            assert any("native" in line.split() and handler in line.split() for line in output.splitlines()), handler


@pytest.fixture(scope="module")
def native_only() -> Iterator[ServerProcess]:
    port = free_port()
    with ServerProcess([str(native_only_program()), "--port", str(port)], port, REPOSITORY) as server:
        yield server.wait_ready()


@pytest.mark.bimetal_only
class TestNativeOnly:
    def test_the_same_handlers(self, native_only: ServerProcess) -> None:
        assert get(native_only.port, "/health").status == 200
        assert get(native_only.port, "/ping").status == 200
        assert get(native_only.port, "/users/7?verbose=true").json()["id"] == 7
        assert get(native_only.port, "/users/x").status == 422
        headers, body = json_body({"name": "bolt", "price": 9.5})
        assert request(native_only.port, "POST", "/items", headers, body).json()["name"] == "bolt"
        assert get(native_only.port, "/slow").status == 200
        assert get(native_only.port, "/missing").status == 404
        assert get(native_only.port, "/none").status == 404
        assert request(native_only.port, "DELETE", "/ping").status == 405

    def test_there_is_no_python_in_the_process(self, native_only: ServerProcess) -> None:
        maps = Path(f"/proc/{native_only.pid}/maps").read_text()
        assert "python" not in maps.lower()

    def test_keep_alive_and_pipelining(self, native_only: ServerProcess) -> None:
        with Connection(native_only.port) as connection:
            for n in range(100):
                connection.send_request("GET", f"/users/{n}")
            assert [connection.read_reply().json()["id"] for _ in range(100)] == list(range(100))


@pytest.fixture(scope="module")
def counters() -> Iterator[ServerProcess]:
    assert counters_plugin().exists()
    with start_bimetal("main:app", "--io-threads", "2", cwd=REPOSITORY / "examples" / "shared-state") as server:
        yield server.wait_ready()


@pytest.mark.bimetal_only
class TestSharedState:
    def test_nothing_is_lost_between_two_workers(self, counters: ServerProcess) -> None:
        def add(n: int) -> set[int]:
            with Connection(counters.port) as connection:
                return {connection.request("POST", f"/counters/shared?by={n}").json()["value"] for _ in range(50)}

        with ThreadPoolExecutor(8) as pool:
            values = list(pool.map(add, [1] * 8))
        assert len(set().union(*values)) == 400
        assert get(counters.port, "/counters/shared").json() == {"name": "shared", "value": 400}

    def test_answers(self, counters: ServerProcess) -> None:
        assert get(counters.port, "/counters/none").json() == {"detail": "There is no such counter"}
        assert request(counters.port, "POST", "/counters/b?by=-3").json() == {"name": "b", "value": -3}
        assert request(counters.port, "POST", "/counters/a").json() == {"name": "a", "value": 1}
        assert request(counters.port, "POST", "/counters/a?by=x").status == 422
        assert [entry["name"] for entry in get(counters.port, "/counters").json()][:2] == ["a", "b"]

    def test_the_bound_from_the_configuration(self, counters: ServerProcess) -> None:
        statuses = [request(counters.port, "POST", f"/counters/many{n}").status for n in range(101)]
        assert statuses[0] == 200 and statuses[-1] == 409
        assert request(counters.port, "POST", "/counters/many0").json()["value"] == 2


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres() as postgres:
        postgres.run(REPOSITORY / "examples" / "database" / "schema.sql")
        yield postgres


@pytest.fixture(scope="module")
def notes_library() -> Path:
    return notes_plugin()


@pytest.fixture(scope="module")
def notes(postgres: Postgres, notes_library: Path) -> Iterator[ServerProcess]:
    assert notes_library.exists()
    env = {"DATABASE_URL": postgres.url, "POOL_SIZE": "4"}
    with start_bimetal("main:app", cwd=REPOSITORY / "examples" / "database", env=env) as server:
        yield server.wait_ready()


def create_note(port: int, text: str) -> Reply:
    return request(port, "POST", "/notes", *json_body({"text": text}))


@pytest.mark.bimetal_only
class TestDatabase:
    def test_what_is_written_is_read(self, notes: ServerProcess) -> None:
        created = create_note(notes.port, "größer")
        assert created.status == 201 and created.json()["text"] == "größer"
        number = created.json()["id"]
        assert get(notes.port, f"/notes/{number}").json() == {"id": number, "text": "größer"}
        newest = create_note(notes.port, "newest").json()
        assert get(notes.port, "/notes?limit=2").json() == [newest, created.json()]

    def test_refusals(self, notes: ServerProcess) -> None:
        missing = get(notes.port, "/notes/999999")
        assert (missing.status, missing.json()) == (404, {"detail": "There is no such note"})
        assert get(notes.port, "/notes/x").status == 422
        assert request(notes.port, "POST", "/notes", *json_body({})).status == 422

    def test_more_requests_than_connections(self, notes: ServerProcess) -> None:
        """They wait for the four of the pool; nobody waits for them on a thread."""
        connections = [Connection(notes.port) for _ in range(50)]
        try:
            for n, connection in enumerate(connections):
                connection.send_request("POST", "/notes", *json_body({"text": f"note {n}"}))
            replies = [connection.read_reply() for connection in connections]
        finally:
            for connection in connections:
                connection.close()
        assert {reply.status for reply in replies} == {201}
        assert sorted(reply.json()["text"] for reply in replies) == sorted(f"note {n}" for n in range(50))

    def test_the_database_goes_away_and_comes_back(self, notes: ServerProcess, postgres: Postgres) -> None:
        number = create_note(notes.port, "before").json()["id"]
        postgres.stop()
        try:
            gone = get(notes.port, f"/notes/{number}")
            assert (gone.status, gone.json()) == (503, {"detail": "The database is not available"})
            assert get(notes.port, "/health").status == 200
            assert get(notes.port, "/").status == 200
            assert "no connection to the database" in notes.wait_output("no connection to the database")
        finally:
            postgres.start()
        assert get(notes.port, f"/notes/{number}").json() == {"id": number, "text": "before"}

    def test_a_wrong_configuration_stops_the_start(self, notes_library: Path) -> None:
        assert notes_library.exists()
        env = {"DATABASE_URL": "mysql://localhost/notes"}
        refused = run_bimetal("routes", "main:app", cwd=REPOSITORY / "examples" / "database", env=env)
        assert refused.returncode == 1
        assert "libnotes.so" in refused.stderr and "url is not that of a PostgreSQL database" in refused.stderr
