"""`make instructions`: what one call costs in instructions and allocations, compared with `instructions.toml`.

valgrind counts, so the figures do not depend on what else the machine does. They do depend on the compiler, the C
library and the widest vector instructions: where one of these is not that of the file, the figures are printed and
nothing fails but a call that allocates more. `--write` renews the file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import tomllib

HERE = Path(__file__).resolve().parent
FIGURES = HERE / "instructions.toml"
TOLERANCE = 0.05

_CALLS = 1000
_ALLOCATORS = {"malloc", "calloc", "realloc", "memalign", "posix_memalign", "aligned_alloc"}


@dataclass(frozen=True)
class Cost:
    """Of one call, or of several."""

    instructions: float
    allocations: float


def main() -> int:
    """Returns 1 where a call has become dearer, 2 where nothing can be counted."""
    parser = argparse.ArgumentParser(prog="instructions", description=__doc__)
    parser.add_argument("--write", action="store_true", help="make these the figures to compare with")
    write = parser.parse_args().write
    if shutil.which("valgrind") is None:
        print("error: valgrind is missing (Debian: apt-get install valgrind)", file=sys.stderr)
        return 2
    # The figures are those of the profile in Cargo.toml.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("CARGO_PROFILE_") and name not in ("RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS")
    }
    program = _build(environment)
    names = subprocess.run([program], check=True, capture_output=True, text=True).stdout.splitlines()
    costs = {name: _cost(program, name, environment) for name in names}
    made_with = _made_with()
    if write:
        _write(costs, made_with)
        return 0
    return _compare(costs, made_with, tomllib.loads(FIGURES.read_text()))


def _build(environment: Mapping[str, str]) -> str:
    command = ["cargo", "build", "--release", "--quiet", "--package", "bimetal-micro", "--bin", "instructions"]
    command += ["--message-format", "json-render-diagnostics"]
    done = subprocess.run(command, cwd=HERE, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    built = [json.loads(line).get("executable") for line in done.stdout.splitlines()]
    return next(path for path in built if path)


def _cost(program: str, name: str, environment: Mapping[str, str]) -> Cost:
    """Of one call: what so many calls more have cost, so that the first ones do not count."""
    once, twice = (_count(program, name, calls, environment) for calls in (_CALLS, 2 * _CALLS))
    return Cost(
        (twice.instructions - once.instructions) / _CALLS,
        # To one in a hundred calls: one more or less is a table that grows.
        round((twice.allocations - once.allocations) / _CALLS, 2) + 0.0,
    )


def _count(program: str, name: str, calls: int, environment: Mapping[str, str]) -> Cost:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind.out"
        valgrind = ["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={out}"]
        command = [*valgrind, "--toggle-collect=*counted_*", program, name, str(calls)]
        subprocess.run(command, env=environment, check=True, timeout=600)
        return _read(out.read_text())


def _read(profile: str) -> Cost:
    """The sums of a profile. A function's name stands beside its number the first time only."""
    names: dict[str, str] = {}
    caller = callee = ""
    instructions = allocations = 0
    for line in profile.splitlines():
        if function := re.match(r"(c?)fn=(\(\d+\))(?: (.*))?", line):
            called, number, name = function.groups()
            if name:
                names[number] = re.sub(r"^_*(libc_)?|'\d+$", "", name)
            if called:
                callee = names[number]
            else:
                caller = names[number]
        elif line.startswith("calls="):
            # realloc may call malloc.
            if callee in _ALLOCATORS and caller not in _ALLOCATORS:
                allocations += int(line[len("calls=") :].split()[0])
        elif line.startswith("totals:"):
            instructions = int(line.split()[1])
    if not instructions:
        raise SystemExit("error: valgrind has counted nothing: are there functions whose names begin with counted_?")
    return Cost(instructions, allocations)


def _made_with() -> dict[str, str]:
    said = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout.splitlines()
    host = next(line for line in said if line.startswith("host: "))
    flags = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    vectors = [name for name in ("avx2", "avx") if flags and name in flags[1].split()]
    return {
        "rustc": f"{said[0].removeprefix('rustc ')} {host.removeprefix('host: ')}",
        "libc": " ".join(platform.libc_ver()),
        "vectors": vectors[0] if vectors else "others",
    }


def _compare(costs: Mapping[str, Cost], made_with: Mapping[str, str], figures: Mapping[str, object]) -> int:
    others = [f"{name} {figures.get(name)}" for name, value in made_with.items() if figures.get(name) != value]
    if others:
        print(f"The figures of {FIGURES.name} are those of {', '.join(others)}: instructions are not compared.")
    dearer = cheaper = False
    for name, cost in costs.items():
        known = figures.get(name)
        if not isinstance(known, dict):
            print(f"{name}: {cost.instructions:.0f} instructions, {cost.allocations:g} allocations: not in the file")
            dearer = True
            continue
        ratio = cost.instructions / known["instructions"]
        verdict = ""
        if cost.allocations > known["allocations"] or (ratio > 1 + TOLERANCE and not others):
            verdict, dearer = ": DEARER", True
        elif ratio < 1 - TOLERANCE and not others:
            verdict, cheaper = ": cheaper", True
        print(
            f"{name}: {cost.instructions:.0f} instructions ({known['instructions']}, x {ratio:.3f}), "
            f"{cost.allocations:g} allocations ({known['allocations']}){verdict}"
        )
    if dearer:
        print(f"error: {TOLERANCE:.0%} dearer or more, more allocations, or unknown. If it is meant:", file=sys.stderr)
    if dearer or cheaper:
        print("`make instructions WRITE=yes` renews the figures.", file=sys.stderr)
    return 1 if dearer else 0


def _write(costs: Mapping[str, Cost], made_with: Mapping[str, str]) -> None:
    lines = ["# Instructions and allocations of a call, by valgrind: `make instructions WRITE=yes` writes them."]
    lines += [f"{name} = {json.dumps(value)}" for name, value in made_with.items()]
    for name, cost in costs.items():
        lines += ["", f"[{json.dumps(name)}]", f"instructions = {cost.instructions:.0f}"]
        lines += [f"allocations = {cost.allocations:g}"]
    FIGURES.write_text("\n".join(lines) + "\n")
    print(FIGURES.read_text(), end="")


if __name__ == "__main__":
    sys.exit(main())
