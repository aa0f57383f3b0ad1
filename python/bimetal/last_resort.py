"""The end of a process whose event loop does not stop, because a handler does not let it go."""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
import time

#: What the process gets beyond its drain timeout, and after the second signal, in seconds: with what its end takes, it
#: is over within 2.
GRACE = 1.5

logger = logging.getLogger("bimetal")


class LastResort:
    """Ends the process with exit code 1 some time after `signalled`, unless it is `disarmed` before.

    Its thread waits from the beginning: a signal's handler must not start one.
    """

    def __init__(self, drain_timeout: float) -> None:
        self._limit = drain_timeout + GRACE
        # True for a signal, False for the end of it.
        self._events: queue.SimpleQueue[bool] = queue.SimpleQueue()
        threading.Thread(target=self._watch, name="bimetal stop", daemon=True).start()

    def signalled(self) -> None:
        """The process has been asked to stop; asked again, not to wait. From a signal's handler."""
        self._events.put(True)

    def disarm(self) -> None:
        """The event loop stops by itself."""
        self._events.put(False)

    def _watch(self) -> None:
        if not self._events.get():
            return
        deadline = time.monotonic() + self._limit
        while True:
            try:
                again = self._events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            if not again:
                return
            deadline = min(deadline, time.monotonic() + GRACE)
        logger.critical(
            "the event loop does not stop in time, because a handler does not let it go: the process is ended"
        )
        os._exit(1)


def leave() -> None:
    """End the process, with exit code 0, around an interpreter that a thread does not let end.

    Before Python 3.14 the interpreter ends such a thread in the middle of Rust's frames, which aborts the process.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0)
