"""What reaches the log, and what does not."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from harness.servers import APPS, START_TIMEOUT, environment, start_bimetal

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
