"""The examples of `docs/guide/edge.md`, run in their order, and served."""

from __future__ import annotations

from typing import Any

import pytest

from bimetal import Server
from harness.compare import ask
from harness.servers import REPOSITORY
from test_guide import BLOCK

pytestmark = pytest.mark.bimetal_only

GUIDE = REPOSITORY / "docs" / "guide" / "edge.md"


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """What the examples define."""
    found: dict[str, Any] = {}
    for language, text in BLOCK.findall(GUIDE.read_text()):
        assert language == "python"
        exec(compile(text, GUIDE.name, "exec"), found)
    return found


def test_what_the_page_says(names: dict[str, Any]) -> None:
    host = ("Host", "127.0.0.1")
    with Server(names["app"]) as server:
        reply = ask(server.port, "POST", "/upload", [host, ("Origin", "https://example.org")], b"x" * 20_000_000)
        assert reply.json() == {"size": 20_000_000}
        assert reply.header("access-control-allow-origin") == "https://example.org"
        assert len(reply.header("x-request-id") or "") == 32 and reply.header("x-frame-options") == "DENY"
        assert ask(server.port, "POST", "/login", [host], b"x" * 2001).status == 413
        assert ask(server.port, "GET", "/", [("Host", "evil.example")]).status == 400
    with Server(names["compressed"]) as server:
        assert (
            ask(server.port, "GET", "/catalogue", [("Accept-Encoding", "br, gzip")]).header("content-encoding") == "br"
        )
    with Server(names["secured"]) as server:
        reply = ask(server.port, "GET", "/missing")
        assert reply.header("cross-origin-resource-policy") is None
        assert reply.header("x-permitted-cross-domain-policies") == "none"
