"""`App` and `APIRouter`: what FastAPI gets in place of a handler that takes `req` and `res`."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Literal, TypeVar, cast, get_args, get_origin
from uuid import UUID

import fastapi
from fastapi import params
from fastapi.responses import PlainTextResponse
from starlette.concurrency import run_in_threadpool
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import compile_path
from typing_extensions import Unpack

from bimetal import app, routing
from bimetal.binding import binding_of
from bimetal.options import ApplicationOptions, Limits, RouteOptions
from bimetal.plugins import Plugin
from bimetal.styles.fasterapi.request import Form, Request, read_body
from bimetal.styles.fasterapi.response import Response, settle
from bimetal.styles.signature import signature_of, with_signature

F = TypeVar("F", bound=Callable[..., Any])

_EMPTY = inspect.Parameter.empty
_KEYWORD = inspect.Parameter.KEYWORD_ONLY

#: Methods whose requests seldom have a body: a `def` handler reads it when it asks for it.
_SELDOM_A_BODY = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

#: The types of path parameters with one of Starlette's convertors.
_CONVERTED = {"IntegerConvertor": int, "FloatConvertor": float, "UUIDConvertor": UUID}

#: The name of the argument that has the body read.
_READ = "bimetal_read"


class RequestAndResponse:
    """FastAPI's route decorators for handlers in FasterAPI's style; to stand before `bimetal.Bimetal` or `APIRouter`.

    A handler's first two arguments are the request and the response, where nothing else is said of them. What follows
    is what it is in FastAPI: typed parameters, models, `Depends`. A handler without them is an ordinary one.
    """

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **options: Unpack[RouteOptions]) -> None:
        """Add an operation without a decorator; see `fastapi.FastAPI.add_api_route`."""
        handler, added = self._adapted(path, endpoint, options.get("methods"), options)
        cast(Any, super()).add_api_route(path, handler, **{**added, **options})

    def include_router(self, router: fastapi.APIRouter, **options: Any) -> None:
        """Include the routes of a router; see `fastapi.FastAPI.include_router`."""
        for depends in options.get("dependencies") or ():
            _adapt_dependency(depends)
        cast(Any, super()).include_router(router, **options)

    def _operation(self, decorator: str, path: str, options: Any) -> Callable[[F], F]:
        methods = options.get("methods") if decorator == "api_route" else [decorator]
        above = cast(Any, super())

        def decorate(function: F) -> F:
            handler, added = self._adapted(path, function, methods, options)
            above._operation(decorator, path, {**added, **options})(handler)
            return function

        return decorate

    def _adapted(
        self, path: str, function: Callable[..., Any], methods: Any, options: Any
    ) -> tuple[Callable[..., Any], dict[str, Any]]:
        """The function to give to FastAPI, and options that the route's own come before."""
        for depends in options.get("dependencies") or ():
            _adapt_dependency(depends)
        path = getattr(self, "prefix", "") + path
        signature = signature_of(function)
        pair = _pair_of(function, path, signature)
        for parameter in signature.parameters.values():
            for depends in _depends_of(parameter):
                _adapt_dependency(depends)
        if pair is None:
            return function, {}
        if options.get("handler_type") == "native" or binding_of(function) is not None:
            raise TypeError(
                f"{function.__qualname__}: the stub of a native route names what the handler takes, "
                f"`def {function.__name__}(user_id: int)`, in place of ({', '.join(pair)})"
            )
        may_wait = not _SELDOM_A_BODY.issuperset(method.upper() for method in methods or ["GET"])
        return _adapt(function, path, signature, pair, may_wait, options)


