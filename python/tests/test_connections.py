"""One connection, many requests: keep-alive, pipelining, HTTP/1.0, Expect, bodies nobody reads."""

from __future__ import annotations

import threading

import pytest

from harness.compare import Pair
from harness.servers import ServerProcess
from harness.wire import Connection, head

APP = "connections:app"


@pytest.fixture(params=["ours", "reference"])
def port(pair: Pair, request: pytest.FixtureRequest) -> int:
    server: ServerProcess = getattr(pair, request.param)
    return server.port


def test_many_requests_on_one_connection(port: int) -> None:
    with Connection(port) as connection:
        for n in range(300):
            kind = "na"[n % 2]
            assert connection.request("GET", f"/{kind}/{n}").json() == n


def test_pipelined_requests_are_answered_in_order(port: int) -> None:
    count = 100
    with Connection(port) as connection:
        requests = [head("GET", f"/{'na'[n % 2]}/{n}", (), None) for n in range(count)]
        connection.send(b"".join(requests))
        assert [connection.read_reply().json() for _ in range(count)] == list(range(count))


def test_pipelined_bodies(port: int) -> None:
    with Connection(port) as connection:
        first = head("POST", "/echo", (), b"one") + b"one"
        second = head("POST", "/ignore", (), b"two") + b"two"
        third = head("POST", "/echo", (), [b""]) + b"5\r\nthree\r\n0\r\n\r\n"
        fourth = head("GET", "/n/4", (), None)
        connection.send(first + second + third + fourth)
        assert [connection.read_reply().body for _ in range(4)] == [b"one", b'"ignored"', b"three", b"4"]


def test_a_request_in_single_bytes(port: int) -> None:
    with Connection(port) as connection:
        for byte in head("POST", "/echo", (), b"slow") + b"slow":
            connection.send(bytes([byte]))
        assert connection.read_reply().body == b"slow"
        assert connection.request("GET", "/n/1").json() == 1


def test_connection_close(port: int) -> None:
    with Connection(port) as connection:
        assert connection.request("GET", "/n/1", [("Connection", "close")]).header("connection") == "close"
        assert connection.is_closed_by_server()


def test_connection_close_from_the_application(port: int) -> None:
    with Connection(port) as connection:
        assert connection.request("GET", "/close").body == b"bye"
        assert connection.is_closed_by_server()


def test_http_1_0_closes(port: int) -> None:
    with Connection(port) as connection:
        connection.send(b"GET /n/1 HTTP/1.0\r\n\r\n")
        assert connection.read_reply().json() == 1
        assert connection.is_closed_by_server()


def test_expect_100_continue(port: int) -> None:
    with Connection(port) as connection:
        connection.send(head("POST", "/echo", [("Expect", "100-continue"), ("Content-Length", "4")], None))
        assert connection.reader.readline().split()[1] == b"100"
        assert connection.reader.readline() == b"\r\n"
        connection.send(b"body")
        assert connection.read_reply().body == b"body"


def test_a_body_nobody_reads_does_not_become_the_next_request(port: int) -> None:
    smuggled = b"GET /n/666 HTTP/1.1\r\nHost: x\r\n\r\n"
    with Connection(port) as connection:
        assert connection.request("POST", "/ignore", body=smuggled).json() == "ignored"
        assert connection.request("GET", "/n/2").json() == 2


def test_head_and_empty_answers_keep_the_connection_in_step(port: int) -> None:
    with Connection(port) as connection:
        for _ in range(3):
            assert connection.request("HEAD", "/empty").status == 204
            assert connection.request("GET", "/empty").status == 204
            assert connection.request("HEAD", "/n/1").status == 405
            assert connection.request("GET", "/n/9").json() == 9


def test_response_headers(pair: Pair) -> None:
    reply = pair.same("GET", "/headers")
    assert reply.header("x-49") == "v" * 49 and reply.header("x-latin") == "café"


def test_both_name_a_date(port: int) -> None:
    with Connection(port) as connection:
        assert (connection.request("GET", "/n/1").header("date") or "").endswith(" GMT")


def test_many_connections_at_once(port: int) -> None:
    """Two hundred open connections, each with a request of its own outstanding before any answer is read."""
    connections = [Connection(port) for _ in range(200)]
    try:
        for n, connection in enumerate(connections):
            connection.send_request("GET", f"/{'na'[n % 2]}/{n}")
        assert [connection.read_reply().json() for connection in connections] == list(range(200))
    finally:
        for connection in connections:
            connection.close()


def test_answers_never_cross(port: int) -> None:
    """Eight clients with numbers of their own: each gets back what it asked for."""
    wrong: list[tuple[int, object]] = []

    def client(number: int) -> None:
        with Connection(port) as connection:
            for n in range(number * 1000, number * 1000 + 100):
                answer = connection.request("GET", f"/{'na'[n % 2]}/{n}").json()
                if answer != n:
                    wrong.append((n, answer))

    threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert wrong == []
