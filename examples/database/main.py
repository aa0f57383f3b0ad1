"""Native routes that talk to PostgreSQL, beside Python ones.

    make examples                # from the root of the repository: builds the plugin
    createdb notes && psql notes -f schema.sql
    DATABASE_URL=postgresql:///notes?host=/var/run/postgresql bimetal run main:app

    curl localhost:8000/notes --json '{"text": "buy bolts"}'
    curl localhost:8000/notes/1
    curl 'localhost:8000/notes?limit=5'

The pool belongs to the plugin (see notes/src/lib.rs): its size comes from here, as the plugin's configuration.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel

from bimetal import Bimetal

# Where `make examples` leaves the library built from the crate in notes/. In a project of your own this is simply
# "target/release/libnotes.so", or the name of a plugin installed with pip.
PLUGIN = Path(__file__).resolve().parents[2] / "target" / "plugins" / "release" / "libnotes.so"

app = Bimetal(title="Notes")
app.load_plugin(
    PLUGIN,
    config={
        "url": os.environ.get("DATABASE_URL", "postgresql://localhost/notes"),
        "pool_size": int(os.environ.get("POOL_SIZE", "8")),
    },
)


class Note(BaseModel):
    id: int
    text: str


class NewNote(BaseModel):
    text: str


@app.get("/")
def index():
    """Ordinary Python, on the same server."""
    return {"notes": "/notes"}


@app.get("/health", handler_type="native")
def health():
    """Answers whatever the database does."""


@app.get("/notes", handler_type="native", native="notes.list_notes")
def list_notes(limit: int = 20) -> list[Note]:  # type: ignore[empty-body]
    """The newest notes."""


@app.get("/notes/{note_id}", handler_type="native", native="notes.get_note")
def get_note(note_id: int) -> Note:  # type: ignore[empty-body]
    """A note by number."""


@app.post("/notes", status_code=201, handler_type="native", native="notes.create_note")
def create_note(note: NewNote) -> Note:  # type: ignore[empty-body]
    """Adds a note."""
