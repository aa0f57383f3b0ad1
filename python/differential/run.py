"""The run: every application in turn, shared between processes."""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from differential.applications import APPLICATIONS
from differential.explore import Difference, explore
from differential.operations import operations
from differential.request import Request
from differential.servers import serve


@dataclass
class Served:
    """What came of one application's requests."""

    name: str
    cases: int = 0
    #: Answered by Bimetal with a status below 300.
    accepted: int = 0
    lanes: Counter[str] = field(default_factory=Counter)
    known: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)
    #: See `Line.unannounced`: those of Bimetal.
    unannounced: list[tuple[Request, bytes]] = field(default_factory=list)
    #: What ended the run of this application before its end.
    failure: str = ""

    def add(self, other: Served) -> None:
        """Take in the figures of another."""
        self.cases += other.cases
        self.accepted += other.accepted
        self.lanes.update(other.lanes)
        self.known.update(other.known)


def shares(cases: int, applications: tuple[str, ...]) -> dict[str, list[int]]:
    """How many cases each operation of each application gets, `cases` in all."""
    counts = {app: len(operations(app)) for app in applications}
    each, rest = divmod(cases, sum(counts.values()))
    found, left = {}, rest
    for app, count in counts.items():
        found[app] = [each + 1] * min(count, left) + [each] * max(count - left, 0)
        left = max(left - count, 0)
    return found


def run(
    cases: int, seed: int, applications: tuple[str, ...], processes: int, tell: Callable[[int | Difference], object]
) -> list[Served]:
    """Send `cases` requests in all. The same seed sends the same requests, however many processes there are.

    `tell` is told how many more have been sent, and of each difference as soon as it is found.
    """
    plan = shares(cases, applications)
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(processes, context) as pool:
        news: Any = manager.Queue()
        largest_first = sorted(plan, key=lambda app: -sum(plan[app]))
        futures = {pool.submit(run_application, app, plan[app], seed, news): app for app in largest_first}
        done: dict[str, Served] = {}
        for finished in _finished(futures, news, tell):
            done[futures[finished]] = finished.result()
    return [done[app] for app in applications]


def _finished(
    futures: dict[Future[Served], str], news: Any, tell: Callable[[int | Difference], object]
) -> Iterator[Future[Served]]:
    pending = set(futures)
    while pending:
        finished, pending = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)
        with contextlib.suppress(queue.Empty):
            while True:
                tell(news.get_nowait())
        yield from finished


def run_application(app: str, cases: list[int], seed: int, news: Any, ours: str | None = None) -> Served:
    """One application: its operations one after the other, with as many cases each as `cases` says."""
    for name in APPLICATIONS:
        # Hypothesis draws constants from the modules that are loaded: they must be the same in every process.
        operations(name)
    served, since = Served(app), 0

    def count() -> None:
        nonlocal since
        since += 1
        if since >= 50:
            news.put(since)
            since = 0

    with serve(app, ours) as servers:
        for operation, share in zip(operations(app), cases, strict=True):
            explored = explore(servers, operation, share, seed, count)
            served.cases += explored.cases
            served.accepted += explored.accepted
            served.known.update(explored.known)
            if explored.difference is not None:
                served.differences.append(explored.difference)
                news.put(explored.difference)
            if servers.ended:
                served.failure = f"Bimetal ended with {servers.ours.process.returncode}:\n{servers.ours.output[-4000:]}"
                return served
        stats = servers.stats()
        served.lanes.update(stats["requests"])
        served.unannounced = servers.line(servers.ours).unannounced
    news.put(since)
    return served
