"""Static files in every place where an application may have them. `STATIC_FILES` names the folder the tests have made."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import PlainTextResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from bimetal import Bimetal

BASE = Path(os.environ.get("STATIC_FILES", "/nonexistent"))
ROOT = BASE / "root"

app = FastAPI(openapi_url=None)


@app.get("/plain/early.txt")
def early() -> str:
    return "declared before the files"


app.mount("/plain", StaticFiles(directory=ROOT, check_dir=False))
app.mount("/html", StaticFiles(directory=str(ROOT), html=True, check_dir=False))
app.mount("/follow", StaticFiles(directory=ROOT, follow_symlink=True, check_dir=False))
app.mount("/follow-html", StaticFiles(directory=ROOT, html=True, follow_symlink=True, check_dir=False), name="site")
app.mount("/later", StaticFiles(directory=BASE / "later", check_dir=False))
app.mount("/package", StaticFiles(packages=[("starlette", "middleware")]))
app.mount("/both", StaticFiles(directory=ROOT, packages=[("starlette", "middleware")], check_dir=False))
app.mount("/of/{name}/files", StaticFiles(directory=ROOT, html=True, check_dir=False))

router = APIRouter()
router.mount("/static", StaticFiles(directory=ROOT, check_dir=False))
app.include_router(router, prefix="/routed")

inner = FastAPI(openapi_url=None)
inner.mount("/static", StaticFiles(directory=ROOT, html=True, check_dir=False))
app.mount("/inner", inner)


class Own(StaticFiles):
    """What people do for single-page applications."""

    async def get_response(self, path, scope):
        try:
            return await super().get_response(path, scope)
        except HTTPException:
            return await super().get_response("page.html", scope)


app.mount("/own", Own(directory=ROOT, check_dir=False))


@app.get("/hold")
def hold(seconds: float = 2.0) -> str:
    # Called as a function that keeps the GIL.
    ctypes.PyDLL(None).usleep(int(seconds * 1e6))
    return "held"


@app.get("/plain/late.txt")
def late() -> str:
    return "never: the files come first"


#: A site at the root: everything that no route takes.
spa = FastAPI(openapi_url=None)


@spa.get("/api/value")
async def value() -> int:
    return 1


spa.mount("/", StaticFiles(directory=ROOT, html=True, check_dir=False))


#: Its answers to errors are its own.
errors = FastAPI(openapi_url=None)
errors.mount("/plain", StaticFiles(directory=ROOT, check_dir=False))
errors.mount("/html", StaticFiles(directory=ROOT, html=True, check_dir=False))


@errors.exception_handler(404)
async def nothing(request: Request, error: HTTPException):
    return PlainTextResponse(f"nothing at {request.url.path}", status_code=404)


#: Behind layers of the server's edge.
edge = FastAPI(openapi_url=None)
edge.mount("/plain", StaticFiles(directory=ROOT, check_dir=False))
edge.mount("/html", StaticFiles(directory=ROOT, html=True, check_dir=False))
edge.add_middleware(GZipMiddleware, minimum_size=70_000)
edge.add_middleware(CORSMiddleware, allow_origins=["https://a.example"])


#: Within middleware of its own, which has to see the requests.
within = FastAPI(openapi_url=None)
within.mount("/plain", StaticFiles(directory=ROOT, check_dir=False))


@within.middleware("http")
async def seen(request: Request, call_next):
    response = await call_next(request)
    response.headers["x-seen"] = "yes"
    return response


rooted = FastAPI(openapi_url=None, root_path="/api")
rooted.mount("/plain", StaticFiles(directory=ROOT, check_dir=False))
rooted.mount("/html", StaticFiles(directory=ROOT, html=True, check_dir=False))

#: What `app.static` adds.
assets = Bimetal(openapi_url=None)
if ROOT.is_dir():
    assets.static("/plain", directory=ROOT, precompressed=False)
    assets.static("/packed", directory=ROOT, cache_control="no-cache", immutable=["app-????????.js"])
    assets.static("/html", directory=ROOT, html=True)
    assets.static("/list", directory=ROOT, index=True)
    assets.static("/all", directory=ROOT, html=True, index=True, dotfiles=True, follow_symlinks=True)


@assets.get("/hold")
def hold_assets(seconds: float = 2.0) -> str:
    return hold(seconds)
