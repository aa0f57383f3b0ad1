"""Rate limits on every lane, and by everything that can be counted by."""

from __future__ import annotations

import os
from typing import Any

from fastapi import Depends, FastAPI, Request, UploadFile, WebSocket
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route

import bimetal
from bimetal import APIRouter, Bimetal, RateLimit, RedisStore

#: One limit for all that has none of its own.
general = Bimetal()
general.configure_rate_limiting(requests_per_minute=3, exempt=["/free", "/static/*"])


@general.get("/one")
@general.get("/two")
def one() -> dict[str, int]:
    return {"one": 1}


@general.get("/free")
def free() -> str:
    return "free"


@general.get("/static/{name}")
def static(name: str) -> str:
    return name


@general.get("/exempt", rate_limit=False)
async def exempt() -> str:
    return "exempt"


@general.get("/own", rate_limit="1/minute")
async def own() -> str:
    return "own"


@general.websocket("/chat")
async def chat(session: WebSocket) -> None:
    await session.accept()
    await session.send_text("hello")
    await session.close()


def _plain(request: Request) -> PlainTextResponse:
    return PlainTextResponse("plain")


#: A route on each lane, each with the same limit of its own.
lanes = Bimetal(routes=[Mount("/mounted", FastAPI())])
lanes.configure_rate_limiting(requests_per_minute=1000, headers="both")


@lanes.get("/native", handler_type="native", native="health", rate_limit="3/minute")
def health(): ...  # type: ignore[no-untyped-def]


@lanes.get("/sync", rate_limit="3/minute")
def sync() -> dict[str, str]:
    return {"lane": "sync"}


@lanes.get("/async", rate_limit="3/minute")
async def on_loop() -> dict[str, str]:
    return {"lane": "async"}


@lanes.get("/stream", rate_limit="3/minute")
def stream() -> StreamingResponse:
    return StreamingResponse(iter(["a", "b"]), media_type="text/plain")


def _depended() -> int:
    return 7


@lanes.get("/depends", rate_limit="3/minute")
def depends(value: int = Depends(_depended)) -> int:
    return value


@lanes.get("/burst", rate_limit=RateLimit(60, per="minute", burst=2, name="bursts"))
@lanes.get("/burst/again", rate_limit=RateLimit(60, per="minute", burst=2, name="bursts"))
def burst() -> str:
    return "burst"


router = APIRouter(prefix="/shop")


@router.post("/orders/{number}", rate_limit="3/minute")
def order(number: int, body: dict[str, Any]) -> dict[str, Any]:
    return {"number": number, **body}


@router.post("/upload", rate_limit="3/minute")
async def upload(file: UploadFile) -> int:
    return len(await file.read())


@router.post("/raw", rate_limit="3/minute")
async def raw(request: Request) -> int:
    return len(await request.body())


lanes.include_router(router)

#: What is counted by.
keys = Bimetal()
keys.add_middleware(CORSMiddleware, allow_origins=["https://a.org"], allow_methods=["*"])
keys.configure_rate_limiting()


@keys.get("/client", rate_limit="2/minute")
def by_client(request: Request) -> str:
    return "client"


@keys.get("/key", rate_limit=RateLimit(2, key="header:X-API-Key"))
@keys.get("/native", handler_type="native", native="health", rate_limit=RateLimit(2, key="header: X-API-Key"))
def by_header(): ...  # type: ignore[no-untyped-def]


def tenant(request: Request) -> str | None:
    tenant = request.path_params.get("tenant") or request.query_params.get("tenant")
    if tenant == "wrong":
        raise LookupError("no such tenant")
    if tenant == "number":
        return 7  # type: ignore[return-value]
    assert request.app is keys
    return None if tenant == "internal" else tenant


@keys.get("/tenants/{tenant}", rate_limit=RateLimit(2, key=tenant))
def by_function(tenant: str) -> str:
    return tenant


@keys.get("/coroutine", rate_limit=RateLimit(2, key=tenant))
async def by_function_on_loop(tenant: str) -> str:
    return tenant


@keys.post("/posted/{tenant}", rate_limit=RateLimit(2, key=tenant))
def posted_by_function(tenant: str, body: dict[str, int]) -> dict[str, int]:
    return body


#: Everything, the 404 included, by a function.
by_key = Bimetal()
by_key.configure_rate_limiting(requests=2, per="hour", key=lambda request: request.headers.get("x-user"))


@by_key.get("/")
def root() -> str:
    return "root"


#: Untouched FastAPI.
untouched = FastAPI(routes=[Route("/plain", bimetal.rate_limit("1/minute")(_plain))])


@untouched.get("/")
@bimetal.rate_limit("1/minute")
def marked() -> str:
    return "marked"


#: What is set from outside: by tests that start several processes.
if "RATE_LIMIT_STORE" in os.environ:
    store: Any = os.environ["RATE_LIMIT_STORE"]
    if "://" in store:
        store = RedisStore(
            store,
            on_error=os.environ.get("RATE_LIMIT_ON_ERROR", "open"),  # type: ignore[arg-type]
            timeout=float(os.environ.get("RATE_LIMIT_TIMEOUT", "0.005")),
            required=os.environ.get("RATE_LIMIT_REQUIRED", "yes") == "yes",
        )
    outside = Bimetal()
    outside.configure_rate_limiting(
        requests=int(os.environ.get("RATE_LIMIT_REQUESTS", "100")), per="hour", store=store, exempt=["/pid"]
    )

    @outside.get("/")
    def answer() -> int:
        return os.getpid()

    @outside.get("/pid")
    def pid() -> int:
        return os.getpid()

    @outside.get("/key", rate_limit=RateLimit(2, per="hour", key="header:authorization"))
    def by_secret() -> int:
        return os.getpid()
