"""The same in Robyn, whose probe is a constant that its Rust side gives."""

import sys

import occupied
from robyn import Request, Robyn

app = Robyn(__file__)


@app.get("/health", const=True)
def health():
    return {"status": "ok"}


def seconds(request: Request) -> float:
    return float(request.query_params.get("seconds", "0"))


@app.get("/compute")
def compute(request: Request):
    return occupied.compute(seconds(request))


@app.get("/a/compute")
async def compute_on_the_loop(request: Request):
    return await occupied.compute_on_the_loop(seconds(request))


@app.get("/hold")
def hold(request: Request):
    return occupied.hold(seconds(request))


@app.get("/block")
def block(request: Request):
    return occupied.block(seconds(request))


if __name__ == "__main__":
    port = int(sys.argv.pop())
    app.start(host="127.0.0.1", port=port)
