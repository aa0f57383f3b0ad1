"""The guide `docs/guide/ten-minutes.md`, step by step as a reader would take it, but for the build of Bimetal itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.plugins import BUILD_TIMEOUT, PLUGIN_TARGET
from harness.servers import REPOSITORY, environment, start_bimetal
from harness.wire import get

pytestmark = pytest.mark.bimetal_only

GUIDE = REPOSITORY / "docs" / "guide" / "ten-minutes.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"(?:#|//) ([\w/.]+)\n")
#: What the environment of the tests has done already.
DONE = ("make ", ". .venv", "mkdir ", "cd ", "python -m pip install -q pytest")


class Reader:
    """Writes the guide's files and runs its commands, in order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        #: Where the wheel is installed, in place of the environment of the tests.
        self.packages = folder / "packages"
        #: What each command printed.
        self.printed: dict[str, list[str]] = {}

    def follow(self) -> None:
        for language, text in BLOCK.findall(GUIDE.read_text()):
            if language == "console":
                for line in text.splitlines():
                    assert line.startswith("$ "), line
                    self.run(line[2:])
            else:
                name = FILE.match(text)
                assert name, text
                file = self.folder / name[1]
                assert file.parent.is_dir(), file
                file.write_text(text)

    def run(self, command: str) -> None:
        if command.startswith(DONE):
            return
        line = command.replace("pip install ", f"pip install --target {self.packages} ")
        done = subprocess.run(
            line, shell=True, cwd=self.folder, env=self.env(), capture_output=True, text=True, timeout=BUILD_TIMEOUT
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
        self.printed.setdefault(command, []).append(done.stdout)
        if command.startswith("bimetal plugin new"):
            # The target directory of the other plugins has compiled what this one depends on, in the same versions.
            (self.folder / "prices" / "target").symlink_to(PLUGIN_TARGET)
            lock = (REPOSITORY / "examples" / "hybrid" / "hot" / "Cargo.lock").read_text()
            (self.folder / "prices" / "Cargo.lock").write_text(lock)

    def env(self) -> dict[str, str]:
        env = environment(self.folder)
        env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env["PATH"]])
        env["PYTHONPATH"] = os.pathsep.join([env["PYTHONPATH"], str(self.packages)])
        return env


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """Has read the guide to its end."""
    PLUGIN_TARGET.mkdir(parents=True, exist_ok=True)
    reader = Reader(tmp_path_factory.mktemp("shop"))
    reader.follow()
    return reader


def test_the_commands_say_what_the_guide_says(reader: Reader) -> None:
    before, after = reader.printed["bimetal routes main:app"]
    lanes = [
        next(line.split()[2] for line in table.splitlines() if "/quotes/{sku}" in line) for table in (before, after)
    ]
    assert lanes == ["sync", "native"]
    (checked,) = reader.printed["bimetal plugin check prices/target/release/libprices.so"]
    assert "prices.quote" in checked and "query amount?: integer" in checked
    (tested,) = reader.printed["python -m pytest -q test_main.py"]
    assert "1 passed" in tested
    (listed,) = reader.printed["bimetal plugin list"]
    assert "bimetal-plugin-prices 0.1.0" in listed


@pytest.mark.parametrize("app", ["main:app", "serve:app"])
def test_the_route_answers(reader: Reader, app: str) -> None:
    with start_bimetal(app, cwd=reader.folder, env=reader.env()) as server:
        server.wait_ready()
        assert get(server.port, "/quotes/bolt?amount=3").json() == {"sku": "bolt", "amount": 3, "cents": 750}
        assert get(server.port, "/quotes/bolt?amount=100").json()["cents"] == 22500
        assert "prices.quote" in server.output
