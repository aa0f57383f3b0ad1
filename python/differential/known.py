"""Differences that are meant, each with its reason, as narrow as can be said.

What is not in this table fails the run. The run says how many requests fell under each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from differential.answers import CLOSED, NO_HTTP, Answer, differences
from differential.request import Request


@dataclass(frozen=True)
class Known:
    """A difference that is meant."""

    name: str
    reason: str
    #: Whether the difference between our answer and the reference's is this one.
    covers: Callable[[Request, Answer, Answer], bool] = lambda request, ours, reference: False
    #: The request as Bimetal takes it: the difference is this one if the reference answers to that as we do.
    rewrite: Callable[[Request], Request] = lambda request: request


#: What uvicorn says to bytes its parser does not take for a request.
REFUSAL = b"Invalid HTTP request received."


def refused(answer: Answer) -> bool:
    """Whether uvicorn's parser refused the request, so that no application saw it.

    A HEAD request gets the sentence, too, and that is more than its answer.
    """
    return answer.status == 400 and (answer.body == REFUSAL or REFUSAL.decode() in answer.problem)


def turned_away(answer: Answer) -> bool:
    """Whether Bimetal's parser refused the request: a 400 without a body."""
    return answer.status == 400 and answer.header("content-type") is None and answer.header("content-length") == "0"


def _has_refused_byte(target: bytes) -> bool:
    """Whether the `http` crate refuses a target for one of its printable ASCII characters."""
    path, _, query = target.partition(b"#")[0].partition(b"?")
    return any(byte in path for byte in b"<>`") or any(byte in query for byte in b'"<>')


def _stripped(request: Request) -> Request:
    return replace(request, headers=tuple((name, value.strip(b" \t")) for name, value in request.headers))


def _empty_last(request: Request) -> Request:
    """Fields of one name with the empty ones last; in place of those before."""
    found: dict[bytes, list[bytes]] = {}
    for name, value in request.headers:
        found.setdefault(name.lower(), []).append(value)
    for values in found.values():
        values.sort(key=lambda value: not value.strip(b" \t"))
    return replace(request, headers=tuple((name, found[name.lower()].pop(0)) for name, _ in request.headers))


def _in_origin_form(request: Request) -> Request:
    """The target without scheme and host."""
    if not request.target.startswith(b"http://"):
        return request
    return replace(request, target=b"/" + request.target.split(b"/", 3)[3])


KNOWN: tuple[Known, ...] = (
    Known(
        "both refuse",
        "neither parser takes the bytes for a request: Bimetal answers 400 without a body, uvicorn 400 with a sentence",
        covers=lambda request, ours, reference: turned_away(ours) and refused(reference),
    ),
    Known(
        "byte in the target",
        'the http crate refuses characters that have to be percent-encoded: `"<>` in a query, `<>` and the backtick in a path',
        covers=lambda request, ours, reference: turned_away(ours) and _has_refused_byte(request.target),
    ),
    Known(
        "no length in HTTP/1.0",
        "a POST or PUT of HTTP/1.0 without Content-Length is malformed (RFC 1945, 8.3): 400",
        covers=lambda request, ours, reference: (
            turned_away(ours)
            and request.version == b"HTTP/1.0"
            and request.method in (b"POST", b"PUT", b"PATCH")
            and request.body is None
        ),
    ),
    Known(
        "target as to a proxy, judged by h11",
        "uvicorn with h11, asked where httptools knows no such method, takes scheme and host for a part of the path",
        rewrite=_in_origin_form,
    ),
    Known(
        "tab behind a value",
        "httptools leaves a tab behind a field's value, which is no part of it (RFC 9110, 5.5)",
        rewrite=_stripped,
    ),
    Known(
        "empty field among others",
        "of several fields of one name, those that are empty come last: the header map of actix-http does not keep their place",
        rewrite=_empty_last,
    ),
    Known(
        "answer that is no HTTP",
        "an application answers with a status below 200 or with a control character in a field: Bimetal answers 500, uvicorn closes the connection or sends it",
        covers=lambda request, ours, reference: (
            ours.status == 500
            and ours.body == b"Internal Server Error"
            and (reference.problem in (CLOSED, NO_HTTP) or reference.status == 101)
        ),
    ),
    Known(
        "status above 599",
        "an application answers with such a status: Bimetal sends it, uvicorn closes the connection",
        covers=lambda request, ours, reference: (
            ours.status is not None and 599 < ours.status < 1000 and reference.problem == CLOSED
        ),
    ),
)


def known(request: Request, ours: Answer, reference: Answer, ask_reference: Callable[[Request], Answer]) -> list[Known]:
    """The entries of the table that cover this difference; none where it is new."""
    for entry in KNOWN:
        if entry.covers(request, ours, reference):
            return [entry]
    applied, rewritten = [], request
    for entry in KNOWN:
        if entry.rewrite(rewritten) != rewritten:
            applied.append(entry)
            rewritten = entry.rewrite(rewritten)
            if not differences(ours, ask_reference(rewritten)):
                return applied
    return []
