"""Plugin libraries made for tests: C sources compiled on the spot, and the Rust crate in `fixtures/faulty`."""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path

from harness.servers import REPOSITORY, TESTS

EXAMPLE_TARGET = REPOSITORY / "target" / "examples"
#: Upper bound for a build from nothing, in seconds.
BUILD_TIMEOUT = 900.0


@functools.cache
def cargo_build(manifest: str) -> Path:
    """Build a crate with its examples' shared target directory; returns the folder with the results."""
    command = [
        "cargo",
        "build",
        "--release",
        "--target-dir",
        str(EXAMPLE_TARGET),
        "--manifest-path",
        str(REPOSITORY / manifest),
    ]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=BUILD_TIMEOUT)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stderr}"
    return EXAMPLE_TARGET / "release"


def faulty_plugin() -> Path:
    return cargo_build("python/tests/fixtures/faulty/Cargo.toml") / "libfaulty.so"


def hot_plugin() -> Path:
    return cargo_build("examples/hybrid/hot/Cargo.toml") / "libhot.so"


def compile_c(folder: Path, name: str, *defines: str) -> Path:
    """`fixtures/plugin.c` as a library; `defines` choose what is wrong with it."""
    library = folder / f"lib{name}.so"
    command = [
        os.environ.get("CC", "cc"),
        "-shared",
        "-fPIC",
        "-Wall",
        "-Werror",
        "-std=c11",
        "-O1",
        f'-DNAME="{name}"',
    ]
    command += [f"-D{define}" for define in defines]
    command += [
        "-I",
        str(REPOSITORY / "native-handlers" / "abi"),
        "-o",
        str(library),
        str(TESTS / "fixtures" / "plugin.c"),
    ]
    subprocess.run(command, check=True, timeout=60)
    library.chmod(0o755)
    return library
