"""The command line: `bimetal run`, `bimetal routes`, `bimetal plugin`, `bimetal version`.

Errors are one line on stderr and exit code 1, wrong usage is exit code 2. `--traceback` shows where one comes from.
"""

from __future__ import annotations

import json
import logging
import platform
import random
from typing import Any

import click
from typing_extensions import Unpack

from bimetal._core import build_info, set_log
from bimetal.command_errors import one_line_errors
from bimetal.compile.edge import at_edge
from bimetal.last_resort import leave
from bimetal.loading import load_app
from bimetal.options import Limits
from bimetal.plugin_command import plugin
from bimetal.run_options import (
    application_options,
    lifespan_options,
    limit_options,
    listening_options,
    observing_options,
    process_options,
    protocol_options,
)
from bimetal.server import Server
from bimetal.table import as_json, print_table
from bimetal.worker import Companion, inherited, supervise

_PYTHON_LEVELS = {"warn": logging.WARNING, "trace": logging.DEBUG}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Serve FastAPI applications from Rust, with native handlers for the hot routes."""


@main.command()
@application_options
@listening_options
@process_options
@protocol_options
@limit_options
@lifespan_options
@observing_options
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
    workers: int,
    reload: bool,
    reload_dirs: tuple[str, ...],
    reload_includes: tuple[str, ...],
    reload_excludes: tuple[str, ...],
    root_path: str,
    proxy_headers: bool,
    forwarded_allow_ips: str | None,
    heartbeat_timeout: float,
    startup_timeout: float,
    max_requests: int | None,
    max_requests_jitter: int,
    max_memory: int | None,
    max_memory_jitter: int,
    lifespan: Any,
    no_uvloop: bool,
    access_log_format: str | None,
    admin: str | None,
    log_level: str,
    log_format: str,
    quiet: bool,
    **limits: Unpack[Limits],
) -> None:
    """Serve an application until SIGINT or SIGTERM.

    SIGHUP takes in plugin libraries that have changed; with several workers it replaces these by new ones.
    """
    # An option that is an argument of `Server` has its name, and goes there as it is.
    uds, fd, drain_timeout = limits["uds"], limits["fd"], limits["drain_timeout"]
    dashboard = limits["dashboard"] = reload if limits["dashboard"] is None else limits["dashboard"]
    native_routes = _native_routes(natives)
    if reload and workers > 1:
        raise click.UsageError("--reload is for development, with one worker: leave out --workers")
    if not reload and (reload_dirs or reload_includes or reload_excludes):
        raise click.UsageError("--reload-dir, --reload-include and --reload-exclude belong to --reload")
    if uds is not None and fd is not None:
        raise click.UsageError("--uds and --fd name different sockets: leave one out")
    if limits["proxy_protocol"] and not proxy_headers:
        raise click.UsageError("--proxy-protocol believes trusted proxies: leave out --no-proxy-headers")
    link = inherited(drain_timeout)
    with one_line_errors(with_traceback, of_application=reload and link is not None):
        set_log(log_level, log_format, access_log_format)
        logging.basicConfig(
            level=_PYTHON_LEVELS.get(log_level) or log_level.upper(), format="%(levelname)s %(name)s: %(message)s"
        )
        replaced = max_requests is not None or max_memory is not None
        if link is None and (reload or workers > 1 or replaced):
            supervise(
                host=host,
                port=port,
                uds=uds,
                fd=fd,
                workers=workers,
                drain_timeout=drain_timeout,
                heartbeat_timeout=heartbeat_timeout,
                startup_timeout=startup_timeout,
                max_memory=max_memory,
                max_memory_jitter=max_memory_jitter,
                admin=admin,
                dashboard=dashboard,
                companion=_watch(reload_dirs or (app_dir or ".",), reload_includes, reload_excludes)
                if reload
                else None,
            )
            return
        if link is not None:
            link.stage(f"importing {target}")
        app = load_app(target, app_dir, factory)
        if link is not None:
            link.stage(f"compiling the routes of {target} and loading plugins")
        server = Server(
            app,
            host=host,
            port=port,
            lifespan=lifespan,
            root_path=root_path,
            forwarded_allow_ips=forwarded_allow_ips if proxy_headers else (),
            plugins=plugins,
            plugin_hashes=plugin_hashes or None,
            installed_plugins=not no_installed_plugins,
            native=native_routes,
            uvloop=not no_uvloop,
            admin=admin,
            **limits,
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
                if dashboard:
                    place = server.url if admin is None else f"http://{admin}"
                    print(f"What becomes of its routes: {place}/_bimetal/", flush=True)
            if link is not None and reload:
                server._watch_libraries(appeared=link.ask_to_leave)

        server.serve_forever(ready)
        if server._stuck:
            leave()


@main.command()
@application_options
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
