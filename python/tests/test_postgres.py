"""`bimetal.pg` against a real server, without a server of Bimetal's own: values both ways, errors, transactions, COPY, the pool."""

# ruff: noqa: PT012, SIM117 (transactions are blocks, and what they raise leaves them)

from __future__ import annotations

import asyncio
import datetime as dt
import enum
import io
import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from fastapi.encoders import jsonable_encoder
from starlette.exceptions import HTTPException

from bimetal.pg import (
    Json,
    PgArgumentError,
    PgError,
    PgPool,
    PgPoolExhausted,
    PgRowsError,
    PgUnavailable,
    PgValueError,
)
from harness.postgres import Postgres
from harness.servers import free_port, until
from harness.tls import Authority, Issued

pytestmark = pytest.mark.bimetal_only

UTC = dt.timezone.utc


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres() as postgres:
        yield postgres


@pytest.fixture(scope="module")
def pool(postgres: Postgres) -> Iterator[PgPool]:
    with PgPool(postgres.url, min_size=1, max_size=4, application_name="tests") as pool:
        pool.exec("CREATE TYPE mood AS ENUM ('sad', 'so-so', 'happy')")
        pool.exec("CREATE DOMAIN positive AS int CHECK (value > 0)")
        pool.exec("CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL CONSTRAINT named CHECK (name <> ''))")
        yield pool


def backends(pool: PgPool, name: str) -> int:
    """The connections whose application is `name`, as the server counts them."""
    count: int = pool.exec("SELECT count(*) FROM pg_stat_activity WHERE application_name = $1", name).scalar()
    return count


class Mood(enum.Enum):
    SAD = "sad"
    HAPPY = "happy"


NOON = dt.datetime(2024, 2, 29, 12, 30, 15, 123456)
NUMBER = uuid.UUID("12345678-9abc-def0-1234-56789abcdef0")

#: The type, a value for its parameter, and what comes back where that is another one.
VALUES: list[tuple[str, Any, Any]] = [
    ("bool", True, ...),
    ("bool", False, ...),
    ("bool", None, ...),
    ("int2", -32768, ...),
    ("int4", 2147483647, ...),
    ("int8", -9223372036854775808, ...),
    ("oid", 4294967295, ...),
    ("float4", 0.5, ...),
    ("float8", 0.1, ...),
    ("float8", 3, 3.0),
    ("float8", float("inf"), ...),
    ("numeric", Decimal("12345678901234567890.0123456789"), ...),
    ("numeric", Decimal("-0.00001"), ...),
    ("numeric", Decimal("1E+3"), Decimal("1000")),
    ("numeric", 10**30, Decimal(10**30)),
    ("numeric", 0.5, Decimal("0.5")),
    ("text", "größer 🚲", ...),
    ("text", "", ...),
    ("varchar(5)", "abc", ...),
    ("char(5)", "abc", "abc  "),
    ("name", "abc", ...),
    ("bytea", b"\x00\xff", ...),
    ("bytea", bytearray(b"abc"), b"abc"),
    ("bytea", memoryview(b"abcd")[::2], b"ac"),
    ("uuid", NUMBER, ...),
    ("uuid", str(NUMBER), NUMBER),
    ("date", dt.date(2024, 2, 29), ...),
    ("date", dt.date(1, 1, 1), ...),
    ("date", dt.date(9999, 12, 31), ...),
    ("time", dt.time(23, 59, 59, 999999), ...),
    ("timestamp", NOON, ...),
    ("timestamp", dt.datetime(1, 1, 1), ...),
    ("timestamptz", NOON.replace(tzinfo=UTC), ...),
    ("timestamptz", NOON.replace(tzinfo=dt.timezone(dt.timedelta(hours=-5))), ...),
    ("interval", dt.timedelta(days=-3, seconds=7, microseconds=5), ...),
    ("json", {"a": [1, None, "x"]}, ...),
    ("jsonb", {"a": {"b": 1.5}}, ...),
    ("jsonb", [1, "two", None, [3.5, True], {"k": "v"}], ...),
    ("jsonb", '{"already": "text"}', {"already": "text"}),
    ("jsonb", Json("a text"), "a text"),
    ("mood", "so-so", ...),
    ("mood", Mood.HAPPY, "happy"),
    ("positive", 7, ...),
    ("inet", "10.0.0.1", ...),
    ("cidr", "10.0.0.0/8", ...),
    ("int4[]", [1, None, 3], ...),
    ("int4[]", [], ...),
    ("int4[]", [[1, 2], [3, 4]], ...),
    ("text[]", ["a", 'b"c', "", None], ...),
    ("bool[]", (True, False), [True, False]),
    ("float8[]", [0.5, 2.0], ...),
    ("numeric[]", [Decimal("1.10"), None], ...),
    ("uuid[]", [NUMBER], ...),
    ("date[]", [dt.date(2024, 2, 29)], ...),
    ("timestamptz[]", [NOON.replace(tzinfo=UTC)], ...),
    ("interval[]", [dt.timedelta(1)], ...),
    ("bytea[]", [b"a", b""], ...),
    ("jsonb[]", [{"a": 1}, {"b": [2]}], ...),
    ("mood[]", ["sad", Mood.HAPPY], ["sad", "happy"]),
]
# Not the address of an object, which differs from process to process.
IDS = [f"{sql}-{value}"[:40].partition(" at 0x")[0] for sql, value, _ in VALUES]


