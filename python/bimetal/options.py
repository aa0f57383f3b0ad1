"""The keyword arguments of FastAPI's decorators and of the server, typed for editors and type checkers."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal

from fastapi import params
from fastapi.routing import APIRoute, APIRouter
from fastapi.types import IncEx
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import BaseRoute
from typing_extensions import TypedDict

from bimetal.limits import RateLimit

if TYPE_CHECKING:
    from bimetal.caching import Cache


class NativeOptions(TypedDict, total=False):
    """What Bimetal adds to FastAPI's decorators."""

    #: `"native"`: a native handler answers and the function is its stub. `"python"` or nothing: an ordinary handler.
    handler_type: Literal["native", "python"] | None
    #: The native handler's name; the function's name by default.
    native: str | None
    #: `"python"`: the function's body runs where the native handler is absent.
    fallback: Literal["python"] | None
    #: Middleware, dependencies, security schemes and exception handlers the native route may leave out, as
    #: `"middleware:Name"` or `"Name"`.
    bypass: Sequence[str] | None
    #: The share of live GET requests, 0 to 1, that the function's body answers as well, to be compared.
    shadow: float | None
    #: The response cache in front of the handler: a `bimetal.Cache`, or how long an answer is fresh, in seconds.
    cache: Cache | float | None
    #: How often a client may ask: `"10/minute"`, a `bimetal.RateLimit`; False exempts the route from the application's
    #: limit.
    rate_limit: RateLimit | str | Literal[False] | None


class OwnOptions(NativeOptions, total=False):
    """The same with what holds for routes in Python and native ones alike."""

    #: The largest body of a request, in bytes, in place of the server's limit; beyond it the answer is 413.
    max_body_size: int | None


class OperationOptions(OwnOptions, total=False):
    """Keyword arguments of `get`, `post` and the other decorators of a path operation."""

    response_model: Any
    status_code: int | None
    tags: list[str | Enum] | None
    dependencies: Sequence[params.Depends] | None
    summary: str | None
    description: str | None
    response_description: str
    responses: dict[int | str, dict[str, Any]] | None
    deprecated: bool | None
    operation_id: str | None
    response_model_include: IncEx | None
    response_model_exclude: IncEx | None
    response_model_by_alias: bool
    response_model_exclude_unset: bool
    response_model_exclude_defaults: bool
    response_model_exclude_none: bool
    include_in_schema: bool
    response_class: type[Response]
    name: str | None
    callbacks: list[BaseRoute] | None
    openapi_extra: dict[str, Any] | None
    generate_unique_id_function: Callable[[APIRoute], str]


class RouteOptions(OperationOptions, total=False):
    """Keyword arguments of `api_route` and `add_api_route`."""

    methods: Any
    route_class_override: type[APIRoute] | None
    strict_content_type: Any


class CompressionOptions(TypedDict, total=False):
    """Settings of `Bimetal(compression={...})`; see `bimetal.middleware.CompressionMiddleware`."""

    #: The smallest body that is compressed, in bytes; 500 by default.
    minimum_size: int
    #: A level, 1 to 19; True for the usual one, 3; False leaves the coding out.
    zstd: int | bool
    #: A level, 0 to 11; True for the usual one, 4.
    br: int | bool
    #: A level, 1 to 9; True for the usual one, 6.
    gzip: int | bool
    #: Types of content that are not compressed; `"video/*"` for all types of video.
    exclude_content_types: Sequence[str]


class ETagOptions(TypedDict, total=False):
    """Settings of `Bimetal(etag={...})`; see `bimetal.middleware.ETagMiddleware`."""

    #: Send weak tags.
    weak: bool


class SecurityHeaderOptions(TypedDict, total=False):
    """Settings of `Bimetal(security_headers={...})`: values of header fields, None to leave one out."""

    #: `"max-age=31536000"` by default; sent over HTTPS alone.
    strict_transport_security: str | None
    #: `"nosniff"` by default.
    x_content_type_options: str | None
    #: `"DENY"` by default.
    x_frame_options: str | None
    #: `"strict-origin-when-cross-origin"` by default.
    referrer_policy: str | None
    #: `"camera=(), geolocation=(), microphone=()"` by default.
    permissions_policy: str | None
    #: `"base-uri 'self'; frame-ancestors 'none'; object-src 'none'"` by default.
    content_security_policy: str | None
    #: `"same-origin"` by default: pages of other sites cannot embed what is served.
    cross_origin_resource_policy: str | None
    #: Not sent by default: with it the documentation's login by OAuth2 loses its window.
    cross_origin_opener_policy: str | None
    #: Not sent by default.
    cross_origin_embedder_policy: str | None
    #: Any other fields, by name.
    headers: Mapping[str, str]


class ApplicationOptions(TypedDict, total=False):
    """Keyword arguments of `fastapi.FastAPI`."""

    debug: bool
    routes: list[BaseRoute] | None
    title: str
    summary: str | None
    description: str
    version: str
    openapi_url: str | None
    openapi_tags: list[dict[str, Any]] | None
    servers: list[dict[str, Any]] | None
    dependencies: Sequence[params.Depends] | None
    default_response_class: type[Response]
    redirect_slashes: bool
    docs_url: str | None
    redoc_url: str | None
    swagger_ui_oauth2_redirect_url: str | None
    swagger_ui_init_oauth: dict[str, Any] | None
    middleware: Sequence[Middleware] | None
    exception_handlers: Mapping[int | type[Exception], Callable[..., Any]] | None
    on_startup: Sequence[Callable[[], Any]] | None
    on_shutdown: Sequence[Callable[[], Any]] | None
    lifespan: Callable[[Any], Any] | None
    terms_of_service: str | None
    contact: dict[str, Any] | None
    license_info: dict[str, Any] | None
    root_path: str
    root_path_in_servers: bool
    responses: dict[int | str, dict[str, Any]] | None
    callbacks: list[BaseRoute] | None
    webhooks: APIRouter | None
    deprecated: bool | None
    include_in_schema: bool
    swagger_ui_parameters: dict[str, Any] | None
    generate_unique_id_function: Callable[[APIRoute], str]
    separate_input_output_schemas: bool
    openapi_external_docs: dict[str, Any] | None
    strict_content_type: bool
    telemetry: Any


