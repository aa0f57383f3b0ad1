"""The SDK's sources as they are copied into a new plugin: its three crates in a workspace of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from bimetal._core import build_info, sdk_sources

#: Where the crate that plugins depend on is, below the copy.
CRATE = "native-handlers/sdk"

_TABLE = re.compile(r"^\[(?P<name>[^\[\]]+)\]\n(?P<lines>(?:(?!\[).*\n?)*)", re.MULTILINE)
_INHERITED = re.compile(r"^([\w-]+)(?:\.workspace = true| = \{ workspace = true)", re.MULTILINE)


def copy_sdk(target: Path) -> None:
    """Write the sources below `target`, which must not be there."""
    sources = sdk_sources()
    manifest = sources.pop("Cargo.toml")
    for name, text in sources.items():
        file = target / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    (target / "Cargo.toml").write_text(_workspace(manifest, sources), encoding="utf-8")


def find_sdk(path: Path) -> Path | None:
    """The folder of the crate `bimetal` in `path`: a clone of Bimetal, a copy of the SDK, or the crate itself."""
    for folder in (path, path / CRATE):
        manifest = folder / "Cargo.toml"
        if manifest.is_file() and re.search(r'^name = "bimetal"$', manifest.read_text(encoding="utf-8"), re.MULTILINE):
            return folder
    return None


def _workspace(manifest: str, sources: Mapping[str, str]) -> str:
    """The repository's workspace manifest, reduced to the crates that are copied and what they depend on."""
    manifests = {name.rpartition("/")[0]: text for name, text in sources.items() if name.endswith("/Cargo.toml")}
    needed = {name for text in manifests.values() for name in _INHERITED.findall(text)}
    members = ", ".join(f'"{folder}"' for folder in sorted(manifests))
    parts = [
        f"# The crates that plugins are built with: a copy of those of Bimetal {build_info()['version']}.\n"
        f'[workspace]\nresolver = "2"\nmembers = [{members}]\n'
    ]
    for table in _TABLE.finditer(manifest):
        name, lines = table["name"], table["lines"].strip()
        if name == "workspace.dependencies":
            lines = "\n".join(line for line in lines.splitlines() if line.partition(" = ")[0] in needed)
        elif not name.startswith(("workspace.package", "workspace.lints")):
            continue
        parts.append(f"[{name}]\n{lines}\n")
    return "\n".join(parts)
