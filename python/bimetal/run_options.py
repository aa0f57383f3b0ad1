"""The options of the command line, in groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from bimetal.address import parse_address
from bimetal.server import DRAIN_TIMEOUT, HANDOVER
from bimetal.worker import HEARTBEAT_TIMEOUT, STARTUP_TIMEOUT

F = Callable[..., Any]


def _together(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    """One decorator for a group, in the order of the help."""

    def decorate(command: F) -> F:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


def _address(_context: click.Context, _option: click.Parameter, text: str | None) -> str | None:
    if text is not None:
        try:
            parse_address(text)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None
    return text


#: Which application, and its native handlers.
application_options = _together(
    click.argument("target", metavar="MODULE:APP"),
    click.option("--app-dir", metavar="DIR", help="Where to look for MODULE first; the working directory by default."),
    click.option("--factory", is_flag=True, help="APP is a function that makes the application."),
    click.option(
        "--native",
        "natives",
        metavar="PATH=HANDLER",
        multiple=True,
        help="Answer GET PATH with a native handler, before the application's own routes. Repeatable.",
    ),
    click.option(
        "--plugin",
        "plugins",
        metavar="FILE",
        multiple=True,
        help="Load a plugin: its library, or the name of an installed one. Repeatable.",
    ),
    click.option(
        "--no-installed-plugins",
        is_flag=True,
        help="Take no handlers from plugins that are only installed.",
    ),
    click.option(
        "--plugin-hash",
        "plugin_hashes",
        metavar="SHA256",
        multiple=True,
        help="Load only plugin libraries with this SHA-256. Repeatable.",
    ),
    click.option("--traceback", "with_traceback", is_flag=True, help="Show where an error comes from."),
)

#: How clients reach the server.
listening_options = _together(
    click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on."),
    click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one."),
    click.option("--uds", metavar="PATH", help="Listen on a Unix socket instead."),
    click.option(
        "--fd", type=click.IntRange(3), help="Listen on this open socket instead, of whoever starts the program."
    ),
    click.option(
        "--ssl-certfile", metavar="FILE", help="Serve TLS with this certificate (PEM), renewed when it changes."
    ),
    click.option("--ssl-keyfile", metavar="FILE", help="The certificate's private key; without it, in the same file."),
    click.option(
        "--ssl-keyfile-password",
        metavar="TEXT",
        envvar="BIMETAL_SSL_KEYFILE_PASSWORD",
        show_envvar=True,
        help="The private key's password.",
    ),
    click.option(
        "--ssl-cert-reqs",
        default=0,
        show_default=True,
        type=click.IntRange(0, 2),
        help="Whether clients show a certificate: 0 no, 1 if they like, 2 they have to.",
    ),
    click.option("--ssl-ca-certs", metavar="FILE", help="The authorities of clients' certificates."),
    click.option(
        "--handshake-timeout",
        default=10.0,
        show_default=True,
        type=click.FloatRange(0, min_open=True),
        help="For the handshake of TLS and the header of the PROXY protocol, seconds.",
    ),
)

#: Processes: how many, and when they are replaced.
process_options = _together(
    click.option("--workers", default=1, show_default=True, type=click.IntRange(1), help="Processes."),
    click.option("--reload", is_flag=True, help="For development: take in changed source files and plugin libraries."),
    click.option(
        "--reload-dir",
        "reload_dirs",
        metavar="DIR",
        multiple=True,
        help="Watch the source files in DIR instead of the application's folder. Repeatable.",
    ),
    click.option(
        "--reload-include",
        "reload_includes",
        metavar="PATTERN",
        multiple=True,
        help="Watch files that match too, besides *.py. Repeatable.",
    ),
    click.option(
        "--reload-exclude",
        "reload_excludes",
        metavar="PATTERN",
        multiple=True,
        help="Do not watch files and folders that match. Repeatable.",
    ),
    click.option(
        "--heartbeat-timeout",
        default=HEARTBEAT_TIMEOUT,
        show_default=True,
        type=click.FloatRange(2),
        help="For a worker process without a sign of life, seconds.",
    ),
    click.option(
        "--startup-timeout",
        default=STARTUP_TIMEOUT,
        show_default=True,
        type=click.FloatRange(0, min_open=True),
        help="For a worker process to import the application and run its startup, seconds.",
    ),
    click.option(
        "--max-requests",
        metavar="N",
        type=click.IntRange(1),
        help="Replace a worker process after so many requests.",
    ),
    click.option(
        "--max-requests-jitter",
        metavar="N",
        default=0,
        show_default=True,
        type=click.IntRange(0),
        help="Up to so many more, at random, so that not all are replaced at once.",
    ),
    click.option(
        "--max-memory",
        metavar="MIB",
        type=click.IntRange(1),
        help="Replace a worker process that has more resident memory (Linux).",
    ),
    click.option(
        "--max-memory-jitter",
        metavar="MIB",
        default=0,
        show_default=True,
        type=click.IntRange(0),
        help="Up to so much more, at random.",
    ),
)

#: What is spoken, and who is believed.
protocol_options = _together(
    click.option("--io-threads", default=1, show_default=True, type=click.IntRange(1), help="Threads for the sockets."),
    click.option("--http2", is_flag=True, help="Speak HTTP/2 with clients that want it, with or without TLS."),
    click.option("--root-path", default="", help="The path under which a proxy publishes the application."),
    click.option(
        "--proxy-headers/--no-proxy-headers",
        default=True,
        show_default=True,
        help="Believe trusted proxies about the client: X-Forwarded-For and X-Forwarded-Proto.",
    ),
    click.option(
        "--forwarded-allow-ips",
        metavar="LIST",
        help="Proxies to trust: addresses, networks, names, or '*'. By default $FORWARDED_ALLOW_IPS, or this machine.",
    ),
    click.option(
        "--proxy-protocol",
        is_flag=True,
        help="Trusted proxies begin each connection with a PROXY header, version 1 or 2.",
    ),
)

#: Bounds and deadlines.
limit_options = _together(
    click.option(
        "--max-body",
        "max_body_size",
        default=16777216,
        show_default=True,
        type=click.IntRange(0),
        help="Largest request body, bytes.",
    ),
    click.option(
        "--limit-request-head",
        "max_head_size",
        default=32768,
        show_default=True,
        type=click.IntRange(1, 131072),
        help="Largest request head, bytes.",
    ),
    click.option(
        "--limit-request-line",
        "max_request_line",
        default=8192,
        show_default=True,
        type=click.IntRange(1, 65535),
        help="Longest request line, bytes.",
    ),
    click.option(
        "--limit-request-fields",
        "max_header_fields",
        default=96,
        show_default=True,
        type=click.IntRange(1, 96),
        help="Most header fields of a request.",
    ),
    click.option(
        "--limit-connections",
        "max_connections",
        default=25000,
        show_default=True,
        type=click.IntRange(1),
        help="Open connections for each I/O thread; further ones wait to be accepted.",
    ),
    click.option(
        "--limit-queue",
        "max_queue",
        default=16384,
        show_default=True,
        type=click.IntRange(1),
        help="Requests that wait for a thread, and for the event loop; further ones are refused.",
    ),
    click.option(
        "--limit-queue-age",
        "max_queue_age",
        default=60.0,
        show_default=True,
        type=click.FloatRange(0, min_open=True),
        help="How long a request may wait there, seconds.",
    ),
    click.option(
        "--timeout-head",
        "head_timeout",
        default=30.0,
        show_default=True,
        type=click.FloatRange(0, min_open=True),
        help="For a request head, seconds.",
    ),
    click.option(
        "--timeout-body",
        "body_timeout",
        default=60.0,
        show_default=True,
        type=click.FloatRange(0, min_open=True),
        help="For a pause within a request body, or of a client that takes nothing of a response, seconds.",
    ),
    click.option(
        "--timeout-keep-alive",
        "keep_alive",
        default=75.0,
        show_default=True,
        type=click.FloatRange(0),
        help="For an idle connection, seconds.",
    ),
    click.option(
        "--ws-max-size",
        default=16777216,
        show_default=True,
        type=click.IntRange(1),
        help="Largest WebSocket message, bytes.",
    ),
    click.option(
        "--ws-max-queue",
        default=32,
        show_default=True,
        type=click.IntRange(1),
        help="Messages of a WebSocket that may wait for the application.",
    ),
    click.option(
        "--ws-ping-interval",
        default=20.0,
        show_default=True,
        type=click.FloatRange(0),
        help="Between two pings of a WebSocket, seconds; 0 sends none.",
    ),
    click.option(
        "--ws-ping-timeout",
        default=20.0,
        show_default=True,
        type=click.FloatRange(0),
        help="For a client that is silent after a ping, seconds; 0 waits for ever.",
    ),
    click.option(
        "--ws-per-message-deflate",
        default=True,
        show_default=True,
        type=bool,
        help="Compress WebSocket messages for clients that offer it.",
    ),
    click.option(
        "--cache-size",
        default=67108864,
        show_default=True,
        type=click.IntRange(0),
        help="The response cache of the routes that ask for one, bytes; 0 leaves it out.",
    ),
    click.option(
        "--native-timeout", default=30.0, show_default=True, type=float, help="For native handlers that wait, seconds."
    ),
    click.option(
        "--drain-timeout",
        default=DRAIN_TIMEOUT,
        show_default=True,
        type=click.FloatRange(0),
        help="For requests in flight at a stop, seconds.",
    ),
    click.option(
        "--handover",
        default=HANDOVER,
        show_default=True,
        type=click.FloatRange(0),
        help="For idle connections at a stop: each may send one more request, seconds.",
    ),
)

#: How the application is run.
lifespan_options = _together(
    click.option("--lifespan", default="auto", show_default=True, type=click.Choice(("auto", "on", "off"))),
    click.option("--no-uvloop", is_flag=True, help="Use asyncio's own event loop."),
)

#: Logs, probes and figures.
observing_options = _together(
    click.option("--access-log", is_flag=True, help="Log a line for each request."),
    click.option(
        "--access-log-format",
        type=click.Choice(("text", "json")),
        help="For these lines alone; by default that of --log-format.",
    ),
    click.option(
        "--request-id",
        is_flag=True,
        help="Give each request an X-Request-ID, the client's or a new one, for its response and the access log.",
    ),
    click.option(
        "--probes",
        is_flag=True,
        help="Serve /livez, /readyz, /startupz and /metrics, where the application has no route of that path.",
    ),
    click.option(
        "--admin", metavar="HOST:PORT", callback=_address, help="Serve them on an address of their own as well."
    ),
    click.option(
        "--dashboard/--no-dashboard",
        default=None,
        help="Serve /_bimetal/, a page that shows the routes and how they do; with --admin on that address only. "
        "On with --reload.",
    ),
    click.option(
        "--ready-loop-lag",
        default=1.0,
        show_default=True,
        type=click.FloatRange(0),
        help="Not ready while the event loop is later than that, seconds.",
    ),
    click.option(
        "--ready-queue-age",
        default=2.0,
        show_default=True,
        type=click.FloatRange(0),
        help="Not ready while a request has waited that long for a thread, seconds.",
    ),
    click.option(
        "--ready-saturation",
        default=1.0,
        show_default=True,
        type=click.FloatRange(0),
        help="Not ready while more than this share of the threads is wanted.",
    ),
    click.option(
        "--otel",
        is_flag=True,
        help="Send spans of requests to an OpenTelemetry collector, by the OTEL_* variables; needs bimetal[otel].",
    ),
    click.option("--timing", is_flag=True, help="Say in a Server-Timing header of each response where its time went."),
    click.option(
        "--log-level", default="info", show_default=True, type=click.Choice(("error", "warn", "info", "debug", "trace"))
    ),
    click.option("--log-format", default="text", show_default=True, type=click.Choice(("text", "json"))),
    click.option("--quiet", is_flag=True, help="Do not print the routes."),
)