class Listening(TypedDict, total=False):
    """How clients reach a server, besides host and port."""

    #: The path of a Unix socket, in place of host and port.
    uds: str | os.PathLike[str] | None
    #: A socket that this process has been given, by its file descriptor, in place of host and port.
    fd: int | None
    #: TLS: the certificate with those that lead to its authority, and its private key, in PEM format. Taken in anew as
    #: the files change.
    ssl_certfile: str | os.PathLike[str] | None
    ssl_keyfile: str | os.PathLike[str] | None
    #: The private key's password.
    ssl_keyfile_password: str | None
    #: Whether clients show a certificate: 0 no, 1 if they like, 2 they have to; the numbers of `ssl.VerifyMode`.
    ssl_cert_reqs: int
    #: The authorities of these certificates.
    ssl_ca_certs: str | os.PathLike[str] | None
    #: Whether the proxies of `forwarded_allow_ips` begin each connection with a header of the PROXY protocol.
    proxy_protocol: bool
    #: Whether HTTP/2 is spoken with clients that want it.
    http2: bool
    #: How long that header and the handshake of TLS may take.
    handshake_timeout: float


class Limits(Listening, total=False):
    """Bounds and threads of a server, and how clients reach it; times in seconds, sizes in bytes."""

    #: Threads that read and write sockets.
    io_threads: int
    #: Connections the kernel queues before they are accepted.
    backlog: int
    #: Connections open at a time, for each I/O thread; more wait in the backlog.
    max_connections: int
    #: The largest request head, at most 131072; beyond it the answer is 431.
    max_head_size: int
    #: The longest request line, at most 65535; beyond it the answer is 414.
    max_request_line: int
    #: The most header fields of a request, at most 96; beyond it the answer is 431.
    max_header_fields: int
    #: The largest request body; beyond it the answer is 413.
    max_body_size: int
    #: How long an idle connection is kept.
    keep_alive: float
    #: How long a client may take to send the head of a request; beyond it the answer is 408.
    head_timeout: float
    #: How long a client may take between two parts of a request's body, or take nothing of a response.
    body_timeout: float
    #: How long a stopping server waits for requests in flight.
    drain_timeout: float
    #: How long it keeps idle connections meanwhile, to answer one more request on each: proxies that reuse connections
    #: send none into a closed one. 0.5 with `serve_forever` and `app.run`, else 0.
    handover: float
    #: Log a line for each request.
    access_log: bool
    #: Give each request an `X-Request-ID`, the client's or a new one, which its response and the access log have too.
    request_id: bool
    #: Say in a `Server-Timing` header field of each response where its time went.
    timing: bool
    #: The largest message of a WebSocket, inflated; beyond it the connection ends with code 1009.
    ws_max_size: int
    #: Messages of a WebSocket that may wait for the application, of `ws_max_size` bytes together.
    ws_max_queue: int
    #: How often the client of a WebSocket is pinged, and how long it may be silent then; beyond it the connection ends
    #: with code 1011. None or 0: no pings, no such bound.
    ws_ping_interval: float | None
    ws_ping_timeout: float | None
    #: Compress WebSocket messages (permessage-deflate) for clients that offer it.
    ws_per_message_deflate: bool
    #: Serve `/livez`, `/readyz`, `/startupz` and `/metrics`, where the application has no route of that path.
    probes: bool
    #: Send spans of requests to an OpenTelemetry collector, as the OTEL_* variables of the environment say.
    otel: bool
    #: Serve `/_bimetal/`, a page for people that shows the routes and how they do; where there is `admin`, on that
    #: address only. With None it is off, but on with `bimetal run --reload`.
    dashboard: bool | None
    #: From where on `/readyz` answers 503: how late the event loop may be.
    ready_loop_lag: float
    #: How long the oldest request that waits for a thread may have waited.
    ready_queue_age: float
    #: The share of threads that may be busy; above 1 when requests wait because all of them are.
    ready_saturation: float
    #: The most threads for `def` handlers that block.
    sync_threads: int
    #: The most requests that wait for a thread, and for the event loop; beyond it the answer is 503.
    max_queue: int
    #: How long a request may wait there; beyond it the answer is 503.
    max_queue_age: float
    #: How long a native handler of kind `async` or `blocking` may take; beyond it the answer is 504.
    native_timeout: float
    #: The response cache of the routes that ask for one, with what entries take besides their bodies; 0: none.
    cache_size: int


class Settings(Limits, total=False):
    """All that is set for a server, as the extension takes it."""

    host: str
    port: int
    root_path: str
    #: Who is believed about where a request came from: addresses, networks, `"unix"`, `"*"`.
    trusted_proxies: Sequence[str]
    #: Where the probes are served besides.
    admin: tuple[str, int] | None
