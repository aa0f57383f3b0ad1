"""Fixtures of the end-to-end tests.

A test module names its application in `APP` and asks for `pair` (Bimetal and uvicorn side by side, for whatever must be the
same), for `journal` (a pair whose order of side effects is compared as well) or for `server` (Bimetal alone).
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

# So that a failed comparison shows both sides.
pytest.register_assert_rewrite("harness.compare", "harness.journal", "harness.styles", "harness.wire")

from harness.compare import Pair, serve_both  # noqa: E402
from harness.journal import Journal, serve_journal  # noqa: E402
from harness.plugins import caller_plugin, faulty_plugin, hot_plugin, twin_plugin  # noqa: E402
from harness.servers import REFERENCE_ONLY, ServerProcess, start_bimetal  # noqa: E402

if TYPE_CHECKING:
    from harness.tls import Authority, Issued

# For the tests with a thousand connections; the servers inherit it.
_FILES, _MOST_FILES = resource.getrlimit(resource.RLIMIT_NOFILE)
if _FILES < 4096:
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, _MOST_FILES), _MOST_FILES))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not REFERENCE_ONLY:
        return
    skip = pytest.mark.skip(reason="has no counterpart in uvicorn")
    for item in items:
        if item.get_closest_marker("bimetal_only"):
            item.add_marker(skip)


@pytest.fixture(scope="module")
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """The application `APP` of the module, on Bimetal and on uvicorn."""
    with serve_both(request.module.APP, *getattr(request.module, "ARGS", ())) as pair:
        yield pair


@pytest.fixture(scope="module")
def journal(request: pytest.FixtureRequest) -> Iterator[Journal]:
    """The application `APP` of the module, which notes what happens in it, on Bimetal and on uvicorn."""
    with serve_journal(request.module.APP) as journal:
        yield journal


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """The application `APP` of the module, on Bimetal."""
    with start_bimetal(request.module.APP, *getattr(request.module, "ARGS", ())) as server:
        yield server.wait_ready()


@pytest.fixture(scope="session")
def caller_library() -> Path:
    """The plugin of `fixtures/caller`."""
    return caller_plugin()


@pytest.fixture(scope="session")
def faulty_library() -> Path:
    """The plugin of `fixtures/faulty`. A fixture, because the time for a build does not count against a test."""
    return faulty_plugin()


@pytest.fixture(scope="session")
def hot_library() -> Path:
    """The plugin of `examples/hybrid`."""
    return hot_plugin()


@pytest.fixture(scope="session")
def twin_library() -> Path:
    """The plugin of `fixtures/twin`."""
    return twin_plugin()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority of the module's own."""
    # Not at the top: trustme cannot be installed on an interpreter without a GIL, where no test asks for it.
    from harness.tls import Authority

    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def issued(authority: Authority) -> Issued:
    """The certificate of a server, by that authority."""
    return authority.issue("server")
