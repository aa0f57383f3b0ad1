"""The command line: `bimetal run`, `bimetal routes`, `bimetal plugin`, `bimetal version`.

Errors are one line on stderr and exit code 1, wrong usage is exit code 2. `--traceback` shows where one comes from.
"""

from __future__ import annotations

import json
import logging
import platform
import random
from collections.abc import Callable
from typing import Any

import click

from bimetal._core import build_info, set_log
from bimetal.address import parse_address
from bimetal.command_errors import one_line_errors
from bimetal.compile.edge import at_edge
from bimetal.loading import load_app
from bimetal.plugin_command import plugin
from bimetal.server import DRAIN_TIMEOUT, Server
from bimetal.table import as_json, print_table
from bimetal.worker import HEARTBEAT_TIMEOUT, Companion, inherited, supervise

F = Callable[..., Any]

_LOG_LEVELS = ("error", "warn", "info", "debug", "trace")
_PYTHON_LEVELS = {"warn": logging.WARNING, "trace": logging.DEBUG}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Serve FastAPI applications from Rust, with native handlers for the hot routes."""


def _address(_context: click.Context, _option: click.Parameter, text: str | None) -> str | None:
    if text is not None:
        try:
            parse_address(text)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None
    return text


def _application_options(command: F) -> F:
    for decorate in reversed(
        (
            click.argument("target", metavar="MODULE:APP"),
            click.option(
                "--app-dir", metavar="DIR", help="Where to look for MODULE first; the working directory by default."
            ),
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
    ):
        command = decorate(command)
    return command


@main.command()
@_application_options
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--uds", metavar="PATH", help="Listen on a Unix socket instead.")
@click.option("--fd", type=click.IntRange(3), help="Listen on this open socket instead, of whoever starts the program.")
@click.option("--ssl-certfile", metavar="FILE", help="Serve TLS with this certificate (PEM), renewed when it changes.")
@click.option("--ssl-keyfile", metavar="FILE", help="The certificate's private key; without it, in the same file.")
@click.option(
    "--ssl-keyfile-password",
    metavar="TEXT",
    envvar="BIMETAL_SSL_KEYFILE_PASSWORD",
    show_envvar=True,
    help="The private key's password.",
)
@click.option(
    "--ssl-cert-reqs",
    default=0,
    show_default=True,
    type=click.IntRange(0, 2),
    help="Whether clients show a certificate: 0 no, 1 if they like, 2 they have to.",
)
@click.option("--ssl-ca-certs", metavar="FILE", help="The authorities of clients' certificates.")
@click.option(
    "--handshake-timeout",
    default=10.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="For the handshake of TLS and the header of the PROXY protocol, seconds.",
)
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1), help="Processes.")
@click.option("--reload", is_flag=True, help="For development: take in changed source files and plugin libraries.")
@click.option(
    "--reload-dir",
    "reload_dirs",
    metavar="DIR",
    multiple=True,
    help="Watch the source files in DIR instead of the application's folder. Repeatable.",
)
@click.option(
    "--reload-include",
    "reload_includes",
    metavar="PATTERN",
    multiple=True,
    help="Watch files that match too, besides *.py. Repeatable.",
)
@click.option(
    "--reload-exclude",
    "reload_excludes",
    metavar="PATTERN",
    multiple=True,
    help="Do not watch files and folders that match. Repeatable.",
)
@click.option("--io-threads", default=1, show_default=True, type=click.IntRange(1), help="Threads for the sockets.")
@click.option("--http2", is_flag=True, help="Speak HTTP/2 with clients that want it, with or without TLS.")
@click.option("--root-path", default="", help="The path under which a proxy publishes the application.")
@click.option(
    "--proxy-headers/--no-proxy-headers",
    default=True,
    show_default=True,
    help="Believe trusted proxies about the client: X-Forwarded-For and X-Forwarded-Proto.",
)
@click.option(
    "--forwarded-allow-ips",
    metavar="LIST",
    help="The proxies to trust: addresses, networks, names, or '*'. By default $FORWARDED_ALLOW_IPS, or this machine.",
)
@click.option(
    "--proxy-protocol", is_flag=True, help="Trusted proxies begin each connection with a PROXY header, version 1 or 2."
)
@click.option(
    "--max-body", default=16777216, show_default=True, type=click.IntRange(0), help="Largest request body, bytes."
)
@click.option(
    "--limit-request-head",
    default=32768,
    show_default=True,
    type=click.IntRange(1, 131072),
    help="Largest request head, bytes.",
)
@click.option(
    "--limit-request-line",
    default=8192,
    show_default=True,
    type=click.IntRange(1, 65535),
    help="Longest request line, bytes.",
)
@click.option(
    "--limit-request-fields",
    default=96,
    show_default=True,
    type=click.IntRange(1, 96),
    help="Most header fields of a request.",
)
@click.option(
    "--limit-connections",
    default=25000,
    show_default=True,
    type=click.IntRange(1),
    help="Open connections for each I/O thread; further ones wait to be accepted.",
)
@click.option(
    "--timeout-head",
    default=30.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="For a request head, seconds.",
)
@click.option(
    "--timeout-body",
    default=60.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="For a pause within a request body, or of a client that takes nothing of a response, seconds.",
)
@click.option(
    "--timeout-keep-alive",
    default=75.0,
    show_default=True,
    type=click.FloatRange(0),
    help="For an idle connection, seconds.",
)
@click.option(
    "--native-timeout", default=30.0, show_default=True, type=float, help="For native handlers that wait, seconds."
)
@click.option(
    "--drain-timeout",
    default=DRAIN_TIMEOUT,
    show_default=True,
    type=click.FloatRange(0),
    help="For requests in flight at a stop, seconds.",
)
@click.option(
    "--heartbeat-timeout",
    default=HEARTBEAT_TIMEOUT,
    show_default=True,
    type=click.FloatRange(2),
    help="For a worker process without a sign of life, seconds.",
)
@click.option(
    "--max-requests",
    metavar="N",
    type=click.IntRange(1),
    help="Replace a worker process after so many requests.",
)
@click.option(
    "--max-requests-jitter",
    metavar="N",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Up to so many more, at random, so that not all are replaced at once.",
)
@click.option("--lifespan", default="auto", show_default=True, type=click.Choice(("auto", "on", "off")))
@click.option("--no-uvloop", is_flag=True, help="Use asyncio's own event loop.")
@click.option("--access-log", is_flag=True, help="Log a line for each request.")
@click.option(
    "--access-log-format",
    type=click.Choice(("text", "json")),
    help="For these lines alone; by default that of --log-format.",
)
@click.option(
    "--request-id",
    is_flag=True,
    help="Give each request an X-Request-ID, the client's or a new one; the response and the access log have it too.",
)
@click.option(
    "--probes",
    is_flag=True,
    help="Serve /livez, /readyz, /startupz and /metrics, where the application has no route of that path.",
)
@click.option("--admin", metavar="HOST:PORT", callback=_address, help="Serve them on an address of their own as well.")
@click.option(
    "--ready-loop-lag",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Not ready while the event loop is later than that, seconds.",
)
@click.option(
    "--ready-queue-age",
    default=2.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Not ready while a request has waited that long for a thread, seconds.",
)
@click.option(
    "--ready-saturation",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Not ready while more than this share of the threads is wanted.",
)
@click.option("--timing", is_flag=True, help="Say in a Server-Timing header of each response where its time went.")
@click.option("--log-level", default="info", show_default=True, type=click.Choice(_LOG_LEVELS))
@click.option("--log-format", default="text", show_default=True, type=click.Choice(("text", "json")))
@click.option("--quiet", is_flag=True, help="Do not print the routes.")
def run(
    target: str,
    app_dir: str | None,
    factory: bool,
    natives: tuple[str, ...],
    plugins: tuple[str, ...],
    plugin_hashes: tuple[str, ...],
    no_installed_plugins: bool,
    with_traceback: bool,
    host: str,
    port: int,
    uds: str | None,
    fd: int | None,
    ssl_certfile: str | None,
    ssl_keyfile: str | None,
    ssl_keyfile_password: str | None,
    ssl_cert_reqs: int,
    ssl_ca_certs: str | None,
    handshake_timeout: float,
    workers: int,
    reload: bool,
    reload_dirs: tuple[str, ...],
    reload_includes: tuple[str, ...],
    reload_excludes: tuple[str, ...],
    io_threads: int,
    http2: bool,
    root_path: str,
    proxy_headers: bool,
    forwarded_allow_ips: str | None,
    proxy_protocol: bool,
    max_body: int,
    limit_request_head: int,
    limit_request_line: int,
    limit_request_fields: int,
    limit_connections: int,
    timeout_head: float,
    timeout_body: float,
    timeout_keep_alive: float,
    native_timeout: float,
    drain_timeout: float,
    heartbeat_timeout: float,
    max_requests: int | None,
    max_requests_jitter: int,
    lifespan: Any,
    no_uvloop: bool,
    access_log: bool,
    access_log_format: str | None,
    request_id: bool,
    probes: bool,
    admin: str | None,
    ready_loop_lag: float,
    ready_queue_age: float,
    ready_saturation: float,
    timing: bool,
    log_level: str,
    log_format: str,
    quiet: bool,
) -> None:
    """Serve an application until SIGINT or SIGTERM.

    SIGHUP takes in plugin libraries that have changed; with several workers it replaces these by new ones.
    """
    native_routes = _native_routes(natives)
    if reload and workers > 1:
        raise click.UsageError("--reload is for development, with one worker: leave out --workers")
    if not reload and (reload_dirs or reload_includes or reload_excludes):
        raise click.UsageError("--reload-dir, --reload-include and --reload-exclude belong to --reload")
    if uds is not None and fd is not None:
        raise click.UsageError("--uds and --fd name different sockets: leave one out")
    if proxy_protocol and not proxy_headers:
        raise click.UsageError("--proxy-protocol believes trusted proxies: leave out --no-proxy-headers")
    link = inherited(drain_timeout)
    with one_line_errors(with_traceback, of_application=reload and link is not None):
        set_log(log_level, log_format, access_log_format)
        logging.basicConfig(
            level=_PYTHON_LEVELS.get(log_level) or log_level.upper(), format="%(levelname)s %(name)s: %(message)s"
        )
        if link is None and (reload or workers > 1 or max_requests is not None):
            supervise(
                host=host,
                port=port,
                uds=uds,
                fd=fd,
                workers=workers,
                drain_timeout=drain_timeout,
                heartbeat_timeout=heartbeat_timeout,
                admin=admin,
                companion=_watch(reload_dirs or (app_dir or ".",), reload_includes, reload_excludes)
                if reload
                else None,
            )
            return
        app = load_app(target, app_dir, factory)
        server = Server(
            app,
            host=host,
            port=port,
            uds=uds,
            fd=fd,
            ssl_certfile=ssl_certfile,
            ssl_keyfile=ssl_keyfile,
            ssl_keyfile_password=ssl_keyfile_password,
            ssl_cert_reqs=ssl_cert_reqs,
            ssl_ca_certs=ssl_ca_certs,
            handshake_timeout=handshake_timeout,
            proxy_protocol=proxy_protocol,
            http2=http2,
            lifespan=lifespan,
            root_path=root_path,
            forwarded_allow_ips=forwarded_allow_ips if proxy_headers else (),
            plugins=plugins,
            plugin_hashes=plugin_hashes or None,
            installed_plugins=not no_installed_plugins,
            native=native_routes,
            uvloop=not no_uvloop,
            io_threads=io_threads,
            max_body_size=max_body,
            max_head_size=limit_request_head,
            max_request_line=limit_request_line,
            max_header_fields=limit_request_fields,
            max_connections=limit_connections,
            head_timeout=timeout_head,
            body_timeout=timeout_body,
            keep_alive=timeout_keep_alive,
            native_timeout=native_timeout,
            drain_timeout=drain_timeout,
            access_log=access_log,
            request_id=request_id,
            probes=probes,
            admin=admin,
            ready_loop_lag=ready_loop_lag,
            ready_queue_age=ready_queue_age,
            ready_saturation=ready_saturation,
            timing=timing,
        )
        if link is not None:
            more = random.randint(0, max_requests_jitter)
            server._serve_as_worker(link, max_requests + more if max_requests is not None else None)

        def ready(server: Server) -> None:
            if link is None or link.first:
                if not quiet:
                    print_table(server.plans)
                processes = f" ({workers} workers)" if workers > 1 else ""
                print(f"Bimetal {build_info()['version']} serves {target} on {server.url}{processes}", flush=True)
            if link is not None and reload:
                server._watch_libraries(appeared=link.ask_to_leave)

        server.serve_forever(ready)


@main.command()
@_application_options
@click.option("--json", "as_json_text", is_flag=True, help="A JSON array for programs, one object for each route.")
@click.option(
    "--observed",
    metavar="URL",
    help="Where the time of requests goes, as the server at URL has observed it; URL has the native handler `metrics`.",
)
def routes(
    target: str,
    app_dir: str | None,
    factory: bool,
    natives: tuple[str, ...],
    plugins: tuple[str, ...],
    plugin_hashes: tuple[str, ...],
    no_installed_plugins: bool,
    with_traceback: bool,
    as_json_text: bool,
    observed: str | None,
) -> None:
    """Show each route with its lane, and why it is not on a faster one.

    --json prints an array in order of matching. Each object has "path", "methods" (empty: all), "lane" (native, sync,
    async or asgi), "handler" and "reason" (null where nothing is lost).

    --observed asks a running server for its metrics and shows the routes that had requests, by the time spent: outside
    the handler (waiting for the lane, waiting for the interpreter, making bytes) and inside it.
    """
    native_routes = _native_routes(natives)
    with one_line_errors(with_traceback):
        app = load_app(target, app_dir, factory)
        server = Server(
            app,
            plugins=plugins,
            plugin_hashes=plugin_hashes or None,
            installed_plugins=not no_installed_plugins,
            native=native_routes,
        )
        plans = server.compile()
        if observed is not None:
            # Not needed by servers: an HTTP client comes with it.
            from bimetal import observed as observing

            found = observing.observe(observed, plans)
            if as_json_text:
                print(json.dumps(observing.as_json(found), indent=2))
            else:
                observing.print_observed(found)
        elif as_json_text:
            print(json.dumps(as_json(plans), indent=2))
        else:
            print_table(plans)
            if (line := at_edge(server.edge)) is not None:
                print(f"\n{line}")


main.add_command(plugin)


@main.command()
def version() -> None:
    """Show the versions of Bimetal, its plugin interface and the Python it runs in, and whether that has a GIL."""
    info = build_info()
    print(f"bimetal {info['version']}")
    for name, value in sorted(info.items()):
        if name != "version":
            print(f"{name} {value}")
    print(f"python {platform.python_version()} ({platform.python_implementation()})")


def _watch(folders: tuple[str, ...], include: tuple[str, ...], exclude: tuple[str, ...]) -> Companion:
    from bimetal.watching import Sources

    # Each change is said by the supervisor, in fewer words.
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    sources = Sources(folders, include, exclude)
    return lambda supervisor: sources.watch(supervisor.replace)


def _native_routes(natives: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in natives:
        path, equals, handler = text.partition("=")
        if not equals or not handler or not path.startswith("/"):
            raise click.BadParameter(f"{text!r} is not PATH=HANDLER, like /health=health", param_hint="--native")
        found[path] = handler
    return found
