"""The order of side effects, on both servers: applications note what happens (`apps/journal.py`), a `Journal` compares it."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from journal import ENDED

from harness.compare import Pair, assert_same
from harness.servers import ServerProcess, start_bimetal, start_uvicorn
from harness.wire import TIMEOUT, Connection, Headers, Reply

NOTE = re.compile(r"^~ (.*)\n", re.MULTILINE)
#: The last line of a traceback of an exception that applications raise on purpose, with its text.
LOGGED = re.compile(r'^(?:\w+\.)*((?:Broken|Known|FastAPIError): .*?)(?: method=".*)?\n', re.MULTILINE)
#: Matches no event.
NOTHING = r"(?!)"


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
        apart: str = NOTHING,
        normalise: Callable[[bytes], bytes] = bytes,
    ) -> Told:
        """One request on a connection of its own, followed until everything has ended. Returns what our server did.

        Events that match the regular expression `apart` are those of a task of their own: the others may come between
        them in any way."""
        before = self.pair.reference.output_size
        with Connection(self.pair.reference.port) as connection:
            connection.send_request(method, target, headers, body)
            reply, cut = read(connection, method)
            events = wait(self.pair.reference, before, lambda events: ENDED in events)
        reference = Told(reply, cut, [event for event in events if event != ENDED])

        before = self.pair.ours.output_size
        with Connection(self.pair.ours.port) as connection:
            connection.send_request(method, target, headers, body)
            reply, cut = read(connection, method)
            # One event too many shows here or, when it comes later, in `finish`.
            ours = Told(reply, cut, wait(self.pair.ours, before, lambda events: len(events) >= len(reference.events)))

        assert_same(ours.reply, reference.reply, normalise)
        assert in_order(ours.events, apart) == in_order(reference.events, apart)
        assert ours.cut == reference.cut
        return ours

    def finish(self) -> None:
        """Nothing may have happened after what the tests waited for, and both logs name the same failures."""
        ours, reference = self.pair.ours, self.pair.reference
        for failure in sorted(set(LOGGED.findall(reference.output))):
            ours.wait_output(failure)
        for failure in sorted(set(LOGGED.findall(ours.output))):
            reference.wait_output(failure)
        assert sorted(events_of(ours)) == sorted(event for event in events_of(reference) if event != ENDED)


def in_order(events: list[str], apart: str) -> list[str]:
    """The events in the order that has to be the same, those of the task apart at the end."""
    return [e for e in events if not re.search(apart, e)] + [e for e in events if re.search(apart, e)]


def wait(server: ServerProcess, before: int, complete: Callable[[list[str]], bool]) -> list[str]:
    """The events since `before`, once they are complete or a hang is certain."""
    deadline = time.monotonic() + TIMEOUT
    while not complete(events := events_of(server, before)) and time.monotonic() < deadline:
        time.sleep(0.002)
    return events


def read(connection: Connection, method: str) -> tuple[Reply, bool]:
    """An answer, and whether the connection was closed before its end."""
    reply = connection.read_head()
    try:
        for piece in connection.body(reply, method):
            reply.body += piece
    except ConnectionError:
        return reply, True
    return reply, False


@contextlib.contextmanager
def serve_journal(app: str) -> Iterator[Journal]:
    """Both servers on an application that notes what happens in it."""
    with start_bimetal(app) as ours, start_uvicorn("ended:app", env={"ENDED_APP": app}) as reference:
        journal = Journal(Pair(ours.wait_ready(), reference.wait_ready()))
        yield journal
        journal.finish()
