"""An exception in each place ends as FastAPI ends it: the answer, what else runs, which handler sees it, what the log names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from failures import APPS, ERRORS, PLACES, VALUES

from harness.journal import Journal, serve_journal
from harness.wire import get, json_body

#: The errors for which the handlers of an application matter; all of them for the others.
MATTER = {
    "statuses": ["broken", "http", "http-child", "http-500", "request-validation", "value"],
    "http": ["http", "http-child", "http-204", "http-500", "starlette"],
    "raising": ["broken", "known", "younger", "http-child", "request-validation"],
}


@pytest.fixture(scope="module", params=APPS)
def failing(request: pytest.FixtureRequest) -> Iterator[Journal]:
    with serve_journal(f"failures:{request.param}") as journal:
        yield journal


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("place", PLACES)
def test_every_error_in_every_place(failing: Journal, place: str, kind: str, request: pytest.FixtureRequest) -> None:
    for error in MATTER.get(request.node.callspec.params["failing"], ERRORS):
        failing.same("GET", f"/{kind}/{place}?error={error}")


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("model", ["any", "int", "item", "list", "float"])
def test_what_cannot_be_returned(failing: Journal, model: str, kind: str) -> None:
    for value in VALUES:
        failing.same("GET", f"/{kind}/returns/{model}?value={value}")


def test_invalid_requests(failing: Journal) -> None:
    for error in ERRORS:
        failing.same("POST", "/validator", *json_body({"value": error}))
    for headers, body in [
        json_body({"number": "x"}),
        ([("Content-Type", "application/json")], b'{"number": 1'),
        ([("Content-Type", "text/plain")], b"number"),
        ([("Content-Type", "application/json")], b'"\xff"'),
        ([], None),
    ]:
        failing.same("POST", "/item", headers, body)
        failing.same("POST", "/item", [*headers, ("X-Number", "1")], body)
    failing.same("POST", "/item", *json_body([]))
    for method, target in [
        ("GET", "/missing"),
        ("GET", "/item"),
        ("GET", "/async/handler"),
        ("GET", "/async/handler/?error=http"),
    ]:
        failing.same(method, target)


def test_debug_shows_the_traceback() -> None:
    """With frames of one server or the other in it; the exception and the place in the application are the same."""
    with serve_journal("failures:debug") as journal:
        for kind in ("sync", "async"):
            for accept in ("text/plain", "text/html"):
                replies = [
                    get(port, f"/{kind}/handler?error=broken", [("Accept", accept)]) for port in journal.pair.ports
                ]
                for reply in replies:
                    assert reply.status == 500 and (reply.header("content-type") or "").startswith(accept)
                    assert "raised on purpose" in reply.text and f"{kind}_route" in reply.text
                    assert "X-Handled" not in dict(reply.headers)
            for error in ("known", "http", "cancelled"):
                journal.same("GET", f"/{kind}/handler?error={error}")


def test_absolute_answers() -> None:
    with serve_journal("failures:handled") as journal:
        told = journal.same("GET", "/sync/handler?error=broken")
        assert (told.reply.status, told.reply.body) == (411, b"Broken(raised on purpose) at /sync/handler")
        assert told.events == [
            "fails in handler",
            "outer saw Broken(raised on purpose)",
            "end",
            "async handler Broken(raised on purpose)",
        ]
        told = journal.same("GET", "/async/stream-later?error=known")
        assert told.cut and told.reply.body == b"piece 0\npiece 1\n"
        told = journal.same("GET", "/async/handler?error=with-task")
        assert told.reply.status == 202
        assert journal.same("GET", "/sync/returns/int?value=text").reply.status == 512
