"""The PROXY protocol: what a proxy says before anything else becomes the client, where the proxy is trusted."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.servers import ServerProcess, free_port, run_bimetal, start_bimetal, start_bimetal_at
from harness.tls import Authority
from harness.wire import TIMEOUT, Connection, get, head

pytestmark = pytest.mark.bimetal_only

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
CLIENT = ("192.0.2.7", 4711)
V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n"
_ENDS = socket.inet_aton("192.0.2.7") + socket.inet_aton("198.51.100.1") + (4711).to_bytes(2, "big") + b"\x01\xbb"
V2 = SIGNATURE + b"\x21\x11" + len(_ENDS).to_bytes(2, "big") + _ENDS
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with start_bimetal("reached:app", "--proxy-protocol", "--access-log") as server:
        yield server.wait_ready()


def seen(connection: Connection, target: str, headers: tuple[tuple[str, str], ...] = ()) -> dict[str, Any]:
    answer: dict[str, Any] = connection.request("GET", target, headers).json()
    return {key: answer[key] for key in ("client", "server", "scheme")}


@pytest.mark.parametrize("header", [V1, V2], ids=["1", "2"])
def test_handlers_see_the_client(server: ServerProcess, header: bytes) -> None:
    before = server.output_size
    with Connection(server.port) as connection:
        connection.send(header)
        for target in ("/sync", "/async"):
            assert seen(connection, target) == {
                "client": str(CLIENT),
                "server": "('198.51.100.1', 443)",
                "scheme": "'http'",
            }
        # What the client claims itself is not believed: it is no trusted proxy.
        claimed = (("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "https"))
        assert seen(connection, "/sync", claimed)["client"] == str(CLIENT)
        assert seen(connection, "/sync", claimed)["scheme"] == "'http'"
    assert "192.0.2.7:4711" in server.wait_output("192.0.2.7:4711", before)


@pytest.mark.parametrize("header", [V1, V2, LOCAL], ids=["1", "2", "local"])
def test_in_pieces_of_any_size(server: ServerProcess, header: bytes) -> None:
    request = head("GET", "/sync", (), None)
    for size in (1, 5, 11, 12, 13, 16, 17, len(header), len(header) + 3):
        with Connection(server.port) as connection:
            data = header + request
            for start in range(0, len(data), size):
                connection.send(data[start : start + size])
            client = connection.read_reply().json()["client"]
            own = str(("127.0.0.1", connection.client_port))
            assert client == (own if header == LOCAL else str(CLIENT)), size


@pytest.mark.parametrize(
    "start",
    [
        b"GET /sync HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4711\r\nGET /sync HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PROXY TCP4 nobody 198.51.100.1 4711 443\r\nGET /sync HTTP/1.1\r\nHost: a\r\n\r\n",
        SIGNATURE + b"\x31\x11\x00\x0c" + _ENDS,
        SIGNATURE + b"\x21\x11\x00\x04" + _ENDS,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00",
    ],
)
def test_without_a_header_a_proxy_is_not_served(server: ServerProcess, start: bytes) -> None:
    before = server.output_size
    with Connection(server.port) as connection:
        connection.send(start)
        assert connection.is_closed_by_server()
    server.wait_output("does not say who its client is", before)


def test_a_header_that_stalls() -> None:
    with start_bimetal("reached:app", "--proxy-protocol", "--handshake-timeout", "0.5").wait_ready() as server:
        for part in (b"", V1[:3], V1[:-1], V2[:14], V2[:-1]):
            with Connection(server.port) as connection:
                connection.send(part)
                assert connection.is_closed_by_server()


def test_of_others_it_is_not_believed() -> None:
    options = ("--proxy-protocol", "--forwarded-allow-ips", "10.0.0.0/8")
    with start_bimetal("reached:app", *options).wait_ready() as server:
        with Connection(server.port) as connection:
            connection.send(V1 + head("GET", "/sync", (), None))
            assert connection.read_reply().status == 400
        assert get(server.port, "/sync").json()["client"].startswith("('127.0.0.1'")


def test_before_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    options = ("--proxy-protocol", *authority.issue("server").options)
    with start_bimetal("reached:app", *options).wait_ready() as server:
        plain = socket.create_connection(("127.0.0.1", server.port), timeout=TIMEOUT)
        plain.sendall(V2)
        encrypted = authority.context().wrap_socket(plain, server_hostname="127.0.0.1")
        with Connection.over(encrypted) as connection:
            assert seen(connection, "/sync") == {
                "client": str(CLIENT),
                "server": "('198.51.100.1', 443)",
                "scheme": "'https'",
            }
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            plain = socket.create_connection(("127.0.0.1", server.port), timeout=TIMEOUT)
            authority.context().wrap_socket(plain, server_hostname="127.0.0.1")
            raise AssertionError("a handshake without the header")


def test_on_a_unix_socket() -> None:
    with tempfile.TemporaryDirectory(prefix="bm") as folder:
        path = Path(folder, "s")
        options = ("--proxy-protocol", "--forwarded-allow-ips", "unix")
        with start_bimetal_at(path, "reached:app", *options), socket.socket(socket.AF_UNIX) as connected:
            connected.settimeout(TIMEOUT)
            connected.connect(str(path))
            with Connection.over(connected) as connection:
                connection.send(V2)
                assert seen(connection, "/async")["client"] == str(CLIENT)


def test_it_needs_somebody_to_trust() -> None:
    assert run_bimetal("run", "reached:app", "--proxy-protocol", "--no-proxy-headers").returncode == 2
    done = run_bimetal("run", "reached:app", "--proxy-protocol", "--forwarded-allow-ips", "")
    assert done.returncode == 1 and "needs proxies that are trusted" in done.stderr


HAPROXY = """
defaults
    mode {mode}
    timeout connect 30s
    timeout client 30s
    timeout server 30s
listen front
    bind 127.0.0.1:{port}
    server app 127.0.0.1:{server} {send}
"""


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not installed")
@pytest.mark.parametrize("send", ["send-proxy", "send-proxy-v2"])
@pytest.mark.parametrize("mode", ["tcp", "http"])
def test_behind_haproxy(server: ServerProcess, send: str, mode: str, tmp_path: Path) -> None:
    port = free_port()
    config = tmp_path / "haproxy.cfg"
    config.write_text(HAPROXY.format(mode=mode, port=port, server=server.port, send=send))
    command = [str(shutil.which("haproxy")), "-f", str(config)]
    with ServerProcess(command, port, tmp_path).wait_ready(), Connection(port) as connection:
        for target in ("/sync", "/async"):
            answer = seen(connection, target)
            assert answer["client"] == str(("127.0.0.1", connection.client_port))
            assert answer["server"] == str(("127.0.0.1", port))
