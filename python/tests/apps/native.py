"""Native handlers under Bimetal's own classes and under plain FastAPI."""

from __future__ import annotations

import ctypes
import os
import pathlib

from fastapi import Depends, FastAPI

import bimetal
from bimetal import APIRouter, Bimetal

app = Bimetal(title="Native")


@app.get("/health", handler_type="native")
def health(): ...


@app.get("/livez", handler_type="native")
def livez(): ...


@app.get("/ready", handler_type="native", native="readyz")
def ready(): ...


@app.api_route("/probe", methods=["GET", "POST"], handler_type="native", native="health")
def probe(): ...


@app.get("/overlap/fixed")
def overlap_fixed():
    return "python"


@app.get("/overlap/{name}", handler_type="native", native="health")
def overlap(): ...


@app.get("/absent/{n}", handler_type="native", native="nobody.here", fallback="python")
def absent(n: int):
    return {"python": n}


router = APIRouter(prefix="/routed")


@router.get("/health", handler_type="native", native="health")
def routed_health(): ...


@router.get("/python")
async def routed_python():
    return "python"


app.include_router(router)
app.include_router(router, prefix="/twice")


@app.get("/hold/{seconds}")
def hold(seconds: int):
    """Holds the GIL as an extension does that never lets go of it, after leaving a sign that it has begun."""
    library = ctypes.PyDLL(None)
    pathlib.Path(os.environ["SIGN"]).touch()
    library.sleep(seconds)
    return "held"


@app.get("/hold/async/{seconds}")
async def hold_async(seconds: int):
    return hold(seconds)


plain = FastAPI()


@plain.get("/health")
@bimetal.native("health")
def plain_health():
    return "the body of the stub"


@plain.get("/python")
def plain_python():
    return "python"


plain.get("/hold/{seconds}")(hold)


def guard():
    raise AssertionError("never runs")


bypassing = Bimetal(dependencies=[Depends(guard)])


@bypassing.get("/health", handler_type="native", native="health", bypass=["dependency:guard"])
def bypassing_health(): ...


with_middleware = Bimetal()


@with_middleware.middleware("http")
async def other_layer(request, call_next):
    response = await call_next(request)
    response.headers["X-Layer"] = "1"
    return response


@with_middleware.get("/health", handler_type="native", native="health", bypass=["middleware:other_layer"])
def layered_health(): ...


@with_middleware.get("/python")
def layered_python():
    return "python"
