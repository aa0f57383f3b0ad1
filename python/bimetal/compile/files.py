"""Which mounted `StaticFiles` the server answers in Rust.

The server gives the answers of Starlette's own `StaticFiles`, made with plain arguments. What only Python can tell (an
exception handler's answer, an odd date) it has the application say, by the same `StaticFiles`.
"""

from __future__ import annotations

import email.utils
import mimetypes
import os
import pathlib
import sys
from dataclasses import dataclass
from typing import Any

import starlette
import starlette.exceptions
import starlette.responses
import starlette.staticfiles
from fastapi import FastAPI
from fastapi.exception_handlers import http_exception_handler
from starlette.staticfiles import StaticFiles

from bimetal.binding import HandlerInfo
from bimetal.compile import reason, versions
from bimetal.compile.application import middleware_name, overridden, telemetry_enabled
from bimetal.compile.edge import STARLETTE, Recognised, is_own
from bimetal.compile.native import accepted, bypassed_by_app
from bimetal.compile.reason import NotCompiled
from bimetal.errors import RouteError
from bimetal.static import StaticFolder

#: What a `StaticFiles` has of its own; anything else was put there by the application.
_ATTRIBUTES = {"directory", "packages", "all_directories", "html", "config_checked", "follow_symlink"}

#: What it works with, by its name in each module.
_PARTS: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (
        starlette.staticfiles,
        (
            *("StaticFiles", "NotModifiedResponse", "FileResponse", "RedirectResponse", "Response"),
            *("Headers", "URL", "HTTPException", "get_route_path"),
        ),
    ),
    (starlette.responses, ("FileResponse", "PlainTextResponse", "Response", "Headers", "MutableHeaders")),
)

#: What `bypassed_by_app` asks of a handler: it is one of the server's own, and reads nothing.
_BUILT_IN = HandlerInfo(name="static", plugin="builtin", source="builtin", kind="sync", meta="{}")

#: Statuses that a `StaticFiles` raises as `HTTPException`.
_ERRORS = (401, 404, 405)


@dataclass(frozen=True)
class TypeTables:
    """What `mimetypes` knows, as header values."""

    #: Extension, in lower case and with its dot, to `Content-Type`.
    types: dict[str, str]
    #: Extension to those that it stands for.
    suffixes: dict[str, str]
    #: Extensions that say how a file is packed.
    encodings: frozenset[str]


@dataclass(frozen=True)
class StaticFilesPlan:
    """A `StaticFiles` that the server answers for."""

    directories: tuple[str, ...]
    html: bool
    follow_symlink: bool
    #: Whether Starlette insists on the first directory.
    checked: bool
    #: Whether the application answers `HTTPException` as FastAPI does.
    plain_errors: bool
    #: Whether the server sees the scheme that the application sees.
    knows_scheme: bool
    tables: TypeTables


@dataclass(frozen=True)
class FolderPlan:
    """A folder of `app.static`."""

    folder: StaticFolder
    tables: TypeTables


def static_files_plan(
    app: FastAPI, mount: Any, edge: Recognised, *, knows_scheme: bool, recorded: bool
) -> StaticFilesPlan | None:
    """How the server answers for what `mount` holds; None where that is no `StaticFiles` of Starlette's.

    `edge`: the application's middleware, divided. `knows_scheme`, `recorded`: see `Compilation`.

    Raises:
        NotCompiled: It is one, but what is around it, or has been changed, would be left out.
    """
    files = mount.app
    if type(files) is not StaticFiles:
        return None
    version = versions.parse(starlette.__version__)
    if version is None or version[:2] not in STARLETTE:
        known = ", ".join(f"{major}.{minor}" for major, minor in STARLETTE)
        raise NotCompiled(reason.FILES_VERSION, version=starlette.__version__, versions=known)
    if edge.remaining:
        raise NotCompiled(reason.FILES_WITHIN, names=", ".join(map(middleware_name, edge.remaining)))
    if telemetry_enabled(app) and not recorded:
        raise NotCompiled(reason.FILES_TELEMETRY)
    changed = _changed(mount, files)
    if changed is not None:
        raise NotCompiled(reason.FILES_CHANGED, part=changed)
    return StaticFilesPlan(
        directories=tuple(os.fspath(directory) for directory in files.all_directories),
        html=bool(files.html),
        follow_symlink=bool(files.follow_symlink),
        checked=files.directory is not None,
        plain_errors=_plain_errors(app),
        knows_scheme=knows_scheme,
        tables=type_tables(),
    )


