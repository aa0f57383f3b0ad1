"""Replacing a plugin library under a server that serves."""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from bimetal import Bimetal, Server
from bimetal.errors import PluginError
from harness.load import Clients
from harness.plugins import compile_generation
from harness.servers import START_TIMEOUT, ServerProcess, start_bimetal
from harness.wire import Connection, get, request

pytestmark = pytest.mark.bimetal_only

RELOADS = 200


@functools.cache
def versions() -> Path:
    """The folder in which built versions lie, for the whole session."""
    return Path(tempfile.mkdtemp(prefix="bimetal-generations-"))


@functools.cache
def built(version: str, *defines: str) -> Path:
    return compile_generation(versions(), version, *defines)


@pytest.fixture(scope="module", autouse=True)
def _remove_versions() -> Iterator[None]:
    yield
    shutil.rmtree(versions())


class Library:
    """The library that a server loads, in a folder of its own, and its journal."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "gen.so"
        self.env = {"FOLDER": str(folder)}

    def install(self, version: str, *defines: str) -> None:
        """Put a version in place, as a build does."""
        fresh = self.folder / "gen.so.new"
        shutil.copy(built(version, *defines), fresh)
        # What follows an ELF file means nothing to it: so each test has libraries that no other one in this process has.
        with fresh.open("ab") as end:
            end.write(str(self.folder).encode())
        fresh.rename(self.path)

    def go(self) -> None:
        (self.folder / "go").touch()

    @property
    def journal(self) -> list[str]:
        path = self.folder / "journal"
        return path.read_text().splitlines() if path.exists() else []

    def wait_for(self, line: str) -> None:
        until(lambda: line in self.journal, line)


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.005)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library(tmp_path)
    library.install("1")
    return library


@pytest.fixture
def served(library: Library) -> Iterator[ServerProcess]:
    with start_bimetal("reloading:app", "--io-threads", "2", env=library.env) as server:
        yield server.wait_ready()


def reload(port: int) -> list[dict[str, str]]:
    reply = request(port, "POST", "/reload")
    assert reply.status == 200, reply.text
    changes: list[dict[str, str]] = reply.json()
    return changes


class Load(Clients):
    """Clients that ask without a pause; each answer has to be a version's, whole and in order."""

    def __init__(self, port: int, answers: set[str]) -> None:
        self.port = port
        self.answers = answers
        kinds = [self._keep_alive, self._keep_alive, self._owned, self._new_connections]
        self.seen: list[set[str]] = [set() for _ in kinds]
        super().__init__([functools.partial(kind, seen) for kind, seen in zip(kinds, self.seen, strict=True)])

    def _keep_alive(self, seen: set[str]) -> None:
        with Connection(self.port) as connection:
            while not self._stop.is_set():
                reply = connection.request("GET", "/version")
                self._judge(reply.status, reply.text, seen)

    def _owned(self, seen: set[str]) -> None:
        with Connection(self.port) as connection:
            while not self._stop.is_set():
                reply = connection.request("GET", "/owned/20000")
                assert len(reply.body) == 20000 and len(set(reply.body)) == 1
                self._judge(reply.status, reply.text[0], seen)

    def _new_connections(self, seen: set[str]) -> None:
        while not self._stop.is_set():
            reply = get(self.port, "/version")
            self._judge(reply.status, reply.text, seen)

    def _judge(self, status: int, text: str, seen: set[str]) -> None:
        assert status == 200 and text in self.answers, (status, text)
        seen.add(text)


@pytest.mark.timeout(600)
def test_two_hundred_reloads_under_load(library: Library, served: ServerProcess) -> None:
    with Load(served.port, {"1", "2"}) as load, Connection(served.port) as old:
        for number in range(RELOADS):
            version = "21"[number % 2]
            library.install(version)
            changes = reload(served.port)
            assert [change["new_version"] for change in changes] == [version]
            assert old.request("GET", "/version").text == version
            assert get(served.port, "/version").text == version
            assert not load.failures
    assert not load.failures
    assert len(load.seen) == 4 and all(seen == {"1", "2"} for seen in load.seen)
    # Each generation but the last is drained and retired, once, after all of its bodies; its thread is gone. One that has not
    # drained when its version comes back is used again, so that there may be fewer of them than reloads.
    until(lambda: unretired(library.journal) == {"1": 1, "2": 0}, "the last generation is the only one")
    assert {"retire 1", "retire 2"} <= set(library.journal)
    assert not any("late" in line for line in library.journal)
    until(lambda: "bimetal-retire" not in threads_of(served.pid), "the end of the threads that retire")


def unretired(journal: list[str]) -> dict[str, int]:
    """How many generations of each version have not been retired."""
    return {version: journal.count(f"init {version}") - journal.count(f"retire {version}") for version in "12"}


def threads_of(pid: int) -> list[str]:
    names = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            names.append((task / "comm").read_text().strip())
        except OSError:
            continue  # it has just ended
    return names


def test_slow_requests_span_a_reload(library: Library, served: ServerProcess) -> None:
    with Connection(served.port) as waits, Connection(served.port) as blocks:
        waits.send_request("GET", "/waits")
        blocks.send_request("GET", "/blocks")
        library.wait_for("waits 1")
        library.wait_for("blocks 1")
        library.install("2")
        reload(served.port)
        for _ in range(20):
            assert get(served.port, "/version").text == "2"
        assert "retire 1" not in library.journal
        library.go()
        for slow in (waits, blocks):
            assert slow.read_reply().text == "1"
            assert slow.request("GET", "/version").text == "2"
    library.wait_for("retire 1")


