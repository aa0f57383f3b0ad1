"""nginx and HAProxy as they are installed, each alone: they answer by themselves and show what they take for a request."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.servers import START_TIMEOUT, STOP_TIMEOUT, free_port

NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    lingering_close off;
    server {{
        listen 127.0.0.1:{port};
        location / {{ return 200 "x"; }}
    }}
}}
"""

HAPROXY = """
global
    maxconn 64
defaults
    mode http
    timeout client 5s
    timeout connect 5s
    timeout server 5s
    timeout http-request 5s
frontend front
    bind 127.0.0.1:{port}
    http-request wait-for-body time 3s if {{ req.body_size gt 0 }} or {{ req.hdr(transfer-encoding) -m found }}
    http-request return status 200 content-type text/plain string x
"""


@contextlib.contextmanager
def serve(name: str) -> Iterator[int]:
    """The proxy `name`, `nginx` or `haproxy`, on a free port; skips the test where it is not installed."""
    # Debian has both in /usr/sbin, which is not on the path of every user.
    program = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip(f"{name} is not installed (Debian: apt-get install {name})")
    with tempfile.TemporaryDirectory(prefix=f"bimetal-{name}-") as folder:
        port = free_port()
        config = Path(folder, f"{name}.conf")
        config.write_text({"nginx": NGINX, "haproxy": HAPROXY}[name].format(folder=folder, port=port))
        options = ["-p", folder, "-c", str(config)] if name == "nginx" else ["-db", "-f", str(config)]
        with Path(folder, "output").open("w+b") as output:
            process = subprocess.Popen([program, *options], stdin=subprocess.DEVNULL, stdout=output, stderr=output)
            try:
                _wait(process, port, Path(folder, "output"))
                yield port
            finally:
                process.terminate()
                try:
                    process.wait(STOP_TIMEOUT)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(STOP_TIMEOUT)


def _wait(process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        assert process.poll() is None and time.monotonic() < deadline, output.read_text()
        time.sleep(0.02)
