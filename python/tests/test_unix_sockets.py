"""Unix sockets: what handlers see is what they see on uvicorn; the socket's file is made, replaced and removed."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import unix_connect

from harness.servers import (
    APPS,
    START_TIMEOUT,
    ServerProcess,
    bimetal_command,
    free_port,
    run_bimetal,
    start_bimetal_at,
    start_uvicorn_at,
    until,
    wait_ready_at,
)
from harness.wire import Connection, get

pytestmark = pytest.mark.bimetal_only


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name: the path of a socket is limited."""
    with tempfile.TemporaryDirectory(prefix="bm") as folder:
        yield Path(folder)


def connect(path: Path) -> Connection:
    connected = socket.socket(socket.AF_UNIX)
    connected.settimeout(30)
    connected.connect(str(path))
    return Connection.over(connected)


def ask(path: Path, target: str, headers: tuple[tuple[str, str], ...] = ()) -> Any:
    with connect(path) as connection:
        return connection.request("GET", target, headers).json()


NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream app {{ server unix:{path}; keepalive 4; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
        }}
    }}
}}
"""

FORWARDED = (("X-Forwarded-For", "6.6.6.6, 192.0.2.7"), ("X-Forwarded-Proto", "https"))


@pytest.mark.parametrize("arguments", [(), ("--forwarded-allow-ips", "*"), ("--no-proxy-headers",)], ids=str)
def test_handlers_see_what_they_see_on_uvicorn(folder: Path, arguments: tuple[str, ...]) -> None:
    ours, reference = folder / "b", folder / "u"

    def told(path: Path) -> list[Any]:
        answers = [ask(path, f"{target}?x=1", headers) for target in ("/sync", "/async") for headers in ((), FORWARDED)]
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
            answers.append(client.get("http://example.org/sync").json())
            answers.append(client.post("http://example.org/body", content=b"x" * 1_000_000).json())
        with unix_connect(str(path), "ws://localhost/socket", compression=None) as websocket:
            scope = json.loads(websocket.recv())
            scope["headers"] = re.sub(r"'sec-websocket-key', b'[^']*'", "KEY", scope["headers"])
            answers.append(scope)
            websocket.send("hello")
            answers.append(websocket.recv())
        told: list[Any] = json.loads(json.dumps(answers).replace(str(path), "PATH"))
        return told

    with start_uvicorn_at(reference, "reached:app", *arguments):
        expected = told(reference)
    for app in ("reached:app", "reached:wrapped"):
        with start_bimetal_at(ours, app, *arguments) as server:
            assert told(ours) == expected, app
            assert f"serves {app} on unix:{ours}" in server.output
    assert expected[0]["server"] == "('PATH', None)" and expected[0]["client"] == "None"


def test_unix_stands_for_those_who_connect(folder: Path) -> None:
    with start_bimetal_at(folder / "s", "reached:app", "--forwarded-allow-ips", "unix,192.0.2.0/24"):
        seen = ask(folder / "s", "/sync", FORWARDED)
    assert seen["client"] == "('6.6.6.6', 0)" and seen["scheme"] == "'https'"


def test_the_file_is_for_everybody_and_removed_at_the_end(folder: Path) -> None:
    path = folder / "s"
    with start_bimetal_at(path, "reached:app") as server:
        assert stat.S_IMODE(path.stat().st_mode) == 0o666
        assert server.stop() == 0
    assert not path.exists()


def test_a_file_that_is_left_is_replaced_and_its_mode_kept(folder: Path) -> None:
    path = folder / "s"
    with start_bimetal_at(path, "reached:app") as server:
        server.kill()
    assert path.exists()
    path.chmod(0o600)
    with start_bimetal_at(path, "reached:app"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert ask(path, "/sync")["scheme"] == "'http'"


def test_the_socket_of_a_server_is_left_alone(folder: Path) -> None:
    path = folder / "s"
    with start_bimetal_at(path, "reached:app"):
        for workers in ("1", "2"):
            done = run_bimetal("run", "reached:app", "--uds", str(path), "--workers", workers)
            assert done.returncode == 1
            assert done.stderr.count("another server listens there") == 1
        assert ask(path, "/sync")["scheme"] == "'http'"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("file", "a file that is no socket"),
        ("none/s", "No such file or directory"),
        ("x" * 120, "too long for a socket"),
    ],
)
def test_what_is_in_the_way_is_named(folder: Path, name: str, why: str) -> None:
    (folder / "file").write_text("precious")
    done = run_bimetal("run", "reached:app", "--uds", str(folder / name))
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"cannot listen on unix:{folder / name}" in done.stderr and why in done.stderr
    assert (folder / "file").read_text() == "precious"


def test_a_server_that_took_the_path_keeps_it(folder: Path) -> None:
    path = folder / "s"
    with start_bimetal_at(path, "reached:app") as first:
        path.unlink()
        with start_bimetal_at(path, "reached:app"):
            assert first.stop() == 0
            assert ask(path, "/sync")["scheme"] == "'http'"


def test_workers_share_the_socket_and_are_replaced(folder: Path) -> None:
    path = folder / "s"
    (folder / "version").write_text("1")
    with start_bimetal_at(path, "workers:app", "--workers", "2", env={"FOLDER": str(folder)}) as server:

        def serving(version: str) -> set[int]:
            pids: set[int] = set()

            def both() -> bool:
                answer = ask(path, "/pid")
                if answer["version"] == version:
                    pids.add(answer["pid"])
                return len(pids) == 2

            until(both, f"two workers of version {version}")
            return pids

        old = serving("1")
        (folder / "version").write_text("2")
        server.process.send_signal(signal.SIGHUP)
        assert not serving("2") & old
        assert path.exists()
        assert server.stop() == 0
        assert server.output.count(f"on unix:{path} (2 workers)") == 1
    assert not path.exists()


@pytest.mark.parametrize("arguments", [(), ("--workers", "2")], ids=str)
@pytest.mark.parametrize("family", [socket.AF_UNIX, socket.AF_INET], ids=["unix", "tcp"])
def test_a_socket_that_is_given(folder: Path, family: socket.AddressFamily, arguments: tuple[str, ...]) -> None:
    path = folder / "s"
    with socket.socket(family) as given:
        given.bind(str(path) if family == socket.AF_UNIX else ("127.0.0.1", 0))
        given.listen()
        fd = given.fileno()
        port = 0 if family == socket.AF_UNIX else given.getsockname()[1]
        command = [bimetal_command(), "run", "reached:app", "--fd", str(fd), *arguments]
        with ServerProcess(command, port, APPS, pass_fds=[fd]) as server:
            if family == socket.AF_UNIX:
                wait_ready_at(path, server)
                assert ask(path, "/sync")["server"] == f"({str(path)!r}, None)"
            else:
                server.wait_ready()
                assert get(port, "/sync").json()["server"] == f"('127.0.0.1', {port})"
            assert server.stop() == 0
    # It belongs to whoever has made it.
    assert family == socket.AF_INET or path.exists()


def test_a_descriptor_that_is_no_socket(folder: Path) -> None:
    for fd in ("77", "3"):
        done = subprocess.run(
            ["sh", "-c", f'exec 3<{APPS}/reached.py "{bimetal_command()}" run reached:app --fd {fd}'],
            cwd=APPS,
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT,
        )
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert "cannot listen on the" in done.stderr


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_behind_nginx(folder: Path) -> None:
    path, port = folder / "s", free_port()
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, path=path, port=port))
    with start_bimetal_at(path, "reached:app", "--forwarded-allow-ips", "unix") as server:
        command = [str(shutil.which("nginx")), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
        with ServerProcess(command, port, folder).wait_ready():
            for target in ("/sync", "/async"):
                seen = get(port, target, [("Host", "example.org")]).json()
                assert seen["client"] == "('127.0.0.1', 0)" and seen["url"] == f"http://example.org{target}"
            with Connection(port) as connection:
                for size in (0, 1, 300_000):
                    assert connection.request("POST", "/body", (), b"x" * size).json() == size
        assert server.stop() == 0
