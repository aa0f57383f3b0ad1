"""The commands of `bimetal plugin`."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import click

from bimetal.command_errors import one_line_errors
from bimetal.errors import PluginError
from bimetal.installed import installed_plugins, is_name, named
from bimetal.plugin_command.new import create
from bimetal.plugin_command.report import Failure, Report, inspect, print_failure, print_report
from bimetal.table import print_columns


@click.group()
def plugin() -> None:
    """Make plugins with native handlers, and look into them."""


@plugin.command()
@click.argument("name", metavar="NAME")
@click.option("--path", metavar="DIR", help="The folder to make; NAME in the working directory by default.")
@click.option(
    "--sdk",
    metavar="DIR",
    help="Build with the crate `bimetal` of this clone of Bimetal, instead of a copy of the one in this package.",
)
@click.option("--traceback", "with_traceback", is_flag=True, help="Show where an error comes from.")
def new(name: str, path: str | None, sdk: str | None, with_traceback: bool) -> None:
    """Make a crate for a plugin called NAME, with one handler to begin with.

    It builds with cargo alone: the crates it needs of Bimetal are copied into it. `pip wheel .` in it makes a wheel
    that brings the built library to machines without Rust, where Bimetal finds it by itself.

    NAME begins with a lower-case letter and has lower-case letters, digits and '_' only: the handlers are called
    NAME.function.
    """
    with one_line_errors(with_traceback):
        target = Path(name if path is None else path)
        create(name, target, None if sdk is None else Path(sdk))
        print(f"made {target}/, the plugin {name!r} with the handler {name + '.hello'!r}; what to do next:\n")
        print(f"    cd {target}")
        print("    cargo build --release")
        print(f"    bimetal plugin check target/release/lib{name}.so\n")
        print(f"{target / 'README.md'} shows how to use it in an application and how to ship it.")
        if shutil.which("cargo") is None:
            print("cargo is not on the PATH: install Rust with https://rustup.rs first.")


@plugin.command()
@click.argument("file", metavar="FILE")
@click.option("--config", metavar="JSON", help="The configuration for the plugin's init.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object for programs.")
@click.option("--traceback", "with_traceback", is_flag=True, help="Show where an error comes from.")
def check(file: str, config: str | None, as_json: bool, with_traceback: bool) -> None:
    """Load a plugin as a server would, and show what it exports or why it does not load.

    FILE is the library, or the name of an installed plugin. The exit code is 0 when it loads, 1 when it does not. The
    plugin's init runs; give it its configuration with --config.

    --json prints an object: "file", "loads", and either "plugin" (name, version, abi, sdk, rustc, target, sha256)
    with "handlers" (name, kind, summary, parameters, request_body, response, schemas), or "error" (stage, reason,
    fix, message).
    """
    if config is not None:
        try:
            json.loads(config)
        except ValueError as error:
            raise click.BadParameter(f"not JSON: {error}", param_hint="--config") from None
    with one_line_errors(with_traceback):
        found: Report | Failure
        try:
            found = inspect(named(file).library() if is_name(file) else file, config)
        except PluginError as error:
            found = Failure.of(file, error)
        if as_json:
            print(json.dumps(found.as_json(), indent=2))
        elif isinstance(found, Report):
            print_report(found)
        else:
            print_failure(found)
    if isinstance(found, Failure):
        sys.exit(1)


@plugin.command("list")
@click.option("--json", "as_json", is_flag=True, help="A JSON array for programs, one object for each plugin.")
@click.option("--traceback", "with_traceback", is_flag=True, help="Show where an error comes from.")
def list_installed(as_json: bool, with_traceback: bool) -> None:
    """List the plugins installed with pip, which Bimetal finds without a path.

    Each has "name", "distribution", "library" (null where it cannot be found) and "problem" (null where there is none).
    """
    with one_line_errors(with_traceback):
        rows = []
        for name, offers in installed_plugins().items():
            for offer in offers:
                library, problem = None, None
                try:
                    library = offer.library()
                except PluginError as error:
                    problem = str(error)
                if len(offers) > 1:
                    problem = f"{len(offers)} distributions offer it"
                rows.append({"name": name, "distribution": offer.distribution, "library": library, "problem": problem})
        if as_json:
            print(json.dumps(rows, indent=2))
        elif rows:
            columns = ("name", "distribution", "library", "problem")
            print_columns(
                [tuple(column.upper() for column in columns)]
                + [tuple(row[column] or "" for column in columns) for row in rows]
            )
        else:
            print("no plugins are installed")
