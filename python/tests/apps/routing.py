"""Routers, mounts, static files, redirects, and what a request says about itself."""

from __future__ import annotations

import os
import pathlib
import tempfile

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, PlainTextResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.applications import Starlette
from starlette.routing import Host, Mount, Route

folder = pathlib.Path(tempfile.gettempdir()) / f"bimetal-tests-{os.getuid()}"
(folder / "sub").mkdir(parents=True, exist_ok=True)

app = FastAPI()


@app.get("/about/{rest:path}")
async def about(request: Request):
    """Everything a handler can learn from `request`, but for the client's port."""
    return {
        "method": request.method,
        "url": str(request.url),
        "base_url": str(request.base_url),
        "path": request.scope["path"],
        "raw_path": request.scope["raw_path"].decode("latin-1"),
        "query": request.url.query,
        "query_params": request.query_params.multi_items(),
        "path_params": request.path_params,
        "headers": request.headers.items(),
        "cookies": request.cookies,
        "client": request.client.host if request.client else None,
        "port_is_int": isinstance(request.client.port, int) if request.client else None,
        "root_path": request.scope["root_path"],
        "http_version": request.scope["http_version"],
        "url_for": str(request.url_for("about", rest="x y")),
    }


@app.head("/only-head")
def only_head():
    return PlainTextResponse("four")


@app.get("/slash/")
def with_slash():
    return "with"


@app.get("/no-slash")
async def no_slash():
    return "without"


@app.get("/redirect")
def redirect():
    return RedirectResponse("/no-slash?ü=1", status_code=302)


@app.post("/multi")
@app.get("/multi")
async def multi(request: Request):
    return request.method


@app.get("/order/fixed")
def order_fixed():
    return "fixed"


@app.get("/order/{name}")
def order_name(name: str):
    return f"name {name}"


@app.get("/order/late")
def order_late():
    return "never reached"


@app.post("/order/{number:int}")
def order_number(number: int):
    return number


@app.get("/dots/{a}.{b}")
def dots(a: str, b: str):
    return [a, b]


@app.get("/gr\u00fcezi/{n}")
async def umlaut(n: str):
    return n


leaf = APIRouter(prefix="/leaf", tags=["leaf"])


@leaf.get("/{n}", name="leaf_item")
def leaf_item(n: int, request: Request):
    return {"n": n, "url": str(request.url_for("leaf_item", n=n + 1))}


@leaf.get("")
async def leaf_root():
    return "leaf root"


branch = APIRouter(prefix="/branch")
branch.include_router(leaf)
branch.include_router(leaf, prefix="/again")


@branch.api_route("/both", methods=["PUT", "DELETE"])
def both(request: Request):
    return request.method


app.include_router(branch)
app.include_router(branch, prefix="/v2/{tenant}")

sub = FastAPI(title="Sub", root_path_in_servers=True)


@sub.get("/hello")
def hello(request: Request):
    return {"root_path": request.scope["root_path"], "path": request.url.path, "base": str(request.base_url)}


@sub.get("/boom")
def sub_boom():
    raise ValueError("in the mounted application")


@sub.exception_handler(ValueError)
def sub_value_error(request: Request, exc: ValueError):
    return PlainTextResponse(str(exc), 502)


async def bare(scope, receive, send):
    body = f"{scope['root_path']}|{scope['path']}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": body})


def starlette_page(request: Request):
    return PlainTextResponse(f"starlette {request.path_params}")


app.mount("/sub", sub)
app.mount("/bare", bare)
app.mount("/starlette", Starlette(routes=[Route("/p/{x:int}", starlette_page), Mount("/deep", bare)]))
app.add_route("/plain/{x}", starlette_page, methods=["GET"])
app.mount("/static", StaticFiles(directory=folder), name="static")
app.mount("/site", StaticFiles(directory=folder, html=True), name="site")
app.router.routes.append(Host("{name}.hosted.example", bare))


@app.get("/download")
def download():
    return FileResponse(folder / "file.txt", filename="naïve name.txt", headers={"X-Kind": "download"})


@app.get("/download/big", response_class=FileResponse)
async def download_big():
    return str(folder / "big.bin")


@app.get("/download/missing")
async def download_missing():
    return FileResponse(folder / "none.txt")


@app.get("/page", response_class=HTMLResponse)
def page():
    return "<h1>Page</h1>"


no_redirect = FastAPI(redirect_slashes=False, docs_url=None, openapi_url="/schema.json", redoc_url="/reference")


@no_redirect.get("/slash/")
def no_redirect_slash():
    return "ok"