def test_a_response_that_is_being_sent_outlives_its_generation(library: Library, served: ServerProcess) -> None:
    """Far more than the sockets hold: most of it is sent after the generation that made it has been retired."""
    size = 32 * 1024 * 1024
    with Connection(served.port) as connection:
        connection.send_request("GET", f"/owned/{size}")
        reply = connection.read_head()
        library.install("2")
        reload(served.port)
        library.wait_for("init 2")
        body = b"".join(connection.body(reply))
        assert len(body) == size and body.count(b"1") == size
        assert connection.request("GET", "/version").text == "2"
    library.wait_for("retire 1")
    assert library.journal == ["init 1", "init 2", "release 1", "retire 1"] or library.journal == [
        "init 1",
        "release 1",
        "init 2",
        "retire 1",
    ]


def test_what_is_not_native_does_not_hold_a_generation(library: Library, served: ServerProcess) -> None:
    """A response of the application may take hours: retiring a plugin does not wait for it."""
    with Connection(served.port) as connection:
        connection.send_request("GET", "/stream")
        parts = connection.body(connection.read_head())
        assert next(parts) == b"begun"
        library.install("2")
        reload(served.port)
        library.wait_for("retire 1")
        library.go()
        assert list(parts) == [b"done"]
        assert connection.request("GET", "/version").text == "2"


def test_a_library_that_is_the_same_is_left_alone(library: Library, served: ServerProcess) -> None:
    library.install("1")
    assert reload(served.port) == []
    assert library.journal == ["init 1"]


def test_sighup(library: Library, served: ServerProcess) -> None:
    def hang_up(says: str) -> str:
        since = served.output_size
        served.process.send_signal(signal.SIGHUP)
        return served.wait_output(says, since)

    hang_up("no plugin library has changed")
    library.install("2")
    hang_up("is reloaded: version 2, before 1")
    assert get(served.port, "/version").text == "2"
    library.path.write_bytes(library.path.read_bytes()[:-100])
    hang_up("the plugins are not reloaded, the old versions go on serving: plugin `")
    assert "cut short" in served.output
    assert get(served.port, "/version").text == "2"
    library.install("1")
    hang_up("is reloaded: version 1, before 2")
    assert get(served.port, "/version").text == "1"
    assert served.stop() == 0


def test_the_sixty_fifth_library_asks_for_a_new_process(library: Library, served: ServerProcess) -> None:
    original = library.path.read_bytes()
    for number in range(1, 64):
        library.path.write_bytes(original + bytes(number))
        assert len(reload(served.port)) == 1
    library.path.write_bytes(original + bytes(64))
    refused = request(served.port, "POST", "/reload")
    assert refused.status == 409
    for part in (str(library.path), "load:", "64 libraries", "recycle the worker"):
        assert part in refused.text
    assert get(served.port, "/version").text == "1"


def bimetal_app(library: Library) -> Bimetal:
    app = Bimetal(plugins=[(library.path, {"folder": str(library.folder)})])

    @app.get("/version", handler_type="native", native="gen.version")
    def version() -> None: ...

    return app


def test_every_server_of_an_application_is_reloaded(library: Library) -> None:
    app = bimetal_app(library)
    assert app.reload_plugins() == []
    with Server(app) as first, Server(app) as second, Server(app) as stopped:
        stopped.stop()
        before = hashlib.sha256(library.path.read_bytes()).hexdigest()
        library.install("2")
        changes = first.reload_plugins()
        assert changes == [
            {
                "path": str(library.path),
                "plugin": "gen",
                "old_version": "1",
                "new_version": "2",
                "old_sha256": before,
                "new_sha256": hashlib.sha256(library.path.read_bytes()).hexdigest(),
            }
        ]
        assert [get(server.port, "/version").text for server in (first, second)] == ["2", "2"]
        library.wait_for("retire 1")
        assert app.reload_plugins() == second.reload_plugins() == []
        stopped.start()
        assert get(stopped.port, "/version").text == "2"


def test_a_server_of_another_application_keeps_its_version(library: Library) -> None:
    with Server(bimetal_app(library)) as one, Server(bimetal_app(library)) as other:
        library.install("2")
        one.reload_plugins()
        assert [get(server.port, "/version").text for server in (one, other)] == ["2", "1"]
        assert "retire 1" not in library.journal
        other.reload_plugins()
        assert get(other.port, "/version").text == "2"
        library.wait_for("retire 1")
    assert library.journal == ["init 1", "init 2", "retire 1", "retire 2"]


def test_plain_fastapi_with_routes_from_the_server(library: Library) -> None:
    plugins = [(library.path, {"folder": str(library.folder)})]
    with Server(FastAPI(), plugins=plugins, native={"/v": "gen.version"}) as server:
        library.install("2")
        server.reload_plugins()
        assert get(server.port, "/v").text == "2"
        library.install("3", "WITHOUT_VERSION")
        with pytest.raises(PluginError, match=r"route GET /v needs the handler 'gen\.version'"):
            server.reload_plugins()
        assert get(server.port, "/v").text == "2"


def test_the_document_says_what_the_new_version_says(served: ServerProcess, library: Library) -> None:
    def content() -> object:
        operation = get(served.port, "/openapi.json").json()["paths"]["/owned/{size}"]["get"]
        return operation["responses"]["200"]["content"]["application/json"]["schema"]

    before = content()
    meta = {
        "parameters": [{"name": "size", "in": "path", "required": True, "schema": {"type": "integer"}}],
        "response": {"status": 200, "content_type": "application/json", "schema": {"type": "boolean"}},
    }
    library.install("described", f"META={json.dumps(json.dumps(meta))}")
    reload(served.port)
    assert before != content() == {"type": "boolean"}
