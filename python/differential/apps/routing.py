"""First-match routing, methods, trailing slashes, routers, mounts."""

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import PlainTextResponse
from starlette.routing import Mount, Route

from differential.apps.twins import twins

#: What the OpenAPI document does not know.
TARGETS = {
    "app": [
        "/mounted/{name}",
        "/mounted/deep/{name}",
        "/raw/{name}",
        "/mounted",
        "/mounted/",
        "/docs",
        "/openapi.json",
        "/prefix",
    ],
    "strict": ["/both/one/", "/docs"],
}

app = FastAPI()
both = twins(app)


@both("GET", "/items/me")
def me():
    return "me"


@both("GET", "/items/{n:int}")
def by_number(n: int):
    return {"number": n}


@both("GET", "/items/{name}")
def by_name(name: str):
    return {"name": name}


@both("POST", "/items/{name}")
def posted(name: str):
    return {"posted": name}


@both("GET", "/items/{name}/parts/{part}")
def part(name: str, part: str):
    return {"name": name, "part": part}


@both("GET", "/files/{rest:path}/tail")
def tail(rest: str):
    return {"rest": rest, "tail": True}


@both("GET", "/files/{rest:path}")
def files(rest: str):
    return {"rest": rest}


@both("GET", "/slash/")
def with_slash(q: str = ""):
    return {"slash": True, "q": q}


@both("GET", "/no-slash")
def without_slash(q: str = ""):
    return {"slash": False, "q": q}


@both("HEAD", "/head")
def head_only():
    return {"never": "sent"}


@both("OPTIONS", "/options")
def options_only():
    return {"options": True}


@app.api_route("/many", methods=["GET", "HEAD", "PUT", "REPORT"])
def many(request: Request):
    return request.method


@app.api_route("/many-async", methods=["GET", "DELETE"])
async def many_async(request: Request):
    return request.method


@both("GET", "/caf\u00e9/{name}")
def unicode_path(name: str):
    return {"name": name}


@both("GET", "/a.b+c/{name}.json")
def punctuation(name: str):
    return {"name": name}


@both("GET", "/pre-{name}-post")
def within(name: str):
    return {"name": name}


router = APIRouter(prefix="/router")


@twins(router)("GET", "/{n}")
def in_router(n: int):
    return {"n": n}


inner = APIRouter(prefix="/inner", redirect_slashes=False)


@inner.get("/")
async def of_inner():
    return "inner"


router.include_router(inner)
app.include_router(router)
app.include_router(router, prefix="/again")

mounted = FastAPI(redirect_slashes=False)


@mounted.get("/deep/{n}")
def deep(n: int, request: Request):
    return [n, request.scope["root_path"], request.url.path]


@mounted.get("/{name}")
async def in_mounted(name: str, request: Request):
    return [name, request.scope["root_path"], request.url.path]


async def raw(request: Request):
    return PlainTextResponse(f"raw {request.path_params} {request.method}")


app.mount("/mounted", mounted)
app.router.routes.append(Route("/raw/{name}", raw, methods=["GET", "POST"]))
app.router.routes.append(Mount("/prefix", routes=[Route("/raw/{name:int}", raw)]))

strict = FastAPI(redirect_slashes=False)
both_strict = twins(strict)


@both_strict("GET", "/one/{name}")
def one(name: str):
    return name


@both_strict("GET", "/two/")
def two():
    return "two"


rooted = FastAPI(root_path="/api/v1")
both_rooted = twins(rooted)


@both_rooted("GET", "/one/{name}")
def one_of_rooted(name: str, request: Request):
    return [name, request.scope["root_path"], request.url.path]
