"""What the applications tell through a file: a byte when a handler, or a worker, has started."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from types import TracebackType

from .server import Broken

_START = 60.0
_STILL = 2.0


class Started:
    """The count. A context manager: leaving it removes the file."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._file = Path(self._folder.name) / "started"
        self._file.touch()
        self.environment = {"LOAD_STARTED": str(self._file)}

    def __enter__(self) -> Started:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.cleanup()

    def wait_for_all(self, count: int) -> None:
        """Returns when `count` have started. Raises `Broken` when they do not."""
        self._wait(count, _START)

    def wait_for_most(self, count: int) -> int:
        """How many have started, when all `count` have or no further one does. Raises `Broken` when none does."""
        return self._wait(count, _STILL)

    def _wait(self, count: int, still: float) -> int:
        before, since = 0, time.monotonic()
        while before < count:
            time.sleep(0.05)
            now = self._file.stat().st_size
            waited = time.monotonic() - since
            if now != before:
                before, since = now, time.monotonic()
            elif waited > _START:
                raise Broken(f"of {count} handlers or workers {before} have started")
            elif before and waited > still:
                break
        return before
