"""Who is compared: how each system is installed and started, and which works it takes part in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

_ALL = ("GET /health", "GET /users/{user_id}", "GET /search", "POST /items")
_ASYNC = ("GET /a/health", "GET /a/users/{user_id}", "GET /a/sleep")


@dataclass(frozen=True)
class System:
    """A server.

    `command` has `{python}` (the interpreter of its environment), `{bin}` (that environment's programs), `{port}` and
    `{apps}` filled in. `requirements` names a file of `requirements/`; without one Bimetal's own environment is used.
    `crates` are built before, in release mode. `python` is the least version it runs on.
    """

    name: str
    command: tuple[str, ...]
    works: tuple[str, ...] = _ALL + _ASYNC
    requirements: str | None = None
    crates: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    python: tuple[int, int] = (3, 10)


ACTIX = System(
    "actix-web",
    ("{crates}/load-actix", "{port}"),
    works=_ALL,
    crates=("actix",),
)
NATIVE = System(
    "bimetal, native",
    ("{bin}/bimetal", "run", "native:app", "--port", "{port}", "--io-threads", "1", "--quiet"),
    works=_ALL,
    crates=("natives",),
)
BIMETAL = System(
    "bimetal",
    ("{bin}/bimetal", "run", "fastapi_routes:app", "--port", "{port}", "--io-threads", "1", "--quiet"),
)
UVICORN = System(
    "FastAPI + uvicorn",
    ("{bin}/uvicorn", "fastapi_routes:app", "--port", "{port}", "--no-access-log", "--log-level", "warning"),
    requirements="uvicorn",
)
GRANIAN = System(
    "FastAPI + Granian",
    (
        "{bin}/granian",
        "--interface",
        "asgi",
        "--port",
        "{port}",
        "--no-access-log",
        "--log-level",
        "warning",
        "fastapi_routes:app",
    ),
    requirements="granian",
)
BLACKSHEEP = System(
    "BlackSheep + Granian",
    (
        "{bin}/granian",
        "--interface",
        "asgi",
        "--port",
        "{port}",
        "--no-access-log",
        "--log-level",
        "warning",
        "blacksheep_routes:app",
    ),
    requirements="blacksheep",
)
ROBYN = System(
    "Robyn",
    ("{python}", "robyn_routes.py", "{port}"),
    requirements="robyn",
)
SOCKETIFY = System(
    "socketify",
    ("{python}", "socketify_routes.py", "{port}"),
    works=("GET /health", "GET /users/{user_id}", "GET /a/health"),
    requirements="socketify",
)

SYSTEMS = (ACTIX, NATIVE, BIMETAL, UVICORN, GRANIAN, BLACKSHEEP, ROBYN, SOCKETIFY)
