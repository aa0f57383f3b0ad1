"""What is measured, in each driver's words; run in a process of its own: `python -m pg.works SYSTEM WORK DSN SECONDS`.

Prints what was done as JSON: operations, seconds, and the processor time of this process.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

ONE = "SELECT id, name, score, made FROM items WHERE id = {0}"
MANY = "SELECT id, name, score, made FROM items ORDER BY id LIMIT 1000"
OUT = "COPY items TO STDOUT"
COLUMNS = ["id", "name", "score"]
ROWS = [(n, f"item {n}", n / 4) for n in range(100_000)]
DATA = "".join(f"{n}\t{name}\t{score}\n" for n, name, score in ROWS).encode()
INTO = "COPY copied (id, name, score) FROM STDIN"

POOL = 8
"""Connections of each pool."""

Operation = Callable[[int], Awaitable[Any]]

#: Who does it at a time, for each work.
TASKS = {"one": 32, "many": 8, "json": 8, "in-rows": 1, "in-bytes": 1, "out": 1}


async def _bimetal(work: str, dsn: str) -> Operation:
    from bimetal.pg import PgPool

    pool = PgPool(dsn, POOL, POOL)
    one = ONE.format("$1")

    async def out(_: int) -> int:
        size = 0
        async for chunk in pool.copy_out(OUT):
            size += len(chunk)
        return size

    return {
        "one": lambda n: pool.aexec(one, n).one(),
        "many": lambda _: pool.aexec(MANY).all(),
        "json": lambda _: pool.aexec(MANY).json(),
        "in-rows": lambda _: pool.acopy_in(INTO, ROWS),
        "in-bytes": lambda _: pool.acopy_in(INTO, DATA),
        "out": out,
    }[work]


async def _asyncpg(work: str, dsn: str) -> Operation:
    import asyncpg

    pool = await asyncpg.create_pool(dsn, min_size=POOL, max_size=POOL)
    one = ONE.format("$1")

    async def one_row(n: int) -> dict[str, Any]:
        return dict(await pool.fetchrow(one, n))

    async def many(_: int) -> list[dict[str, Any]]:
        return [dict(row) for row in await pool.fetch(MANY)]

    async def as_json(_: int) -> bytes:
        from pydantic_core import to_json

        return to_json([dict(row) for row in await pool.fetch(MANY)])

    async def in_rows(_: int) -> None:
        await pool.copy_records_to_table("copied", records=ROWS, columns=COLUMNS)

    async def in_bytes(_: int) -> None:
        async def source() -> Any:
            yield DATA

        await pool.copy_to_table("copied", source=source(), columns=COLUMNS)

    async def out(_: int) -> int:
        size = 0

        async def take(data: bytes) -> None:
            nonlocal size
            size += len(data)

        await pool.copy_from_query("SELECT * FROM items", output=take)
        return size

    works = {"one": one_row, "many": many, "json": as_json, "in-rows": in_rows, "in-bytes": in_bytes, "out": out}
    return works[work]


async def _psycopg(work: str, dsn: str) -> Operation:
    from psycopg import AsyncConnection
    from psycopg.rows import dict_row
    from psycopg_pool import AsyncConnectionPool

    async def configure(connection: AsyncConnection) -> None:
        connection.prepare_threshold = 0
        await connection.set_autocommit(True)

    pool = AsyncConnectionPool(dsn, min_size=POOL, max_size=POOL, open=False, configure=configure)
    await pool.open(wait=True)
    one = ONE.format("%s")

    async def rows(sql: str, *arguments: Any) -> list[dict[str, Any]]:
        async with pool.connection() as connection, connection.cursor(binary=True, row_factory=dict_row) as cursor:
            await cursor.execute(sql, arguments or None)
            return await cursor.fetchall()

    async def one_row(n: int) -> dict[str, Any]:
        (row,) = await rows(one, n)
        return row

    async def many(_: int) -> list[dict[str, Any]]:
        return await rows(MANY)

    async def as_json(_: int) -> bytes:
        from pydantic_core import to_json

        return to_json(await rows(MANY))

    async def in_rows(_: int) -> None:
        async with pool.connection() as connection, connection.cursor() as cursor, cursor.copy(INTO) as copy:
            for row in ROWS:
                await copy.write_row(row)

    async def in_bytes(_: int) -> None:
        async with pool.connection() as connection, connection.cursor() as cursor, cursor.copy(INTO) as copy:
            for at in range(0, len(DATA), 65536):
                await copy.write(DATA[at : at + 65536])

    async def out(_: int) -> int:
        size = 0
        async with pool.connection() as connection, connection.cursor() as cursor, cursor.copy(OUT) as copy:
            async for chunk in copy:
                size += len(chunk)
        return size

    works = {"one": one_row, "many": many, "json": as_json, "in-rows": in_rows, "in-bytes": in_bytes, "out": out}
    return works[work]


async def _measure(system: str, work: str, dsn: str, seconds: float) -> dict[str, float]:
    make = {"bimetal": _bimetal, "asyncpg": _asyncpg, "psycopg": _psycopg}[system]
    operation = await make(work, dsn)
    done, deadline = 0, time.monotonic() + min(0.5, seconds / 4)

    async def repeat() -> None:
        nonlocal done
        n = 0
        while time.monotonic() < deadline:
            n = n % 1000 + 1
            await operation(n)
            done += 1

    async def all_of_them() -> None:
        await asyncio.gather(*(repeat() for _ in range(TASKS[work])))

    # Connections, prepared statements and caches first.
    await all_of_them()
    done, deadline = 0, time.monotonic() + seconds
    began, cpu = time.monotonic(), _cpu()
    await all_of_them()
    return {"done": done, "seconds": time.monotonic() - began, "cpu": _cpu() - cpu}


def _measure_threads(system: str, dsn: str, seconds: float, threads: int) -> dict[str, float]:
    """One row, by threads that block."""
    operation: Callable[[int], Any]
    if system == "bimetal":
        from bimetal.pg import PgPool

        pool = PgPool(dsn, POOL, POOL)
        one = ONE.format("$1")
        operation = lambda n: pool.exec(one, n).one()  # noqa: E731
    else:
        from psycopg import Connection
        from psycopg.rows import dict_row
        from psycopg_pool import ConnectionPool

        def configure(connection: Connection) -> None:
            connection.prepare_threshold = 0
            connection.autocommit = True

        connections = ConnectionPool(dsn, min_size=POOL, max_size=POOL, open=True, configure=configure)
        connections.wait()
        one = ONE.format("%s")

        def operation(n: int) -> Any:
            with connections.connection() as connection, connection.cursor(binary=True, row_factory=dict_row) as cursor:
                cursor.execute(one, (n,))
                return cursor.fetchone()

    def run(seconds: float) -> int:
        deadline, done = time.monotonic() + seconds, [0] * threads

        def repeat(index: int) -> None:
            n = 0
            while time.monotonic() < deadline:
                n = n % 1000 + 1
                operation(n)
                done[index] += 1

        workers = [threading.Thread(target=repeat, args=(index,)) for index in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return sum(done)

    run(min(0.5, seconds / 4))
    began, cpu = time.monotonic(), _cpu()
    count = run(seconds)
    return {"done": count, "seconds": time.monotonic() - began, "cpu": _cpu() - cpu}


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    system, work, dsn, seconds = sys.argv[1:]
    if work.startswith("threads-"):
        outcome = _measure_threads(system, dsn, float(seconds), int(work.removeprefix("threads-")))
    else:
        import uvloop

        outcome = uvloop.run(_measure(system, work, dsn, float(seconds)))
    print(json.dumps(outcome), flush=True)
    # Nobody waits for pools to close.
    import os

    os._exit(0)


if __name__ == "__main__":
    main()
