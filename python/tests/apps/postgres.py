"""Routes that ask PostgreSQL through `bimetal.pg`."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from pydantic import BaseModel

from bimetal.pg import PgPool, get_pg, lifespan

pool = PgPool(os.environ["DATABASE_URL"], min_size=2, max_size=4, application_name="served")
app = FastAPI(lifespan=lifespan(pool))
Pool = Annotated[PgPool, Depends(get_pg)]


class Note(BaseModel):
    id: int
    text: str


class NewNote(BaseModel):
    text: str


@app.get("/sync/notes/{note_id}")
def read(note_id: int) -> dict[str, Any]:
    return pool.exec("SELECT id, text FROM notes WHERE id = $1", note_id).one()


@app.get("/async/notes/{note_id}")
async def aread(note_id: int, pg: Pool) -> Note:
    return Note(**await pg.aexec("SELECT id, text FROM notes WHERE id = $1", note_id).one())


@app.post("/sync/notes", status_code=201)
def create(note: NewNote, pg: Pool) -> Any:
    with pg.transaction() as tx:
        return tx.exec("INSERT INTO notes (text) VALUES ($1) RETURNING id, text", note.text).one()


@app.post("/async/notes", status_code=201)
async def acreate(note: NewNote, pg: Pool) -> Any:
    async with pg.transaction() as tx:
        return await tx.aexec("INSERT INTO notes (text) VALUES ($1) RETURNING id, text", note.text).one()


@app.get("/sync/all")
def everything(pg: Pool):
    return pg.exec("SELECT id, text, made FROM notes ORDER BY id").response()


@app.get("/async/all")
async def aeverything(pg: Pool):
    return await pg.aexec("SELECT id, text, made FROM notes ORDER BY id").response()


@app.get("/dicts")
async def dicts(pg: Pool):
    return await pg.aexec("SELECT id, text, made FROM notes ORDER BY id").all()


@app.get("/sync/sleep")
def sleep(pg: Pool, seconds: float) -> Any:
    return pg.exec("SELECT pg_sleep($1), $1 AS slept", seconds).first()


@app.get("/async/sleep")
async def asleep(pg: Pool, seconds: float) -> Any:
    return await pg.aexec("SELECT pg_sleep($1), $1 AS slept", seconds).first()


@app.get("/deadline")
async def deadline(pg: Pool) -> str:
    """Gives a statement up while it runs."""
    try:
        await asyncio.wait_for(pg.aexec("SELECT pg_sleep(30)").one(), 0.2)
    except asyncio.TimeoutError:
        return "gave up"
    return "slept"


@app.get("/stats")
def stats(pg: Pool) -> dict[str, int]:
    return pg.stats()
