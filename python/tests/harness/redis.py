"""A Redis server for a test: on a free port of 127.0.0.1, with a password, gone afterwards."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from harness.servers import START_TIMEOUT, STOP_TIMEOUT, free_port


def program() -> str:
    """`redis-server`; skips the test where there is none."""
    found = shutil.which("redis-server")
    if found is None:
        pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
    return found


class Redis:
    """A server without data. Entered, it runs; it can be stopped, held up and started again meanwhile."""

    def __init__(self) -> None:
        self._program = program()
        self._folder = Path(tempfile.mkdtemp(prefix="bimetal-redis-"))
        self.password = secrets.token_hex(16)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def __enter__(self) -> Redis:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.kill()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start it; returns when it answers."""
        command = [self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--requirepass", self.password]
        command += ["--save", "", "--appendonly", "no", "--dir", str(self._folder)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            try:
                assert self.command("PING") == "PONG"
                return
            except OSError:
                ended = self._process.poll() is not None
                assert not ended and time.monotonic() < deadline, (self._folder / "log").read_text(errors="replace")
                time.sleep(0.02)

    def kill(self) -> None:
        """End it at once."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(STOP_TIMEOUT)

    def hold(self) -> None:
        """From now on it is there and does not answer."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def command(self, *words: str) -> object:
        """What it answers: a text, or a list of them."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=STOP_TIMEOUT) as connected:
            reader = connected.makefile("rb")
            connected.sendall(_encoded("AUTH", self.password) + _encoded(*words))
            assert _decoded(reader) == "OK"
            return _decoded(reader)


def _encoded(*words: str) -> bytes:
    parts = [f"*{len(words)}\r\n"] + [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
    return "".join(parts).encode()


def _decoded(reader: object) -> object:
    line = reader.readline().decode().rstrip("\r\n")  # type: ignore[attr-defined]
    if not line:
        raise ConnectionError("Redis closed the connection")
    kind, rest = line[0], line[1:]
    if kind == "*":
        return [_decoded(reader) for _ in range(int(rest))]
    if kind == "$":
        return reader.read(int(rest) + 2)[:-2].decode() if int(rest) >= 0 else None  # type: ignore[attr-defined]
    assert kind != "-", rest
    return rest
