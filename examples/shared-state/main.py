"""Native routes that share state: counters that every I/O worker adds to, without Python.

    make examples                # from the root of the repository: builds the plugin
    bimetal run main:app --io-threads 2

    curl -X POST localhost:8000/counters/visits
    curl -X POST 'localhost:8000/counters/visits?by=10'
    curl localhost:8000/counters

The state lives in the plugin (see counters/src/lib.rs) and goes with the process.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from bimetal import Bimetal

# Where `make examples` leaves the library built from the crate in counters/. In a project of your own this is simply
# "target/release/libcounters.so", or the name of a plugin installed with pip.
PLUGIN = Path(__file__).resolve().parents[2] / "target" / "plugins" / "release" / "libcounters.so"

app = Bimetal(title="Counters", plugins=[(PLUGIN, {"max_counters": 100})])


class Counter(BaseModel):
    name: str
    value: int


@app.get("/counters", handler_type="native", native="counters.list")
def list_counters() -> list[Counter]:  # type: ignore[empty-body]
    """All counters, by name."""


@app.get("/counters/{name}", handler_type="native", native="counters.read")
def read(name: str) -> Counter:  # type: ignore[empty-body]
    """The value of a counter."""


@app.post("/counters/{name}", handler_type="native", native="counters.add")
def add(name: str, by: int = 1) -> Counter:  # type: ignore[empty-body]
    """Adds to a counter, which is made where there is none."""