class TestValues:
    @pytest.mark.parametrize(("sql", "value", "expected"), VALUES, ids=IDS)
    def test_a_value_comes_back(self, pool: PgPool, sql: str, value: Any, expected: Any) -> None:
        expected = value if expected is ... else expected
        back = pool.exec(f"SELECT $1::{sql} AS value", value).scalar()
        assert (back, type(back)) == (expected, type(expected))
        awaited = asyncio.run(_awaited(pool, f"SELECT $1::{sql} AS value", value))
        assert (awaited, type(awaited)) == (expected, type(expected))

    def test_asyncpg_reads_what_is_written_and_writes_what_is_read(self, postgres: Postgres, pool: PgPool) -> None:
        asyncpg = pytest.importorskip("asyncpg")
        # It leaves documents as they are, has classes for networks, and takes the ends of Python's calendar for infinity.
        left_out = ("json", "inet", "cidr")
        ends = [dt.date.min, dt.date.max, dt.datetime.min]
        cases = [
            (sql, value, value if expected is ... else expected)
            for sql, value, expected in VALUES
            if not sql.startswith(left_out) and value not in ends
        ]
        columns = ", ".join(f"c{index} {sql}" for index, (sql, *_) in enumerate(cases))
        pool.exec(f"CREATE TABLE crossed ({columns})")
        places = ", ".join(f"${index + 1}" for index in range(len(cases)))
        pool.exec(f"INSERT INTO crossed VALUES ({places})", *(value for _, value, _ in cases))

        async def cross() -> list[Any]:
            connection = await asyncpg.connect(postgres.url)
            try:
                read = list(await connection.fetchrow("SELECT * FROM crossed"))
                await connection.execute(f"INSERT INTO crossed VALUES ({places})", *read)
                return read
            finally:
                await connection.close()

        theirs = asyncio.run(cross())
        first, second = pool.exec("SELECT * FROM crossed").all()
        for index, (sql, _, expected) in enumerate(cases):
            assert theirs[index] == expected, sql
            assert first[f"c{index}"] == second[f"c{index}"] == expected, sql

    def test_json_is_what_fastapi_writes_of_the_rows(self, pool: PgPool) -> None:
        columns = []
        for index, (sql, _, _) in enumerate(VALUES):
            columns.append(f"${index + 1}::{sql} AS c{index}")
        arguments = [value for _, value, _ in VALUES]
        leave = [index for index, (sql, value, _) in enumerate(VALUES) if value == b"\x00\xff" or value == float("inf")]
        for index in leave:
            arguments[index] = None
        result = pool.exec(f"SELECT {', '.join(columns)}", *arguments)
        ours, theirs = json.loads(result.json()), jsonable_encoder(result.all())
        assert ours == theirs
        # To the byte, but for documents, which come as PostgreSQL writes them.
        plain = pool.exec(
            "SELECT 1e16::float8 a, 0.1::float8 b, '1.50'::numeric c, 'x\u2028\"\\\n\t' d, now() e, interval '1 day' f, 1 g, 2 g"
        )
        dumped = json.dumps(jsonable_encoder(plain.all()), ensure_ascii=False, separators=(",", ":")).encode()
        assert plain.json() == dumped
        assert asyncio.run(_json(pool)) == b'[{"n":1},{"n":2}]'
        assert pool.exec("SELECT 1 WHERE false").json() == b"[]"

    @pytest.mark.parametrize(
        ("sql", "arguments", "said"),
        [
            ("SELECT $1::int4", ["7"], "argument $1 (int4): it takes an int, not a str"),
            ("SELECT $1::int4, $2::int2", [1, 40000], "argument $2 (int2): 40000 is out of its range"),
            ("SELECT $1::text", [7], "argument $1 (text): it takes a str, not an int"),
            ("SELECT $1::bool", [1], "argument $1 (bool): it takes a bool, not an int"),
            ("SELECT $1::int8", [10**30], "is beyond what it holds; numeric holds it"),
            ("SELECT $1::timestamptz", [NOON], "it takes a datetime with a time zone"),
            ("SELECT $1::timestamp", [NOON.replace(tzinfo=UTC)], "it takes a datetime without a time zone"),
            ("SELECT $1::date", [NOON], "argument $1 (date): it takes a date, not a datetime"),
            ("SELECT $1::int4[]", [1], "argument $1 (int4[]): it takes a list, not an int"),
            ("SELECT $1::int4[]", [[1, "a"]], "an element of it: it takes an int, not a str"),
            ("SELECT $1::int4[]", [[[1, 2], [3]]], "lists of one dimension have one length"),
            ("SELECT $1::text", ["a\0b"], "no NUL character"),
            ("SELECT $1::text", [object()], "argument $1: object has no type of PostgreSQL"),
            ("SELECT $1::int4, $2::text", [1], "2 parameters ($1 int4, $2 text), and was given 1 argument"),
            ("SELECT 1", [1, 2], "0 parameters, and was given 2 arguments"),
            ("SELECT $1::time", [dt.time(1, tzinfo=UTC)], "a time with a time zone"),
        ],
    )
    def test_arguments_that_do_not_fit_are_named(self, pool: PgPool, sql: str, arguments: list[Any], said: str) -> None:
        with pytest.raises(PgArgumentError) as raised:
            pool.exec(sql, *arguments)
        assert said in str(raised.value) and isinstance(raised.value, TypeError)
        assert pool.exec("SELECT 1").scalar() == 1

    @pytest.mark.parametrize(
        ("sql", "said"),
        [
            ("SELECT '4713-01-01 BC'::date AS day", '"day" has a date that Python has not'),
            ("SELECT 'infinity'::timestamptz AS day", '"day" has a date that Python has not'),
            ("SELECT '24:00'::time AS hour", '"hour" has a time that Python has not'),
            ("SELECT point(1, 2) AS place", '"place" is of type point, which is not read here; select place::text'),
        ],
    )
    def test_values_that_python_has_not_are_named(self, pool: PgPool, sql: str, said: str) -> None:
        with pytest.raises(PgValueError) as raised:
            pool.exec(sql).all()
        assert said in str(raised.value)

    def test_numbers_of_rows(self, pool: PgPool) -> None:
        several = pool.exec("SELECT n, n * 2 AS twice FROM generate_series(1, 3) n")
        assert several.all() == list(several) == [{"n": n, "twice": 2 * n} for n in (1, 2, 3)]
        assert (several.first(), several.scalar(), several.scalars()) == ({"n": 1, "twice": 2}, 1, [1, 2, 3])
        assert (several.rowcount, several.columns, len(several)) == (3, ("n", "twice"), 3)
        none = pool.exec("SELECT 1 AS n WHERE false")
        assert (none.all(), none.one_or_none(), none.first(), none.scalar()) == ([], None, None, None)
        for result, said in [(several, "gave 3 rows"), (none, "gave no row")]:
            with pytest.raises(PgRowsError, match=said):
                result.one()
        with pytest.raises(PgRowsError):
            several.one_or_none()
        # The last of one name, where the first stands, as with a dict.
        assert pool.exec("SELECT 1 AS a, 2 AS b, 3 AS a").one() == {"a": 3, "b": 2}
        changed = pool.exec("CREATE TEMPORARY TABLE counted AS SELECT generate_series(1, 5)")
        assert (changed.rowcount, changed.all(), changed.scalar()) == (5, [], None)


