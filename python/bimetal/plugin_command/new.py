"""`bimetal plugin new`: a crate that builds with cargo alone, and a wheel around its library."""

from __future__ import annotations

import os
import re
import shutil
from importlib import resources
from pathlib import Path

from bimetal.errors import BimetalError
from bimetal.plugin_command.sdk import copy_sdk, find_sdk

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
#: Words of Rust, crates the plugin depends on, and plugins there are already.
_TAKEN = re.compile(
    "abstract|as|async|await|become|box|break|const|continue|crate|do|dyn|else|enum|extern|false|final|fn|for|gen|if|"
    "impl|in|let|loop|macro|match|mod|move|mut|override|priv|pub|ref|return|self|static|struct|super|trait|true|try|"
    "type|typeof|unsafe|unsized|use|virtual|where|while|yield|"
    "alloc|bimetal|bimetal_abi|bimetal_macros|builtin|core|proc_macro|schemars|serde|std|test|tokio"
)
#: Where each template goes. They have `.in` behind their names, so that no tool takes them for what they become.
_FILES = {
    "Cargo.toml": "Cargo.toml",
    "lib.rs": "src/lib.rs",
    "pyproject.toml": "pyproject.toml",
    "setup.py": "setup.py",
    "__init__.py": "bimetal_plugin_@NAME@/__init__.py",
    "MANIFEST.in": "MANIFEST.in",
    "gitignore": ".gitignore",
    "README.md": "README.md",
}
_COPY = "bimetal-sdk"
_COPY_NOTE = f"""
`{_COPY}/` is a copy of the crates that plugins are built with, as this version of Bimetal has them. Commit it: with it
the plugin builds anywhere with cargo alone. To build with those of another version, replace the folder by that of a
plugin made with it, or let `bimetal` in `Cargo.toml` be another path.
"""


def check_name(name: str) -> None:
    """Raise BimetalError for what cannot be the name of a plugin."""
    if not _NAME.fullmatch(name):
        near = re.sub(r"[^a-z0-9_]", "_", name.lower()).lstrip("_0123456789")[:64]
        hint = f", for example {near!r}" if _NAME.fullmatch(near) else ""
        raise BimetalError(
            f"{name!r} cannot be the name of a plugin: use up to 64 lower-case letters, digits and '_', "
            f"beginning with a letter{hint}"
        )
    if _TAKEN.fullmatch(name):
        raise BimetalError(
            f"{name!r} cannot be the name of a plugin: it is a word of Rust, or of a crate plugins are built with; "
            f"use another, for example {'my_' + name!r}"
        )


def create(name: str, target: Path, sdk: Path | None = None) -> None:
    """Make the crate in `target`, which must not be there.

    Args:
        name: The plugin's name.
        target: The folder to make.
        sdk: A clone of Bimetal to depend on; None copies the sources of the SDK into the plugin.

    Raises:
        BimetalError: The name is none, the folder is there, or `sdk` is no SDK.
    """
    check_name(name)
    if os.path.lexists(target):
        raise BimetalError(f"{target} is there already; remove it, or name another folder with --path DIR")
    crate = None
    if sdk is not None:
        crate = find_sdk(sdk)
        if crate is None:
            raise BimetalError(
                f"--sdk {sdk}: there is no crate `bimetal` in it; give the folder of a clone of Bimetal, or leave it "
                "out to copy the SDK of this version"
            )
    try:
        target.mkdir(parents=True)
    except OSError as error:
        raise BimetalError(f"{target} cannot be made: {error.strerror}; name another folder with --path DIR") from None
    try:
        if crate is None:
            copy_sdk(target / _COPY)
        _write_templates(name, target, crate)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def _write_templates(name: str, target: Path, crate: Path | None) -> None:
    sdk = f"{_COPY}/native-handlers/sdk" if crate is None else os.path.relpath(crate, target)
    values = {
        "@NAME@": name,
        "@DASHED@": name.replace("_", "-"),
        "@SDK@": sdk,
        "@EXCLUDE@": f'\nexclude = ["{_COPY}"]' if crate is None else "",
        "@SDK_NOTE@": _COPY_NOTE if crate is None else "",
    }
    templates = resources.files("bimetal.plugin_command") / "templates"
    for template, place in _FILES.items():
        text = (templates / f"{template}.in").read_text(encoding="utf-8")
        for mark, value in values.items():
            text = text.replace(mark, value)
            place = place.replace(mark, value)
        file = target / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
