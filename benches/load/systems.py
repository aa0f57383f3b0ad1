"""Who is compared: how each system is installed and started, and which works it takes part in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

_PLAIN = ("GET /health", "GET /users/{user_id}", "GET /search", "POST /items")
_ASYNC = ("GET /a/health", "GET /a/users/{user_id}", "GET /a/sleep")


@dataclass(frozen=True)
class System:
    """A server.

    `command` has `{python}` (the interpreter of its environment), `{bin}` (that environment's programs), `{crates}`
    (the built crates) and `{port}` filled in. `requirements` names a file of `requirements/`; without one Bimetal's own
    environment is used. `crates` are built before, in release mode. `libraries` are those of the operating system that
    it does not start without, each with Debian's package. `oldest` is the first Python that it supports.
    """

    name: str
    command: tuple[str, ...]
    works: tuple[str, ...] = _PLAIN + _ASYNC
    requirements: str | None = None
    crates: tuple[str, ...] = ()
    libraries: tuple[tuple[str, str], ...] = ()
    oldest: tuple[int, int] = (3, 10)


def uvicorn(target: str) -> tuple[str, ...]:
    """The command that serves `target`."""
    return ("{bin}/uvicorn", target, "--port", "{port}", "--no-access-log", "--log-level", "warning")


def granian(target: str) -> tuple[str, ...]:
    """The command that serves `target`."""
    options = ("--interface", "asgi", "--port", "{port}", "--no-access-log", "--log-level", "warning")
    return ("{bin}/granian", *options, target)


ACTIX = System("actix-web", ("{crates}/load-actix", "{port}"), works=_PLAIN, crates=("actix",))
NATIVE = System(
    "bimetal, native",
    ("{bin}/bimetal", "run", "native:app", "--port", "{port}", "--io-threads", "1", "--quiet"),
    works=_PLAIN,
    crates=("natives",),
)
BIMETAL = System(
    "bimetal",
    ("{bin}/bimetal", "run", "fastapi_routes:app", "--port", "{port}", "--io-threads", "1", "--quiet"),
)
UVICORN = System(
    "FastAPI + uvicorn",
    uvicorn("fastapi_routes:app"),
    requirements="uvicorn",
)
GRANIAN = System("FastAPI + Granian", granian("fastapi_routes:app"), requirements="granian")
BLACKSHEEP = System("BlackSheep + Granian", granian("blacksheep_routes:app"), requirements="blacksheep")
ROBYN = System("Robyn", ("{python}", "robyn_routes.py", "{port}"), requirements="robyn")
SOCKETIFY = System(
    "socketify",
    ("{python}", "socketify_routes.py", "{port}"),
    works=("GET /health", "GET /users/{user_id}", "GET /a/health"),
    requirements="socketify",
    libraries=(("libuv.so.1", "libuv1"),),
)

BOLT = System("django-bolt", ("{python}", "bolt_routes.py", "{port}"), requirements="django-bolt", oldest=(3, 12))
TURBOAPI = System("TurboAPI", ("{python}", "turboapi_routes.py", "{port}"), requirements="turboapi", oldest=(3, 13))

SYSTEMS = (ACTIX, NATIVE, BIMETAL, UVICORN, GRANIAN, BLACKSHEEP, ROBYN, SOCKETIFY, BOLT, TURBOAPI)
