"""FastAPI's source distribution, which carries its test suite."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

REPOSITORY = Path(__file__).resolve().parents[2]
CACHE = REPOSITORY / ".cache" / "conformance"
#: Upper bound for the download, in seconds.
_FETCH_TIMEOUT = 300.0


class SourceError(Exception):
    """The suite cannot be had; the text says what to do."""


def suite() -> Path:
    """The unpacked source distribution of the installed FastAPI, fetched once with pip."""
    version = importlib.metadata.version("fastapi")
    target = CACHE / f"fastapi-{version}"
    if target.exists():
        return target
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
        archive = _download(version, Path(temporary))
        unpacked = Path(temporary, "suite")
        _unpack(archive, unpacked)
        if not (unpacked / "tests").is_dir():
            raise SourceError(f"the source distribution of FastAPI {version} has no test suite; pin another version")
        unpacked.rename(target)
    return target


def _unpack(archive: Path, target: Path) -> None:
    """Everything but the package itself: the FastAPI that is tested is the installed one."""
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            content = tar.extractfile(member)
            path = PurePosixPath(*PurePosixPath(member.name).parts[1:])
            if content is None or path.parts[:1] == ("fastapi",):
                continue
            if path.is_absolute() or ".." in path.parts:
                raise SourceError(f"{archive.name}: {member.name} would be written outside of the folder")
            file = target / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.read())


def _download(version: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "fastapi"]
    command += ["--dest", str(folder), f"fastapi=={version}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_FETCH_TIMEOUT)
    except subprocess.TimeoutExpired:
        raise SourceError(f"{' '.join(command)}: no answer within {_FETCH_TIMEOUT:.0f} s; is PyPI reachable?") from None
    archives = list(folder.glob("fastapi-*.tar.gz"))
    if done.returncode or not archives:
        raise SourceError(f"FastAPI's source distribution cannot be fetched.\n{' '.join(command)}\n{done.stderr}")
    return archives[0]