async def _awaited(pool: PgPool, sql: str, *arguments: Any) -> Any:
    return await pool.aexec(sql, *arguments).scalar()


async def _json(pool: PgPool) -> bytes:
    return await pool.aexec("SELECT generate_series(1, 2) AS n").json()


class TestStatements:
    def test_awaited_in_every_form(self, pool: PgPool) -> None:
        async def run() -> None:
            result = await pool.aexec("SELECT n FROM generate_series(1, 2) n")
            assert result.all() == [{"n": 1}, {"n": 2}]
            assert await pool.aexec("SELECT 1 AS n").all() == [{"n": 1}]
            assert await pool.aexec("SELECT 1 AS n").one() == {"n": 1}
            assert await pool.aexec("SELECT 1 AS n WHERE false").one_or_none() is None
            assert await pool.aexec("SELECT 1 AS n").first() == {"n": 1}
            assert await pool.aexec("SELECT generate_series(1, 2)").scalars() == [1, 2]
            response = await pool.aexec("SELECT 1 AS n").response(status_code=203)
            assert (response.status_code, response.body) == (203, b'[{"n":1}]')
            assert response.headers["content-type"] == "application/json"
            with pytest.raises(PgRowsError):
                await pool.aexec("SELECT generate_series(1, 2)").one()
            query = pool.aexec("SELECT 1")
            await query
            with pytest.raises(RuntimeError, match="sent already"):
                await query
            answers = await asyncio.gather(*(pool.aexec("SELECT $1::int", n).scalar() for n in range(200)))
            assert answers == list(range(200))

        asyncio.run(run())
        # Another loop, and the first is forgotten.
        asyncio.run(run())

    def test_threads_share_a_pool(self, pool: PgPool) -> None:
        with ThreadPoolExecutor(16) as threads:
            numbers = threads.map(lambda n: pool.exec("SELECT $1::int AS n", n).scalar(), range(400))
        assert list(numbers) == list(range(400))
        assert pool.stats()["size"] <= 4

    def test_other_threads_run_while_one_waits(self, pool: PgPool) -> None:
        ticks, done = 0, threading.Event()

        def wait() -> None:
            pool.exec("SELECT pg_sleep(0.5)")
            done.set()

        thread = threading.Thread(target=wait)
        thread.start()
        while not done.is_set():
            ticks += 1
            time.sleep(0.001)
        thread.join()
        assert ticks > 20

    def test_what_postgresql_says(self, pool: PgPool) -> None:
        pool.exec("INSERT INTO people VALUES (1, 'ann') ON CONFLICT DO NOTHING")
        with pytest.raises(PgError) as raised:
            pool.exec("INSERT INTO people VALUES ($1, $2)", 1, "bob")
        error = raised.value
        assert (error.sqlstate, error.constraint, error.table) == ("23505", "people_pkey", "people")
        assert error.detail == "Key (id)=(1) already exists." and error.detail in str(error)
        assert (error.severity, error.schema) == ("ERROR", "public")
        with pytest.raises(PgError) as raised:
            pool.exec("INSERT INTO people VALUES (2, '')")
        assert (raised.value.sqlstate, raised.value.constraint) == ("23514", "named")
        with pytest.raises(PgError) as raised:
            pool.exec("SELEC 1")
        assert (raised.value.sqlstate, raised.value.position) == ("42601", 1)
        assert not isinstance(raised.value, HTTPException)

    def test_statements_stay_prepared_and_are_bounded(self, postgres: Postgres) -> None:
        with PgPool(postgres.url, max_size=1, statement_cache=4) as pool:
            for _ in range(3):
                for n in range(9):
                    assert pool.exec(f"SELECT {n}").scalar() == n
            assert pool.exec("SELECT count(*) FROM pg_prepared_statements").scalar() <= 5

    def test_a_table_changes_under_a_prepared_statement(self, pool: PgPool) -> None:
        pool.exec("CREATE TABLE changing AS SELECT 1 AS a")
        assert pool.exec("SELECT * FROM changing").one() == {"a": 1}
        pool.exec("ALTER TABLE changing ADD b text DEFAULT 'new'")
        for _ in range(5):
            assert pool.exec("SELECT * FROM changing").one() == {"a": 1, "b": "new"}

    def test_a_statement_has_its_time(self, postgres: Postgres) -> None:
        with PgPool(postgres.url, statement_timeout=0.3) as pool:
            began = time.monotonic()
            with pytest.raises(PgError) as raised:
                pool.exec("SELECT pg_sleep(20)")
            assert raised.value.sqlstate == "57014" and time.monotonic() - began < 10
            assert pool.exec("SELECT 1").scalar() == 1

    def test_a_result_has_its_size(self, postgres: Postgres) -> None:
        with PgPool(postgres.url, max_result=100_000) as pool:
            with pytest.raises(PgValueError, match="larger than max_result"):
                pool.exec("SELECT repeat('x', 1000) FROM generate_series(1, 1000)")
            assert pool.exec("SELECT 1").scalar() == 1

    def test_transactions_cannot_be_left_open(self, pool: PgPool) -> None:
        for sql in ["BEGIN", "  -- now\n start transaction", "COMMIT", "/* x */ SAVEPOINT a"]:
            with pytest.raises(PgError, match="use transaction"):
                pool.exec(sql)


