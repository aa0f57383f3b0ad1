"""Worker processes: what a supervisor starts, and what a worker finds of it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bimetal._core import Supervisor, WorkerLink, set_log
from bimetal.address import parse_address
from bimetal.errors import BimetalError

#: How long a worker may show no sign of life, where nothing else is said, in seconds.
HEARTBEAT_TIMEOUT = 30.0

#: How long a worker may take until it serves. Whoever loads a model while importing needs minutes.
STARTUP_TIMEOUT = 300.0

_MEBIBYTE = 1 << 20

#: What starts something beside the supervisor, and the function that ends it: for `--reload`.
Companion = Callable[[Supervisor], Callable[[], None]]


def inherited(drain_timeout: float) -> WorkerLink | None:
    """What a supervisor has left to this process; None in a process that is no worker.

    It can be taken once: programs that the application starts are no workers.
    """
    value = os.environ.pop(WorkerLink.VARIABLE, None)
    return WorkerLink.take(value, drain_timeout) if value is not None else None


def supervise(
    *,
    host: str,
    port: int,
    uds: str | os.PathLike[str] | None = None,
    fd: int | None = None,
    workers: int,
    drain_timeout: float,
    heartbeat_timeout: float = HEARTBEAT_TIMEOUT,
    startup_timeout: float = STARTUP_TIMEOUT,
    max_memory: int | None = None,
    max_memory_jitter: int = 0,
    admin: str | None = None,
    dashboard: bool = False,
    companion: Companion | None = None,
) -> None:
    """Keep worker processes, each of them this program started again, until SIGINT or SIGTERM; on the main thread.

    A worker with more resident memory than `max_memory`, in MiB, and up to `max_memory_jitter` more, is replaced.
    `admin`, as `HOST:PORT`, is where the probes of all workers are served, and with `dashboard` the page for people.

    Raises BimetalError when the address cannot be bound, or no worker can be kept alive.
    """
    set_log("warn", "text")
    if threading.current_thread() is not threading.main_thread():
        raise BimetalError("worker processes are started from the main thread")
    supervisor = Supervisor(
        _this_program(),
        host=host,
        port=port,
        uds=uds,
        fd=fd,
        workers=workers,
        drain_timeout=drain_timeout,
        heartbeat_timeout=heartbeat_timeout,
        startup_timeout=startup_timeout,
        max_memory=max_memory * _MEBIBYTE if max_memory is not None else None,
        max_memory_jitter=max_memory_jitter * _MEBIBYTE,
        wait_for_changes=companion is not None,
        admin=parse_address(admin) if admin is not None else None,
        dashboard=dashboard,
    )
    end_companion = companion(supervisor) if companion is not None else None
    try:
        with _signals_left_alone():
            supervisor.run()
    finally:
        if end_companion is not None:
            end_companion()


def _this_program() -> list[str]:
    arguments = sys.orig_argv[1:]
    if not sys.executable or not arguments or arguments[-1] == "-":
        raise BimetalError(
            "worker processes start the program again, and this one has no file: write a script, or use `bimetal run`"
        )
    return [sys.executable, *arguments]


@contextmanager
def _signals_left_alone() -> Iterator[None]:
    """Python's handlers would run in an interpreter that nobody is in."""
    previous = {
        number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
