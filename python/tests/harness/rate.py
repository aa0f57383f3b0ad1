"""Clients that ask at a fixed rate, whatever happens to the server, and tell what became of each request."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass, field

from typing_extensions import Self

from harness.load import HANDOVER
from harness.servers import START_TIMEOUT
from harness.wire import Connection

CLIENTS = 16


@dataclass
class Outcome:
    """Requests that were answered, and those that were not."""

    answered: int = 0
    #: In flight at a worker when it was killed.
    in_flight: int = 0
    #: Sent into a connection that had been closed while it was idle, and sent again on a new one, as HTTP clients do.
    again: int = 0
    #: Without an excuse.
    failed: list[str] = field(default_factory=list)


class Rate:
    """Sends `per_second` requests to `target`, on kept connections; each answer has to be the pid of a worker, by `"pid"`.

    A request that is late is sent at once, and none is left out: the server's pauses are not the client's.
    """

    def __init__(self, port: int, target: str, per_second: int) -> None:
        self.port = port
        self.target = target
        self.outcome = Outcome()
        self._every = CLIENTS / per_second
        self._begun = time.monotonic()
        self._killed: dict[int, float] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(CLIENTS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(START_TIMEOUT)
            assert not thread.is_alive()

    def kill(self, pid: int) -> float:
        """Kill a worker: what it has until then may be lost. Returns when that was."""
        # Nobody judges what becomes of a request before it is known.
        with self._lock:
            os.kill(pid, signal.SIGKILL)
            self._killed[pid] = time.monotonic()
            return self._killed[pid]

    def _run(self, number: int) -> None:
        due = self._begun + number * self._every / CLIENTS
        connection: Connection | None = None
        pid: int | None = None
        answered = 0.0
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            due += self._every
            sent = time.monotonic()
            while True:
                idle, kept = sent - answered, connection is not None
                try:
                    connection = connection or Connection(self.port)
                    reply = connection.request("GET", self.target)
                    assert reply.status == 200, reply.status
                except (OSError, AssertionError) as error:
                    if connection is not None:
                        connection.close()
                    connection = None
                    if self._excuse(error, pid, kept, sent, idle):
                        continue
                    break
                pid, answered = reply.json()["pid"], time.monotonic()
                with self._lock:
                    self.outcome.answered += 1
                if reply.header("connection") == "close":
                    connection.close()
                    connection = None
                break
        if connection is not None:
            connection.close()

    def _excuse(self, error: Exception, pid: int | None, kept: bool, sent: float, idle: float) -> bool:
        """Notes what has become of a request; whether it is sent again."""
        with self._lock:
            outcome = self.outcome
            if kept:
                # Of a client that has been kept from running, the server may have given the connection up.
                killed = self._killed.get(pid) if pid is not None else None
                if (killed is not None and killed <= sent) or (killed is None and idle > HANDOVER / 2):
                    outcome.again += 1
                    return True
                lost = killed is not None
            else:
                # Whichever worker had it.
                lost = any(sent <= killed for killed in self._killed.values())
            if lost and isinstance(error, ConnectionError):
                outcome.in_flight += 1
            else:
                outcome.failed.append(f"{error!r} (kept: {kept}, idle: {idle:.3f})")
            return False