class TestTransactions:
    @pytest.fixture(autouse=True)
    def _table(self, pool: PgPool) -> None:
        pool.exec("DROP TABLE IF EXISTS entries")
        pool.exec("CREATE TABLE entries (n int UNIQUE)")

    def entries(self, pool: PgPool) -> list[int]:
        return pool.exec("SELECT n FROM entries ORDER BY n").scalars()

    def test_commit_and_rollback(self, pool: PgPool) -> None:
        with pool.transaction() as tx:
            tx.exec("INSERT INTO entries VALUES (1)")
            assert self.entries(pool) == []
        assert self.entries(pool) == [1]
        with pytest.raises(KeyError), pool.transaction() as tx:
            tx.exec("INSERT INTO entries VALUES (2)")
            raise KeyError
        assert self.entries(pool) == [1]
        for use in (lambda: tx.exec("SELECT 1"), lambda: tx.__enter__()):
            with pytest.raises(PgError, match=r"is over|entered once"):
                use()

    def test_savepoints(self, pool: PgPool) -> None:
        with pool.transaction() as tx:
            tx.exec("INSERT INTO entries VALUES (1)")
            with pytest.raises(PgError), tx.transaction() as inner:
                inner.exec("INSERT INTO entries VALUES (2)")
                inner.exec("INSERT INTO entries VALUES (1)")
            with tx.transaction() as inner, inner.transaction() as innermost:
                innermost.exec("INSERT INTO entries VALUES (3)")
        assert self.entries(pool) == [1, 3]

    def test_a_failure_that_was_swallowed_is_no_commit(self, pool: PgPool) -> None:
        with pytest.raises(PgError, match="is rolled back, because a statement in it has failed: duplicate key"):
            with pool.transaction() as tx:
                tx.exec("INSERT INTO entries VALUES (1)")
                with pytest.raises(PgError):
                    tx.exec("INSERT INTO entries VALUES (1)")
        assert self.entries(pool) == []
        assert pool.exec("SELECT 1").scalar() == 1

    def test_isolation(self, pool: PgPool) -> None:
        with pool.transaction(isolation="serializable", read_only=True) as tx:
            assert tx.exec("SHOW transaction_isolation").scalar() == "serializable"
            with pytest.raises(PgError) as raised, tx.transaction() as inner:
                inner.exec("INSERT INTO entries VALUES (1)")
            assert raised.value.sqlstate == "25006"
        with pytest.raises(ValueError, match='isolation="chaos" is unknown'):
            pool.transaction(isolation="chaos")

    def test_awaited(self, pool: PgPool) -> None:
        async def run() -> None:
            async with pool.transaction() as tx:
                await tx.aexec("INSERT INTO entries VALUES (1)")
                with pytest.raises(ValueError, match="inner"):
                    async with tx.transaction() as inner:
                        await inner.aexec("INSERT INTO entries VALUES (2)")
                        raise ValueError("inner")
            with pytest.raises(KeyError):
                async with pool.transaction() as tx:
                    await tx.aexec("INSERT INTO entries VALUES (3)")
                    raise KeyError
            # One after the other on the one connection.
            async with pool.transaction() as tx:
                await asyncio.gather(*(tx.aexec("INSERT INTO entries VALUES ($1)", n) for n in range(10, 20)))

        asyncio.run(run())
        assert self.entries(pool) == [1, *range(10, 20)]

    def test_cancelled(self, postgres: Postgres, pool: PgPool) -> None:
        """The transaction is rolled back, the server does not go on, and there is another connection."""

        async def run(own: PgPool) -> None:
            async def work() -> None:
                async with own.transaction() as tx:
                    await tx.aexec("INSERT INTO entries VALUES (1)")
                    await tx.aexec("SELECT pg_sleep(30)")

            for _ in range(5):
                task = asyncio.create_task(work())
                await asyncio.sleep(0.1)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert await own.aexec("SELECT count(*) FROM entries").scalar() == 0

        with PgPool(postgres.url, max_size=1, application_name="cancelled") as own:
            asyncio.run(run(own))
            sleeping = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND state = 'active'"
            until(lambda: pool.exec(f"{sleeping} AND pid <> pg_backend_pid()").scalar() == 0, "nothing sleeps")
            assert own.exec("SELECT 1").scalar() == 1
            assert backends(pool, "cancelled") == 1
        until(lambda: backends(pool, "cancelled") == 0, "the connections of a closed pool are gone")

    def test_dropped_without_an_end(self, pool: PgPool) -> None:
        tx = pool.transaction().__enter__()
        tx.exec("INSERT INTO entries VALUES (1)")
        del tx
        until(lambda: pool.stats()["running"] == 0, "nothing runs")
        assert self.entries(pool) == []
        with pool.transaction() as tx:
            assert tx.exec("SELECT 1").scalar() == 1


