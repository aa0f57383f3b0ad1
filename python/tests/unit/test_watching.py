"""Which files `--reload` watches, and when a library that is being written counts as written."""

from __future__ import annotations

from pathlib import Path

import pytest

from bimetal.errors import BimetalError
from bimetal.watching import Libraries, Sources

WATCHED = [
    ("main.py", True),
    ("shop/api/orders.py", True),
    ("main.pyc", False),
    ("main.py.swp", False),
    (".main.py", False),
    ("~main.py", False),
    ("notes.txt", False),
    ("shop/__pycache__/api.py", False),
    (".venv/lib/main.py", False),
    (".hidden/main.py", False),
    ("node_modules/x/main.py", False),
    ("hot/target/debug/build.py", False),
]
CHOSEN = [
    ("main.py", True),
    ("shop/settings.toml", True),
    ("settings.yaml", False),
    (".env", True),
    ("shop/.env", True),
    ("migrations/0001.py", False),
    ("shop/migrations/0001.py", False),
    ("shop/test_orders.py", False),
    ("templates/index.html", True),
    ("other/index.html", False),
]


@pytest.mark.parametrize(("path", "matters"), WATCHED)
def test_python_files_are_watched(tmp_path: Path, path: str, matters: bool) -> None:
    assert Sources([str(tmp_path)]).matter(str(tmp_path / path)) is matters


@pytest.mark.parametrize(("path", "matters"), CHOSEN)
def test_patterns(tmp_path: Path, path: str, matters: bool) -> None:
    sources = Sources([str(tmp_path)], ["*.toml", ".env", "templates/*.html"], ["migrations", "test_*"])
    assert sources.matter(str(tmp_path / path)) is matters


def test_a_folder_inside_a_hidden_one_is_watched(tmp_path: Path) -> None:
    folder = tmp_path / ".work" / "target"
    folder.mkdir(parents=True)
    assert Sources([str(folder)]).matter(str(folder / "main.py"))


def test_a_folder_that_is_not_there() -> None:
    with pytest.raises(BimetalError, match="--reload-dir nowhere: there is no such folder"):
        Sources(["nowhere"])


class Watched:
    """Libraries that are looked at by hand, and what came of it."""

    def __init__(self, folder: Path) -> None:
        self.loaded = folder / "libone.so"
        self.loaded.write_text("1")
        self.absent = folder / "libtwo.so"
        self.events: list[str] = []
        self.libraries = Libraries(
            [str(self.loaded)],
            [str(self.absent)],
            changed=lambda: self.events.append("changed"),
            appeared=lambda: self.events.append("appeared"),
        )
        self.libraries.remember()

    def look(self, times: int) -> list[str]:
        for _ in range(times):
            self.libraries.look()
        events, self.events[:] = list(self.events), []
        return events


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_a_library_counts_when_it_stays_the_same(watched: Watched) -> None:
    assert watched.look(5) == []
    for length in range(2, 10):
        watched.loaded.write_text("2" * length)
        assert watched.look(2) == []
    assert watched.look(1) == ["changed"]
    assert watched.look(5) == []


def test_a_library_that_is_gone_for_a_while(watched: Watched) -> None:
    watched.loaded.unlink()
    assert watched.look(5) == []
    watched.loaded.write_text("another")
    assert watched.look(3) == ["changed"]


def test_a_library_that_was_not_there(watched: Watched) -> None:
    assert watched.look(5) == []
    watched.absent.write_text("part")
    assert watched.look(2) == []
    watched.absent.write_text("part and rest")
    assert watched.look(2) == []
    assert watched.look(1) == ["appeared"]
    assert watched.look(5) == []
