"""Routes of the host's `generation.c`, in the library `gen.so` of the folder `FOLDER`, and a way to reload it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Response
from fastapi.responses import StreamingResponse

from bimetal import Bimetal
from bimetal.errors import BimetalError

FOLDER = os.environ["FOLDER"]
CONFIG = {"folder": FOLDER}


def make(**options: Any) -> Bimetal:
    app = Bimetal(plugins=[(f"{FOLDER}/gen.so", CONFIG)], **options)

    @app.get("/version", handler_type="native", native="gen.version")
    def version(): ...

    @app.get("/waits", handler_type="native", native="gen.waits")
    def waits(): ...

    @app.get("/blocks", handler_type="native", native="gen.blocks")
    def blocks(): ...

    @app.get("/never", handler_type="native", native="gen.never")
    def never(): ...

    @app.get("/owned/{size}", handler_type="native", native="gen.owned")
    def owned(size: int): ...

    @app.get("/declared/{size}", handler_type="native", native="gen.owned", status_code=202)
    def declared(size: int): ...

    @app.get("/stream")
    async def stream():
        async def parts() -> AsyncIterator[str]:
            yield "begun"
            while not os.path.exists(f"{FOLDER}/go"):
                await asyncio.sleep(0.01)
            yield "done"

        return StreamingResponse(parts())

    @app.post("/reload")
    def reload(response: Response):
        try:
            return app.reload_plugins()
        except BimetalError as error:
            response.status_code = 409
            return str(error)

    return app


app = make()


def allowing() -> Bimetal:
    return make(plugin_hashes=os.environ["HASHES"].split())


def impatient() -> Bimetal:
    return make(plugin_init_timeout=0.2)
