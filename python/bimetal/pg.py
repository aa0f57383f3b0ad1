"""PostgreSQL: a pool of connections in Rust, for `def` and `async def` handlers and for scripts.

- `PgPool`: `pool.exec(sql, *args)` blocks with the interpreter left to others, `await pool.aexec(sql, *args)` does not.
- `lifespan`: opens a pool with an application and closes it with it; `get_pg` is the dependency that gives it.
- `PgError` and its kinds. `PgUnavailable` and `PgPoolExhausted` are HTTP exceptions as well: 503, where no handler says
  otherwise.

Example:
    ```python
    from typing import Annotated

    from fastapi import Depends

    from bimetal import Bimetal
    from bimetal.pg import PgPool, get_pg, lifespan

    pool = PgPool("postgresql://app:secret@localhost/shop", min_size=2, max_size=10)
    app = Bimetal(lifespan=lifespan(pool))

    @app.get("/orders/{order_id}")
    async def order(order_id: int, pg: Annotated[PgPool, Depends(get_pg)]):
        return await pg.aexec("SELECT id, total FROM orders WHERE id = $1", order_id).one()
    ```
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from bimetal._core import PgCopyIn, PgCopyOut, PgPool, PgQuery, PgResult, PgTransaction, pg_forked
from bimetal.errors import BimetalError

__all__ = [
    "Json",
    "PgArgumentError",
    "PgCopyOut",
    "PgError",
    "PgPool",
    "PgPoolExhausted",
    "PgQuery",
    "PgResult",
    "PgRowsError",
    "PgTransaction",
    "PgUnavailable",
    "PgValueError",
    "get_pg",
    "lifespan",
]

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=pg_forked)


class PgError(BimetalError):
    """A statement that PostgreSQL refused, or a pool that is used in another way than it can be.

    Attributes:
        sqlstate: The five characters of PostgreSQL's error code, `"23505"`; None where it is no error of PostgreSQL.
        severity: `"ERROR"`, `"FATAL"`, ...
        detail, hint: More about it, and what to do.
        constraint, schema, table, column, datatype: What it is about.
        position: Where in the statement, in characters from 1.

    Example:
        ```python
        try:
            pool.exec("INSERT INTO users (email) VALUES ($1)", email)
        except PgError as error:
            if error.constraint != "users_email_key":
                raise
        ```
    """

    def __init__(
        self,
        message: str,
        *,
        sqlstate: str | None = None,
        severity: str | None = None,
        detail: str | None = None,
        hint: str | None = None,
        constraint: str | None = None,
        schema: str | None = None,
        table: str | None = None,
        column: str | None = None,
        datatype: str | None = None,
        position: int | None = None,
    ) -> None:
        Exception.__init__(self, message)
        self.message = message
        self.sqlstate = sqlstate
        self.severity = severity
        self.detail = detail
        self.hint = hint
        self.constraint = constraint
        self.schema = schema
        self.table = table
        self.column = column
        self.datatype = datatype
        self.position = position

    def __str__(self) -> str:
        said = [f"{name}: {text}" for name, text in (("detail", self.detail), ("hint", self.hint)) if text]
        state = f" (sqlstate {self.sqlstate})" if self.sqlstate else ""
        return "; ".join([self.message + state, *said])


class PgArgumentError(PgError, TypeError):
    """An argument that does not fit its parameter, or another number of them; the text names parameter and type."""


class PgValueError(PgError, ValueError):
    """A value that Python or JSON has no form for, the text names its column; or a result beyond `max_result`."""


class PgRowsError(PgError, LookupError):
    """Another number of rows than `one()` and `one_or_none()` allow."""


class PgUnavailable(PgError, HTTPException):  # type: ignore[misc]  # `detail` is the answer's
    """There is no connection: the server is not there or refuses, the connection was lost, there was no answer in time.

    As an HTTP exception it is answered 503 with `Retry-After` and no word about the server: that is for `str()` of it.
    """

    def __init__(self, message: str, **fields: Any) -> None:
        PgError.__init__(self, message, **fields)
        self.status_code = 503
        self.detail = "The database is not available"
        self.headers = {"Retry-After": "1"}

    def __str__(self) -> str:
        return self.message + (f" (sqlstate {self.sqlstate})" if self.sqlstate else "")


class PgPoolExhausted(PgUnavailable):
    """Every connection was in use for `checkout_timeout`, or `max_waiting` statements wait already."""


class Json:
    """A value for a `json` or `jsonb` parameter that would be something else by itself: a text, a number.

    Args:
        value: What `json.dumps` takes.

    Example:
        ```python
        pool.exec("UPDATE settings SET value = $1", Json("dark"))
        ```
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"Json({self.value!r})"


def lifespan(pool: PgPool, *, close_timeout: float = 5.0) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """A lifespan that opens a pool with the application and closes it afterwards; `get_pg` finds it.

    Args:
        pool: The pool.
        close_timeout: How long statements that run at the end are waited for, in seconds.

    Example:
        ```python
        app = Bimetal(lifespan=lifespan(PgPool(os.environ["DATABASE_URL"])))
        ```
    """

    @asynccontextmanager
    async def opened(app: Starlette) -> AsyncIterator[None]:
        pool.open()
        app.state.pg = pool
        try:
            yield
        finally:
            await pool.aclose(close_timeout)

    return opened


def get_pg(connection: HTTPConnection) -> PgPool:
    """The dependency that gives the pool of the application: what `lifespan` was given, or `app.state.pg`.

    Raises:
        PgError: The application has no pool.

    Example:
        ```python
        @app.get("/users")
        def users(pg: Annotated[PgPool, Depends(get_pg)]):
            return pg.exec("SELECT id, name FROM users").all()
        ```
    """
    pool = getattr(connection.app.state, "pg", None)
    if pool is None:
        raise PgError("the application has no pool; give it lifespan=bimetal.pg.lifespan(pool), or set app.state.pg")
    return cast(PgPool, pool)


def _read_chunks(read: Callable[[int], bytes | str]) -> Iterator[bytes | str]:
    while chunk := read(65536):
        yield chunk


async def _copy_in(writer: PgCopyIn, items: Iterator[Any] | AsyncIterable[Any], asynchronous: bool) -> int:
    """`acopy_in`, once it is awaited."""
    writer.begin()
    try:
        goes_on = True
        if asynchronous:
            async for item in cast("AsyncIterable[Any]", items):
                if writer.add(item) and not await writer.flush():
                    goes_on = False
                    break
        else:
            while goes_on and writer.fill(cast("Iterator[Any]", items)):
                goes_on = await writer.flush()
        if goes_on:
            await writer.flush()
        return await writer.finish()
    except BaseException:
        writer.abort()
        raise
