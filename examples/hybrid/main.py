"""Python and Rust behind the same URLs: one process, one OpenAPI document.

    make run                     # from the root of the repository: builds the plugin and serves this file

    curl localhost:8000/hello/ann                    # Python `def`, sync lane
    curl localhost:8000/orders --json '{"sku": "bolt", "amount": 3}'    # Python `async def`, async lane
    curl localhost:8000/health                       # native, built in
    curl 'localhost:8000/users/7?verbose=true'       # native, from the plugin crate in hot/
    open http://localhost:8000/docs                  # all of them in one document

A native route is declared like any other. Its function is a stub: the signature documents the route in OpenAPI and is
checked against the handler when the server starts, so the two cannot drift apart. The body never runs.
"""

from __future__ import annotations

from pathlib import Path

from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from bimetal import Bimetal

# Where `make run` and `make examples` leave the library built from the crate in hot/. In a project of your own this is
# simply `plugins=["target/release/libhot.so"]`.
PLUGIN = Path(__file__).resolve().parents[2] / "target" / "plugins" / "release" / "libhot.so"

app = Bimetal(title="Hybrid", plugins=[PLUGIN])


# Ordinary Python. Each request reads its parameters in Rust and calls the function directly.


@app.get("/hello/{name}", tags=["python"])
def hello(name: str, shout: bool = False):
    """A `def` route: it may block, others go on."""
    greeting = f"hello {name}"
    return {"greeting": greeting.upper() if shout else greeting}


class Order(BaseModel):
    sku: str
    amount: int = 1
    note: str | None = None


class Receipt(BaseModel):
    order: Order
    total: float


@app.post("/orders", status_code=201, tags=["python"])
async def create_order(order: Order) -> Receipt:
    """An `async def` route with a Pydantic model in and out."""
    return Receipt(order=order, total=round(order.amount * 9.5, 2))


# Built-in native handlers: they answer even while Python is busy, which is what a health check is for.


@app.get("/health", handler_type="native", tags=["probes"])
def health():
    """Is the process alive and serving?"""


@app.get("/readyz", handler_type="native", tags=["probes"])
def readyz():
    """Is it ready for traffic?"""


# Handlers of the plugin crate in hot/, bound by name.


class User(BaseModel):
    id: int
    name: str
    email: str | None = None


class Item(BaseModel):
    name: str
    price: float
    tags: list[str] = []


class Waited(BaseModel):
    waited_ms: int


@app.get("/ping", handler_type="native", native="hot.ping", response_class=PlainTextResponse, tags=["plugin"])
def ping():
    """The smallest handler there is."""


@app.get("/users/{user_id}", handler_type="native", native="hot.get_user", tags=["plugin"])
def get_user(user_id: int, verbose: bool = False) -> User:  # type: ignore[empty-body]
    """A typed path and query parameter; what does not parse is answered with FastAPI's 422."""


@app.post("/items", handler_type="native", native="hot.create_item", tags=["plugin"])
def create_item(item: Item) -> Item:  # type: ignore[empty-body]
    """A JSON body."""


@app.get("/slow", handler_type="native", native="hot.slow", tags=["plugin"])
def slow() -> Waited:  # type: ignore[empty-body]
    """An async handler, polled on the I/O worker while it waits."""


@app.get("/missing", handler_type="native", native="hot.missing", tags=["plugin"])
def missing():
    """A handler that answers with an error: 404."""


if __name__ == "__main__":
    app.run(port=8000)
