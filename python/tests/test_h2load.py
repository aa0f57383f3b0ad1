"""A client of others that speaks HTTP/2 as fast as it can: h2load, of nghttp2."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from harness.servers import ServerProcess, start_bimetal
from harness.soak import LONG
from harness.tls import Issued

pytestmark = [
    pytest.mark.bimetal_only,
    pytest.mark.skipif(shutil.which("h2load") is None, reason="h2load is not installed (Debian: nghttp2-client)"),
]

REQUESTS = 200_000 if LONG else 5_000
CONNECTIONS, STREAMS = 10, 100


@pytest.fixture(scope="module", params=["plain", "encrypted"])
def server(request: pytest.FixtureRequest, issued: Issued) -> Iterator[tuple[str, ServerProcess]]:
    """A server, and how its addresses begin."""
    secured = issued.options if request.param == "encrypted" else ()
    with start_bimetal("soaking:app", "--http2", "--native", "/health=health", *secured) as server:
        yield "https" if secured else "http", server.wait_ready()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", ["/health", "/sync/1", "/async/1", "/stream/4"])
def test_every_request_succeeds(server: tuple[str, ServerProcess], path: str) -> None:
    scheme, process = server
    url = f"{scheme}://127.0.0.1:{process.port}{path}"
    command = ["h2load", "-n", str(REQUESTS), "-c", str(CONNECTIONS), "-m", str(STREAMS), url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{REQUESTS} succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout, done.stdout
    assert f"status codes: {REQUESTS} 2xx, 0 3xx, 0 4xx, 0 5xx" in done.stdout, done.stdout
    assert "Application protocol: h2" in done.stdout, done.stdout
    rate = re.search(r"finished in .*, ([\d.]+) req/s", done.stdout)
    assert rate is not None, done.stdout
    print(f"{url}: {float(rate[1]):,.0f} requests/s")
