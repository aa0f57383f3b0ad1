"""The Autobahn test suite against an application that echoes. It needs a Python 2.7 and packages for it, and is skipped without.

Here all of its cases about the protocol; `make autobahn` runs those about limits and compression in full, too.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any, NoReturn

import pytest

from harness.servers import REPOSITORY, TESTS, ServerProcess

pytestmark = pytest.mark.bimetal_only

APP = "sockets:app"
LONG = os.environ.get("SOAK") == "long"

PROTOCOL = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"]
#: Of the cases about compression two, each of 1,000 messages of 256 bytes.
A_FEW = ["12.1.3", "13.3.3"]
CASES = [*PROTOCOL, *(["9.*", "12.*", "13.*"] if LONG else A_FEW)]

PASSED = ("OK", "NON-STRICT", "INFORMATIONAL")

#: Seconds; a bound for a registry that hangs.
INSTALL_TIMEOUT = 120

PINS = TESTS / "autobahn.txt"
CACHE = REPOSITORY / ".cache" / "autobahn"
#: A folder of packages is made one of the interpreter's own, with their namespaces.
CLIENT = "import site, sys; site.addsitedir(sys.argv.pop(1)); from autobahntestsuite import wstest; wstest.run()"


def python27() -> str | None:
    """An interpreter that runs the suite: one on the path, or one of pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = [shutil.which("python2.7"), *map(str, sorted(pyenv.glob("versions/2.7*/bin/python2.7")))]
    for python in filter(None, found):
        # A program of pyenv's may be there for a version that is not chosen.
        if subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode == 0:
            return python
    return None


def without(why: str) -> NoReturn:
    """Skips, unless the suite is what has been asked for."""
    (pytest.fail if LONG else pytest.skip)(f"no Autobahn test suite: {why}")


@pytest.fixture(scope="module")
def suite() -> list[str]:
    """The suite's program."""
    python = python27()
    if python is None:
        without("it needs a Python 2.7 with pip: none is on the path or in pyenv")
    packages, stamp = CACHE / "packages", CACHE / "installed.txt"
    if not stamp.exists() or stamp.read_text() != PINS.read_text():
        shutil.rmtree(CACHE, ignore_errors=True)
        CACHE.mkdir(parents=True)
        install = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(packages), "-r", str(PINS)]
        look = [python, "-c", CLIENT.replace("wstest.run()", ""), str(packages)]
        for command in (install, look):
            try:
                subprocess.run(command, capture_output=True, text=True, check=True, timeout=INSTALL_TIMEOUT)
            except subprocess.TimeoutExpired:
                without(f"its packages were not installed within {INSTALL_TIMEOUT} s")
            except subprocess.CalledProcessError as error:
                without(f"its packages cannot be installed: {error.stderr.strip()[-500:]}")
        stamp.write_text(PINS.read_text())
    return [python, "-c", CLIENT, str(packages)]


@pytest.mark.timeout(3600 if LONG else 300)
def test_autobahn(suite: list[str], server: ServerProcess) -> None:
    reports = CACHE / "reports"
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir()
    spec = {
        "outdir": str(reports),
        "servers": [{"agent": "bimetal", "url": f"ws://127.0.0.1:{server.port}/echo"}],
        "cases": CASES,
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    (CACHE / "spec.json").write_text(json.dumps(spec))
    ran = subprocess.run(
        [*suite, "-m", "fuzzingclient", "-s", str(CACHE / "spec.json")], cwd=CACHE, capture_output=True, text=True
    )
    index = reports / "index.json"
    assert index.exists(), f"the suite made no report:\n{ran.stdout[-2000:]}\n{ran.stderr[-2000:]}"
    results: dict[str, dict[str, Any]] = json.loads(index.read_text())["bimetal"]
    print(dict(Counter(result["behavior"] for result in results.values())))
    print("NON-STRICT:", ", ".join(case for case, result in results.items() if result["behavior"] == "NON-STRICT"))
    for group in PROTOCOL:
        assert any(case.startswith(group[:-1]) for case in results), f"no case of {group} was run"
    failed = {
        case: f"{result['behavior']}, its close {result['behaviorClose']}: {reports / result['reportfile']}"
        for case, result in results.items()
        if result["behavior"] not in PASSED or result["behaviorClose"] not in PASSED
    }
    assert failed == {}