class TestCopy:
    @pytest.fixture(autouse=True)
    def _table(self, pool: PgPool) -> None:
        pool.exec("DROP TABLE IF EXISTS copied")
        pool.exec("CREATE TABLE copied (id int, name text, score numeric, made timestamptz, tags text[])")

    IN = "COPY copied FROM STDIN"
    MADE = dt.datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=UTC)

    def row(self, n: int) -> tuple[Any, ...]:
        return (n, f"name\t{n}\\\n", Decimal(n) / 4, self.MADE, ["a", f'"{n}', None] if n % 2 else None)

    def test_rows(self, pool: PgPool) -> None:
        assert pool.copy_in(self.IN, (self.row(n) for n in range(1000))) == 1000
        rows = pool.exec("SELECT * FROM copied ORDER BY id").all()
        assert [tuple(row.values()) for row in rows] == [self.row(n) for n in range(1000)]

    @pytest.mark.parametrize("source", [b"1\ta\n2\tb\n", "1\ta\n2\tb\n", [b"1\t", "a\n2", bytearray(b"\tb\n")], "file"])
    def test_data(self, pool: PgPool, source: Any) -> None:
        source = io.BytesIO(b"1\ta\n2\tb\n") if source == "file" else source
        assert pool.copy_in("COPY copied (id, name) FROM STDIN", source) == 2
        assert pool.exec("SELECT name FROM copied ORDER BY id").scalars() == ["a", "b"]
        assert pool.copy_out("COPY copied (id, name) TO STDOUT").read() == b"1\ta\n2\tb\n"

    def test_a_hundred_thousand_rows_and_back(self, pool: PgPool) -> None:
        assert pool.copy_in(self.IN, ((n, f"name {n}", None, None, None) for n in range(100_000))) == 100_000
        chunks = list(pool.copy_out("COPY (SELECT id, name FROM copied ORDER BY id) TO STDOUT (FORMAT csv)"))
        assert len(chunks) > 1 and max(map(len, chunks)) < 200_000
        assert b"".join(chunks) == b"".join(b"%d,name %d\n" % (n, n) for n in range(100_000))
        assert pool.exec("SELECT count(*), sum(id) AS sum FROM copied").one() == {"count": 100_000, "sum": 4999950000}

    def test_awaited(self, pool: PgPool) -> None:
        async def rows() -> AsyncIterator[tuple[Any, ...]]:
            for n in range(5000):
                if n % 1000 == 0:
                    await asyncio.sleep(0)
                yield (n, "x" * 50, None, None, None)

        async def run() -> None:
            assert await pool.acopy_in(self.IN, rows()) == 5000
            assert await pool.acopy_in(self.IN, [(n, None, None, None, None) for n in range(5000, 20_000)]) == 15_000
            assert await pool.acopy_in("COPY copied (id) FROM STDIN", b"20000\n") == 1
            read = [chunk async for chunk in pool.copy_out("COPY (SELECT id FROM copied ORDER BY 1) TO STDOUT")]
            assert b"".join(read) == b"".join(b"%d\n" % n for n in range(20_001))
            assert await pool.copy_out("COPY (SELECT 1) TO STDOUT").aread() == b"1\n"

        asyncio.run(run())

    def test_what_goes_wrong_undoes_it(self, pool: PgPool) -> None:
        def failing() -> Iterator[bytes]:
            yield b"1\ta\n" * 50_000
            raise KeyError("source")

        for source, error in [
            (failing(), KeyError),
            (b"x\ta\n" * 50_000, PgError),
            ([(1, object())], PgArgumentError),
            ([1], TypeError),
            (7, TypeError),
        ]:
            with pytest.raises(error):
                pool.copy_in("COPY copied (id, name) FROM STDIN", source)
            with pytest.raises(error):
                asyncio.run(_acopy_in(pool, failing() if error is KeyError else source))
            assert pool.exec("SELECT count(*) FROM copied").scalar() == 0
        with pytest.raises(PgError) as raised:
            pool.copy_in("COPY nowhere FROM STDIN", b"")
        assert raised.value.sqlstate == "42P01"
        with pytest.raises(PgError):
            pool.copy_out("COPY nowhere TO STDOUT").read()

    def test_given_up_half_way(self, pool: PgPool) -> None:
        for _ in range(6):
            out = pool.copy_out("COPY (SELECT repeat('x', 100) FROM generate_series(1, 3000000)) TO STDOUT")
            assert next(out).startswith(b"x")
            del out
        until(lambda: pool.stats()["running"] == 0, "nothing runs")
        assert pool.exec("SELECT 1").scalar() == 1

    def test_in_a_transaction(self, pool: PgPool) -> None:
        with pytest.raises(KeyError), pool.transaction() as tx:
            assert tx.copy_in("COPY copied (id) FROM STDIN", [(1,), (2,)]) == 2
            assert tx.copy_out("COPY copied (id) TO STDOUT").read() == b"1\n2\n"
            raise KeyError
        assert pool.exec("SELECT count(*) FROM copied").scalar() == 0


