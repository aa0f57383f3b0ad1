"""Two answers to one request, a native handler's and a Python body's, and how they differ."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

#: Headers of the server, the moment and the connection, and the length, which the body tells.
_NOT_COMPARED = frozenset(
    ("connection", "content-length", "date", "keep-alive", "server", "transfer-encoding"),
)
#: How much is shown of a value, and of how many places in a JSON body.
_SHOWN = 120
_PLACES = 10
_ABSENT = object()


@dataclass(frozen=True)
class Answer:
    """A whole response; header names in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @classmethod
    def of_asgi(cls, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> Answer:
        """From the values of ASGI messages."""
        decoded = ((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in headers)
        return cls(status, tuple(decoded), body)

    def values(self, name: str) -> list[str]:
        """All values of a header, in order."""
        return [value for key, value in self.headers if key == name]


def differences(
    native: Answer, python: Answer, *, exact: bool = False, ignore_headers: Collection[str] = ()
) -> list[str]:
    """Each way in which the two differ, as a line of text; empty where they are the same.

    Bodies of JSON are compared as values: the order of members and white space do not count, `1` and `1.0` differ. All
    others, and all where `exact` is set, are compared byte by byte.
    """
    found = []
    if native.status != python.status:
        found.append(f"status: native {native.status}, python {python.status}")
    ignored = _NOT_COMPARED | {name.lower() for name in ignore_headers}
    for name in sorted({name for name, _ in native.headers + python.headers} - ignored):
        ours, theirs = native.values(name), python.values(name)
        if ours != theirs:
            found.append(f"header {name}: native {_header(ours)}, python {_header(theirs)}")
    if native.body == python.body:
        return found
    ours_json, theirs_json = _json(native), _json(python)
    if exact or ours_json is _ABSENT or theirs_json is _ABSENT:
        found.append(f"body: native {_text(native.body)}, python {_text(python.body)}")
        return found
    places = list(_places(ours_json, theirs_json, "$"))
    found += places[:_PLACES]
    if len(places) > _PLACES:
        found.append(f"body: {len(places) - _PLACES} more differences")
    return found


def _json(answer: Answer) -> Any:
    media_type = (answer.values("content-type") or [""])[0].partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        return _ABSENT
    try:
        return json.loads(answer.body)
    except ValueError:
        return _ABSENT


def _places(native: Any, python: Any, place: str) -> Iterator[str]:
    if isinstance(native, dict) and isinstance(python, dict):
        for name in native | python:
            yield from _places(native.get(name, _ABSENT), python.get(name, _ABSENT), f"{place}.{name}")
    elif isinstance(native, list) and isinstance(python, list) and len(native) == len(python):
        for index, (ours, theirs) in enumerate(zip(native, python, strict=True)):
            yield from _places(ours, theirs, f"{place}[{index}]")
    elif type(native) is not type(python) or native != python:
        yield f"body {place}: native {_value(native)}, python {_value(python)}"


def _header(values: list[str]) -> str:
    return " and ".join(repr(value) for value in values) or "nothing"


def _value(value: Any) -> str:
    return "nothing" if value is _ABSENT else _short(json.dumps(value, ensure_ascii=False))


def _text(body: bytes) -> str:
    return _short(repr(body)) if body else "nothing"


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text)} characters)"
