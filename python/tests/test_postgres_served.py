"""Routes that ask PostgreSQL, on a server of Bimetal's: sync and async, many at a time, clients that go away, a server that is killed."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bimetal.pg import PgPool
from harness.postgres import Postgres
from harness.servers import REPOSITORY, ServerProcess, environment, start_bimetal, until
from harness.wire import Connection, get, json_body, request

pytestmark = pytest.mark.bimetal_only

SCHEMA = "CREATE TABLE notes (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text NOT NULL, made timestamptz DEFAULT now())"


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    file: Path = tmp_path_factory.mktemp("schema") / "schema.sql"
    file.write_text(SCHEMA)
    file.chmod(0o644)
    with Postgres() as postgres:
        postgres.run(file)
        yield postgres


def with_database(postgres: Postgres) -> dict[str, str]:
    return {"DATABASE_URL": postgres.url}


@pytest.fixture(scope="module")
def served(postgres: Postgres) -> Iterator[ServerProcess]:
    with start_bimetal("postgres:app", env=with_database(postgres)) as server:
        yield server.wait_ready()


@pytest.fixture(scope="module")
def observer(postgres: Postgres) -> Iterator[PgPool]:
    with PgPool(postgres.url, max_size=1, application_name="observer") as pool:
        yield pool


def backends(observer: PgPool, state: str = "%") -> int:
    sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'served' AND state LIKE $1"
    count: int = observer.exec(sql, state).scalar()
    return count


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_rows_and_transactions(served: ServerProcess, kind: str) -> None:
    created = request(served.port, "POST", f"/{kind}/notes", *json_body({"text": f"größer, {kind}"}))
    assert created.status == 201
    note = created.json()
    assert note["text"] == f"größer, {kind}"
    assert get(served.port, f"/{kind}/notes/{note['id']}").json() == note
    everything = get(served.port, f"/{kind}/all")
    assert everything.header("content-type") == "application/json"
    assert everything.body == get(served.port, "/dicts").body
    # Another number of rows than one is the application's to handle: here nobody does.
    assert get(served.port, f"/{kind}/notes/999999").status == 500


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_fifty_handlers_at_a_time(served: ServerProcess, observer: PgPool, kind: str) -> None:
    """They share the four connections of the pool."""
    with ThreadPoolExecutor(50) as threads:
        replies = list(threads.map(lambda _: get(served.port, f"/{kind}/sleep?seconds=0.02"), range(200)))
    assert {reply.status for reply in replies} == {200}
    assert {reply.json()["slept"] for reply in replies} == {0.02}
    assert backends(observer) <= 4


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_pool_that_is_exhausted_answers_503(served: ServerProcess, kind: str) -> None:
    connections = [Connection(served.port) for _ in range(4)]
    try:
        for connection in connections:
            connection.send_request("GET", "/async/sleep?seconds=4")
        until(lambda: get(served.port, "/stats").json()["running"] == 4, "all connections are in use")
        began = time.monotonic()
        refused = get(served.port, f"/{kind}/notes/1")
        assert (refused.status, refused.json()) == (503, {"detail": "The database is not available"})
        assert refused.header("retry-after") == "1"
        assert time.monotonic() - began < 3.5
        assert [connection.read_reply().status for connection in connections] == [200] * 4
    finally:
        for connection in connections:
            connection.close()
    assert get(served.port, "/stats").json()["running"] == 0


def test_statements_that_are_given_up_leak_nothing(served: ServerProcess, observer: PgPool) -> None:
    for _ in range(3):
        with ThreadPoolExecutor(4) as threads:
            replies = list(threads.map(lambda _: get(served.port, "/deadline"), range(8)))
        assert {reply.json() for reply in replies} == {"gave up"}
    until(lambda: backends(observer, "active") == 0, "nothing sleeps on the server")
    assert get(served.port, "/stats").json()["running"] == 0
    assert backends(observer) <= 4


def test_clients_that_go_away_leak_nothing(served: ServerProcess, observer: PgPool) -> None:
    for kind in ["sync", "async"] * 4:
        connection = Connection(served.port)
        connection.send_request("GET", f"/{kind}/sleep?seconds=0.3")
        time.sleep(0.02)
        connection.close()
    until(lambda: get(served.port, "/stats").json()["running"] == 0, "nothing runs")
    assert backends(observer) <= 4
    assert get(served.port, "/sync/sleep?seconds=0").status == get(served.port, "/async/sleep?seconds=0").status == 200


def test_the_database_is_killed_and_comes_back(served: ServerProcess, postgres: Postgres) -> None:
    sleeper = Connection(served.port)
    try:
        sleeper.send_request("GET", "/async/sleep?seconds=60")
        until(lambda: get(served.port, "/stats").json()["running"] == 1, "it runs")
        began = time.monotonic()
        postgres.kill()
        assert sleeper.read_reply().status == 503
        for kind in ["sync", "async"] * 3:
            gone = get(served.port, f"/{kind}/sleep?seconds=0")
            assert (gone.status, gone.json()) == (503, {"detail": "The database is not available"})
        assert time.monotonic() - began < 2
    finally:
        sleeper.close()
        postgres.start()
    began = time.monotonic()
    until(lambda: get(served.port, "/async/sleep?seconds=0").status == 200, "it answers again")
    assert get(served.port, "/sync/sleep?seconds=0").status == 200
    assert time.monotonic() - began < 5
    with PgPool(postgres.url, max_size=1) as observer:
        assert backends(observer) <= 4


def test_connections_end_with_the_server(postgres: Postgres) -> None:
    with PgPool(postgres.url, max_size=1) as observer:
        before = backends(observer)
        with start_bimetal("postgres:app", env=with_database(postgres)) as server:
            server.wait_ready()
            until(lambda: backends(observer) == before + 2, "as many as min_size are opened at the start")
            assert server.stop() == 0
        until(lambda: backends(observer) == before, "its connections are gone")


GUIDE = REPOSITORY / "docs" / "guide" / "postgres.md"
BLOCK = re.compile(r"^```python\n# (\w+\.py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Path:
    folder = tmp_path_factory.mktemp("guide")
    for name, text in BLOCK.findall(GUIDE.read_text()):
        (folder / name).write_text(text)
    with PgPool(postgres.url, max_size=1) as pool:
        pool.exec("CREATE TABLE stock (sku text PRIMARY KEY, amount int CONSTRAINT enough CHECK (amount >= 0))")
        pool.exec("INSERT INTO stock VALUES ('bolt', 5)")
        pool.exec(
            "CREATE TABLE orders (id int GENERATED ALWAYS AS IDENTITY, sku text, amount int, placed date DEFAULT '2024-02-29')"
        )
    return folder


class TestGuide:
    def test_the_application(self, folder: Path, postgres: Postgres) -> None:
        with start_bimetal("main:app", cwd=folder, env=with_database(postgres)) as server:
            port = server.wait_ready().port
            placed = request(port, "POST", "/orders", *json_body({"sku": "bolt", "amount": 3}))
            assert (placed.status, placed.json()) == (201, {"id": 1, "sku": "bolt", "amount": 3})
            refused = request(port, "POST", "/orders", *json_body({"sku": "bolt", "amount": 3}))
            assert (refused.status, refused.json()) == (409, {"detail": "Not so many are left"})
            assert get(port, "/orders/1").json() == placed.json()
            assert get(port, "/orders/9").status == 404
            assert get(port, "/orders").body == b'[{"id":1,"sku":"bolt","amount":3,"placed":"2024-02-29"}]'
            assert get(port, "/orders.csv").body == b"1,bolt\n"

    @pytest.mark.parametrize(("name", "printed"), [("copying.py", "1000 rows\n1000 rows\n"), ("script.py", "42\n4\n")])
    def test_the_scripts(self, folder: Path, postgres: Postgres, name: str, printed: str) -> None:
        env = environment(folder) | with_database(postgres)
        done = subprocess.run([sys.executable, name], cwd=folder, env=env, capture_output=True, text=True, timeout=60)
        assert done.stdout == printed, done.stderr