def folder_plan(
    app: FastAPI, path: str, folder: StaticFolder, *, recorded: bool, behind: str | None
) -> tuple[FolderPlan, str | None]:
    """How the server sends the files of `app.static`, and what of the application that bypasses, as a reason.

    `behind`: a route that may take requests from those that stand behind it.

    Raises:
        RouteError: It would bypass what `bypass` does not name, or may not get its requests.
    """
    where = f"static files {path} ({folder.directory})"
    if behind is not None:
        raise RouteError(f"{where}: they cannot stand behind {behind}; declare them earlier")
    skipped = bypassed_by_app(app, _BUILT_IN, recorded=recorded)
    skipped += [f"exception_handler:{name}" for name in _own_errors(app)]
    refused = [item for item in skipped if not accepted(item, folder.bypass)]
    if refused:
        listed = ", ".join(f'"{item}"' for item in refused)
        raise RouteError(
            f"{where}: they would bypass {', '.join(refused)}; accept it with bypass=[{listed}], or mount a StaticFiles"
        )
    reasons = reason.BYPASSES(names=", ".join(skipped)) if skipped else None
    return FolderPlan(folder, type_tables()), reasons


def type_tables() -> TypeTables:
    """The types of files as Python's `mimetypes` knows them now, with Starlette's charset for text."""
    mimetypes.guess_type("")
    database: Any = mimetypes._db  # type: ignore[attr-defined]
    types = {
        extension: f"{kind}; charset=utf-8" if kind.startswith("text/") and "charset=" not in kind.lower() else kind
        for extension, kind in database.types_map[True].items()
    }
    return TypeTables(types, dict(database.suffix_map), frozenset(database.encodings_map))


def tables_fingerprint() -> int:
    """Changes when `mimetypes` has learnt of other types."""
    tables = type_tables()
    return hash((frozenset(tables.types.items()), frozenset(tables.suffixes.items()), tables.encodings))


def _changed(mount: Any, files: StaticFiles) -> str | None:
    """The first thing that is not as Starlette has made it."""
    for module, names in _PARTS:
        for name in names:
            part = getattr(module, name, None)
            if not is_own(part, name):
                return ".".join((module.__name__, name))
    if overridden(mount, starlette.routing.Mount, ("handle",)) is not None:
        return repr("handle")
    for attribute in vars(files).keys() ^ _ATTRIBUTES:
        return repr(attribute)
    kinds = (str, pathlib.PosixPath)
    if not all(type(directory) in kinds for directory in files.all_directories):
        return repr("directory")
    return next((name for name, as_ever in _facts() if not as_ever), None)


def _facts() -> list[tuple[str, bool]]:
    """What else the answers depend on."""
    responses: Any = starlette.responses
    files: Any = starlette.staticfiles
    response = responses.FileResponse
    database: Any = getattr(mimetypes, "_db", None)
    return [
        ("FileResponse.chunk_size", response.chunk_size == 64 * 1024),
        ("FileResponse.max_ranges", response.max_ranges == 100),
        ("FileResponse.media_type", response.media_type is None),
        ("Response.charset", response.charset == "utf-8"),
        ("guess_type", responses.guess_type is mimetypes.guess_type and _is_written_in(mimetypes, "guess_type")),
        ("mimetypes.MimeTypes", database is None or type(database) is mimetypes.MimeTypes),
        ("formatdate", responses.formatdate is email.utils.formatdate),
        ("parsedate", files.parsedate is email.utils.parsedate),
        ("mimetypes", all(kind.isascii() and kind.isprintable() for kind in type_tables().types.values())),
        ("sys.getfilesystemencoding", sys.getfilesystemencoding().lower() in ("utf-8", "utf8")),
    ]


def _is_written_in(module: Any, name: str) -> bool:
    home: str | None = getattr(getattr(module, name), "__module__", None)
    return home == str(module.__name__)


def _plain_errors(app: FastAPI) -> bool:
    """Whether an `HTTPException` of a `StaticFiles` gets FastAPI's own answer."""
    return not _own_errors(app)


def _own_errors(app: FastAPI) -> list[str]:
    """The names of the application's handlers for the exceptions that stand for a file that cannot be had."""
    handlers = app.exception_handlers
    found = [handlers[status] for status in _ERRORS if status in handlers]
    error = starlette.exceptions.HTTPException
    found += [handlers[base] for base in error.__mro__ if base in handlers][:1]
    own = [handler for handler in found if handler is not http_exception_handler]
    return list(dict.fromkeys(str(getattr(h, "__name__", None) or type(h).__name__) for h in own))
