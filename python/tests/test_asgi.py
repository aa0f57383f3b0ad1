"""The asgi lane as an ASGI 3 server, for an application that is no framework's."""

from __future__ import annotations

import pytest

from harness.compare import Case, Pair, case, serve_both
from harness.servers import REFERENCE_ONLY, ServerProcess
from harness.wire import Connection, get

APP = "bare:app"

#: https://asgi.readthedocs.io/en/latest/specs/www.html, HTTP connection scope.
SPECIFIED = {
    "type": "str",
    "asgi": {"version": "str", "spec_version": "str"},
    "http_version": "str",
    "method": "str",
    "scheme": "str",
    "path": "str",
    "raw_path": "bytes",
    "query_string": "bytes",
    "root_path": "str",
    "headers": ["bytes bytes tuple"],
    "client": ["tuple", "str"],
    "server": ["tuple", "str"],
}


@pytest.fixture(params=["ours", "reference"])
def port(pair: Pair, request: pytest.FixtureRequest) -> int:
    server: ServerProcess = getattr(pair, request.param)
    return server.port


@pytest.mark.parametrize("key", SPECIFIED)
def test_every_key_of_the_scope_has_its_type(port: int, key: str) -> None:
    seen = get(port, "/shape?x=1", [("X", "y")]).json()
    value = seen[key]
    if key == "headers" and isinstance(value, list):
        assert {item.rsplit(" ", 1)[0] for item in value} == {"bytes bytes"}
    else:
        assert value == SPECIFIED[key]


VALUES = [
    case("GET", "/values"),
    case("GET", "/values/%7Etilde/a%20b?x=%20+&y"),
    case("GET", "/values/%E4%BD%A0%ff"),
    case("POST", "/values?a=1?b", [("X-Upper", "Value"), ("x-upper", "again"), ("X-Bytes", "\xe9\xff")], b"body"),
    case("GET", "/values?", [("Accept", "x"), ("Host", "a.example:1"), ("X-Empty", "")], note="headers"),
    case("PROPFIND", "/values"),
    case("GET", "/values//x/../y"),
    case("GET", "/values/[brackets]|pipe"),
]


@pytest.mark.parametrize("request_", VALUES, ids=str)
def test_values_of_the_scope(pair: Pair, request_: Case) -> None:
    pair.check(request_)


@pytest.mark.xfail(
    not REFERENCE_ONLY, strict=True, reason="fields without a value come last; actix-http keeps no order"
)
def test_an_empty_header_keeps_its_place(pair: Pair) -> None:
    pair.same("GET", "/values", [("X-Empty", ""), ("Host", "a.example:1"), ("X-Last", "1")])


@pytest.mark.parametrize(
    "body",
    [None, b"", b"x", b"y" * 3_000_000, (b"a", b"b" * 100_000)],
    ids=["none", "empty", "one", "large", "chunked"],
)
def test_request_messages(port: int, body: bytes | tuple[bytes, ...] | None) -> None:
    size = 0 if body is None else len(b"".join(body) if isinstance(body, tuple) else body)
    with Connection(port) as connection:
        seen = connection.request("POST", "/messages", body=body).json()
        keys = [["body", "bytes"], ["more_body", "bool"], ["type", "str"]]
        assert seen["size"] == size and seen["first"] == seen["last"] == keys
    assert get(port, "/notes?http.disconnect").json() == ["http.disconnect"]


def test_a_body_that_comes_with_its_head_is_one_message(port: int) -> None:
    head = b"POST /messages HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\n"
    chunked = b"POST /messages HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    for request in (head + b"abc", chunked + b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"):
        with Connection(port) as connection:
            connection.send(request)
            seen = connection.read_reply().json()
            assert (seen["size"], seen["count"]) == (3, 1)
        assert get(port, "/notes?http.disconnect").json() == ["http.disconnect"]


def test_the_application_does_not_wait_for_a_body(port: int) -> None:
    with Connection(port) as connection:
        connection.send(b"POST /values HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\na")
        assert connection.read_reply().status == 200


def test_after_a_disconnect(port: int) -> None:
    with Connection(port) as connection:
        connection.send_request("GET", "/after-disconnect")
        while get(port, "/last-note").json() != "waiting":
            pass
    seen = get(port, "/notes?end").json()
    assert seen[:3] == ["waiting", "http.disconnect", "http.disconnect"], "receive keeps saying so"
    assert seen[3] in ("send passed", "send raised OSError")


@pytest.mark.parametrize("order", ["body-first", "start-twice", "start-after-body", "unknown", "websocket"])
def test_a_message_at_the_wrong_moment_raises(pair: Pair, order: str) -> None:
    raised = []
    for port in pair.ports:
        get(port, f"/wrong-order/{order}")
        raised.append(get(port, "/last-note").json())
    assert raised[0] == raised[1] == "RuntimeError"


RESPONSES = [case("GET", target) for target in ["/no-answer", "/raises", "/minimal", "/odd-types", "/duplicated"]]


@pytest.mark.parametrize("request_", RESPONSES, ids=str)
def test_responses(pair: Pair, request_: Case) -> None:
    pair.check(request_)
    assert pair.same("GET", "/values").status == 200


def test_absolute_answers(pair: Pair) -> None:
    assert pair.same("GET", "/no-answer").status == 500
    assert pair.same("GET", "/minimal").status == 201
    assert pair.same("GET", "/duplicated").all("set-cookie") == ["a=1", "b=2"]
    assert pair.same("GET", "/odd-types").body == b"odder"


@pytest.mark.parametrize("target", ["/only-start", "/raises-late"])
def test_an_answer_that_never_ends_is_cut_short(port: int, target: str) -> None:
    with Connection(port) as connection:
        connection.send_request("GET", target)
        try:
            complete = connection.read_reply()
        except ConnectionError:
            complete = None
    assert complete is None or complete.status == 500, "half an answer must not look like a whole one"
    assert get(port, "/values").status == 200


def test_a_header_with_a_line_end_is_never_sent(server: ServerProcess) -> None:
    with Connection(server.port) as connection:
        connection.send_request("GET", "/split-header")
        assert b"x-injected: 1\r\n" not in connection.reader.read1(65536).lower().split(b"\r\n\r\n")[0] + b"\r\n"
    assert get(server.port, "/values").status == 200


def test_an_object_and_a_factory() -> None:
    with serve_both("bare:instance") as pair:
        assert pair.same("GET", "/values").status == 200
    with serve_both("bare:factory", "--factory") as pair:
        assert pair.same("GET", "/values").status == 200
