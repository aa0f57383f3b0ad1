"""TurboAPI's style: fields of a JSON body as plain arguments of a handler, `(body, status)` as its result.

Example:
    ```python
    from bimetal.styles.turboapi import TurboAPI

    app = TurboAPI()

    @app.post("/users")
    def create_user(name: str, email: str):
        return {"name": name, "email": email}, 201

    if __name__ == "__main__":
        app.run(port=8000)
    ```
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable
from typing import Annotated, Any, TypeVar, Union, cast, get_args, get_origin

from fastapi import (
    BackgroundTasks,
    Body,
    Cookie,
    Depends,
    File,
    Form,
    Header,
    HTTPException,
    Path,
    Query,
    Request,
    Response,
    Security,
    UploadFile,
    WebSocket,
    WebSocketDisconnect,
    params,
    status,
)
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    StreamingResponse,
)
from fastapi.routing import APIRoute
from typing_extensions import Unpack

from bimetal import app, routing
from bimetal.binding import binding_of
from bimetal.options import RouteOptions
from bimetal.styles.signature import signature_of, with_signature

F = TypeVar("F", bound=Callable[..., Any])

#: The methods whose plain arguments are fields of the body.
_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})

_EMPTY = inspect.Parameter.empty

#: The name of the injected response, where a handler has none of its own.
_RESPONSE = "bimetal_response"


class BodyFields:
    """FastAPI's route decorators for handlers in TurboAPI's style; to stand before `bimetal.Bimetal` or `APIRouter`.

    On POST, PUT, PATCH and DELETE the plain arguments of a handler, those that FastAPI would take for query
    parameters, are the fields of a JSON body. Where the handler has a body already (a model, `Body`, `Form`, `File`),
    on all other methods, and with `Query()`, they are what they are in FastAPI.
    """

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **options: Unpack[RouteOptions]) -> None:
        """Add an operation without a decorator; see `fastapi.FastAPI.add_api_route`."""
        handler = self._adapted(path, endpoint, options.get("methods"), options)
        cast(Any, super()).add_api_route(path, handler, **options)

    def _operation(self, decorator: str, path: str, options: Any) -> Callable[[F], F]:
        methods = options.get("methods") if decorator == "api_route" else [decorator.upper()]
        above = cast(Any, super())

        def decorate(function: F) -> F:
            above._operation(decorator, path, options)(self._adapted(path, function, methods, options))
            return function

        return decorate

    def _adapted(
        self, path: str, function: Callable[..., Any], methods: Iterable[str] | None, options: Any
    ) -> Callable[..., Any]:
        """The function to give to FastAPI."""
        if options.get("handler_type") == "native" or binding_of(function) is not None:
            return function
        return _adapt(function, getattr(self, "prefix", "") + path, [method.upper() for method in methods or ["GET"]])


class TurboAPI(BodyFields, app.Bimetal):  # type: ignore[misc]  # as Bimetal itself
    """A `bimetal.Bimetal` for handlers in TurboAPI's style; see `BodyFields` for what differs from FastAPI.

    Example:
        ```python
        app = TurboAPI(title="Shop")

        @app.put("/orders/{order_id}")
        def change(order_id: int, amount: int = 1) -> tuple[Order, int]:   # {"amount": 3}
            return store(order_id, amount), 202
        ```
    """

    def configure_rate_limiting(
        self, enabled: bool = False, requests_per_minute: int | None = 1_000_000, **options: Any
    ) -> None:
        """As `bimetal.Bimetal.configure_rate_limiting`, with TurboAPI's defaults: by itself it limits nothing.

        Args:
            enabled: Whether anything is limited.
            requests_per_minute: How many requests a client may make in a minute.
            options: The other arguments of `bimetal.Bimetal.configure_rate_limiting`.

        Example:
            ```python
            app.configure_rate_limiting(enabled=True, requests_per_minute=600)
            ```
        """
        if "requests" in options and requests_per_minute == 1_000_000:
            requests_per_minute = None
        super().configure_rate_limiting(enabled, requests_per_minute, **options)


class APIRouter(BodyFields, routing.APIRouter):  # type: ignore[misc]  # as bimetal.APIRouter itself
    """A `bimetal.APIRouter` for handlers in TurboAPI's style.

    Example:
        ```python
        router = APIRouter(prefix="/shop")

        @router.post("/orders")
        def order(sku: str, amount: int = 1):
            return {"sku": sku, "amount": amount}, 201

        app = TurboAPI()
        app.include_router(router)
        ```
    """


Router = APIRouter


def _adapt(function: Callable[..., Any], path: str, methods: list[str]) -> Callable[..., Any]:
    signature = signature_of(function)
    parameters = dict(signature.parameters)
    dependant = APIRoute(path, function, methods=methods, response_model=None).dependant
    if not dependant.body_params and _WITH_BODY.issuperset(methods):
        names = [field.name for field in dependant.query_params]
        fields = [parameters[name] for name in names if not _is_marked(parameters[name])]
        # The one argument of which nothing is said takes all of the body.
        embed = len(fields) != 1 or fields[0].annotation is not _EMPTY
        for field in fields:
            parameters[field.name] = _body_field(field, embed)
    streams = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
    pair, returns = (False, signature.return_annotation) if streams else _pair_in(signature.return_annotation)
    if not pair and parameters == dict(signature.parameters):
        return function
    own = dependant.response_param_name
    if pair and own is None:
        parameters[_RESPONSE] = inspect.Parameter(_RESPONSE, inspect.Parameter.KEYWORD_ONLY, annotation=Response)
    endpoint = _answering(function, own) if pair else _forwarding(function)
    return with_signature(function, list(parameters.values()), returns)(endpoint)


def _is_marked(parameter: inspect.Parameter) -> bool:
    """Whether the parameter says itself where it comes from."""
    metadata = get_args(parameter.annotation)[1:] if get_origin(parameter.annotation) is Annotated else ()
    return isinstance(parameter.default, params.Param) or any(isinstance(mark, params.Param) for mark in metadata)


def _body_field(parameter: inspect.Parameter, embed: bool) -> inspect.Parameter:
    if isinstance(parameter.annotation, str):  # Not known yet: what stands there must be left to FastAPI.
        default = ... if parameter.default is _EMPTY else parameter.default
        return parameter.replace(default=Body(default, embed=embed))
    annotation = Any if parameter.annotation is _EMPTY else parameter.annotation
    return parameter.replace(annotation=Annotated[annotation, Body(embed=embed)])


def _pair_in(annotation: Any) -> tuple[bool, Any]:
    """Whether a handler may return `(body, status)`, and what its return annotation says of the body."""
    if annotation is _EMPTY or isinstance(annotation, str) or annotation is Any:
        return True, annotation
    if annotation is tuple:
        return True, _EMPTY
    if get_origin(annotation) is tuple:
        args = get_args(annotation)
        is_pair = len(args) == 2 and isinstance(args[1], type) and issubclass(args[1], int)
        return (True, args[0]) if is_pair else (False, annotation)
    if get_origin(annotation) in (Union, types.UnionType):
        members = [_pair_in(member) for member in get_args(annotation)]
        if any(pair for pair, _ in members):
            bodies = [body for _, body in members]
            return True, _EMPTY if _EMPTY in bodies else Union[tuple(bodies)]  # noqa: UP007
    return False, annotation


def _forwarding(function: Callable[..., Any]) -> Callable[..., Any]:
    """What is called in place of a handler of which only the signature differs: of the same kind."""
    if inspect.isasyncgenfunction(function):

        async def stream(**values: Any) -> Any:
            async for item in function(**values):
                yield item

        return stream
    if inspect.isgeneratorfunction(function):

        def iterate(**values: Any) -> Any:
            yield from function(**values)

        return iterate
    if inspect.iscoroutinefunction(function):

        async def call(**values: Any) -> Any:
            return await function(**values)

        return call

    def call_now(**values: Any) -> Any:
        return function(**values)

    return call_now


def _answering(function: Callable[..., Any], own: str | None) -> Callable[..., Any]:
    """What is called in place of a handler that may return a pair; `own` is its own argument with the response."""
    if inspect.iscoroutinefunction(function):

        async def answer(**values: Any) -> Any:
            response = values[own] if own else values.pop(_RESPONSE)
            return _settled(await function(**values), response)

        return answer

    def answer_now(**values: Any) -> Any:
        response = values[own] if own else values.pop(_RESPONSE)
        return _settled(function(**values), response)

    return answer_now


def _settled(result: Any, response: Response) -> Any:
    """The body of a result; its status, if it has one, goes into the response."""
    if type(result) is not tuple or len(result) != 2:
        return result
    body, code = result
    if not isinstance(code, int) or isinstance(code, bool) or not 200 <= code <= 599:
        return result
    if isinstance(body, Response):
        body.status_code = int(code)
    else:
        response.status_code = int(code)
    return body


__all__ = [
    "APIRouter",
    "BackgroundTasks",
    "Body",
    "BodyFields",
    "Cookie",
    "Depends",
    "File",
    "FileResponse",
    "Form",
    "HTMLResponse",
    "HTTPException",
    "Header",
    "JSONResponse",
    "Path",
    "PlainTextResponse",
    "Query",
    "RedirectResponse",
    "Request",
    "RequestValidationError",
    "Response",
    "Router",
    "Security",
    "StreamingResponse",
    "TurboAPI",
    "UploadFile",
    "WebSocket",
    "WebSocketDisconnect",
    "jsonable_encoder",
    "status",
]
