"""How the commands of `bimetal` fail: one line on stderr, exit code 1."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import click

from bimetal.errors import BimetalError
from bimetal.loading import describe, origin


@contextmanager
def one_line_errors(with_traceback: bool) -> Iterator[None]:
    """Ends the program with one line for an exception; with where it comes from, when that is asked for."""
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if with_traceback:
            traceback.print_exception(error)
        text = str(error) if isinstance(error, BimetalError) else f"{describe(error)} ({origin(error)})"
        unexpected = error.__cause__ is not None or not isinstance(error, BimetalError)
        hint = "; --traceback shows more" if unexpected and not with_traceback else ""
        click.echo(f"bimetal: error: {' '.join(text.split())}{hint}", err=True)
        sys.exit(1)
