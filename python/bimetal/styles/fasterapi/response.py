"""The `res` of a handler: status, header fields and cookies, and a body where the handler does not return one."""

from __future__ import annotations

import os
from typing import Any

from fastapi.encoders import jsonable_encoder
from fastapi.utils import is_body_allowed_for_status_code
from starlette import responses
from typing_extensions import Self

#: No body was given.
_NOTHING: Any = object()


class Response:
    """The response to be. Its methods give it back, so that they can be chained.

    Example:
        ```python
        @app.get("/report")
        def report(req, res):
            res.status(201).set_header("Cache-Control", "no-store")
            return {"made": True}                   # or: return res.json({"made": True})
        ```
    """

    __slots__ = ("_body", "_class", "_given")

    def __init__(self, given: responses.Response) -> None:
        #: FastAPI's own, which dependencies may have written to.
        self._given = given
        self._body: Any = _NOTHING
        self._class: type[responses.Response] = responses.Response

    @property
    def status_code(self) -> int | None:
        """The status; None where the route's own counts."""
        return self._given.status_code

    @status_code.setter
    def status_code(self, code: int) -> None:
        self.status(code)

    @property
    def headers(self) -> Any:
        """The header fields: a mapping that can be changed."""
        return self._given.headers

    def status(self, code: int) -> Self:
        """Set the status. Raises ValueError for a number that is none."""
        if not 200 <= int(code) <= 599:
            raise ValueError(f"res.status({code}): a status is a number from 200 to 599")
        self._given.status_code = int(code)
        return self

    def set_header(self, name: str, value: str) -> Self:
        """Set a header field."""
        self._given.headers[name] = value
        return self

    def header(self, name: str, value: str) -> Self:
        """Set a header field."""
        return self.set_header(name, value)

    def content_type(self, value: str) -> Self:
        """Set `Content-Type`."""
        return self.set_header("Content-Type", value)

    def cookie(self, name: str, value: str, options: dict[str, Any] | None = None, **more: Any) -> Self:
        """Set a cookie; options are those of Starlette's `set_cookie` (`path`, `max_age`, `httponly` and so on)."""
        self._given.set_cookie(name, value, **(options or {}), **more)
        return self

    def clear_cookie(self, name: str, path: str = "/") -> Self:
        """Have the client forget a cookie."""
        self._given.delete_cookie(name, path=path)
        return self

    def json(self, data: Any) -> Self:
        """Answer with data as JSON: what FastAPI can make JSON of."""
        return self._answer(jsonable_encoder(data), responses.JSONResponse)

    def text(self, text: str) -> Self:
        """Answer with a text."""
        return self._answer(text, responses.PlainTextResponse)

    def html(self, html: str) -> Self:
        """Answer with HTML."""
        return self._answer(html, responses.HTMLResponse)

    def binary(self, data: bytes) -> Self:
        """Answer with bytes."""
        return self._answer(data, _Binary)

    def file(self, path: str | os.PathLike[str]) -> Self:
        """Answer with a file, whose name says of what type it is."""
        return self._answer(path, responses.FileResponse)

    def redirect(self, url: str, permanent: bool = False) -> Self:
        """Send the client to another URL, with 302, or 301 where it is meant to stay there."""
        quoted = responses.RedirectResponse(url).headers["location"]
        return self.status(301 if permanent else 302).set_header("Location", quoted)._answer(b"", responses.Response)

    def send(self) -> Self:
        """Nothing more: the response is sent when the handler has returned."""
        return self

    @property
    def is_answer(self) -> bool:
        """Whether it has a body, or a status without one."""
        code = self._given.status_code
        return self._body is not _NOTHING or (code is not None and not is_body_allowed_for_status_code(code))

    def made(self, default_status: int | None) -> responses.Response:
        """The response, ready to be sent; `default_status` counts where none was set."""
        code = self._given.status_code or default_status or 200
        body = None if self._body is _NOTHING or not is_body_allowed_for_status_code(code) else self._body
        made = (responses.Response if body is None else self._class)(body, status_code=code)
        own = self._given.headers
        if "content-type" in own and "content-type" in made.headers:
            del made.headers["content-type"]
        made.raw_headers.extend(pair for pair in self._given.raw_headers if pair[0] != b"content-length")
        return made

    def _answer(self, body: Any, response_class: type[responses.Response]) -> Self:
        self._body, self._class = body, response_class
        return self

    def __repr__(self) -> str:
        return f"Response({self.status_code or 'status of the route'})"


class _Binary(responses.Response):
    media_type = "application/octet-stream"


def settle(result: Any, response: Response, default_status: int | None) -> Any:
    """What FastAPI is to make a response of: the result of a handler, or the response that it has filled."""
    if result is response or (result is None and response.is_answer):
        return response.made(default_status)
    if isinstance(result, responses.Response):
        return result
    if isinstance(result, str):
        return response.text(result).made(default_status)
    if isinstance(result, bytes):
        return response.binary(result).made(default_status)
    if "content-type" in response.headers:
        # FastAPI would add its own.
        return response.json(result).made(default_status)
    return result