class App(RequestAndResponse, app.Bimetal):  # type: ignore[misc]  # as Bimetal itself
    """A `bimetal.Bimetal` for handlers in FasterAPI's style.

    Args:
        port: The port that `run` listens on.
        host: The address that `run` listens on.
        enable_compression: Compress responses with gzip for clients that take it.
        enable_h2: Speak HTTP/2 with clients that want it.
        plugins: As for `bimetal.Bimetal`.
        options: All other arguments of `fastapi.FastAPI`.

    Example:
        ```python
        app = App(port=8000, enable_compression=True)

        @app.post("/users")
        def create(req, res):
            res.status(201)
            return {"name": req.json()["name"]}

        app.run()
        ```
    """

    def __init__(
        self,
        port: int = 8000,
        host: str = "127.0.0.1",
        *,
        enable_compression: bool = True,
        enable_h2: bool = False,
        plugins: Sequence[Plugin] = (),
        **options: Unpack[ApplicationOptions],
    ) -> None:
        self.port = port
        self._host = host
        self.enable_compression = enable_compression
        self.enable_h2 = enable_h2
        for depends in options.get("dependencies") or ():
            _adapt_dependency(depends)
        super().__init__(plugins=plugins, **options)
        if enable_compression:
            super().add_middleware(GZipMiddleware)

    def add_middleware(self, middleware_class: Any, *args: Any, **kwargs: Any) -> Any:
        """Add middleware: a class, as in FastAPI, or a function `(req, res)` that runs before every handler.

        The function may set header fields. Where it returns something, or sets a status, that is the answer.

        Example:
            ```python
            @app.add_middleware
            def signed_in(req, res):
                if not req.headers.get("authorization"):
                    res.status(401)
                    return {"error": "who are you?"}
            ```
        """
        if not inspect.isfunction(middleware_class) or args or kwargs:
            super().add_middleware(middleware_class, *args, **kwargs)
            return None
        self.middleware("http")(_before(middleware_class))
        return middleware_class

    def run(
        self,
        host: str | None = None,
        port: int | None = None,
        workers: int = 1,
        *,
        lifespan: Literal["auto", "on", "off"] = "auto",
        root_path: str = "",
        forwarded_allow_ips: str | Sequence[str] | None = None,
        admin: str | None = None,
        **limits: Unpack[Limits],
    ) -> None:
        """Serve until SIGINT or SIGTERM, on the host and port of the application; see `bimetal.Bimetal.run`."""
        limits.setdefault("http2", self.enable_h2)
        super().run(
            self._host if host is None else host,
            self.port if port is None else port,
            workers,
            lifespan=lifespan,
            root_path=root_path,
            forwarded_allow_ips=forwarded_allow_ips,
            admin=admin,
            **limits,
        )


class APIRouter(RequestAndResponse, routing.APIRouter):  # type: ignore[misc]  # as bimetal.APIRouter itself
    """A `bimetal.APIRouter` for handlers in FasterAPI's style.

    Example:
        ```python
        router = APIRouter(prefix="/users")

        @router.get("/{user_id}")
        def get_user(req, res):
            return {"id": req.path_params["user_id"]}

        app = App()
        app.include_router(router)
        ```
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        for depends in options.get("dependencies") or ():
            _adapt_dependency(depends)
        super().__init__(*args, **options)


def _pair_of(function: Callable[..., Any], path: str, signature: inspect.Signature) -> tuple[str, str] | None:
    """The names of a handler's request and response; None for one that takes none."""
    _, _, convertors = compile_path(path)
    names = [
        parameter.name
        for parameter, own in zip(signature.parameters.values(), (Request, Response), strict=False)
        if parameter.annotation in (_EMPTY, own) and parameter.default is _EMPTY and parameter.name not in convertors
    ]
    if len(names) == 2:
        return names[0], names[1]
    if names and names[0] in ("req", "request", "res"):
        raise TypeError(
            f"{function.__qualname__} takes `{names[0]}` alone; "
            f"a handler of this style takes both: def {getattr(function, '__name__', 'handler')}(req, res)"
        )
    return None


