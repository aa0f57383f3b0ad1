"""What `--reload` watches: source files, for a supervisor, and plugin libraries, for a worker."""

from __future__ import annotations

import fnmatch
import logging
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import watchfiles

from bimetal.errors import BimetalError

logger = logging.getLogger("bimetal")

#: Files that count, files and folders that do not, where nothing else is said.
INCLUDED = ("*.py",)
EXCLUDED = (".*", "~*", "*.py[cod]", ".sw.*")

#: Folders with much in them that is not the application's source.
_FOLDERS = frozenset(watchfiles.DefaultFilter.ignore_dirs) | {"target"}

#: How often libraries are looked at, and how often a new one has to be the same to be whole; seconds and times.
_PACE = 0.25
_SETTLED = 2


@dataclass(frozen=True)
class Sources:
    """The source files to watch."""

    folders: Sequence[str]
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()

    def __post_init__(self) -> None:
        for folder in self.folders:
            if not os.path.isdir(folder):
                raise BimetalError(f"--reload-dir {folder}: there is no such folder")

    def matter(self, path: str) -> bool:
        """Whether a change of the file at `path` concerns the application."""
        inside = self._inside(path)
        *folders, name = inside.parts or (path,)
        if name in self.include:
            return True
        if any(folder in _FOLDERS for folder in folders):
            return False
        excluded = (*EXCLUDED, *self.exclude)
        if any(fnmatch.fnmatch(part, pattern) for part in inside.parts for pattern in excluded):
            return False
        if any(inside.match(pattern) for pattern in self.exclude):
            return False
        return any(inside.match(pattern) for pattern in (*INCLUDED, *self.include))

    def _inside(self, path: str) -> Path:
        """The path below the folder that is watched."""
        for folder in map(os.path.abspath, self.folders):
            if os.path.commonpath([folder, path]) == folder:
                return Path(os.path.relpath(path, folder))
        return Path(path)

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` after each change, on a thread of its own, until the function that is returned is called."""
        ended = threading.Event()
        thread = threading.Thread(target=self._watch, args=(changed, ended), name="bimetal watch", daemon=True)
        thread.start()

        def end() -> None:
            ended.set()
            thread.join()

        return end

    def _watch(self, changed: Callable[[], None], ended: threading.Event) -> None:
        found = watchfiles.watch(
            *self.folders,
            watch_filter=lambda _, path: self.matter(path),
            stop_event=ended,
            debounce=400,
            rust_timeout=500,
            raise_interrupt=False,
        )
        for changes in found:
            names = sorted({str(self._inside(path)) for _, path in changes})
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            logger.info("%s%s changed: starting the new code", ", ".join(names[:3]), more)
            changed()


Signature = tuple[int, int, int]


@dataclass
class _Library:
    """One library: what has been taken in of it, and what was seen last, how often."""

    taken: Signature | None
    seen: Signature | None = None
    times: int = 0

    def settled(self, now: Signature | None) -> bool:
        """Whether there is another version, and it is whole: the same for a while."""
        self.times = self.times + 1 if now == self.seen else 0
        self.seen = now
        if now is None or now == self.taken or self.times < _SETTLED:
            return False
        self.taken = now
        return True


@dataclass
class Libraries:
    """The plugin libraries to watch."""

    #: Those that are loaded: a new version is taken in where it is.
    loaded: Sequence[str]
    #: Those that are not there yet: one that appears takes a new process.
    absent: Sequence[str]
    changed: Callable[[], object]
    appeared: Callable[[], None]
    _known: dict[str, _Library] = field(default_factory=dict)

    def watch(self) -> None:
        """Look at them from now on, on a thread of its own, as long as the process lives."""
        self.remember()
        if self._known:
            threading.Thread(target=self._watch, name="bimetal libraries", daemon=True).start()

    def remember(self) -> None:
        """What is there now has been taken in, but for those that were absent."""
        self._known = {path: _Library(_signature(path)) for path in self.loaded}
        self._known |= {path: _Library(None) for path in self.absent}

    def _watch(self) -> None:
        # What has been built since they were loaded.
        self.changed()
        pause = threading.Event()
        while not pause.wait(_PACE):
            self.look()

    def look(self) -> None:
        """Take in what has changed."""
        settled = [path for path, library in self._known.items() if library.settled(_signature(path))]
        if any(path in self.absent for path in settled):
            self.appeared()
        elif settled:
            self.changed()


def _signature(path: str) -> Signature | None:
    """Differs for another version of a file; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
