"""Clients that ask without a pause while something happens to the server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from harness.servers import START_TIMEOUT
from harness.wire import Connection, Reply, get

#: How long a worker that is replaced keeps idle connections, in seconds.
HANDOVER = 0.5


class Load:
    """Asks `target` on new connections and on kept ones, until it is left; every answer has to be 200.

    A client whose connection the server has closed with its last answer opens another one. One that has been kept from
    running for so long that the server may have given its idle connection up does the same.
    """

    def __init__(self, port: int, target: str) -> None:
        self.port = port
        self.target = target
        self.answers = 0
        self.failures: list[str] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        kinds = [self._new, self._new, self._kept, self._kept]
        self.clients = len(kinds)
        self._threads = [threading.Thread(target=self._ask, args=(kind,)) for kind in kinds]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(START_TIMEOUT)
            assert not thread.is_alive()

    def _ask(self, kind: Callable[[], None]) -> None:
        while not self._stop.is_set():
            try:
                kind()
            except Exception as error:
                with self._lock:
                    self.failures.append(f"{kind.__name__}: {error!r}")

    def _new(self) -> None:
        self._judge(get(self.port, self.target))

    def _kept(self) -> None:
        with Connection(self.port) as connection:
            answered = time.monotonic()
            while not self._stop.is_set():
                paused = time.monotonic() - answered
                try:
                    reply = connection.request("GET", self.target)
                except ConnectionError:
                    if paused > HANDOVER / 2:
                        return
                    raise
                self._judge(reply)
                answered = time.monotonic()
                if reply.header("connection") == "close":
                    return

    def _judge(self, reply: Reply) -> None:
        assert reply.status == 200, reply.status
        with self._lock:
            self.answers += 1
