"""A probe beside handlers that occupy Python, in FastAPI. `async def`: it needs no thread of the pool."""

import occupied
from fastapi import FastAPI

app = FastAPI()


@app.get("/health")
async def health():
    return {"status": "ok"}


for path, function in occupied.ROUTES.items():
    app.get(path)(function)
