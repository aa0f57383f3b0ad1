"""The order of side effects, on both servers: applications note what happens (`apps/journal.py`), a `Journal` compares it."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from harness.compare import Pair, assert_same
from harness.servers import ServerProcess
from harness.wire import TIMEOUT, Connection, Headers, Reply

NOTE = re.compile(r"^~ (.*)$", re.MULTILINE)
#: The last line of a traceback of an exception that applications raise on purpose, with its text.
LOGGED = re.compile(r'^(?:\w+\.)*((?:Broken|Known|FastAPIError): .*?)(?: method=".*)?$', re.MULTILINE)


def events_of(server: ServerProcess, before: int = 0) -> list[str]:
    """What was noted on the server, behind the first `before` bytes of its output."""
    return NOTE.findall(server.output_since(before))


@dataclass(frozen=True)
class Told:
    """What came of a request: the answer, whether it was cut short, and what the application did, in order."""

    reply: Reply
    cut: bool
    events: list[str]


class Journal:
    """Sends requests to both servers of a pair; the answers must be the same, and so must what was done for them."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair

    def same(
        self,
        method: str,
        target: str,
        headers: Headers = (),
        body: bytes | tuple[bytes, ...] | None = None,
        last: str | None = None,
    ) -> Told:
        """One request on a connection of its own. `last` is the event with which everything has ended, for whatever may
        happen after the answer has arrived. Returns what our server did."""
        ours = self._tell(self.pair.ours, method, target, headers, body, last)
        reference = self._tell(self.pair.reference, method, target, headers, body, last)
        assert_same(ours.reply, reference.reply)
        assert ours.events == reference.events
        assert ours.cut == reference.cut
        return ours

    def _tell(
        self,
        server: ServerProcess,
        method: str,
        target: str,
        headers: Headers,
        body: bytes | tuple[bytes, ...] | None,
        last: str | None,
    ) -> Told:
        before = server.output_size
        with Connection(server.port) as connection:
            connection.send_request(method, target, headers, body)
            reply, cut = read(connection, method)
            return Told(reply, cut, self._wait(server, before, last))

    @staticmethod
    def _wait(server: ServerProcess, before: int, last: str | None) -> list[str]:
        deadline = time.monotonic() + TIMEOUT
        while True:
            events = events_of(server, before)
            if last is None or last in events:
                return events
            assert time.monotonic() < deadline, f"{last!r} never happened, only {events}; the log:\n{server.output}"
            time.sleep(0.002)

    def finish(self) -> None:
        """Nothing may have happened after what the tests waited for, and both logs name the same failures."""
        ours, reference = self.pair.ours, self.pair.reference
        for failure in sorted(set(LOGGED.findall(reference.output))):
            ours.wait_output(failure)
        for failure in sorted(set(LOGGED.findall(ours.output))):
            reference.wait_output(failure)
        assert events_of(ours) == events_of(reference)


def read(connection: Connection, method: str) -> tuple[Reply, bool]:
    """An answer, and whether the connection was closed before its end."""
    reply = connection.read_head()
    try:
        for piece in connection.body(reply, method):
            reply.body += piece
    except ConnectionError:
        return reply, True
    return reply, False