async def _acopy_in(pool: PgPool, source: Any) -> int:
    return await pool.acopy_in("COPY copied (id, name) FROM STDIN", source)


class TestPool:
    @pytest.mark.parametrize(
        ("dsn", "said"),
        [
            ("mysql://app:secret@localhost/shop", "not that of a PostgreSQL database"),
            ("postgresql://localhost/shop", "names no user"),
            ("postgresql://app:secret@localhost/shop?sslmode=perhaps", "sslmode=perhaps is unknown"),
            ("postgresql://app:secret@localhost/shop?sslmode=verify-full", "need sslrootcert"),
            ("postgresql://app:secret@localhost/shop?sslmode=verify-ca&sslrootcert=/nowhere.pem", "/nowhere.pem"),
            ("", "names no host"),
        ],
    )
    def test_a_wrong_dsn_is_refused_at_once(self, dsn: str, said: str) -> None:
        with pytest.raises(ValueError, match=said) as raised:
            PgPool(dsn)
        assert "secret" not in str(raised.value)

    def test_wrong_bounds(self, postgres: Postgres) -> None:
        with pytest.raises(ValueError, match="min_size=3"):
            PgPool(postgres.url, 3, 2)
        with pytest.raises(ValueError, match="connect_timeout"):
            PgPool(postgres.url, connect_timeout=-1)

    def test_no_server_and_a_wrong_password(self, postgres: Postgres) -> None:
        nobody = f"postgresql://owner:secret@127.0.0.1:{free_port()}/notes"
        wrong = f"postgresql://owner:secret@127.0.0.1:{postgres.port}/notes"
        absent = f"{postgres.url}_and_none"
        for dsn, said in [(nobody, "refused"), (wrong, "password"), (absent, "does not exist")]:
            with PgPool(dsn) as pool:
                began = time.monotonic()
                with pytest.raises(PgUnavailable) as raised:
                    pool.exec("SELECT 1")
                assert said in str(raised.value) and "secret" not in str(raised.value)
                assert time.monotonic() - began < 2
                error = raised.value
                assert isinstance(error, HTTPException) and error.status_code == 503
                assert error.detail == "The database is not available"
                with pytest.raises(PgUnavailable):
                    asyncio.run(_awaited(pool, "SELECT 1"))

    def test_exhausted(self, postgres: Postgres) -> None:
        with PgPool(postgres.url, max_size=2, checkout_timeout=0.3) as pool, ThreadPoolExecutor(2) as threads:
            slow = [threads.submit(pool.exec, "SELECT pg_sleep(2)") for _ in range(2)]
            until(lambda: pool.stats()["running"] == 2, "both run")
            began = time.monotonic()
            with pytest.raises(PgPoolExhausted, match=r"all 2 connections .* were in use"):
                pool.exec("SELECT 1")
            assert 0.2 < time.monotonic() - began < 2
            for each in slow:
                each.result()
            assert pool.exec("SELECT 1").scalar() == 1
        with PgPool(postgres.url, max_size=1, max_waiting=3) as pool:

            async def many() -> list[Any]:
                statements = [pool.aexec("SELECT pg_sleep(0.2)").one() for _ in range(3)]
                with pytest.raises(PgPoolExhausted, match="max_waiting"):
                    pool.aexec("SELECT 1").one()
                return await asyncio.gather(*statements)

            assert len(asyncio.run(many())) == 3

    def test_closed_and_opened_again(self, postgres: Postgres, pool: PgPool) -> None:
        own = PgPool(postgres.url, min_size=3, application_name="closing")
        assert own.stats() == {"max_size": 10, "size": 0, "idle": 0, "waiting": 0, "running": 0}
        own.open()
        until(lambda: backends(pool, "closing") == 3, "as many as min_size are opened")
        with ThreadPoolExecutor(1) as threads:
            slow = threads.submit(own.exec, "SELECT pg_sleep(0.5), 1 AS n")
            until(lambda: own.stats()["running"] == 1, "it runs")
            assert own.close() is True
            assert slow.result().one()["n"] == 1
        until(lambda: backends(pool, "closing") == 0, "all are closed")
        with pytest.raises(PgError, match="the pool is closed"):
            own.exec("SELECT 1")
        assert own.close() is True
        own.open()
        assert own.exec("SELECT 1").scalar() == 1
        assert asyncio.run(_aclose(own)) is True
        until(lambda: backends(pool, "closing") == 0, "all are closed again")

    def test_cancelled_statements_leak_nothing(self, postgres: Postgres, pool: PgPool) -> None:
        async def run(own: PgPool) -> None:
            for turn in range(60):
                tasks = [asyncio.ensure_future(_awaited(own, "SELECT pg_sleep(10)")) for _ in range(6)]
                await asyncio.sleep(0.001 * (turn % 8))
                for task in tasks:
                    task.cancel()
                gathered = await asyncio.gather(*tasks, return_exceptions=True)
                assert {type(end) for end in gathered} == {asyncio.CancelledError}, gathered
                # What was cancelled comes late to nobody.
                assert await own.aexec("SELECT $1::int", turn).scalar() == turn

        with PgPool(postgres.url, max_size=3, application_name="leaking", checkout_timeout=10) as own:
            asyncio.run(run(own))
            until(lambda: own.stats()["running"] == 0, "nothing runs")
            until(
                lambda: backends(pool, "leaking") == own.stats()["size"] <= 3, "the server counts what the pool counts"
            )
            for n in range(20):
                assert own.exec("SELECT $1::int", n).scalar() == n

    def test_the_server_is_killed_and_comes_back(self) -> None:
        with Postgres() as postgres, PgPool(postgres.url, min_size=2, max_size=4, application_name="killed") as pool:
            assert pool.exec("SELECT 1").scalar() == 1
            with ThreadPoolExecutor(1) as threads:
                slow = threads.submit(pool.exec, "SELECT pg_sleep(60)")
                until(lambda: pool.stats()["running"] == 1, "it runs")
                began = time.monotonic()
                postgres.kill()
                with pytest.raises(PgUnavailable):
                    slow.result()
            for _ in range(5):
                with pytest.raises(PgUnavailable):
                    pool.exec("SELECT 1")
            assert time.monotonic() - began < 2
            postgres.start()
            began = time.monotonic()
            until(lambda: _answers(pool), "it answers again")
            assert time.monotonic() - began < 5
            assert backends(pool, "killed") <= 4

    def test_a_server_that_hangs(self) -> None:
        with Postgres() as postgres, PgPool(postgres.url, max_size=1, statement_timeout=0.5) as pool:
            assert pool.exec("SELECT 1").scalar() == 1
            postgres.pause(True)
            try:
                began = time.monotonic()
                with pytest.raises(PgUnavailable, match="has not answered"):
                    pool.exec("SELECT 1")
                with pytest.raises(PgUnavailable, match="within"):
                    pool.exec("SELECT 1")
                assert time.monotonic() - began < 8
            finally:
                postgres.pause(False)
            until(lambda: _answers(pool), "it answers again")

    def test_forked(self, pool: PgPool) -> None:
        if not hasattr(os, "fork"):
            pytest.skip("there is no fork here")
        assert pool.exec("SELECT 1").scalar() == 1
        child = os.fork()
        if child == 0:
            try:
                pool.exec("SELECT 1")
            except PgError as error:
                os._exit(7 if "before the process was forked" in str(error) else 8)
            os._exit(9)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert pool.exec("SELECT 1").scalar() == 1

    def test_a_script_is_interrupted(self, postgres: Postgres, pool: PgPool) -> None:
        script = (
            "import _thread, signal, sys, threading\n"
            "from bimetal.pg import PgPool\n"
            # Whoever runs the tests may have it ignored, as shells do in the background.
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            "pool = PgPool(sys.argv[1], application_name='script')\n"
            "print(pool.exec('SELECT 42').scalar(), flush=True)\n"
            "threading.Timer(0.3, _thread.interrupt_main).start()\n"
            "pool.exec('SELECT pg_sleep(60)')\n"
        )
        done = subprocess.run([sys.executable, "-c", script, postgres.url], capture_output=True, text=True, timeout=60)
        assert done.stdout == "42\n" and "KeyboardInterrupt" in done.stderr
        until(lambda: backends(pool, "script") == 0, "its connection is gone")


