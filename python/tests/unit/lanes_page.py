"""The table of reasons in docs/guide/lanes.md, made from the compiler's own: `make docs-lanes` writes it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from bimetal.compile.reason import REASONS, About

PAGE = Path(__file__).parents[3] / "docs" / "guide" / "lanes.md"
BEGIN = "<!-- reasons: made from python/bimetal/compile/reason.py by `make docs-lanes` -->"
END = "<!-- end of reasons -->"

#: Heading and introduction of each group.
SECTIONS: dict[About, tuple[str, str]] = {
    "application": (
        "About the application",
        "They hold for all routes of the application, which run on the `asgi` lane. What is said of a router counts for "
        "those that are included too: for their routes, and for the routes declared behind them.",
    ),
    "place": ("About where a route stands", "The route runs on the `asgi` lane."),
    "route": (
        "About the route",
        "Something has changed the route after FastAPI made it, which only FastAPI can carry out. It runs on the `asgi` "
        "lane.",
    ),
    "handler": (
        "About the handler",
        "The route runs on the `async` lane, where FastAPI's own handler answers: it validates, calls and renders, without "
        "FastAPI's routing and middleware stack before it.",
    ),
    "native": (
        "About native routes",
        "They come with a route on the `native` lane, or with one that was meant for it.",
    ),
    "cache": ("About cached routes", "They come with a route that has a `cache`, on its own lane."),
}


def table() -> str:
    """The part of the page between the markers."""
    return "\n".join(_lines())


def page() -> str:
    """The page as it should be: as it is, with the table made anew."""
    text = PAGE.read_text(encoding="utf-8")
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{PAGE} lacks the markers {BEGIN!r} and {END!r}")
    return f"{head}{BEGIN}\n\n{table()}\n\n{END}{tail}"


def _lines() -> Iterator[str]:
    for number, (about, (heading, introduction)) in enumerate(SECTIONS.items()):
        if number:
            yield ""
        yield f"### {heading}"
        yield ""
        yield introduction
        yield ""
        yield "| reason | what is behind it | what to do |"
        yield "|---|---|---|"
        for reason in REASONS:
            if reason.about == about:
                yield f"| `{reason.shown}` | {reason.meaning} | {reason.advice} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE.relative_to(Path.cwd()) if PAGE.is_relative_to(Path.cwd()) else PAGE}: written", file=sys.stderr)
