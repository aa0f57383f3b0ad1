"""Functions `(req, res)` that run before every handler in FasterAPI's style."""

from __future__ import annotations

from bimetal.styles.fasterapi import App

app = App(enable_compression=False)


@app.add_middleware
def signed_in(req, res):
    if req.path == "/open":
        return None
    if req.headers.get("authorization") is None:
        res.status(401)
        return {"error": "who are you?"}
    if req.headers["authorization"] == "banned":
        res.status(403)
    return None


@app.add_middleware
async def counted(req, res):
    res.set_header("X-Size", str(len(req.body)))


@app.get("/open")
def opened(req, res):
    return {"open": True}


@app.post("/closed")
def closed(req, res):
    return {"size": len(req.body)}
