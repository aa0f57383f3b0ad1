"""Large files, slow clients, and files that change while they are sent."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.servers import APPS, ServerProcess, bimetal_command, free_port, start_bimetal, until
from harness.soak import descriptors, resident
from harness.tree import BIG, make_tree
from harness.wire import Connection, get

pytestmark = pytest.mark.bimetal_only

GIGABYTE = 1024**3
#: What the process may grow by while it sends, in bytes: nothing like the files.
GROWTH = 30 * 1024 * 1024


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("streams")
    root = make_tree(base)
    with (root / "sparse.bin").open("wb") as file:
        file.truncate(GIGABYTE)
        file.seek(GIGABYTE - 3)
        file.write(b"end")
    return base


@pytest.fixture(scope="module", params=["app", "assets"])
def server(request: pytest.FixtureRequest, base: Path) -> Iterator[ServerProcess]:
    with start_bimetal(f"static_files:{request.param}", env={"STATIC_FILES": str(base)}) as server:
        yield server.wait_ready()


@contextlib.contextmanager
def slow(server: ServerProcess, target: str) -> Iterator[Connection]:
    """A client with little room, which has read the head and nothing of the body."""
    connected = socket.socket()
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
    connected.settimeout(30)
    connected.connect(("127.0.0.1", server.port))
    with Connection.over(connected) as connection:
        connection.send_request("GET", target)
        yield connection


def test_a_gigabyte_is_sent_in_little_memory(server: ServerProcess) -> None:
    get(server.port, "/plain/big.bin")
    before, most, size = resident(server.pid), 0, 0
    with Connection(server.port) as connection:
        connection.send_request("GET", "/plain/sparse.bin")
        reply = connection.read_head()
        assert reply.header("content-length") == str(GIGABYTE)
        end = b""
        while size < GIGABYTE:
            piece = connection.reader.read1(1024 * 1024)
            assert piece
            size += len(piece)
            if size % (64 * 1024 * 1024) < len(piece):
                most = max(most, resident(server.pid))
            end = (end + piece)[-3:]
        assert (size, end) == (GIGABYTE, b"end")
        assert connection.request("GET", "/plain/plain.txt").status == 200
    assert most - before < GROWTH


def test_the_end_of_a_gigabyte(server: ServerProcess) -> None:
    reply = get(server.port, "/plain/sparse.bin", [("Range", "bytes=-3")])
    assert (reply.status, reply.body) == (206, b"end")
    assert get(server.port, "/plain/sparse.bin", [("Range", f"bytes={GIGABYTE}-")]).status == 416
    with Connection(server.port) as connection:
        head = connection.request("HEAD", "/plain/sparse.bin")
        assert (head.header("content-length"), head.body) == (str(GIGABYTE), b"")
        assert connection.request("GET", "/plain/plain.txt").status == 200


def test_a_slow_client_costs_the_others_nothing(server: ServerProcess) -> None:
    before = resident(server.pid)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(slow(server, "/plain/sparse.bin")) for _ in range(20)]
        for client in clients:
            assert client.read_head().status == 200
        for _ in range(50):
            assert get(server.port, "/plain/plain.txt").status == 200
        time.sleep(0.5)
        # What waits for a client is in its socket and the one chunk that follows.
        assert resident(server.pid) - before < GROWTH
        for client in clients:
            assert client.reader.read(1000) == b"\0" * 1000


def test_clients_that_leave_leave_nothing_open(server: ServerProcess) -> None:
    get(server.port, "/plain/big.bin")
    before = descriptors(server.pid)
    for _ in range(3):
        with contextlib.ExitStack() as stack:
            for _ in range(20):
                assert stack.enter_context(slow(server, "/plain/sparse.bin")).read_head().status == 200
            assert descriptors(server.pid) >= 40
    until(lambda: descriptors(server.pid) <= before + 2, "the files of clients that are gone are closed")


def test_a_file_that_is_replaced_while_it_is_sent_arrives_as_it_was(server: ServerProcess, base: Path) -> None:
    path = base / "root" / "replaced.bin"
    path.write_bytes(BIG * 16)
    with slow(server, "/plain/replaced.bin") as client:
        assert client.read_head().status == 200
        (base / "root" / "new.bin").write_bytes(b"new")
        (base / "root" / "new.bin").rename(path)
        assert client.reader.read(len(BIG) * 16) == BIG * 16
    assert get(server.port, "/plain/replaced.bin").body == b"new"


def test_a_file_that_is_removed_while_it_is_sent_arrives_whole(server: ServerProcess, base: Path) -> None:
    path = base / "root" / "removed.bin"
    path.write_bytes(BIG * 16)
    with slow(server, "/plain/removed.bin") as client:
        assert client.read_head().status == 200
        path.unlink()
        assert client.reader.read(len(BIG) * 16) == BIG * 16
    assert get(server.port, "/plain/removed.bin").status == 404


def test_a_file_that_becomes_shorter_ends_the_connection(server: ServerProcess, base: Path) -> None:
    path = base / "root" / "shorter.bin"
    path.write_bytes(BIG * 64)
    with slow(server, "/plain/shorter.bin") as client:
        assert client.read_head().status == 200
        os.truncate(path, len(BIG))
        got = b""
        with contextlib.suppress(ConnectionResetError):
            got = client.reader.read()
        assert len(got) < len(BIG) * 64
        # Nothing was made up for what is missing.
        assert got == (BIG * 64)[: len(got)]
    server.wait_output("shorter.bin became shorter while it was sent")


def test_a_file_that_grows_while_it_is_sent_ends_where_it_ended(server: ServerProcess, base: Path) -> None:
    path = base / "root" / "growing.bin"
    path.write_bytes(BIG * 16)
    with slow(server, "/plain/growing.bin") as client:
        assert client.read_head().status == 200
        with path.open("ab") as file:
            file.write(b"more")
        assert client.reader.read(len(BIG) * 16) == BIG * 16
        client.send_request("GET", "/plain/plain.txt")
        assert client.read_reply().status == 200


def test_what_is_no_file_is_not_waited_for(server: ServerProcess, base: Path) -> None:
    """A pipe nobody writes to, a socket, a device, a folder."""
    for name in ("pipe", "socket", "device", "sub/deep", "empty-dir"):
        with Connection(server.port, timeout=10) as connection:
            assert connection.request("GET", f"/plain/{name}").status == 404
    # Whoever waits at the other end of the pipe has not been woken.
    with pytest.raises(OSError, match="No such device"):
        os.close(os.open(base / "root" / "pipe", os.O_WRONLY | os.O_NONBLOCK))


def test_files_nobody_may_read(base: Path) -> None:
    root = base / "root"
    closed, folder = root / "closed.txt", root / "closed"
    closed.write_bytes(b"closed")
    closed.chmod(0)
    folder.mkdir()
    (folder / "file.txt").write_bytes(b"in closed")
    folder.chmod(0)
    try:
        with unprivileged(base, "app") as server:
            # As Starlette: a folder is 401; a file is found out about when its head has been sent.
            assert get(server.port, "/plain/closed/file.txt").status == 401
            with pytest.raises(ConnectionError), Connection(server.port) as connection:
                connection.request("GET", "/plain/closed.txt")
            assert get(server.port, "/plain/plain.txt").status == 200
        with unprivileged(base, "assets") as server:
            for name in ("closed/file.txt", "closed.txt"):
                assert get(server.port, f"/plain/{name}").status == 404
            assert get(server.port, "/plain/plain.txt").status == 200
    finally:
        folder.chmod(0o755)
        closed.chmod(0o644)


@contextlib.contextmanager
def unprivileged(base: Path, app: str) -> Iterator[ServerProcess]:
    """A server to which the modes of files apply, also where root runs the tests."""
    port = free_port()
    command = [bimetal_command(), "run", f"static_files:{app}", "--port", str(port)]
    if os.geteuid() == 0:
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    with ServerProcess(command, port, APPS, {"STATIC_FILES": str(base)}) as server:
        yield server.wait_ready()


def test_many_clients_at_a_time(server: ServerProcess) -> None:
    failures: list[str] = []

    def client(number: int) -> None:
        with Connection(server.port) as connection:
            for round_ in range(30):
                start = (number * 7919 + round_ * 104_729) % (len(BIG) - 1000)
                reply = connection.request("GET", "/plain/big.bin", [("Range", f"bytes={start}-{start + 999}")])
                if reply.body != BIG[start : start + 1000]:
                    failures.append(f"{start}: {reply}")
                if connection.request("GET", "/plain/big.bin").body != BIG:
                    failures.append("the whole file")

    threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
