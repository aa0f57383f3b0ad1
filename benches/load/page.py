"""Where the figures go: between marks of a page. And where the run is, meanwhile."""

from __future__ import annotations

import sys
from pathlib import Path

_BEGIN, _END = "<!-- figures: {0} -->", "<!-- end of figures: {0} -->"


def write(page: Path, section: str, text: str) -> None:
    """Puts the figures between the marks of `section` in `page`."""
    begin, end = _BEGIN.format(section), _END.format(section)
    before, found, rest = page.read_text().partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        sys.exit(f"error: {page} lacks the lines {begin!r} and {end!r}, between which the figures go")
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")


def say(text: str) -> None:
    """Where the run is, on a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()
