"""What a client gets when something goes wrong, and what the log says."""

from __future__ import annotations

import pytest

from harness.compare import Pair, serve_both
from harness.servers import start_bimetal
from harness.wire import get, json_body

APP = "errors:app"

FAILURES = [
    "http", "http-dict", "http-204", "http-304", "http-507", "starlette", "unicorn", "baby", "key", "value", "base",
    "validation", "unserialisable", "nan", "recursion", "stop-iteration", "model", "http?n=x",
]  # fmt: skip


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("failure", FAILURES)
def test_failures(pair: Pair, kind: str, failure: str) -> None:
    pair.same("GET", f"/{kind}/{failure}")
    assert pair.same("GET", "/fine").body == b'"fine"'


def test_absolute_answers(pair: Pair) -> None:
    assert pair.same("GET", "/sync/http").body == b'{"detail":"not here"}'
    assert pair.same("GET", "/async/unicorn").status == 418
    reply = pair.same("GET", "/sync/value")
    assert (reply.status, reply.body) == (500, b"Internal Server Error")


def test_custom_handlers_for_everything() -> None:
    with serve_both("errors:caught") as pair:
        assert pair.same("GET", "/boom").body == b"caught boom"
        assert pair.same("GET", "/boom?n=x").status == 400
        assert pair.same("GET", "/missing").json() == {"nothing at": "/missing"}
        headers, body = json_body({"a": "x"})
        assert pair.same("POST", "/item", headers, body).status == 400
        assert pair.same("POST", "/item", headers, b"{").status == 400


def test_debug_traceback_as_text() -> None:
    with serve_both("errors:debug") as pair:
        for port in pair.ports:
            reply = get(port, "/boom", [("Accept", "text/plain")])
            assert reply.status == 500
            assert "RuntimeError: seen" in reply.text and "debug_boom" in reply.text


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_failing_handler_is_logged_and_the_server_goes_on(kind: str) -> None:
    with start_bimetal("errors:plain") as server:
        server.wait_ready()
        for _ in range(3):
            assert get(server.port, f"/{kind}/boom").status == 500
        log = server.wait_output(f"{kind} boom")
        assert "RuntimeError" in log and "Traceback" in log


@pytest.mark.bimetal_only
@pytest.mark.parametrize("target", ["/sync/boom", "/async/boom", "/model"])
def test_the_log_names_the_route(target: str) -> None:
    with start_bimetal("errors:plain") as server:
        server.wait_ready()
        get(server.port, target)
        server.wait_output(target)
