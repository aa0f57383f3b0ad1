"""`python -m differential`: send the requests, print the tables; fails when an answer differs."""

from __future__ import annotations

import argparse
import os
import sys
import time

from differential.applications import APPLICATIONS
from differential.explore import Difference
from differential.report import explained, tables
from differential.request import short
from differential.run import Served, run


def main() -> int:
    """Returns 0 when all answers were the same."""
    arguments = _arguments()
    applications = tuple(arguments.apps) or APPLICATIONS
    began = time.monotonic()
    progress = _Progress(arguments.cases)
    served = run(arguments.cases, arguments.seed, applications, arguments.processes, progress.tell)
    progress.end()
    seconds = time.monotonic() - began
    print(f"{sum(one.cases for one in served):,} cases with seed {arguments.seed} in {seconds:.0f} s")
    print()
    print(*tables(served), sep="\n")
    problems = [line for one in served for line in _problems(one)]
    if not arguments.apps:
        idle = [lane for lane in ("sync", "async") if not any(one.lanes[lane] for one in served)]
        problems += [
            f"\nno request was served by the lane {lane!r}: nothing compiled was tested there" for lane in idle
        ]
    print(*(problems or ["", "no difference that is not known"]), sep="\n")
    return 1 if problems else 0


def _problems(served: Served) -> list[str]:
    lines: list[str] = []
    for difference in served.differences:
        lines += ["", f"{served.name}: {difference.operation} answers differently, see above"]
    for request, rest in served.unannounced[:3]:
        did = f"sent {rest!r} more" if rest else "closed the connection unannounced"
        lines += ["", f"{served.name}: Bimetal {did} after its answer to {short(request.wire())}"]
    if served.failure:
        lines += ["", f"{served.name}: {served.failure}"]
    return lines


class _Progress:
    """Differences as they are found; how far the run is, on a terminal."""

    def __init__(self, cases: int) -> None:
        self._cases, self._done, self._began = cases, 0, time.monotonic()
        self._shown = sys.stderr.isatty()

    def tell(self, news: int | Difference) -> None:
        if isinstance(news, Difference):
            self.end()
            print(*explained(news), "", sep="\n", flush=True)
            return
        self._done += news
        if self._shown:
            rate = self._done / max(time.monotonic() - self._began, 0.1)
            left = (self._cases - self._done) / rate if self._done else 0
            line = f"\r{self._done:,} of {self._cases:,} cases, {rate:,.0f} a second, {left:,.0f} s left \x1b[K"
            print(line, end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m differential", description=__doc__)
    parser.add_argument("apps", nargs="*", metavar="APP", help=f"only these: {', '.join(APPLICATIONS)}")
    parser.add_argument("--cases", type=int, default=20_000, metavar="N", help="requests in all")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="the same seed makes the same requests")
    parser.add_argument("--processes", type=int, default=min(os.cpu_count() or 1, 4), metavar="N")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
