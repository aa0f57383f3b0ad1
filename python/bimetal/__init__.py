"""Bimetal: a FastAPI application on a Rust server, with hot routes in native Rust.

- `Bimetal`: a subclass of `fastapi.FastAPI` with native routes and plugins; `APIRouter` likewise.
- `Cache`: what a route asks of the response cache; `cached` gives one to routes of plain FastAPI.
- `native`: binds a native handler under any decorator of plain FastAPI.
- `RateLimit`, `RedisStore`, `rate_limit`: how often a client is answered.
- `Server`: serves any ASGI application, in a thread of its own or on the main thread.
- `bimetal.testing`: a `TestClient` that talks to the real server over a socket.
- `bimetal.errors`: the errors Bimetal raises itself.

Example:
    ```python
    from bimetal import Bimetal

    app = Bimetal()

    @app.get("/health", handler_type="native")
    def health(): ...

    @app.get("/")
    def root():
        return {"hello": "world"}

    app.run(port=8000)
    ```
"""

from __future__ import annotations

from bimetal import errors
from bimetal._core import build_info
from bimetal.app import Bimetal
from bimetal.binding import native
from bimetal.caching import Cache, cached
from bimetal.errors import BimetalError, BindError, PluginError, RouteError
from bimetal.limits import RateLimit, RedisStore, rate_limit
from bimetal.routing import APIRouter
from bimetal.server import Server

__version__ = build_info()["version"]

__all__ = [
    "APIRouter",
    "Bimetal",
    "BimetalError",
    "BindError",
    "Cache",
    "PluginError",
    "RateLimit",
    "RedisStore",
    "RouteError",
    "Server",
    "__version__",
    "cached",
    "errors",
    "native",
    "rate_limit",
]
