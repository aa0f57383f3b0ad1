"""`RequestIDMiddleware`: one name for a request, in every log that it leaves a line in."""

from __future__ import annotations

import re
import secrets

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_FIELD = b"x-request-id"
#: What may go into logs and on to others.
_SANE = re.compile(rb"[A-Za-z0-9_.~:/+=@,-]{1,128}")


class RequestIDMiddleware:
    """Gives each request an `X-Request-ID`, the client's or a new one, which the application and the response have too.

    A client's is taken where it is plain and short. Under Bimetal the server does it for every request, as with
    `request_id=True` of `app.run` and `--request-id`; the access log has it as well.

    Args:
        app: What is inside.

    Example:
        ```python
        app.add_middleware(RequestIDMiddleware)
        ```
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run what is inside."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = list(scope["headers"])
        found = next((value for name, value in headers if name == _FIELD), None)
        if found is None or _SANE.fullmatch(found) is None:
            found = secrets.token_hex(16).encode()
            scope["headers"] = [item for item in headers if item[0] != _FIELD] + [(_FIELD, found)]
        await self.app(scope, receive, _naming(send, found))


def _naming(send: Send, request_id: bytes) -> Send:
    async def named(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.accept", "websocket.http.response.start"):
            headers = list(message.get("headers", ()))
            # What the application says goes.
            if all(name.lower() != _FIELD for name, _ in headers):
                message = {**message, "headers": [*headers, (_FIELD, request_id)]}
        await send(message)

    return named
