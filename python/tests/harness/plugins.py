"""Plugin libraries made for tests: C sources compiled on the spot, and the Rust crates in `fixtures`."""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path

from harness.servers import REPOSITORY, TESTS

#: As in the Makefile: the program links another build of `libhot` than the plugin, under the same file name.
PLUGIN_TARGET = REPOSITORY / "target" / "plugins"
PROGRAM_TARGET = REPOSITORY / "target" / "examples"
#: Upper bound for a build from nothing, in seconds.
BUILD_TIMEOUT = 900.0


@functools.cache
def cargo_build(crate: str, target: Path) -> Path:
    """Build a crate of this repository; returns the folder with the results."""
    manifest = REPOSITORY / crate / "Cargo.toml"
    command = ["cargo", "build", "--release", "--target-dir", str(target), "--manifest-path", str(manifest)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=BUILD_TIMEOUT)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stderr}"
    return target / "release"


def caller_plugin() -> Path:
    return cargo_build("python/tests/fixtures/caller", PLUGIN_TARGET) / "libcaller.so"


def faulty_plugin() -> Path:
    return cargo_build("python/tests/fixtures/faulty", PLUGIN_TARGET) / "libfaulty.so"


def twin_plugin() -> Path:
    return cargo_build("python/tests/fixtures/twin", PLUGIN_TARGET) / "libtwin.so"


def hot_plugin() -> Path:
    return cargo_build("examples/hybrid/hot", PLUGIN_TARGET) / "libhot.so"


def counters_plugin() -> Path:
    return cargo_build("examples/shared-state/counters", PLUGIN_TARGET) / "libcounters.so"


def notes_plugin() -> Path:
    return cargo_build("examples/database/notes", PLUGIN_TARGET) / "libnotes.so"


def native_only_program() -> Path:
    return cargo_build("examples/native-only", PROGRAM_TARGET) / "native-only"


def compile_generation(folder: Path, version: str, *defines: str, flags: tuple[str, ...] = ()) -> Path:
    """A version of the host's `generation.c`, a plugin that is replaced while it serves, as `folder/VERSION.so`."""
    library = folder / f"{version}.so"
    fixtures = REPOSITORY / "native-handlers" / "host" / "tests" / "fixtures"
    command = [os.environ.get("CC", "cc"), "-shared", "-fPIC", "-pthread", "-Wall", "-Werror", "-O1"]
    if not any(define.startswith("VERSION=") for define in defines):
        defines = (f'VERSION="{version}"', *defines)
    command += [f"-D{define}" for define in defines]
    command += ["-I", str(REPOSITORY / "native-handlers" / "abi"), "-o", str(library), str(fixtures / "generation.c")]
    subprocess.run([*command, *flags], check=True, timeout=60)
    library.chmod(0o755)
    return library


def compile_c(folder: Path, name: str, *defines: str, source: str = "plugin.c") -> Path:
    """A plugin of `fixtures` as a library; `defines` choose what is wrong with `plugin.c`."""
    library = folder / f"lib{name}.so"
    command = [
        os.environ.get("CC", "cc"),
        "-shared",
        "-fPIC",
        "-Wall",
        "-Werror",
        "-std=gnu11",
        "-O1",
        f'-DNAME="{name}"',
    ]
    command += [f"-D{define}" for define in defines]
    command += [
        "-I",
        str(REPOSITORY / "native-handlers" / "abi"),
        "-o",
        str(library),
        str(TESTS / "fixtures" / source),
    ]
    subprocess.run(command, check=True, timeout=60)
    library.chmod(0o755)
    return library
