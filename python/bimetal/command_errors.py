"""How the commands of `bimetal` fail: one line on stderr, exit code 1."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import click

from bimetal.errors import BimetalError
from bimetal.loading import describe, origin


@contextmanager
def one_line_errors(with_traceback: bool, of_application: bool = False) -> Iterator[None]:
    """Ends the program with one line for an exception; with where it comes from, when that is asked for.

    `of_application` shows where an exception of the application comes from, and only that.
    """
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if with_traceback:
            traceback.print_exception(error)
        elif of_application and (cause := error.__cause__ or error) and not isinstance(cause, BimetalError):
            _print_own_frames(cause)
        text = str(error) if isinstance(error, BimetalError) else f"{describe(error)} ({origin(error)})"
        unexpected = error.__cause__ is not None or not isinstance(error, BimetalError)
        hint = "; --traceback shows more" if unexpected and not with_traceback and not of_application else ""
        click.echo(f"bimetal: error: {' '.join(text.split())}{hint}", err=True)
        sys.exit(1)


def _print_own_frames(error: BaseException) -> None:
    """A traceback without the frames of the import system and of this package."""
    own = os.path.dirname(os.path.abspath(__file__))
    shown = traceback.TracebackException.from_exception(error)
    frames = [frame for frame in shown.stack if not frame.filename.startswith(("<frozen", own))]
    frames = [frame for frame in frames if not frame.filename.endswith("importlib/__init__.py")]
    shown.stack = traceback.StackSummary.from_list(frames)
    print("".join(shown.format()), end="", file=sys.stderr)
