"""`dispatch(request, call_next)`: whatever it does with the request, with `call_next` and with the response, ends as under Starlette."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from dispatch import ACTIONS

from harness.compare import Pair, ask, assert_same, case
from harness.journal import Journal, events_of, serve_journal
from harness.wire import TIMEOUT, Connection

APP = "dispatch:one"

JSON = [("Content-Type", "application/json")]
FORM = [("Content-Type", "application/x-www-form-urlencoded")]
MULTIPART = [("Content-Type", "multipart/form-data; boundary=b")]
FILE = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f.txt"\r\n\r\ncontent\r\n--b--\r\n'

PLAIN = [
    case("GET", target)
    for target in [
        "/sync?n=1", "/async?n=2", "/async?n=x", "/target?n=3", "/yield", "/yield?then=broken", "/yield?then=known", "/yield?then=background",
        "/yield/function", "/http", "/broken", "/sync/broken", "/invalid", "/empty", "/text", "/large", "/stream", "/stream?fail=1", "/stream/sync",
        "/events", "/file", "/disconnected", "/slash", "/slash/", "/missing", "/sub/item/1", "/sub/item/x", "/sub/broken", "/sub", "/static/journal.py",
        "/static/nothing", "/openapi.json",
    ]
] + [case("HEAD", "/sync"), case("HEAD", "/file"), case("DELETE", "/sync"), case("POST", "/sync?n=4"), case("OPTIONS", "/sync")]  # fmt: skip
PLAIN += [
    case("GET", "/file", [("Range", "bytes=2-9")], note="range"),
    case("GET", "/static/journal.py", [("Range", "bytes=-5")]),
]
#: Like another one to all actions, so only passed through.
SEEN_ONCE = (
    "/async?n=x",
    "/text",
    "/large",
    "/stream/sync",
    "/events",
    "/slash",
    "/sub/item/x",
    "/static/nothing",
    "/openapi.json",
    "/sync?n=4",
)
#: For the combinations of layers: one of each kind of answer.
THROUGH_LAYERS = [
    request
    for request in PLAIN
    if request.target.startswith(
        ("/async", "/yield", "/http", "/broken", "/empty", "/stream", "/file", "/slash", "/missing", "/sub/")
    )
]
BODIES = [
    case("POST", target, headers, body, note=note)
    for target in ["/echo", "/json", "/json/async", "/form", "/upload", "/unread"]
    for headers, body, note in [
        (JSON, b'{"n": 1}', "json"), (JSON, (b'{"n"', b": 2}"), "pieces"), (JSON, b"{", "broken"), (FORM, b"n=3&m=4", "form"),
        (MULTIPART, FILE, "file"), ([], None, "nothing"), (JSON, b'{"n": 5, "x": "' + b"x" * 150_000 + b'"}', "large"),
    ]
]  # fmt: skip
#: What reads or replaces the request, for the cases with a body.
ON_BODIES = [
    "", "body", "stream", "json", "form", "body-after", "other-receive", "read", "path", "headers", "short",
    "in-a-task", "replaced",
]  # fmt: skip
#: Both runs of the handler end at the same time, in any order.
ENDS_TWICE = [request for request in PLAIN if request.target.startswith("/yield")]
#: The background task of a middleware's response runs beside what the application still does.
BACKGROUND = r"^background of"
GIVES_UP = ["gives-up", "gives-up-with-asyncio"]


@pytest.mark.parametrize("what", ["", *(what for what in ACTIONS if what not in GIVES_UP)])
def test_every_action_over_every_route(journal: Journal, what: str) -> None:
    for request in PLAIN:
        if what and request.target.startswith(SEEN_ONCE):
            continue
        if what == "twice" and request in ENDS_TWICE:
            continue
        if what == "drained" and request.method == "HEAD":
            # Without a length from the application, `content-length: 0` is there or not.
            continue
        journal.same(request.method, request.target, [*request.headers, ("X-Do", what)], apart=BACKGROUND)


@pytest.mark.parametrize("what", ON_BODIES)
def test_actions_over_routes_with_a_body(journal: Journal, what: str) -> None:
    for request in BODIES:
        journal.same(request.method, request.target, [*request.headers, ("X-Do", what)], request.body, apart=BACKGROUND)


@pytest.fixture(scope="module")
def three() -> Iterator[Journal]:
    with serve_journal("dispatch:three") as journal:
        yield journal


LAYERS = [
    ("header", "header", "header"), ("state", "", "state"), ("catches", "reraises", "catches"), ("raises-before", "catches", "header"),
    ("raises-after", "", "catches"), ("short", "read", "wrapped"), ("http-before", "catches", ""), ("known-before", "", "status"),
    ("replaced", "replaced", "replaced"), ("background", "background", "background"), ("path", "query", "headers"), ("wrapped", "wrapped", "rebuilt"),
    ("twice", "", "twice"), ("", "short-stream", "read"), ("none", "catches", "header"), ("breaks-the-body", "", "catches"), ("header", "raises-after", "state"),
    ("in-time", "in-a-task", "in-time"), ("facts", "facts", "facts"), ("status", "drained", "restored"), ("token", "state", "token"),
]  # fmt: skip


def apart_of(layers: tuple[str, str, str]) -> str:
    """A layer that waits for the whole body goes on while what is below it ends; so does one that answers itself."""
    if set(layers) & {"read", "rebuilt", "restored", "drained", "replaced"}:
        return rf"{BACKGROUND}|^(outer|middle|inner) |^read "
    return BACKGROUND


@pytest.mark.parametrize("layers", LAYERS, ids=str)
def test_three_layers(three: Journal, layers: tuple[str, str, str]) -> None:
    headers = list(zip(("X-Outer", "X-Middle", "X-Inner"), layers, strict=True))
    for request in THROUGH_LAYERS:
        if ("twice" in layers and request in ENDS_TWICE) or ("drained" in layers and request.method == "HEAD"):
            continue
        three.same(request.method, request.target, [*request.headers, *headers], apart=apart_of(layers))


@pytest.mark.parametrize("layers", [("body", "stream", "body"), ("stream", "body", "json"), ("json", "", "form"), ("", "body", "body-after"),
                                    ("other-receive", "path", "body")], ids=str)  # fmt: skip
def test_three_layers_over_a_body(three: Journal, layers: tuple[str, str, str]) -> None:
    headers = list(zip(("X-Outer", "X-Middle", "X-Inner"), layers, strict=True))
    for request in BODIES:
        three.same(request.method, request.target, [*request.headers, *headers], request.body, apart=apart_of(layers))


def test_absolute_order(journal: Journal, three: Journal) -> None:
    told = three.same("GET", "/yield")
    assert told.events == [
        "outer before", "middle before", "inner before", "sync enter", "enter", "handler", "inner after 200", "middle after 200",
        "outer after 200", "background", "exit", "sync exit",
    ]  # fmt: skip
    told = journal.same("GET", "/broken", [("X-Do", "catches")])
    assert (told.reply.status, told.reply.body) == (502, b"only caught Broken(from the handler)")
    told = journal.same("GET", "/async", [("X-Do", "state")])
    assert told.reply.json() == {"n": 0, "variable": "only", "mark": "only"}
    # The handler runs in a context of its own, so its change is not seen here.
    assert "mark only late set by the handler variable only" in told.events
    assert journal.same("GET", "/sync", [("X-Do", "http-before")]).reply.status == 500
    # The end of a stream that fails behind a middleware looks like any other to the client.
    assert not journal.same("GET", "/stream?fail=1").cut


@pytest.mark.parametrize("what", GIVES_UP)
def test_a_handler_that_was_given_up_goes_on(pair: Pair, what: str) -> None:
    """The client has the answer of the middleware while the handler still waits, uncancelled."""
    replies = []
    for server in (pair.ours, pair.reference):
        before = server.output_size
        replies.append(ask(server.port, "GET", f"/held/{what}", [("X-Do", what)]))
        assert ask(server.port, "GET", f"/open/{what}").status == 200
        server.wait_output("~ exit\n", before)
        notes = [line for line in server.output_since(before).splitlines() if line.startswith("~ ")]
        assert [note for note in notes if "only" not in note] == ["~ enter", "~ waits", "~ waited", "~ exit"]
    assert_same(*replies)
    assert replies[0].status == 504


def test_state_of_a_middleware_lasts(journal: Journal) -> None:
    counts = [journal.same("GET", "/sync", [("X-Do", "counts")]).reply.header("x-count") for _ in range(3)]
    first = int(counts[0] or 0)
    assert counts == [str(first), str(first + 1), str(first + 2)]


def test_nothing_is_left_on_a_connection(pair: Pair) -> None:
    for port in pair.ports:
        with Connection(port) as connection:
            for what in ("state", "read", "wrapped", "catches", "short", "token"):
                connection.request("GET", "/async", [("X-Do", what)])
                assert connection.request("GET", "/async").json() == {"n": 0, "variable": "unset", "mark": None}


def test_both_runs_of_a_handler_end(pair: Pair) -> None:
    """When `call_next` is called twice."""
    for server in (pair.ours, pair.reference):
        before = server.output_size
        assert ask(server.port, "GET", "/yield", [("X-Do", "twice")]).json() == "none"
        expected = ["enter", "sync enter", "handler", "background", "exit", "sync exit"] * 2 + [
            "first 200 6",
            "only before",
            "only after 200",
        ]
        deadline = time.monotonic() + TIMEOUT
        while sorted(events := events_of(server, before)) != sorted(expected) and time.monotonic() < deadline:
            time.sleep(0.002)
        assert sorted(events) == sorted(expected)
        assert events[:5] == ["only before", "sync enter", "enter", "handler", "first 200 6"]
