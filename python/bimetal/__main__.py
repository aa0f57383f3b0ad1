"""`python -m bimetal` is the `bimetal` command."""

from __future__ import annotations

from bimetal.cli import main

if __name__ == "__main__":
    main(prog_name="bimetal")
