"""Getting the systems ready: environments with pinned packages, and the crates."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import venv
import zlib
from collections.abc import Iterable
from pathlib import Path

from .page import say
from .systems import HERE, ROOT, System

_CACHE = ROOT / ".cache" / "load"


class NotInstalled(Exception):
    """A system cannot be had here; the text says why."""


def prepare(system: System, python: Path) -> dict[str, str]:
    """Installs what `system` needs and gives the values of its command's placeholders.

    `python` is the interpreter of Bimetal's own environment. Raises `NotInstalled` with what the installer said last.
    """
    if sys.version_info < system.oldest:
        raise NotInstalled(
            f"it needs Python {system.oldest[0]}.{system.oldest[1]} or newer, and this is {sys.version.split()[0]}"
        )
    for library, package in system.libraries:
        try:
            ctypes.CDLL(library)
        except OSError as error:
            raise NotInstalled(f"{library} is missing (Debian: apt-get install {package})") from error
    interpreter = python if system.requirements is None else _environment(system.requirements)
    for crate in system.crates:
        build(crate)
    return {
        "python": str(interpreter),
        "bin": str(interpreter.parent),
        "crates": str(_crates()),
        "apps": str(HERE / "apps"),
    }


def prepare_all(systems: Iterable[System]) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """What `prepare` gives for each system, by its name; and why those that cannot be had here are left out."""
    places, left_out = {}, {}
    for system in systems:
        say(f"installing {system.name}")
        try:
            places[system.name] = prepare(system, Path(sys.executable))
        except NotInstalled as error:
            left_out[system.name] = str(error)
    return places, left_out


def build(crate: str) -> Path:
    """Builds a crate of this folder in release mode; gives the folder with what was built."""
    manifest = str(HERE / crate / "Cargo.toml")
    _run("cargo", "build", "--release", "--quiet", "--manifest-path", manifest, "--target-dir", str(_crates().parent))
    return _crates()


def _crates() -> Path:
    return ROOT / "target" / "plugins" / "release"


def _environment(name: str) -> Path:
    """The interpreter of the environment with the packages of `requirements/<name>.txt`, made where it is missing."""
    pins = HERE / "requirements" / f"{name}.txt"
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    place = _CACHE / f"{name}-{version}-{zlib.crc32(pins.read_bytes()):08x}"
    interpreter = place / "bin" / "python"
    made = place / ".made"
    if not made.exists():
        venv.create(place, with_pip=True, clear=True)
        _run(str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(pins))
        made.touch()
    return interpreter


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise NotInstalled(f"{Path(command[0]).name} failed: {last}")
