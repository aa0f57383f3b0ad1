"""`python -m conformance`: fetch the suite, run it, hold the outcomes against the list, print the tables."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from conformance import RESULTS, SHARE
from conformance.report import Run, as_json, as_text
from conformance.source import CACHE, REPOSITORY, SourceError, suite
from conformance.verdict import ListError, judge, read_list

#: Upper bound for one test, in seconds. The suite's own is 20, for a machine that does nothing else.
_TEST_TIMEOUT = 60
#: Upper bound for the whole run, in seconds.
_RUN_TIMEOUT = 1200
#: What pytest returns when it could run: all passed, some failed, nothing was its share.
_ENDINGS = (0, 1, 5)


def main() -> int:
    """Returns 0 when every outcome is as the list says."""
    arguments = _arguments()
    try:
        expected = read_list()
        folder = suite()
    except (ListError, SourceError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
        processes = [
            _Process(folder, Path(temporary), f"{number}/{arguments.processes}", arguments.tests)
            for number in range(arguments.processes)
        ]
        deadline = time.monotonic() + _RUN_TIMEOUT
        crashed = [message for process in processes if (message := process.crashed(deadline))]
        run = Run.read(process.results for process in processes)
        output = [process.output.read_text() for process in processes]
    if arguments.tests:
        expected = {test: reason for test, reason in expected.items() if test in run.collected}
    verdict = judge(run.collected, run.outcomes, expected)
    version = importlib.metadata.version("fastapi")
    if crashed or not verdict.good:
        print(*output, sep="\n")
    print(as_text(version, run, verdict, expected), end="")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(as_json(version, run, verdict, expected), indent=2) + "\n")
    for message in crashed:
        print(f"error: {message}", file=sys.stderr)
    return 0 if verdict.good and not crashed else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m conformance", description=__doc__)
    parser.add_argument("tests", nargs="*", help="only these, as pytest takes them: tests/test_application.py")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON, too")
    parser.add_argument(
        "--processes", type=int, default=min(os.cpu_count() or 1, 4), metavar="N", help="processes that share the tests"
    )
    return parser.parse_args()


class _Process:
    """One process with its share of the tests, in a copy of the suite: tests write files where they run."""

    def __init__(self, suite: Path, folder: Path, share: str, tests: list[str]) -> None:
        name = share.partition("/")[0]
        copy = folder / name / suite.name
        shutil.copytree(suite, copy)
        self.share = share
        self.results = folder / f"{name}.json"
        self.output = folder / f"{name}.txt"
        command = [sys.executable, "-m", "pytest", "--quiet", "--tb=short", "-p", "conformance.plugin"]
        command += ["-p", "no:cacheprovider", "-o", f"timeout={_TEST_TIMEOUT}", *(tests or ["tests"])]
        # What the run itself is started with comes last: `make versions` puts another FastAPI there.
        paths = [str(copy / "docs_src"), str(REPOSITORY / "python"), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {
            **os.environ,
            SHARE: share,
            RESULTS: str(self.results),
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        with self.output.open("w") as output:
            self._process = subprocess.Popen(
                command, cwd=copy, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )

    def crashed(self, deadline: float) -> str | None:
        """Wait until it has ended; says what is wrong when it did not end by itself."""
        try:
            status = self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return f"process {self.share} did not end within {_RUN_TIMEOUT} s"
        return None if status in _ENDINGS else f"process {self.share}: pytest ended with status {status}"


if __name__ == "__main__":
    sys.exit(main())
