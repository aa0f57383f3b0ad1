"""`StaticFolder`: a folder whose files the server sends, for `app.static`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bimetal.errors import BimetalError, RouteError


@dataclass(frozen=True)
class StaticFolder:
    """How a folder is served; what `app.static` mounts. See `bimetal.routing.NativeRoutes.static`."""

    directory: str
    html: bool = False
    index: bool = False
    precompressed: bool = True
    cache_control: str | None = None
    immutable: tuple[str, ...] = ()
    follow_symlinks: bool = False
    dotfiles: bool = False
    bypass: tuple[str, ...] = ()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Refuse: no Python serves these files."""
        raise BimetalError(
            f"the files of {self.directory} (app.static) are sent by Bimetal's server only; run the application with "
            "`bimetal run`, or mount a StaticFiles for other servers"
        )


def static_folder(
    path: str,
    directory: str | os.PathLike[str],
    *,
    cache_control: str | None,
    immutable: Sequence[str],
    bypass: Sequence[str],
    **flags: bool,
) -> StaticFolder:
    """The folder that `app.static(path, ...)` mounts. Raises RouteError where it cannot be served as given."""
    where = f"static files {path}"
    if not path.startswith("/"):
        raise RouteError(f"{where}: the path must start with '/'")
    if not Path(directory).is_dir():
        raise RouteError(f"{where}: {os.fspath(directory)} is no directory; create it, or correct directory=")
    if isinstance(immutable, str):
        raise RouteError(f"{where}: immutable= takes a list of patterns; write immutable=[{immutable!r}]")
    if isinstance(bypass, str):
        raise RouteError(f"{where}: bypass= takes a list of names; write bypass=[{bypass!r}]")
    if cache_control is not None and not (cache_control.isascii() and cache_control.isprintable()):
        raise RouteError(f"{where}: cache_control={cache_control!r} is no value of a header field")
    return StaticFolder(
        directory=os.fspath(directory),
        cache_control=cache_control,
        immutable=tuple(immutable),
        bypass=tuple(bypass),
        **flags,
    )
