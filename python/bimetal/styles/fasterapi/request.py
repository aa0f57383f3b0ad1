"""The `req` of a handler: Starlette's request, read without `await`."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from json import JSONDecodeError
from typing import Any, TypeVar, overload

import anyio.from_thread
from fastapi.exceptions import HTTPException, RequestValidationError
from pydantic import TypeAdapter, ValidationError
from starlette import requests
from starlette.datastructures import URL, Address, Headers, QueryParams, State

from bimetal._core import loads

T = TypeVar("T")


class InvalidBody(RequestValidationError, ValueError):
    """The body is not what the handler asks for: answered with FastAPI's 422 where nobody catches it."""


class UnreadableBody(HTTPException, ValueError):
    """The body is not even text: answered with FastAPI's 400 where nobody catches it."""

    def __init__(self) -> None:
        super().__init__(400, "There was an error parsing the body")


class Form:
    """In place of a body that was read as a form."""


class JsonObject(dict[str, Any]):
    """`req.json` where the body is an object: that object, and a call gives it as well."""

    def __call__(self, model: Any = None) -> Any:
        return _validated(model, dict(self))


class JsonArray(list[Any]):
    """`req.json` where the body is an array: that array, and a call gives it as well."""

    def __call__(self, model: Any = None) -> Any:
        return _validated(model, list(self))


class JsonValue:
    """`req.json` where the body is anything else: a call gives the value."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __call__(self, model: Any = None) -> Any:
        return _validated(model, self._value)

    def __repr__(self) -> str:
        return f"JsonValue({self._value!r})"


class Request:
    """A request, whose body is there when the handler asks for it.

    Example:
        ```python
        @app.post("/orders/{order_id}")
        def order(req, res):
            amount = req.json()["amount"]                       # or req.json["amount"]
            order = req.json(Order)                             # a Pydantic model, or FastAPI's 422
            return {"id": req.path_params["order_id"], "verbose": req.query_params.get("verbose")}
        ```
    """

    __slots__ = ("_body", "_json", "starlette")

    def __init__(self, request: requests.Request, body: bytes | Form | None = None) -> None:
        #: Starlette's own object of this request.
        self.starlette = request
        #: None: not read yet.
        self._body = body
        self._json: JsonObject | JsonArray | JsonValue | None = None

    @property
    def method(self) -> str:
        """`GET`, `POST` and so on."""
        return self.starlette.method

    @property
    def path(self) -> str:
        """The path of the URL."""
        return self.starlette.url.path

    @property
    def query(self) -> str:
        """The query of the URL, as it was sent."""
        return self.starlette.url.query

    @property
    def url(self) -> URL:
        """The whole URL."""
        return self.starlette.url

    @property
    def path_params(self) -> dict[str, Any]:
        """The parameters of the path: texts, unless the path has a convertor (`/users/{user_id:int}`)."""
        return self.starlette.path_params

    @property
    def query_params(self) -> QueryParams:
        """The parameters of the query: a mapping of texts."""
        return self.starlette.query_params

    @property
    def headers(self) -> Headers:
        """The header fields: a mapping that does not care about capitals."""
        return self.starlette.headers

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies."""
        return self.starlette.cookies

    @property
    def client(self) -> Address | None:
        """The client's address."""
        return self.starlette.client

    @property
    def state(self) -> State:
        """What middleware and dependencies leave for the handler."""
        return self.starlette.state

    @property
    def app(self) -> Any:
        """The application."""
        return self.starlette.app

    @property
    def body(self) -> bytes:
        """The whole body. Raises RuntimeError where FastAPI has read it as a form, into parameters of the handler."""
        if self._body is None:
            # A `def` function runs on a thread of the loop's, which may wait for it.
            self._body = anyio.from_thread.run(read_body, self.starlette)
        if isinstance(self._body, Form):
            raise RuntimeError("the body was read as a form: its fields are the handler's Form() and File() parameters")
        return self._body

    @property
    def text(self) -> str:
        """The body as UTF-8 text. Raises UnreadableBody where it is none, which is answered with FastAPI's 400."""
        try:
            return self.body.decode()
        except UnicodeDecodeError as error:
            raise UnreadableBody from error

    @property
    def json(self) -> Any:
        """The JSON of the body: `req.json()`; objects and arrays also without the parentheses, `req.json["name"]`.

        `req.json(Model)` gives what Pydantic makes of it. Raises InvalidBody (422), UnreadableBody (400).
        """
        if self._json is None:
            self._json = _json(self.body)
        return self._json

    def get_header(self, name: str, default: str = "") -> str:
        """The value of a header field."""
        return self.headers.get(name, default)

    def get_query_param(self, name: str, default: str = "") -> str:
        """The value of a query parameter."""
        return self.query_params.get(name, default)

    def get_path_param(self, name: str, default: Any = "") -> Any:
        """The value of a path parameter."""
        return self.path_params.get(name, default)

    def get_body(self) -> str:
        """The body as text."""
        return self.text

    def get_body_bytes(self) -> bytes:
        """The body."""
        return self.body

    def get_content_type(self) -> str:
        """The value of `Content-Type`."""
        return self.get_header("content-type")

    def get_user_agent(self) -> str:
        """The value of `User-Agent`."""
        return self.get_header("user-agent")

    def get_client_ip(self) -> str:
        """The client's address without its port; empty where there is none."""
        return self.client.host if self.client is not None else ""

    def is_json(self) -> bool:
        """Whether the body is said to be JSON."""
        return "application/json" in self.get_content_type().lower()

    def is_secure(self) -> bool:
        """Whether the client uses HTTPS."""
        return self.url.scheme == "https"

    def __repr__(self) -> str:
        return f"Request({self.method} {self.path})"


async def read_body(request: requests.Request) -> bytes | Form:
    """The whole body, unless FastAPI has read it."""
    try:
        return await request.body()
    except RuntimeError:  # So says Starlette of a stream that has been read.
        return Form()


def _json(body: bytes) -> JsonObject | JsonArray | JsonValue:
    # The errors are those of FastAPI for a body that a handler has as its parameter.
    if not body:
        raise InvalidBody([{"type": "missing", "loc": ("body",), "msg": "Field required", "input": None}])
    try:
        value = loads(body)
    except JSONDecodeError as error:
        found = {"type": "json_invalid", "loc": ("body", error.pos), "msg": "JSON decode error", "input": {}}
        raise InvalidBody([{**found, "ctx": {"error": error.msg}}], body=error.doc) from error
    except UnicodeDecodeError as error:
        raise UnreadableBody from error
    if isinstance(value, dict):
        return JsonObject(value)
    return JsonArray(value) if isinstance(value, list) else JsonValue(value)


@lru_cache(maxsize=256)
def _adapter(model: Any) -> TypeAdapter[Any]:
    return TypeAdapter(model)


@overload
def _validated(model: None, value: Any) -> Any: ...
@overload
def _validated(model: Callable[..., T], value: Any) -> T: ...
def _validated(model: Any, value: Any) -> Any:
    if model is None:
        return value
    try:
        return _adapter(model).validate_python(value, from_attributes=True)
    except ValidationError as error:
        found = [{**item, "loc": ("body", *item["loc"])} for item in error.errors(include_url=False)]
        raise InvalidBody(found, body=value) from error