async def _aclose(pool: PgPool) -> bool:
    return await pool.aclose()


def _answers(pool: PgPool) -> bool:
    try:
        return bool(pool.exec("SELECT 1").scalar() == 1)
    except PgUnavailable:
        return False


@pytest.fixture(scope="module")
def server(authority: Authority, issued: Issued) -> Iterator[Postgres]:
    """A server that takes encrypted connections."""
    with Postgres() as postgres:
        postgres.stop()
        postgres.encrypt(issued.certificate, issued.key)
        postgres.start()
        yield postgres


class TestEncrypted:
    @pytest.mark.parametrize(
        ("mode", "encrypted"),
        [("disable", False), ("prefer", True), ("require", True), ("verify-ca", True), ("verify-full", True)],
    )
    def test_modes(self, server: Postgres, authority: Authority, mode: str, encrypted: bool) -> None:
        with PgPool(f"{server.url}?sslmode={mode}&sslrootcert={authority.certificate}") as pool:
            assert pool.exec("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").scalar() is encrypted

    def test_who_is_not_believed(
        self, server: Postgres, authority: Authority, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        other = Authority(tmp_path_factory.mktemp("other"))
        # The certificate is that of 127.0.0.1: by another name it passes verify-ca and not verify-full.
        by_name = server.url.replace("127.0.0.1", "localhost")
        with PgPool(f"{by_name}?sslmode=verify-ca&sslrootcert={authority.certificate}") as pool:
            assert pool.exec("SELECT 1").scalar() == 1
        for dsn in [
            f"{server.url}?sslmode=verify-ca&sslrootcert={other.certificate}",
            f"{server.url}?sslmode=verify-full&sslrootcert={other.certificate}",
            f"{by_name}?sslmode=verify-full&sslrootcert={authority.certificate}",
            f"{postgres.url}?sslmode=require",
        ]:
            with PgPool(dsn) as pool, pytest.raises(PgUnavailable, match=r"certificate|TLS"):
                pool.exec("SELECT 1")
