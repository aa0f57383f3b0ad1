"""A plain ASGI application: it looks at the protocol itself."""

from __future__ import annotations

import asyncio
import json

notes: list[str] = []


def shape(value):
    """Types as the specification names them, so that nothing but a real `dict`, `list`, `bytes`... passes."""
    if type(value) is dict:
        return {key: shape(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return [type(value).__name__, *(shape(item) for item in value[:1])]
    return type(value).__name__


async def answer(send, value, status=200):
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(value).encode()})


async def scope_shape(scope, receive, send):
    seen = {key: shape(value) for key, value in scope.items() if key != "headers"}
    seen["headers"] = sorted(
        {f"{type(k).__name__} {type(v).__name__} {type(pair).__name__}" for pair in scope["headers"] for k, v in [pair]}
    )
    await answer(send, seen)


async def scope_values(scope, receive, send):
    await answer(send, {
        "type": scope["type"], "asgi": scope["asgi"]["version"], "http_version": scope["http_version"], "method": scope["method"],
        "scheme": scope["scheme"], "path": scope["path"], "raw_path": scope["raw_path"].decode("latin-1"),
        "query_string": scope["query_string"].decode("latin-1"), "root_path": scope["root_path"],
        "headers": [[k.decode("latin-1"), v.decode("latin-1")] for k, v in scope["headers"]],
        "client": scope["client"][0], "server": scope["server"][0], "state": scope.get("state"),
    })  # fmt: skip


async def messages(scope, receive, send):
    """Every request message, then what comes once the response is out."""
    seen, sizes = [], 0
    while True:
        message = await receive()
        seen.append(sorted((key, type(value).__name__) for key, value in message.items()))
        sizes += len(message.get("body", b""))
        if not message.get("more_body", False):
            break
    await answer(send, {"first": seen[0], "last": seen[-1], "size": sizes, "count": len(seen)})
    notes.append((await receive())["type"])


async def after_disconnect(scope, receive, send):
    notes.append("waiting")
    await receive()
    notes.append((await receive())["type"])
    notes.append((await receive())["type"])
    try:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"nobody is there"})
        notes.append("send passed")
    except OSError:
        notes.append("send raised OSError")
    notes.append("end")


async def catching(send, *sent):
    """The exception of a message sent at the wrong moment."""
    for message in sent[:-1]:
        await send(message)
    try:
        await send(sent[-1])
    except Exception as error:
        notes.append(type(error).__name__)
    else:
        notes.append("nothing raised")


START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
BODY = {"type": "http.response.body", "body": b"ok"}
MORE = {"type": "http.response.body", "body": b"ok", "more_body": True}
WRONG_ORDER = {
    "body-first": [BODY],
    "start-twice": [START, START],
    "start-after-body": [START, MORE, START],
    "unknown": [{"type": "http.response.nonsense"}],
    "websocket": [{"type": "websocket.send", "text": "x"}],
}


async def wrong_order(scope, receive, send):
    name = scope["path"].rsplit("/", 1)[1]
    sent = WRONG_ORDER[name]
    await catching(send, *sent)
    if START not in sent[:-1]:
        await send(START)
    await send(BODY)


async def no_answer(scope, receive, send):
    return


async def only_start(scope, receive, send):
    await send(START)


async def raises(scope, receive, send):
    raise RuntimeError("before any message")


async def raises_late(scope, receive, send):
    await send(START)
    await send(MORE)
    raise RuntimeError("after the first piece")


async def minimal(scope, receive, send):
    await send({"type": "http.response.start", "status": 201})
    await send({"type": "http.response.body"})


async def odd_types(scope, receive, send):
    """Headers in a generator, a body in a bytearray: iterables and byte strings, as the specification has them."""
    await send({"type": "http.response.start", "status": 200, "headers": (item for item in [[b"X-Odd", b"1"]])})
    await send({"type": "http.response.body", "body": b"odd", "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": True})
    await send({"type": "http.response.body", "body": b"er", "more_body": False})


async def duplicated(scope, receive, send):
    headers = [(b"set-cookie", b"a=1"), (b"x", b"1"), (b"set-cookie", b"b=2"), (b"x", b"2"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send(BODY)


async def split_header(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x", b"a\r\nx-injected: 1")]})
    await send(BODY)


async def read_notes(scope, receive, send):
    until = scope["query_string"].decode().replace("%20", " ")
    while until not in notes:
        await asyncio.sleep(0.001)
    seen = notes.copy()
    notes.clear()
    await answer(send, seen)


async def last_note(scope, receive, send):
    await answer(send, notes[-1] if notes else None)


ROUTES = {
    "shape": scope_shape, "values": scope_values, "messages": messages, "after-disconnect": after_disconnect,
    "wrong-order": wrong_order, "no-answer": no_answer, "only-start": only_start, "raises": raises,
    "raises-late": raises_late, "minimal": minimal, "odd-types": odd_types, "duplicated": duplicated,
    "split-header": split_header, "notes": read_notes, "last-note": last_note,
}  # fmt: skip


async def app(scope, receive, send):
    assert scope["type"] == "http", scope["type"]
    await ROUTES[scope["path"].split("/")[1]](scope, receive, send)


class Instance:
    """An application that is an object."""

    async def __call__(self, scope, receive, send):
        await app(scope, receive, send)


instance = Instance()


def factory():
    return app
