"""TLS: what handlers see is what they see on uvicorn; certificates that change, clients that show one, and those that stall."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from websockets.sync.client import connect

from harness.servers import ServerProcess, run_bimetal, start_bimetal, start_uvicorn, until
from harness.tls import Authority, Issued, encrypted, serial
from harness.wire import Connection, get, request

pytestmark = pytest.mark.bimetal_only

FORWARDED = (("X-Forwarded-For", "192.0.2.7"), ("X-Forwarded-Proto", "http"))


@pytest.fixture(scope="module")
def server(issued: Issued) -> Iterator[ServerProcess]:
    with start_bimetal("reached:app", *issued.options) as server:
        yield server.wait_ready()


def test_handlers_see_what_they_see_on_uvicorn(authority: Authority, issued: Issued) -> None:
    context = authority.context()

    def told(server: ServerProcess) -> list[Any]:
        answers: list[Any] = []
        with encrypted(server.port, context) as connection:
            for target in ("/sync?x=1", "/async"):
                for headers in ((), FORWARDED):
                    answers.append(connection.request("GET", target, headers).json())
            for size in (0, 1, 16_384, 3_000_000):
                answers.append(connection.request("POST", "/body", (), b"x" * size).json())
            own = str(connection.client_port)
        address = f"wss://127.0.0.1:{server.port}/socket"
        with connect(address, ssl=context, compression=None) as websocket:
            scope = json.loads(websocket.recv())
            scope["headers"] = re.sub(r"'sec-websocket-key', b'[^']*'", "KEY", scope["headers"])
            scope["client"] = "its own"
            answers.append(scope)
            websocket.send("hello")
            answers.append(websocket.recv())
        text = json.dumps(answers).replace(str(server.port), "PORT").replace(own, "OWN")
        return list(json.loads(text))

    with start_uvicorn("reached:app", *issued.options).wait_ready() as reference:
        expected = told(reference)
    for app in ("reached:app", "reached:wrapped"):
        with start_bimetal(app, *issued.options).wait_ready() as ours:
            assert told(ours) == expected, app
            assert f"serves {app} on https://127.0.0.1:{ours.port}" in ours.output
    assert expected[0]["scheme"] == "'https'" and expected[8]["scheme"] == "'wss'"


def test_httpx(authority: Authority, server: ServerProcess) -> None:
    with httpx.Client(verify=authority.context(), base_url=f"https://127.0.0.1:{server.port}") as client:
        for target in ("/sync", "/async"):
            answer = client.get(target)
            assert answer.http_version == "HTTP/1.1"
            assert answer.json()["url"] == f"https://127.0.0.1:{server.port}{target}"


def test_what_redirects_to_https_does_not_redirect(authority: Authority, issued: Issued) -> None:
    with (
        start_bimetal("reached:redirecting", *issued.options).wait_ready() as server,
        encrypted(server.port, authority.context()) as connection,
    ):
        assert connection.request("GET", "/secure").status == 200
        # A proxy that is trusted knows better.
        assert connection.request("GET", "/secure", [("X-Forwarded-Proto", "http")]).status == 307


def test_the_protocol_is_agreed_on(authority: Authority, server: ServerProcess) -> None:
    for offered, agreed in [((), None), (("h2", "http/1.1"), "http/1.1"), (("http/1.1",), "http/1.1")]:
        with encrypted(server.port, authority.context(protocols=offered)) as connection:
            assert isinstance(connection.socket, ssl.SSLSocket)
            assert connection.socket.selected_alpn_protocol() == agreed
            assert connection.socket.version() == "TLSv1.3"
            assert connection.request("GET", "/sync").status == 200


def test_a_client_without_encryption_is_let_go(authority: Authority, server: ServerProcess) -> None:
    for data in (b"GET /sync HTTP/1.1\r\nHost: a\r\n\r\n", b"\x00" * 100, b"\x16\x03\x01\xff\xff" + b"x" * 70_000):
        with Connection(server.port) as connection:
            with contextlib.suppress(ConnectionError):
                connection.send(data)
            with contextlib.suppress(ConnectionResetError):
                answer = connection.reader.read()
                # An alert at most.
                assert len(answer) <= 7 and b"HTTP" not in answer
    with encrypted(server.port, authority.context()) as connection:
        assert connection.request("GET", "/sync").status == 200


def test_a_handshake_that_stalls_is_closed_and_holds_up_nobody(authority: Authority, issued: Issued) -> None:
    hello = client_hello()
    options = (*issued.options, "--handshake-timeout", "1")
    with (
        start_bimetal("reached:app", *options).wait_ready() as server,
        contextlib.ExitStack() as stack,
    ):
        silent = [stack.enter_context(Connection(server.port)) for _ in range(50)]
        for connection in silent[25:]:
            connection.send(hello[: len(hello) // 2])
        with encrypted(server.port, authority.context()) as other:
            assert other.request("GET", "/sync").status == 200
            assert all(connection.is_closed_by_server() for connection in silent)
            # That bound is for the handshake alone.
            assert other.request("GET", "/sync").status == 200


def test_a_stop_waits_for_no_handshake(issued: Issued) -> None:
    options = (*issued.options, "--handshake-timeout", "3600", "--drain-timeout", "3600")
    with start_bimetal("reached:app", *options).wait_ready() as server, Connection(server.port) as connection:
        connection.send(client_hello()[:20])
        assert server.stop() == 0
        assert connection.is_closed_by_server()


def test_connections_end_as_announced(authority: Authority, issued: Issued) -> None:
    context = authority.context()
    with (
        start_bimetal("reached:app", *issued.options).wait_ready() as server,
        encrypted(server.port, context) as closed,
        encrypted(server.port, context) as idle,
    ):
        assert closed.request("GET", "/sync", [("Connection", "close")]).status == 200
        # Anything but an end that was announced is an SSLEOFError.
        assert closed.reader.read() == b""
        assert idle.request("GET", "/async").status == 200
        assert server.stop() == 0
        assert idle.reader.read() == b""


def test_a_client_that_pauses(authority: Authority, issued: Issued) -> None:
    """Between requests the server keeps the connection alone, without the buffers of one that is in use."""
    # Short deadlines have it looked at often.
    with start_bimetal("sockets:app", "--timeout-body", "0.2", *issued.options) as server:
        server.wait_ready()
        with encrypted(server.port, authority.context()) as connection:
            for _ in range(3):
                assert connection.request("GET", "/nowhere").status == 404
                time.sleep(0.5)
        with start_bimetal(
            "sockets:app", "--timeout-body", "0.2", "--timeout-keep-alive", "1", *issued.options
        ) as other:
            other.wait_ready()
            with encrypted(other.port, authority.context()) as connection:
                assert connection.request("GET", "/nowhere").status == 404
                assert connection.is_closed_by_server()


def test_certificates_that_change_are_taken_in(authority: Authority) -> None:
    issued, other, context = authority.issue("changing"), authority.issue("other"), authority.context()

    def renewed(server: ServerProcess, issued: Issued) -> str:
        before = serial(server.port, context)
        authority.renew(issued)
        until(lambda: serial(server.port, context) != before, "the new certificate")
        return serial(server.port, context)

    with (
        start_bimetal("reached:app", *issued.options).wait_ready() as server,
        start_bimetal("reached:app", *other.options).wait_ready() as at_the_same_pace,
    ):
        with encrypted(server.port, context) as old:
            assert old.request("GET", "/sync").status == 200
            second = renewed(server, issued)
            # Connections go on with what they have.
            assert old.request("GET", "/sync").status == 200

        before, good = server.output_size, issued.key.read_bytes()
        issued.key.write_bytes(other.key.read_bytes())
        server.wait_output("is not the one of the certificate", before)
        # Looks at its files that often in the meantime, and says it once.
        for _ in range(3):
            renewed(at_the_same_pace, other)
        assert serial(server.port, context) == second
        assert server.output_since(before).count("the old ones serve on") == 1
        issued.key.unlink()
        server.wait_output("No such file or directory", before)
        assert serial(server.port, context) == second
        issued.key.write_bytes(good)
        server.wait_output("new connections get the new certificate", before)
        assert renewed(server, issued) != second
        assert server.stop() == 0


@pytest.mark.parametrize("demanded", [0, 1, 2])
def test_clients_show_certificates(authority: Authority, issued: Issued, demanded: int, tmp_path: Path) -> None:
    known, stranger = authority.issue("client"), Authority(tmp_path).issue("stranger")
    options = ("--ssl-cert-reqs", str(demanded), "--ssl-ca-certs", str(authority.certificate))

    def answered(client: Issued | None) -> bool:
        try:
            with encrypted(server.port, authority.context(client)) as connection:
                return connection.request("GET", "/sync").status == 200
        except (ssl.SSLError, ConnectionError):
            return False

    with start_bimetal("reached:app", *issued.options, *options).wait_ready() as server:
        assert answered(known)
        assert answered(None) == (demanded < 2)
        assert answered(stranger) == (demanded == 0)


def test_a_key_with_a_password(authority: Authority, tmp_path: Path) -> None:
    issued = authority.issue("locked")
    key = serialization.load_pem_private_key(issued.key.read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"open sesame")
    pkcs8, traditional = serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL
    pem = serialization.Encoding.PEM
    issued.key.write_bytes(key.private_bytes(pem, pkcs8, locked))
    with start_bimetal("reached:app", *issued.options, "--ssl-keyfile-password", "open sesame").wait_ready() as server:
        assert serial(server.port, authority.context())
        assert server.stop() == 0
        assert "sesame" not in server.output
    for options, why in [((), "give its password"), (("--ssl-keyfile-password", "x"), "does not open it")]:
        assert why in refused(*issued.options, *options)
    old = tmp_path / "old.key"
    old.write_bytes(key.private_bytes(pem, traditional, locked))
    assert "openssl pkcs8 -topk8" in refused("--ssl-certfile", str(issued.certificate), "--ssl-keyfile", str(old))


def test_a_key_in_the_file_of_its_certificate(authority: Authority, tmp_path: Path) -> None:
    issued = authority.issue("both")
    both = tmp_path / "both.pem"
    both.write_bytes(issued.key.read_bytes() + issued.certificate.read_bytes())
    with start_bimetal("reached:app", "--ssl-certfile", str(both)).wait_ready() as server:
        assert serial(server.port, authority.context())


def test_what_is_wrong_is_said_at_the_start(authority: Authority, issued: Issued, tmp_path: Path) -> None:
    other = authority.issue("another")
    empty, broken, none = tmp_path / "empty.pem", tmp_path / "broken.pem", tmp_path / "none.pem"
    empty.write_text("nothing here")
    broken.write_text("-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n")
    certificate, key = str(issued.certificate), str(issued.key)
    for options, why in [
        (("--ssl-keyfile", key), "there is no certificate"),
        (("--ssl-cert-reqs", "2"), "there is no certificate"),
        (("--ssl-certfile", str(none), "--ssl-keyfile", key), f"{none}: No such file or directory"),
        (("--ssl-certfile", certificate, "--ssl-keyfile", str(none)), f"{none}: No such file or directory"),
        (("--ssl-certfile", str(empty), "--ssl-keyfile", key), f"{empty} holds none"),
        (("--ssl-certfile", str(broken), "--ssl-keyfile", key), f"{broken} cannot be read"),
        (("--ssl-certfile", certificate, "--ssl-keyfile", str(empty)), f"there is no private key in {empty}"),
        (("--ssl-certfile", certificate), f"there is no private key in {certificate}"),
        (("--ssl-certfile", certificate, "--ssl-keyfile", str(other.key)), "is not the one of the certificate"),
        ((*issued.options, "--ssl-cert-reqs", "1"), "--ssl-ca-certs"),
        ((*issued.options, "--ssl-cert-reqs", "1", "--ssl-ca-certs", str(empty)), f"{empty} holds none"),
    ]:
        assert why in refused(*options), options


def test_workers(authority: Authority, issued: Issued) -> None:
    context = authority.context()
    with start_bimetal("reached:app", *issued.options, "--workers", "2").wait_ready() as server:
        server.wait_output("a worker serves")
        for _ in range(20):
            with encrypted(server.port, context) as connection:
                assert connection.request("GET", "/sync").status == 200
        server.process.send_signal(signal.SIGHUP)
        assert serial(server.port, context)
        assert server.stop() == 0


def test_without_tls_nothing_is_encrypted() -> None:
    with start_bimetal("reached:app").wait_ready() as server:
        assert get(server.port, "/sync").json()["scheme"] == "'http'"
        assert request(server.port, "POST", "/body", (), b"x").json() == 1


def refused(*options: str) -> str:
    """The one line that a start with these options ends with."""
    done = run_bimetal("run", "reached:app", "--port", "0", *options)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1
    assert "TLS is not possible" in done.stderr
    return done.stderr


def client_hello() -> bytes:
    """What a client begins with."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()
