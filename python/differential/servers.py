"""The application on Bimetal and on uvicorn, and the connections to both."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from differential.answers import CLOSED, NO_HTTP, Answer
from differential.applications import target
from differential.known import turned_away
from differential.request import Request
from harness.servers import ServerProcess, free_port, start_uvicorn
from harness.wire import Connection

PYTHON = Path(__file__).resolve().parent.parent
#: Upper bound for an answer, in seconds: reached only when a server hangs.
_TIMEOUT = 20.0


class Line:
    """A connection to one server that is kept for as many requests as the server keeps it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._connection: Connection | None = None
        #: Requests after whose answer the server closed the connection without having said so, or sent something more.
        self.unannounced: list[tuple[Request, bytes]] = []
        self._previous: Request | None = None

    def ask(self, request: Request) -> Answer:
        """Send the request, read the whole answer."""
        try:
            connection, used = self._ready()
            answer = self._ask(connection, request)
            if used and answer.problem == CLOSED:
                # It may have closed before it read the request.
                self._note_close()
                answer = self._ask(self._ready()[0], request)
        except ConnectionRefusedError:
            return Answer(None, problem="refuses connections")
        if answer.closed or answer.reply is None:
            self.close()
        # After a refusal that the connection ends is to be expected.
        self._previous = None if turned_away(answer) else request
        return answer

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ready(self) -> tuple[Connection, bool]:
        """The connection, a new one where the server has closed it; and whether it was used before."""
        if self._connection is not None and select.select([self._connection.socket], [], [], 0)[0]:
            self._note_close()
        if self._connection is not None:
            return self._connection, True
        self._connection = Connection(self.port, timeout=_TIMEOUT)
        return self._connection, False

    def _note_close(self) -> None:
        if self._previous is not None and self._connection is not None:
            with contextlib.suppress(ConnectionResetError):
                self.unannounced.append((self._previous, self._connection.socket.recv(1000, socket.MSG_DONTWAIT)))
        self.close()

    def _ask(self, connection: Connection, request: Request) -> Answer:
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            # A server may answer and close before it has read everything.
            connection.send(request.wire())
        try:
            reply = connection.read_reply(request.method.decode())
        except TimeoutError:
            return Answer(None, problem=f"no answer within {_TIMEOUT:.0f} s")
        except ConnectionError as error:
            cut = "cut" in str(error) or "within" in str(error)
            return Answer(None, problem=str(error) if cut else CLOSED)
        except ValueError:
            return Answer(None, problem=NO_HTTP)
        connection_field = (reply.header("connection") or "").lower()
        # To HTTP/1.0 it goes without saying that the connection ends, unless the answer says that it does not.
        announced = "close" in connection_field or (
            request.version == b"HTTP/1.0" and "keep-alive" not in connection_field
        )
        if not (announced or request.closes):
            return Answer(reply)
        try:
            rest = connection.reader.read()
        except TimeoutError:
            return Answer(reply, problem="does not close the connection")
        except ConnectionResetError:
            rest = b""
        return Answer(reply, closed=True, problem=f"sends more than its answer: {rest!r}" if rest else "")


@dataclass
class Servers:
    """One application, three servers."""

    app: str
    ours: ServerProcess
    reference: ServerProcess
    control: int
    lines: dict[int, Line] = field(default_factory=dict)
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _judge: ServerProcess | None = None

    def line(self, server: ServerProcess) -> Line:
        return self.lines.setdefault(server.port, Line(server.port))

    def ask_ours(self, request: Request) -> Answer:
        return self.line(self.ours).ask(request)

    def ask_reference(self, request: Request) -> Answer:
        return self.line(self.reference).ask(request)

    def ask_judge(self, request: Request) -> Answer:
        """The answer of uvicorn with its other parser; started when first asked for."""
        if self._judge is None:
            self._judge = self._stack.enter_context(_uvicorn(self.app, "--http", "h11"))
            self._judge.wait_ready()
        return self.line(self._judge).ask(request)

    @property
    def ended(self) -> bool:
        """Whether Bimetal's process has ended."""
        return self.ours.process.poll() is not None

    def stats(self) -> dict[str, Any]:
        """The figures of Bimetal."""
        with socket.create_connection(("127.0.0.1", self.control), timeout=_TIMEOUT) as connection:
            text = b"".join(iter(lambda: connection.recv(65536), b""))
        figures: dict[str, Any] = json.loads(text)
        return figures


@contextlib.contextmanager
def serve(app: str, ours: str | None = None) -> Iterator[Servers]:
    """Both servers on `differential.apps.{app}`; `ours` puts another application on Bimetal, to see the run fail."""
    port, control = free_port(), free_port()
    command = [sys.executable, "-m", "differential.serve", ours or app, "--port", str(port), "--control", str(control)]
    with (
        ServerProcess(command, port, PYTHON) as bimetal,
        _uvicorn(app) as reference,
        contextlib.ExitStack() as stack,
    ):
        servers = Servers(app, bimetal.wait_ready(), reference.wait_ready(), control, _stack=stack)
        try:
            yield servers
        finally:
            for line in servers.lines.values():
                line.close()


def _uvicorn(app: str, *args: str) -> ServerProcess:
    options = ["--no-access-log", "--log-level", "critical", *args]
    return start_uvicorn(target(app), *options, cwd=PYTHON)
