"""Routes with limits of their own for bodies, on every lane. The server's limit is 1,000 bytes in the tests."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import Body, File, Request, Response, UploadFile
from starlette.middleware import Middleware
from starlette.routing import Route

from bimetal import APIRouter, Bimetal

SMALL, LARGE = 100, 200_000

router = APIRouter(prefix="/routed")
started: list[str] = []


class Untouched:
    """Middleware that is unknown: the operation runs inside it."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


def declare(app: Any) -> None:
    """The same routes, with a small limit, a large one and the server's."""
    for name, limit in (("small", SMALL), ("large", LARGE), ("usual", None)):

        @app.post(f"/sync/{name}", max_body_size=limit)
        def sync(text: str = Body()) -> dict[str, int]:
            started.append("sync")
            return {"size": len(text) + 2}

        @app.post(f"/async/{name}", max_body_size=limit)
        async def async_(text: str = Body()) -> dict[str, int]:
            started.append("async")
            return {"size": len(text) + 2}

        @app.post(f"/request/{name}", max_body_size=limit)
        async def request_(request: Request) -> dict[str, int]:
            started.append("request")
            return {"size": len(await request.body())}

        @app.post(f"/form/{name}", max_body_size=limit)
        def form(file: Annotated[UploadFile, File()]) -> dict[str, int | None]:
            started.append("form")
            return {"size": file.size}

        @app.post(f"/raw/{name}", response_class=Response, max_body_size=limit)
        async def raw(request: Request) -> Response:
            size = 0
            async for chunk in request.stream():
                size += len(chunk)
            return Response(json.dumps({"size": size}), media_type="application/json")


app = Bimetal()
declare(app)
declare(router)
app.include_router(router, prefix="/v1")


@app.post("/native/small", handler_type="native", native="health", max_body_size=SMALL)
def native_small() -> Any: ...


@app.post("/native/large", handler_type="native", native="health", max_body_size=LARGE)
def native_large() -> Any: ...


@app.get("/started")
def started_() -> list[str]:
    taken, started[:] = list(started), []
    return taken


async def method(request: Request) -> Response:
    return Response(str(len(await request.body())))


class Holder:
    async def bound(self, request: Request) -> dict[str, int]:
        return {"size": len(await request.body())}


app.add_api_route("/bound/small", Holder().bound, methods=["POST", "PUT"], max_body_size=SMALL)
app.router.routes.append(Route("/plain", method, methods=["POST"]))

#: Everything through the application as a whole.
within = Bimetal(middleware=[Middleware(Untouched)])
declare(within)

whole = Bimetal(root_path="/api")
declare(whole)