def _adapt(
    function: Callable[..., Any],
    path: str,
    signature: inspect.Signature,
    pair: tuple[str, str],
    may_wait: bool,
    options: Any,
) -> tuple[Callable[..., Any], dict[str, Any]]:
    req, res = pair
    rest = [parameter for parameter in signature.parameters.values() if parameter.name not in pair]
    named = {parameter.name for parameter in signature.parameters.values()}
    _, _, convertors = compile_path(path)
    # What the handler reads from `path_params` is documented, too.
    hidden = [name for name in convertors if name not in named]
    documented = [
        inspect.Parameter(name, _KEYWORD, annotation=_CONVERTED.get(type(convertors[name]).__name__, str))
        for name in hidden
    ]
    taken = [
        inspect.Parameter(req, _KEYWORD, annotation=fastapi.Request),
        inspect.Parameter(res, _KEYWORD, annotation=fastapi.Response),
    ]
    default_status = options.get("status_code")
    added: dict[str, Any] = {}
    returns = signature.return_annotation
    if returns is str and "response_model" not in options:
        added = {"response_class": PlainTextResponse, "response_model": None}
    elif returns is Response or Response in get_args(returns):
        added, returns = {"response_model": None}, _EMPTY
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(
            f"{function.__qualname__} streams by `yield`: leave ({req}, {res}) out, and take what it needs as "
            "FastAPI's parameters, or return a StreamingResponse"
        )

    if inspect.iscoroutinefunction(function):

        async def answer(**values: Any) -> Any:
            for name in hidden:
                del values[name]
            given = values.pop(req)
            request = Request(given, await read_body(given))
            response = Response(values.pop(res))
            return settle(await function(request, response, **values), response, default_status)

        endpoint: Callable[..., Any] = answer
    else:
        if may_wait:
            # On the event loop, so that no thread waits for a slow client.
            taken.append(inspect.Parameter(_READ, _KEYWORD, annotation=Annotated[Any, fastapi.Depends(_read)]))

        def answer_now(**values: Any) -> Any:
            for name in hidden:
                del values[name]
            request = Request(values.pop(req), values.pop(_READ, None))
            response = Response(values.pop(res))
            return settle(function(request, response, **values), response, default_status)

        endpoint = answer_now
    return with_signature(function, [*documented, *taken, *rest], returns)(endpoint), added


async def _read(request: fastapi.Request) -> bytes | Form:
    return await read_body(request)


async def _given_with_body(request: fastapi.Request) -> Request:
    return Request(request, await read_body(request))


def _given(request: fastapi.Request) -> Request:
    return Request(request)


def _given_response(response: fastapi.Response) -> Response:
    return Response(response)


def _depends_of(parameter: inspect.Parameter) -> list[params.Depends]:
    metadata = get_args(parameter.annotation)[1:] if get_origin(parameter.annotation) is Annotated else ()
    return [mark for mark in (parameter.default, *metadata) if isinstance(mark, params.Depends)]


def _adapt_dependency(depends: params.Depends) -> None:
    """Let a dependency take `req` and `res`, and those that it depends on.

    Only what FastAPI reads of the function changes, its signature: the function stays the key of
    `dependency_overrides`, and can be called as before.
    """
    function = depends.dependency
    if not inspect.isfunction(function):
        return
    signature = signature_of(function)
    parameters = dict(signature.parameters)
    waits = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    given = {
        "req": (Request, _given_with_body if waits else _given),
        "res": (Response, _given_response),
    }
    for name, parameter in parameters.items():
        for inner in _depends_of(parameter):
            _adapt_dependency(inner)
        for known, (own, dependency) in given.items():
            takes = parameter.annotation is own or (name == known and parameter.annotation is _EMPTY)
            if takes and parameter.default is _EMPTY:
                annotation: Any = Annotated[cast(Any, own), fastapi.Depends(dependency)]
                parameters[name] = parameter.replace(annotation=annotation)
    if parameters != dict(signature.parameters):
        changed = signature.replace(parameters=list(parameters.values()))
        setattr(function, "__signature__", changed)  # noqa: B010


def _before(function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """The `dispatch` function of a middleware that runs before the handlers."""

    async def dispatch(request: fastapi.Request, call_next: Callable[[fastapi.Request], Awaitable[Any]]) -> Any:
        given: Any = fastapi.Response()
        del given.headers["content-length"]
        given.status_code = None
        response = Response(given)
        if inspect.iscoroutinefunction(function):
            result = await function(Request(request, await read_body(request)), response)
        else:
            result = await run_in_threadpool(function, Request(request), response)
        if result is None and given.status_code is None and not response.is_answer:
            answer = await call_next(request)
            answer.raw_headers.extend(given.raw_headers)
            return answer
        settled = settle(response if result is None else result, response, None)
        return settled if isinstance(settled, fastapi.Response) else response.json(settled).made(None)

    dispatch.__qualname__ = getattr(function, "__qualname__", "dispatch")
    dispatch.__module__ = function.__module__
    return dispatch
