"""Clients that ask without a pause while something happens to the server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from typing_extensions import Self

from harness.servers import START_TIMEOUT
from harness.wire import Connection, Reply, get

#: How long a worker that is replaced keeps idle connections, in seconds.
HANDOVER = 0.5


class Clients:
    """Threads that each do one of `kinds` from the beginning to the end of a `with`; `failures` are their exceptions."""

    def __init__(self, kinds: Sequence[Callable[[], None]]) -> None:
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(kind,)) for kind in kinds]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(START_TIMEOUT)
            assert not thread.is_alive()

    def _run(self, kind: Callable[[], None]) -> None:
        try:
            kind()
        except Exception as error:
            self.failures.append(f"{kind!r}: {error!r}")


class Load(Clients):
    """Asks `target` on new connections and on kept ones, until it is left; every answer has to be 200.

    A client whose connection the server has closed with its last answer opens another one. One that has been kept from
    running for so long that the server may have given its idle connection up does the same.
    """

    def __init__(self, port: int, target: str) -> None:
        self.port = port
        self.target = target
        self.answers = 0
        self._lock = threading.Lock()
        kinds = [self._new, self._new, self._kept, self._kept]
        self.clients = len(kinds)
        super().__init__(kinds)

    def _run(self, kind: Callable[[], None]) -> None:
        while not self._stop.is_set():
            super()._run(kind)

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
