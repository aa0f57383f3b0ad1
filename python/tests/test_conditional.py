"""Entity tags and 304, at the edge and on uvicorn, on every lane."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from edge_own import LAST_MODIFIED

from bimetal import Bimetal, Server
from harness.compare import Case, Pair, ask, assert_same, case, serve_both, without
from harness.decoding import decoded
from harness.wire import Connection, Headers, Reply

EARLIER, LATER = "Sat, 05 Nov 1994 08:49:37 GMT", "Mon, 07 Nov 1994 08:49:37 GMT"
#: Whole answers without a tag of their own: sync, async, asgi.
UNTAGGED = [
    "/sync",
    "/async",
    "/large",
    "/huge",
    "/request",
    "/dated",
    "/cookies",
    "/vary",
    "/mounted/x",
    "/docs",
    "/encoded",
]
#: What is no whole 200 with a body, must not be stored, or has a tag.
PASSED = [
    "/stream",
    "/stream-tiny",
    "/stream-nothing",
    "/events",
    "/file",
    "/tagged",
    "/tagged-stream",
    "/no-store",
    "/nothing",
    "/partial",
    "/missing",
    "/elsewhere",
    "/http-error",
    "/sync?n=x",
    "/boom",
    "/mounted/boom",
    "/exact/0",
]


def if_none_match(value: str) -> tuple[str, str]:
    return ("If-None-Match", value)


def asked(*headers: tuple[str, str], note: str = "") -> list[Case]:
    return [case("GET", target, headers, note=note) for target in UNTAGGED + PASSED]


TABLE = [
    *asked(),
    *asked(if_none_match("*"), note="any"),
    *asked(if_none_match('"own"'), note="own"),
    *asked(("If-Modified-Since", LATER), note="since"),
    *asked(if_none_match("garbage"), note="garbage"),
    case("HEAD", "/both"),
    case("HEAD", "/both", [if_none_match("*")]),
    case("HEAD", "/dated", [("If-Modified-Since", LATER)]),
    case("HEAD", "/bodiless", [if_none_match('"own"')]),
    case("POST", "/dated", [if_none_match("*"), ("If-Modified-Since", LATER)]),
    case("PUT", "/sync", [if_none_match("*")]),
    case("POST", "/echo", [if_none_match("*")], b"x" * 600),
]


@pytest.fixture(scope="module", params=["tagged", "everything", "behind"])
def both(request: pytest.FixtureRequest) -> Iterator[Pair]:
    with serve_both(f"edge_own:{request.param}") as pair:
        yield pair


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with serve_both("edge_own:tagged") as pair:
        yield pair


def get(port: int, target: str, *headers: tuple[str, str]) -> Reply:
    return ask(port, "GET", target, headers)


def tag_of(port: int, target: str, headers: Headers = ()) -> str:
    tag = get(port, target, *headers).header("etag")
    assert tag is not None, target
    return tag


@pytest.mark.parametrize("request_", TABLE, ids=str)
def test_answers_are_those_of_the_class_on_uvicorn(both: Pair, request_: Case) -> None:
    ours, reference = (
        ask(port, request_.method, request_.target, request_.headers, request_.body) for port in both.ports
    )
    if request_.target == "/request" or ours.status == 500:
        # Names the server's address; the text of an exception's answer is nobody's business here.
        ours, reference = without(ours, "etag"), without(reference, "etag")
        ours.body = reference.body = b""
        ours, reference = without(ours, "content-length"), without(reference, "content-length")
    assert_same(ours, reference)


@pytest.mark.parametrize("target", UNTAGGED)
def test_a_client_that_has_it_gets_304(pair: Pair, target: str) -> None:
    for port in pair.ports:
        whole = get(port, target)
        tag = whole.header("etag")
        assert whole.status == 200 and tag is not None and tag.startswith('"') and len(tag) == 34
        with Connection(port) as connection:
            for value in (tag, f"W/{tag}", f'"x", {tag}', "*"):
                reply = connection.request("GET", target, [if_none_match(value)])
                assert (reply.status, reply.header("etag"), reply.body) == (304, tag, b""), value
                for name in ("content-type", "content-length", "content-encoding"):
                    assert reply.header(name) is None, name
            assert connection.request("GET", target, [if_none_match('"x"')]).body == whole.body


def test_tags_are_of_the_bytes(pair: Pair) -> None:
    port, reference = pair.ports
    assert tag_of(port, "/exact/5") == tag_of(port, "/exact/5") == tag_of(reference, "/exact/5")
    assert tag_of(port, "/exact/5") != tag_of(port, "/exact/6")
    with serve_both("edge_own:weakly") as weakly:
        for port in weakly.ports:
            assert tag_of(port, "/exact/5") == f"W/{tag_of(reference, '/exact/5')}"


@pytest.mark.parametrize("target", PASSED)
def test_what_gets_no_tag(pair: Pair, target: str) -> None:
    own = {"/tagged": '"own"', "/tagged-stream": '"own"', "/file": "e"}.get(target)
    for port in pair.ports:
        assert get(port, target).header("etag") == own


@pytest.mark.parametrize(
    "value",
    [
        "",
        "garbage",
        '"',
        '"own',
        "own",
        "W/own",
        'w/"own"',
        'x "own"',
        '"x" "own"',
        "W/",
        ",",
        "\xff",
        '*, "own"',
        '"x"' * 500,
    ],
)
def test_what_is_no_list_of_tags_matches_nothing(pair: Pair, value: str) -> None:
    for port in pair.ports:
        reply = get(port, "/tagged", if_none_match(value))
        assert (reply.status, len(reply.body)) == (200, 1000)


def test_tags_and_dates_of_the_application(pair: Pair) -> None:
    for port in pair.ports:
        for value in ('"own"', 'W/"own"', '"a" , "own"', "*"):
            reply = get(port, "/tagged", if_none_match(value))
            assert (reply.status, reply.header("etag"), reply.header("cache-control")) == (304, '"own"', "max-age=60")
        assert get(port, "/tagged", if_none_match('"x"'), if_none_match('"own"')).status == 304, "fields are one list"
        for since, status in ((LAST_MODIFIED, 304), (LATER, 304), (EARLIER, 200), ("yesterday", 200), ("", 200)):
            reply = get(port, "/dated", ("If-Modified-Since", since))
            assert (reply.status, reply.header("set-cookie")) == (status, "a=1"), since
        reply = get(port, "/dated", ("If-Modified-Since", LATER), if_none_match('"x"'))
        assert reply.status == 200, "a date counts only where there are no tags"


def test_streams_are_never_304(pair: Pair) -> None:
    for port in pair.ports:
        reply = get(port, "/tagged-stream", if_none_match('"own"'))
        assert (reply.status, len(reply.body)) == (200, 1400)
        assert get(port, "/file", if_none_match("e"), if_none_match("*")).status == 200


def test_compressed_and_tagged() -> None:
    """The tag is that of the body before it was compressed, and weak; whoever has either form is told so."""
    with serve_both("edge_own:everything") as everything:
        for port in everything.ports:
            tag = tag_of(port, "/large")
            for coding in ("br", "zstd", "gzip"):
                accepted = ("Accept-Encoding", coding)
                reply = get(port, "/large", accepted)
                assert (reply.header("etag"), reply.header("content-encoding")) == (f"W/{tag}", coding)
                assert decoded(reply) == get(port, "/large").body
                known = get(port, "/large", accepted, if_none_match(f"W/{tag}"))
                assert (known.status, known.header("etag")) == (304, f"W/{tag}")
                assert known.header("vary") == "Accept-Encoding" and known.header("content-encoding") is None
                assert known.header("x-content-type-options") == "nosniff"
            assert get(port, "/large", if_none_match(f"W/{tag}")).header("etag") == tag


def test_outside_of_the_compression() -> None:
    """Added the other way round, each coding has a tag of its own."""
    with serve_both("edge_own:inside_out") as pair:
        for port in pair.ports:
            tags = {tag_of(port, "/large", [("Accept-Encoding", coding)]) for coding in ("br", "gzip", "identity")}
            assert len(tags) == 3


@pytest.mark.bimetal_only
def test_native_routes_and_figures() -> None:
    app = Bimetal(etag=True)

    @app.get("/livez", handler_type="native")
    def livez(): ...

    with Server(app, probes=True) as server:
        tag = tag_of(server.port, "/livez")
        reply = get(server.port, "/livez", if_none_match(tag))
        assert (reply.status, reply.body) == (304, b"")
        assert server.stats()["requests"]["native"] == 2
        lines = [line for line in get(server.port, "/metrics").text.splitlines() if '"/livez"' in line]
        assert any("304" in line or '"3xx"' in line for line in lines), lines


@pytest.mark.parametrize("value", ["strong", 1, {"weak": 1}, {"strong": True}])
def test_settings_that_do_not_exist(value: object) -> None:
    with pytest.raises((TypeError, ValueError), match="etag"):
        Bimetal(etag=value)  # type: ignore[arg-type]
