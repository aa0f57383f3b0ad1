"""Static files and file downloads: ranges, validators, names, and nothing outside the folder."""

from __future__ import annotations

import os
import pathlib
import tempfile

import pytest

from harness.compare import Case, Pair, case
from harness.wire import Connection, get

APP = "routing:app"

TEXT = b"0123456789" * 10
BIG = bytes(range(256)) * 40_000


@pytest.fixture(scope="module", autouse=True)
def files() -> pathlib.Path:
    """The folder that the application serves, with fixed times so that validators are the same on both servers."""
    folder = pathlib.Path(tempfile.gettempdir()) / f"bimetal-tests-{os.getuid()}"
    (folder / "sub").mkdir(parents=True, exist_ok=True)
    contents = {
        "file.txt": TEXT,
        "big.bin": BIG,
        "index.html": b"<p>index</p>",
        "404.html": b"<p>nothing</p>",
        "sub/index.html": b"<p>sub</p>",
        "empty.css": b"",
        "na\u00efve name.js": b"let x = 1",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
        os.utime(folder / name, (1_700_000_000, 1_700_000_000))
    return folder


TARGETS = [
    "/static/file.txt", "/static/none.txt", "/static/", "/static/sub", "/static/sub/", "/static/empty.css", "/static/big.bin",
    "/static/na%C3%AFve%20name.js", "/static/../routing.py", "/static/%2e%2e/%2e%2e/etc/passwd", "/static//etc/passwd",
    "/static/file.txt/", "/static/file.txt%00", "/site/", "/site", "/site/sub", "/site/sub/", "/site/none", "/download",
    "/download/big", "/download/missing",
]  # fmt: skip

RANGES = [
    "bytes=0-9", "bytes=90-", "bytes=-5", "bytes=0-0,5-6", "bytes=95-200", "bytes=200-", "bytes=5-2", "bytes=x", "items=0-1",
    "bytes=0-0,-1",
]  # fmt: skip


def same_boundary(body: bytes) -> bytes:
    """The boundary of a multipart answer is random."""
    first = body.split(b"\r\n")[0]
    return body.replace(first[2:], b"edge") if first.startswith(b"--") else body


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("target", TARGETS)
def test_files(pair: Pair, method: str, target: str) -> None:
    pair.same(method, target)


@pytest.mark.parametrize("header", RANGES)
@pytest.mark.parametrize("target", ["/static/file.txt", "/download"])
def test_ranges(pair: Pair, target: str, header: str) -> None:
    replies = [get(port, target, [("Range", header)]) for port in pair.ports]
    ours, reference = ({**dict(r.headers), "date": "", "server": "", "content-type": ""} for r in replies)
    assert ours == reference
    assert replies[0].status == replies[1].status
    assert same_boundary(replies[0].body) == same_boundary(replies[1].body)


def test_a_range_is_partial_content(pair: Pair) -> None:
    reply = pair.same("GET", "/static/file.txt", [("Range", "bytes=10-12")])
    assert (reply.status, reply.body, reply.header("content-range")) == (206, b"012", "bytes 10-12/100")


def conditional(pair: Pair) -> list[Case]:
    etag = pair.same("GET", "/static/file.txt").header("etag") or ""
    now, before = "Tue, 14 Nov 2023 22:13:20 GMT", "Tue, 14 Nov 2000 22:13:20 GMT"
    headers = [
        [("If-None-Match", etag)], [("If-None-Match", f'"x", W/{etag}')], [("If-None-Match", '"other"')],
        [("If-Modified-Since", now)], [("If-Modified-Since", before)], [("If-Range", etag), ("Range", "bytes=0-1")],
        [("If-Range", '"other"'), ("Range", "bytes=0-1")], [("If-None-Match", '"other"'), ("If-Modified-Since", now)],
    ]  # fmt: skip
    return [case("GET", "/static/file.txt", lines) for lines in headers]


def test_conditional_requests(pair: Pair) -> None:
    statuses = [pair.check(request).status for request in conditional(pair)]
    assert statuses == [304, 304, 200, 304, 200, 206, 200, 200]


def test_a_not_modified_answer_leaves_the_connection_usable(pair: Pair) -> None:
    with Connection(pair.ours.port) as connection:
        etag = connection.request("GET", "/static/file.txt").header("etag") or ""
        for _ in range(3):
            assert connection.request("GET", "/static/file.txt", [("If-None-Match", etag)]).status == 304
        assert connection.request("GET", "/static/file.txt").body == TEXT


def test_a_large_file_arrives_whole(pair: Pair) -> None:
    assert pair.same("GET", "/static/big.bin").body == BIG
    assert pair.same("GET", "/download/big").body == BIG
