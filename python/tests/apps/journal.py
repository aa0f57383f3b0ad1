"""What happens in an application, in order: notes on standard output, where the tests read them.

Neither a route nor a middleware takes part, so an application that keeps a journal is served as it would be without one,
and a note is seen even when it is made long after the response.
"""

from __future__ import annotations

import asyncio
import os

#: Noted by the reference (`ended.py`) after everything an application does for a request.
ENDED = "request ended"


class Broken(Exception):
    """Raised on purpose, and handled by nobody."""


class Known(Exception):
    """Raised on purpose; applications have a handler for it."""


def note(*words: object) -> None:
    # One write a note: threads do not mix their notes, and half a line of the log does not swallow one.
    os.write(1, ("\n~ " + " ".join(map(str, words)) + "\n").encode())


def name_of(error: BaseException) -> str:
    """An exception as one word and its text, without what only one process knows."""
    if isinstance(error, asyncio.CancelledError):
        return "CancelledError"
    detail = getattr(error, "detail", None) or (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}({detail})"
