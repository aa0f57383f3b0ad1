"""What comes from PyPI for the tests: the applications of FastAPI's documentation, and other FastAPI releases."""

from __future__ import annotations

import functools
import importlib.metadata
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from harness.servers import REPOSITORY

FOLDERS = ("bigger_applications", "websockets_")
#: Upper bound for the download, in seconds.
FETCH_TIMEOUT = 300.0


@functools.cache
def docs_src() -> Path:
    """The folder `docs_src`, fetched once with pip into the repository's `.cache`, which is not committed."""
    version = importlib.metadata.version("fastapi")
    target = REPOSITORY / ".cache" / f"fastapi-{version}" / "docs_src"
    if target.exists():
        return target
    with tempfile.TemporaryDirectory() as temporary:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "fastapi"]
        command += ["--dest", temporary, f"fastapi=={version}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_TIMEOUT)
        archives = list(Path(temporary).glob("fastapi-*.tar.gz"))
        if done.returncode or not archives:
            raise AssertionError(
                f"FastAPI's source distribution cannot be fetched; these tests need PyPI once.\n{' '.join(command)}:\n{done.stderr}"
            )
        partial = target.with_name("docs_src.partial")
        shutil.rmtree(partial, ignore_errors=True)
        with tarfile.open(archives[0]) as archive:
            for member in archive.getmembers():
                parts = Path(member.name).parts[1:]
                content = archive.extractfile(member)
                if content is None or parts[:1] != ("docs_src",) or parts[1] not in FOLDERS or ".." in parts:
                    continue
                file = partial.joinpath(*parts[1:])
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content.read())
        partial.rename(target)
    return target


@functools.cache
def installed_beside(*requirements: str) -> Path:
    """A folder with these distributions and nothing else, fetched once with pip into the repository's `.cache`.

    Put before the others on the path of a process, it gives it other releases than those that are installed.
    """
    target = REPOSITORY / ".cache" / "versions" / "+".join(requirements)
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", f"{temporary}/new"]
        done = subprocess.run([*command, *requirements], capture_output=True, text=True, timeout=FETCH_TIMEOUT)
        if done.returncode:
            raise AssertionError(f"this test needs PyPI once.\n{' '.join(command)}:\n{done.stderr}")
        Path(temporary, "new").rename(target)
    return target
