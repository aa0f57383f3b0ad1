"""What reaches the log, and what does not."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request, Response

from bimetal import Server
from harness.servers import APPS, START_TIMEOUT, bimetal_command, environment, free_port, start_bimetal
from harness.wire import Connection, get, head, request

EMBEDDED = """
import urllib.error, urllib.request
import bimetal, errors
with bimetal.Server(errors.plain) as server:
    try:
        urllib.request.urlopen(server.url + "/sync/boom")
    except urllib.error.HTTPError as error:
        print(error.code)
"""


def test_an_exception_is_logged_where_nobody_set_up_a_log() -> None:
    completed = subprocess.run(
        [sys.executable, "-c", EMBEDDED],
        cwd=APPS,
        env=environment(APPS),
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT,
        check=True,
    )
    assert completed.stdout == "500\n"
    assert "RuntimeError" in completed.stderr
    assert "/sync/boom" in completed.stderr


@pytest.mark.bimetal_only
def test_a_malformed_request_is_not_an_error_of_the_server() -> None:
    with start_bimetal("errors:app") as server:
        server.wait_ready()
        with socket.create_connection(("127.0.0.1", server.port), timeout=START_TIMEOUT) as client:
            client.sendall(b"NO SUCH THING\r\n\r\n")
            assert client.recv(1024).startswith(b"HTTP/1.1 400 ")
        assert "ERROR" not in server.output


TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def lines(output: str) -> list[dict[str, Any]]:
    """The lines of the access log in JSON."""
    found = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return [line for line in found if line["target"] == "bimetal::access"]


@pytest.mark.bimetal_only
def test_the_access_log_is_json_where_that_is_wanted_and_has_ids() -> None:
    options = ("--access-log", "--access-log-format", "json", "--request-id", "--log-level", "warn")
    with start_bimetal("forwarded:app", *options).wait_ready() as server:
        given = get(
            server.port, "/sync?a=1", [("X-Request-ID", "from-the-client/1"), ("Traceparent", f"00-{TRACE}-{SPAN}-01")]
        )
        made = get(server.port, "/sync", [("X-Request-ID", "not sane"), ("Traceparent", "00-nonsense")])
        again = get(server.port, "/sync")
        refused = request(server.port, "POST", "/sync")
        assert server.stop() == 0
        output = server.output
    ids = [reply.header("x-request-id") for reply in (given, made, again, refused)]
    assert ids[0] == "from-the-client/1"
    assert all(value is not None and re.fullmatch("[0-9a-f]{32}", value) for value in ids[1:])
    assert len(set(ids)) == 4
    logged = lines(output)
    assert [line["request_id"] for line in logged] == ids
    assert [(line["method"], line["path"], line["status"]) for line in logged[:1]] == [("GET", "/sync", 200)]
    assert (logged[0]["trace_id"], logged[0]["span_id"]) == (TRACE, SPAN)
    assert "trace_id" not in logged[1] and "span_id" not in logged[1]
    assert logged[0]["duration"] > 0 and logged[0]["peer"].startswith("127.0.0.1:")


@pytest.mark.bimetal_only
def test_a_request_id_is_only_there_when_it_is_asked_for() -> None:
    with start_bimetal("forwarded:app", "--access-log").wait_ready() as server:
        reply = get(server.port, "/sync", [("X-Request-ID", "mine")])
        assert reply.header("x-request-id") is None
        assert server.stop() == 0
        assert "bimetal::access: method=GET path=/sync" in server.output
        assert "request_id" not in server.output


@pytest.mark.bimetal_only
@pytest.mark.parametrize("kind", ["def", "async"])
def test_python_sees_the_request_id(kind: str) -> None:
    app = FastAPI()

    def answer(request: Request) -> list[str]:
        return request.headers.getlist("x-request-id")

    async def later(request: Request) -> list[str]:
        return answer(request)

    def own(response: Response) -> None:
        response.headers["X-Request-ID"] = "the application's"

    app.get("/id")(answer if kind == "def" else later)
    app.get("/own")(own)
    with Server(app, request_id=True) as server:
        for headers in ([], [("X-Request-ID", "mine")], [("X-Request-ID", '"'), ("X-Request-ID", "two")]):
            reply = get(server.port, "/id", headers)
            assert reply.json() == reply.all("x-request-id") and len(reply.json()) == 1
        assert get(server.port, "/id", [("X-Request-ID", "mine")]).json() == ["mine"]
        assert get(server.port, "/own").all("x-request-id") == ["the application's"]
    with Server(app) as server:
        assert get(server.port, "/id").json() == []


@pytest.mark.bimetal_only
def test_nobody_waits_for_whoever_reads_the_access_log(tmp_path: Path) -> None:
    """Standard error is a pipe that nobody reads: the server answers, and counts what it drops."""
    reader, writer = os.pipe()
    port = free_port()
    command = [bimetal_command(), "run", "probes:app", "--port", str(port), "--access-log", "--probes", "--quiet"]
    process = subprocess.Popen(
        command,
        cwd=APPS,
        env=environment(APPS) | {"FOLDER": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=writer,
    )
    try:
        os.close(writer)
        dropped = 0.0
        deadline = time.monotonic() + 2 * START_TIMEOUT
        # A pipe holds 64 KiB, and some thousand lines may wait.
        path = "/livez?" + "x" * 8
        while not dropped:
            assert time.monotonic() < deadline and process.poll() is None
            with contextlib.suppress(ConnectionRefusedError), Connection(port) as connection:
                connection.send(b"".join(head("GET", path, (), None) for _ in range(500)))
                assert [connection.read_reply().status for _ in range(500)] == [200] * 500
                text = connection.request("GET", "/metrics").text
                found = re.search(r"^bimetal_access_log_dropped_total (\d+)$", text, re.MULTILINE)
                assert found is not None
                dropped = float(found[1])
    finally:
        process.kill()
        process.wait(START_TIMEOUT)
        os.close(reader)
