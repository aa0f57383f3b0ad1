"""The tables at the end of a run, and each difference so that it can be understood and sent again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from differential.answers import Answer
from differential.applications import target
from differential.explore import JUDGED, Difference
from differential.known import KNOWN
from differential.request import short
from differential.run import Served

LANES = ("native", "sync", "async", "asgi")


def tables(served: Iterable[Served]) -> Iterator[str]:
    """How many requests each lane served, and how many differences were known."""
    rows, known = [], Counter[str]()
    total = Served("all")
    for one in served:
        rows.append(_row(one))
        total.add(one)
    known = total.known
    head = ["application", "cases", "2xx", *LANES, "compiled"]
    yield from _table(head, [*rows, _row(total)])
    yield "Lanes as Bimetal counted them; what the edge of the server answers counts on none."
    yield ""
    if known:
        reasons = {entry.name: entry.reason for entry in KNOWN}
        reasons[JUDGED] = (
            "uvicorn's parser httptools refuses the request, its parser h11 does not: the same answer as with h11"
        )
        yield from _table(
            ["known difference", "cases", "because"],
            [[name, f"{count:,}", reasons[name]] for name, count in known.most_common()],
        )


def explained(difference: Difference, ports: tuple[int, int] = (8001, 8002)) -> Iterator[str]:
    """One difference: the request, both answers, how to repeat it."""
    request = difference.request
    again = (
        " (seen once, did not come again: the answer depends on more than the request)" if difference.unsteady else ""
    )
    yield f"{difference.app}  {difference.operation}{again}"
    yield f"  differs in   {'; '.join(difference.what)}"
    yield f"  lane         {difference.lane or 'unknown'}"
    yield f"  request      {short(request.wire())}"
    yield from _side("Bimetal", difference.ours)
    yield from _side("uvicorn", difference.reference)
    yield "  to repeat it, in the folder python:"
    limits = "--limit-request-line 65535 --limit-request-head 131072"
    yield f"    bimetal run {target(difference.app)} --port {ports[0]} {limits} &"
    yield f"    uvicorn {target(difference.app)} --port {ports[1]} --http httptools &"
    for port in ports:
        yield f"    {short(request.curl(port), 4000) if len(request.wire()) > 4000 else request.curl(port)}"


def _side(name: str, answer: Answer) -> Iterator[str]:
    if answer.reply is None:
        yield f"  {name:<12} {answer.problem}"
        return
    yield f"  {name:<12} {answer.status} {answer.problem}"
    for field in answer.reply.headers:
        yield f"               {field[0]}: {field[1]}"
    yield f"               {short(answer.body)}"


def _row(served: Served) -> list[str]:
    lanes = served.lanes
    everything = sum(lanes[lane] for lane in LANES)
    compiled = 100 * (everything - lanes["asgi"]) / everything if everything else 0.0
    numbers = [served.cases, served.accepted, *(lanes[lane] for lane in LANES)]
    return [served.name, *(f"{number:,}" for number in numbers), f"{compiled:.0f} %"]


def _table(head: list[str], rows: list[list[str]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    numeric = [all(row[column][:1].isdigit() for row in rows) for column in range(len(head))]
    for row in [head, ["-" * width for width in widths], *rows]:
        cells = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ]
        yield "  ".join(cells).rstrip()
