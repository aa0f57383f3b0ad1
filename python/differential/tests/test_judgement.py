"""What counts as a difference, what is known, and that the same seed sends the same requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from differential.answers import CLOSED, Answer, differences
from differential.explore import explore
from differential.known import REFUSAL, known
from differential.operations import operations
from differential.request import Request
from harness.wire import Reply

GET = Request(b"GET", b"/")


def answer(status: int = 200, body: bytes = b"x", *fields: tuple[str, str]) -> Answer:
    return Answer(Reply(status, "", "HTTP/1.1", [("content-length", str(len(body))), *fields], body))


def get(*fields: tuple[bytes, bytes]) -> Request:
    return Request(b"GET", b"/", fields)


def names(
    request: Request, ours: Answer, reference: Answer, ask: Callable[[Request], Answer] | None = None
) -> list[str]:
    return [entry.name for entry in known(request, ours, reference, ask or (lambda _: reference))]


def test_status_headers_and_body_count() -> None:
    assert differences(answer(), answer()) == []
    assert differences(answer(200), answer(201)) == ["status: 200 / 201"]
    assert differences(answer(200, b"x"), answer(200, b"y")) == ["body"]
    assert differences(answer(200, b"x", ("x-a", "1")), answer()) == ["header x-a: ['1'] / []"]
    assert differences(answer(), Answer(None, problem=CLOSED)) != []
    assert differences(Answer(answer().reply, problem="does not close the connection"), answer()) != []


def test_the_order_of_fields_counts_among_those_of_one_name() -> None:
    one, two, other = ("set-cookie", "a=1"), ("set-cookie", "b=2"), ("x-a", "1")
    assert differences(answer(200, b"x", one, other, two), answer(200, b"x", other, one, two)) == []
    assert differences(answer(200, b"x", one, two), answer(200, b"x", two, one)) != []


def test_date_server_and_framing_do_not_count() -> None:
    ours = answer(200, b"x", ("date", "now"))
    chunked = Answer(Reply(200, "", "HTTP/1.1", [("transfer-encoding", "chunked"), ("server", "uvicorn")], b"x"))
    assert differences(ours, chunked) == []
    assert differences(chunked, ours) != []


def test_what_a_parser_refuses_is_known_where_it_is_the_reason() -> None:
    turned_away, refused = answer(400, b""), answer(400, REFUSAL, ("content-type", "text/plain; charset=utf-8"))
    assert names(GET, turned_away, refused) == ["both refuse"]
    assert names(Request(b"GET", b'/?a="'), turned_away, answer()) == ["byte in the target"]
    assert names(Request(b"GET", b"/?a='"), turned_away, answer()) == []
    assert names(Request(b"POST", b"/", version=b"HTTP/1.0"), turned_away, answer(422)) == ["no length in HTTP/1.0"]
    assert names(Request(b"POST", b"/", version=b"HTTP/1.0", body=b""), turned_away, answer(422)) == []


def test_a_field_is_known_where_the_reference_agrees_once_it_is_rewritten() -> None:
    request = get((b"X-A", b""), (b"X-A", b"1"), (b"X-B", b"2"))
    last = get((b"X-A", b"1"), (b"X-A", b""), (b"X-B", b"2"))

    def reference(asked: Request) -> Answer:
        return answer(200, b"ours") if asked == last else answer(200, b"theirs")

    assert names(request, answer(200, b"ours"), answer(200, b"theirs"), reference) == ["empty field among others"]
    assert names(request, answer(200, b"another"), answer(200, b"theirs"), reference) == []
    assert names(last, answer(200, b"another"), answer(200, b"theirs"), reference) == []


def test_a_target_as_to_a_proxy_is_known_where_the_path_alone_gives_the_answer() -> None:
    request = Request(b"BREW", b"http://other.example:8080/a?b=1")

    def reference(asked: Request) -> Answer:
        return answer(405) if asked.target == b"/a?b=1" else answer(404)

    assert names(request, answer(405), answer(404), reference) == ["target as to a proxy, judged by h11"]
    assert names(request, answer(200), answer(404), reference) == []


def test_what_a_request_says_of_its_connection() -> None:
    assert get((b"Connection", b"close")).closes
    assert get((b"Connection", b"X-A"), (b"Connection", b"close")).closes
    assert not get((b"Connection", b"X-A")).closes
    assert replace(GET, version=b"HTTP/1.0").closes
    fields = ((b"Connection", b"X-A"), (b"Connection", b"Keep-Alive"))
    assert not replace(GET, version=b"HTTP/1.0", headers=fields).closes


class Recorded:
    """In the place of servers: notes the requests, and answers all of them alike."""

    app = "errors:app"
    ended = False

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def ask_ours(self, request: Request) -> Answer:
        self.requests.append(request)
        return answer()

    def ask_reference(self, request: Request) -> Answer:
        return answer()


def recorded(seed: int) -> list[Request]:
    servers: Any = Recorded()
    for operation in operations("errors:app"):
        explore(servers, operation, 30, seed, lambda: None)
    requests: list[Request] = servers.requests
    return requests


def test_a_seed_makes_the_same_requests_again() -> None:
    first = recorded(0)
    assert len(first) == len(set(first)) == 30 * len(operations("errors:app"))
    assert recorded(0) == first
    assert recorded(1) != first


def test_the_bytes_of_a_request() -> None:
    request = Request(b"POST", b"/a?b", ((b"X-A", b"1"),), b"abcdefgh", chunks=(3, 2))
    head = b"POST /a?b HTTP/1.1\r\nHost: testserver\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert request.wire() == head + b"3\r\nabc\r\n2\r\nde\r\n3\r\nfgh\r\n0\r\n\r\n"
    assert Request(b"GET", b"/", ((b"Host", b"a"),)).wire() == b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    assert request.curl(80).endswith(
        "-H 'Transfer-Encoding: chunked' --data-binary 'abcdefgh' 'http://127.0.0.1:80/a?b'"
    )
    assert "$'X-A: \\xff\\x27'" in get((b"X-A", b"\xff'")).curl(80)
