"""Regular expressions for origins: from Python's syntax and meaning to Rust's, where the two can be held together.

The expression is read by Python's own parser. Whatever matches one character is asked of Python's own engine, for each
of the 256 characters that a header can hold, and becomes an explicit class of bytes. What is left is regular in the
strict sense (sequence, choice, repetition, both ends of the text): engines agree on which whole texts match.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterable
from typing import Any

#: Python's own parser of regular expressions, with the names of what it finds.
op: Any = importlib.import_module("re._parser" if sys.version_info >= (3, 11) else "sre_parse")

#: What a header's text can hold, once decoded: Latin-1.
_CHARACTERS = [chr(code) for code in range(256)]
#: Flags that change what a single character matches.
_OF_CHARACTERS = re.IGNORECASE | re.ASCII | re.UNICODE | re.DOTALL

_OF_TYPE = re.ASCII | re.UNICODE

#: The inside of a class that no byte is in.
_NOTHING = r"^\x00-\xff"


class _Unknown(Exception):
    """The two engines are not known to agree on it."""


def translate(pattern: Any) -> str | None:
    """The expression for Rust's `regex` over bytes that matches the same whole origins; None when there may be none.

    Args:
        pattern: What `re.compile` takes: a text, or a compiled expression.

    Example:
        >>> translate("a|[b-d]+")
        '(?:[\\\\x61-\\\\x61]|(?:[\\\\x62-\\\\x64]){1,})'
    """
    if type(pattern) is not str and type(pattern) is not re.Pattern:
        return None
    try:
        compiled = re.compile(pattern)
        if not isinstance(compiled.pattern, str):
            return None
        return _sequence(op.parse(compiled.pattern, compiled.flags), compiled.flags)
    except (re.error, _Unknown, OverflowError, RecursionError):
        return None


def _sequence(items: Iterable[Any], flags: int) -> str:
    return "".join(_item(code, argument, flags) for code, argument in items)


def _item(code: Any, argument: Any, flags: int) -> str:
    if code in (op.LITERAL, op.NOT_LITERAL, op.ANY, op.IN):
        return _class(code, argument, flags)
    if code is op.BRANCH:
        return f"(?:{'|'.join(_sequence(branch, flags) for branch in argument[1])})"
    if code is op.SUBPATTERN:
        _, added, taken, inner = argument
        if added & _OF_TYPE:
            # One of them takes the place of the other.
            flags &= ~_OF_TYPE
        return f"(?:{_sequence(inner, (flags | added) & ~taken)})"
    if code in (op.MAX_REPEAT, op.MIN_REPEAT):
        # Greedy or not, the same whole texts match.
        least, most, inner = argument
        return f"(?:{_sequence(inner, flags)}){{{int(least)},{'' if most == op.MAXREPEAT else int(most)}}}"
    if code is op.AT and not flags & re.MULTILINE:
        # No header holds the line feed that `$` would pass over.
        if argument in (op.AT_BEGINNING, op.AT_BEGINNING_STRING):
            return r"\A"
        if argument in (op.AT_END, op.AT_END_STRING):
            return r"\z"
    raise _Unknown(code)


def _class(code: Any, argument: Any, flags: int) -> str:
    """The bytes that one item of an expression matches."""
    matches = _engine(code, argument, flags).fullmatch
    ranges: list[list[int]] = []
    for code_point, character in enumerate(_CHARACTERS):
        if matches(character):
            if ranges and ranges[-1][1] == code_point - 1:
                ranges[-1][1] = code_point
            else:
                ranges.append([code_point, code_point])
    shown = "".join(rf"\x{first:02x}-\x{last:02x}" for first, last in ranges)
    return f"[{shown or _NOTHING}]"


def _engine(code: Any, argument: Any, flags: int) -> re.Pattern[str]:
    """Python's expression for one item that matches a single character."""
    if code is op.ANY:
        source = "."
    elif code is op.LITERAL:
        source = re.escape(chr(argument))
    elif code is op.NOT_LITERAL:
        source = f"[^{_escaped(argument)}]"
    else:
        source = f"[{''.join(_member(kind, value) for kind, value in argument)}]"
    return re.compile(source, flags & _OF_CHARACTERS)


def _member(kind: Any, value: Any) -> str:
    if kind is op.NEGATE:
        return "^"
    if kind is op.LITERAL:
        return _escaped(value)
    if kind is op.RANGE:
        return f"{_escaped(value[0])}-{_escaped(value[1])}"
    if kind is op.CATEGORY and value in _CATEGORIES:
        return _CATEGORIES[value]
    raise _Unknown(kind)


def _escaped(code: int) -> str:
    return f"\\U{code:08x}"


_CATEGORIES = {
    op.CATEGORY_DIGIT: r"\d",
    op.CATEGORY_NOT_DIGIT: r"\D",
    op.CATEGORY_SPACE: r"\s",
    op.CATEGORY_NOT_SPACE: r"\S",
    op.CATEGORY_WORD: r"\w",
    op.CATEGORY_NOT_WORD: r"\W",
}
