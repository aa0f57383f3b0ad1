"""Mounted `StaticFiles`: answered in Rust, and by no other answer than Starlette's under uvicorn."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from corpora.traversal import TRAVERSALS
from harness.compare import Pair, assert_same, serve_both, unpacked
from harness.servers import ServerProcess, run_bimetal, start_bimetal
from harness.tree import FILES, SECRET, make_tree
from harness.wire import Connection, Headers, Reply, get, request

MOUNTS = ("/plain", "/html", "/follow", "/follow-html")

#: Paths below a mount.
PATHS = [
    *(name.replace("%", "%25").replace("?", "%3F").replace("#", "%23").replace(" ", "%20").replace("\u00ef", "%C3%AF")
      .replace("<", "%3C").replace(">", "%3E").replace('"', "%22").replace("\\", "%5C") for name in FILES),
    "", "/", "//", ".", "./", "..", "../", "sub", "sub/", "sub//", "sub/.", "sub/..", "sub/../", "sub/deep", "sub/deep/", "empty-dir",
    "empty-dir/", "to-root", "to-root/", "to-root/to-root/sub", "linked-dir", "linked-dir/", "linked-dir/file.txt", "plain.txt/",
    "plain.txt//", "plain.txt/x", "./plain.txt", "sub/../plain.txt", "sub/../../root/plain.txt", "../root/plain.txt", "..//root//sub/",
    "../root", "../root/", "x/../plain.txt", "plain.txt/../plain.txt", "link.txt", "link.css", "absolute.txt", "out.txt",
    "out-absolute.txt", "out-dir", "out-dir/", "out-dir/secret.txt", "out-chain/secret.txt", "out-and-in", "dangling", "dangling-out", "loop",
    "loop/x", "etc/passwd", "pipe", "socket", "device", "device/x", "nothing", "nothing/", "Plain.txt", "plain.txt%20", "plain.txt%00", "%00",
    "plain.txt%0A", "%0Aplain.txt", "plain.txt%0D", "%5C", "%5Cplain.txt", "%5C..%5Cplain.txt", "sub%2Ffile.txt", "sub%2F..%2Fplain.txt",
    "%2e%2e/root/plain.txt", "%252e%252e/plain.txt", "%FF", "%C3%28.txt", "n" * 255, "n" * 256, "n" * 300 + "/x", "d/" * 500 + "x",
    "d/" * 900 + "x", "/".join(["n" * 200] * 10), "sub?query=1", "sub?a=%20&b", "plain.txt?x", ";x", "plain.txt;v=1", "early.txt",
    "late.txt", "sub%09", "linked-dir%0A",
]  # fmt: skip

RANGES = [
    "bytes=0-9", "bytes=90-", "bytes=-5", "bytes=-500", "bytes=0-0,5-6", "bytes=95-200", "bytes=200-", "bytes=5-2", "bytes=x", "items=0-1",
    "bytes=0-0,-1", "bytes", "bytes=", "bytes=,", "bytes=-", "bytes= 0 - 9 ", " BYTES =1-2", "bytes=0-9,5-20", "bytes=0-9,10-19", "bytes=5-6,0-1",
    "bytes=1_0-2_0", "bytes=+1-+2", "bytes=--5", "bytes=5--3", "bytes=0-0,x,1-1", "bytes=0x1-2", "bytes=1e1-", "bytes=-0", "bytes=0-",
    "bytes=99999999999999999999-", "bytes=0-99999999999999999999", "bytes=-99999999999999999999", "bytes=0-0," * 50 + "2-2",
    "bytes=" + ",".join(f"{2 * n}-{2 * n}" for n in range(40)), "bytes=" + ",".join(["0-0"] * 100), "bytes=" + ",".join(["0-0"] * 101),
    "bytes=0-0;x", "bytes=0-0 1-1", "bytes=0-0,\t5-5", "bytes:0-1", "bytes=\xa00-1", "bytes=\xb2-5", "bytes=0=1-2",
]  # fmt: skip

#: For `plain.txt`, whose last modification is this.
MODIFIED = "Tue, 14 Nov 2023 22:13:20 GMT"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("static")
    make_tree(base)
    return base


@contextlib.contextmanager
def both(base: Path, app: str, *args: str) -> Iterator[Pair]:
    with serve_both(f"static_files:{app}", *args, env={"STATIC_FILES": str(base)}) as pair:
        yield pair


@pytest.fixture(scope="module")
def pair(base: Path) -> Iterator[Pair]:
    with both(base, "app") as pair:
        yield pair


@contextlib.contextmanager
def ours(base: Path, app: str = "app", *args: str) -> Iterator[ServerProcess]:
    with start_bimetal(f"static_files:{app}", *args, env={"STATIC_FILES": str(base)}) as server:
        yield server.wait_ready()


def without_boundary(reply: Reply) -> Reply:
    """The boundary of a multipart answer is random."""
    kind = reply.header("content-type") or ""
    if not kind.startswith("multipart/byteranges"):
        return reply
    boundary = kind.partition("boundary=")[2]
    assert len(boundary) == 26
    headers = [(name, value.replace(boundary, "B" * 26)) for name, value in reply.headers]
    return Reply(reply.status, reply.reason, reply.version, headers, reply.body.replace(boundary.encode(), b"B" * 26))


def exchange(connections: tuple[Connection, Connection], method: str, target: str, headers: Headers = ()) -> Reply:
    """Ask both, on connections that stay open; the answers must be the same. Returns ours."""
    replies = [connection.request(method, target, headers) for connection in connections]
    mine, reference = map(without_boundary, replies)
    try:
        assert_same(mine, reference)
    except AssertionError as error:
        raise AssertionError(f"{method} {target!r} {headers}: {mine} is not {reference}") from error
    return mine


@contextlib.contextmanager
def connections(pair: Pair) -> Iterator[tuple[Connection, Connection]]:
    with Connection(pair.ours.port) as one, Connection(pair.reference.port) as other:
        yield one, other


def natives(server: ServerProcess, base: Path) -> set[str]:
    """The mounts that are on the `native` lane."""
    listed = run_bimetal("routes", server.command[2], "--json", env={"STATIC_FILES": str(base)})
    return {route["path"] for route in json.loads(listed.stdout) if route["lane"] == "native"}


@pytest.mark.parametrize("mount", MOUNTS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_every_path(pair: Pair, mount: str, method: str) -> None:
    for path in PATHS:
        # A loop of links is an exception, after which the reference closes the connection.
        with connections(pair) as pairs:
            exchange(pairs, method, f"{mount}/{path}")
    with connections(pair) as pairs:
        exchange(pairs, method, mount)


@pytest.mark.parametrize(
    "mount", ["/later", "/package", "/both", "/of/someone/files", "/routed/static", "/inner/static", "/own"]
)
def test_every_kind_of_mount(pair: Pair, mount: str) -> None:
    for path in (
        "",
        "plain.txt",
        "sub",
        "sub/",
        "nothing",
        "cors.py",
        "__init__.py",
        "link.css",
        "out.txt",
        "../root/plain.txt",
        "page.html",
    ):
        for method in ("GET", "HEAD", "POST"):
            with connections(pair) as pairs:
                exchange(pairs, method, f"{mount}/{path}")


@pytest.mark.bimetal_only
def test_what_is_native(pair: Pair, base: Path) -> None:
    expected = {
        "/plain",
        "/html",
        "/follow",
        "/follow-html",
        "/later",
        "/package",
        "/both",
        "/of/{name}/files",
        "/routed/static",
    }
    assert natives(pair.ours, base) == {f"{path}/{{path:path}}" for path in expected}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND"])
def test_other_methods(pair: Pair, method: str) -> None:
    for target in ("/plain/plain.txt", "/plain/nothing", "/html/sub", "/html/"):
        reply = pair.same(method, target)
        assert (reply.status, reply.header("allow")) == (405, "GET, HEAD")
        pair.same(method, target, body=b"a body")
        pair.same(method, target, body=(b"chunks", b"of it"))


@pytest.mark.parametrize("name", ["plain.txt", "empty.txt", "big.bin", "style.css", "exact.bin"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_ranges(pair: Pair, name: str, method: str) -> None:
    with connections(pair) as pairs:
        for header in RANGES:
            exchange(pairs, method, f"/plain/{name}", [("Range", header)])
        exchange(pairs, method, f"/plain/{name}", [("Range", "bytes=0-1"), ("Range", "bytes=5-6")])
        size = len(FILES[name])
        for first, last in (
            (0, size - 1),
            (0, 65_535),
            (0, 65_536),
            (1, 65_536),
            (size - 1, size - 1),
            (size - 70_000, size),
        ):
            exchange(pairs, method, f"/plain/{name}", [("Range", f"bytes={first}-{last}")])
        exchange(pairs, method, f"/plain/{name}", [("Range", "bytes=0-69999,100000-199999,250000-")])
        exchange(pairs, method, "/html/nothing", [("Range", "bytes=0-1")])


DATES = [
    MODIFIED, "Tue, 14 Nov 2023 22:13:19 GMT", "Tue, 14 Nov 2023 22:13:21 GMT", "Wed, 14 Nov 2023 22:13:20 GMT", "tue, 14 nov 2023 22:13:20 gmt",
    "Tuesday, 14-Nov-23 22:13:20 GMT", "Tue Nov 14 22:13:20 2023", "Tue, 14 Nov 2023 22:13:20", "Tue, 14 Nov 2023 22:13:20 +0500", "14 Nov 2023 22:13 GMT",
    "Tue, 14 Nov 0023 22:13:20 GMT", "Tue, 32 Nov 2023 22:13:20 GMT", "Tue, 14 Nov 2023 25:61:61 GMT", "Tue, 14 Foo 2023 22:13:20 GMT", "nonsense", "0",
    "Tue, 1 Dec 2023 1:2:3 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", " " + MODIFIED, MODIFIED + " x",
]  # fmt: skip


def conditions(etag: str) -> list[Headers]:
    tags = [
        etag,
        f"W/{etag}",
        f'"x", {etag}',
        f'"x",W/{etag}',
        etag.strip('"'),
        "*",
        " * ",
        '"*"',
        "*, x",
        '"other"',
        "",
        ",",
    ]
    tags += [f"{etag};x", f"w/{etag}", f"{etag}\xa0", f"W/W/{etag}"]
    found: list[Headers] = [[("If-None-Match", tag)] for tag in tags]
    found += [[("If-Modified-Since", date)] for date in DATES]
    found += [[("If-None-Match", tag), ("If-Modified-Since", MODIFIED)] for tag in ('"other"', "", etag)]
    found += [[("If-None-Match", '"other"'), ("If-None-Match", etag)]]
    for validator in (etag, f"W/{etag}", '"other"', MODIFIED, DATES[1], DATES[2], "", f" {etag}", f"{etag}, x", "*"):
        found += [[("If-Range", validator), ("Range", "bytes=0-1")], [("If-Range", validator)]]
        found += [[("If-Range", validator), ("Range", "bytes=500-")]]
    found += [
        [("If-None-Match", etag), ("Range", "bytes=0-1")],
        [("If-Match", '"x"')],
        [("If-Unmodified-Since", DATES[1])],
    ]
    return found


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_conditions(pair: Pair, method: str) -> None:
    seen = set()
    with connections(pair) as pairs:
        for name in ("plain.txt", "page.html", "old.bin", "ancient.bin", "big.bin"):
            etag = get(pair.ours.port, f"/plain/{name}").header("etag") or ""
            assert len(etag) == 34
            for headers in conditions(etag):
                seen.add(exchange(pairs, method, f"/plain/{name}", headers).status)
                seen.add(exchange(pairs, method, "/html/nothing", headers).status)
    assert seen >= {200, 206, 304, 404, 416}


def test_times_beyond_the_float(pair: Pair, base: Path) -> None:
    """`Last-Modified` and `ETag` come from a float that has no room for nanoseconds."""
    path = base / "root" / "timed.txt"
    path.write_bytes(b"timed")
    nanos = [
        0,
        1,
        999,
        1000,
        499_999,
        500_000,
        500_500,
        123_456_789,
        999_999_400,
        999_999_499,
        999_999_500,
        999_999_600,
        999_999_761,
        999_999_999,
    ]
    with connections(pair) as pairs:
        for seconds in (
            0,
            1,
            59,
            86_399,
            951_782_400,
            1_500_000_000,
            1_700_000_001,
            2_147_483_647,
            2_147_483_648,
            4_102_444_800,
            10_000_000_000,
            -1,
            -5,
        ):
            for nano in nanos:
                time = seconds * 10**9 + nano
                os.utime(path, ns=(time, time))
                exchange(pairs, "HEAD", "/plain/timed.txt")


def test_redirects(pair: Pair) -> None:
    """Where a folder's address leads depends on what the client calls the server."""
    hosts = ["testserver", "a.example:8000", "a.example:80", "[::1]:8000", "A.Example", "1.2.3.4"]
    with connections(pair) as pairs:
        for mount in (
            "/html",
            "/of/some%20one/files",
            "/of/a.b/files",
            "/of/%C3%AF/files",
            "/of/a%3Fb/files",
            "/of/a;b/files",
            "/of//files",
        ):
            for host in hosts:
                for query in ("", "?a=1&b=%20", "?", "?x=/../y"):
                    reply = exchange(pairs, "GET", f"{mount}/sub{query}", [("Host", host)])
                    assert reply.status == (404 if mount == "/of//files" else 307)
        forwarded = [("X-Forwarded-Proto", "https"), ("X-Forwarded-For", "9.9.9.9")]
        assert (exchange(pairs, "GET", "/html/sub", forwarded).header("location") or "").startswith("https://")


#: Where the files of each application are, and what is asked for there.
PREFIXES = {
    "spa": [""],
    "errors": ["/plain", "/html"],
    "edge": ["/plain", "/html"],
    "within": ["/plain"],
    "rooted": ["/plain", "/html", "/api/plain", "/api/html", "/api", "/other/plain"],
}
ASKED = [
    "/", "/plain.txt", "/style.css", "/empty.txt", "/exact.bin", "/below.bin", "/above.bin", "/big.txt", "/sub", "/sub/", "/nothing", "/api/value",
]  # fmt: skip


@pytest.mark.parametrize("app", PREFIXES)
def test_applications(base: Path, app: str) -> None:
    """The edge packs what Starlette sends in several messages, whatever its size, and the rest from 70,000 bytes on."""
    packing = [("Accept-Encoding", "gzip"), ("Origin", "https://a.example")]
    headers: list[Headers] = [(), [("Range", "bytes=0-5")], packing]
    with both(base, app) as pair:
        for target in (prefix + path for prefix in PREFIXES[app] for path in ASKED):
            for method in ("GET", "HEAD", "POST", "OPTIONS"):
                for lines in headers:
                    mine, reference = (request(port, method, target, lines) for port in pair.ports)
                    assert_same(without_boundary(mine), without_boundary(reference), unpacked)


@pytest.mark.bimetal_only
def test_lanes_of_applications(base: Path) -> None:
    for app, expected in {
        "spa": {"/{path:path}"}, "errors": {"/plain/{path:path}", "/html/{path:path}"}, "edge": {"/plain/{path:path}", "/html/{path:path}"},
        "within": set(), "rooted": {"/api/plain/{path:path}", "/api/html/{path:path}"},
    }.items():  # fmt: skip
        listed = run_bimetal("routes", f"static_files:{app}", "--json", env={"STATIC_FILES": str(base)})
        routes = json.loads(listed.stdout)
        assert {route["path"] for route in routes if route["lane"] == "native"} == expected
        if app == "within":
            assert [route["reason"] for route in routes] == ["static files within middleware seen"]


def test_the_root_path_of_a_proxy(base: Path) -> None:
    with both(base, "app", "--root-path", "/behind") as pair, connections(pair) as pairs:
        for target in (
            "/html/sub",
            "/html/sub/",
            "/plain/plain.txt",
            "/html/",
            "/html/nothing",
            "/behind/plain/plain.txt",
        ):
            exchange(pairs, "GET", target)
        location = exchange(pairs, "GET", "/html/sub").header("location") or ""
        assert location == "http://testserver/behind/html/sub/"


def test_a_folder_that_comes_and_goes(tmp_path: Path) -> None:
    """Starlette looks once whether the folder is there, and says so until it is."""
    make_tree(tmp_path)
    later = tmp_path / "later"
    with both(tmp_path, "app") as pair:
        for make in (
            lambda: None,
            later.mkdir,
            later.rmdir,
            lambda: later.symlink_to("root"),
            later.unlink,
            lambda: later.write_text("x"),
        ):
            make()
            for _ in range(2):
                replies = [get(port, "/later/plain.txt") for port in pair.ports]
                assert_same(*replies)


def test_a_folder_that_is_replaced(tmp_path: Path) -> None:
    """As a deployment does it: a link that leads to another folder from one moment to the next."""
    make_tree(tmp_path)
    for number in (1, 2):
        (tmp_path / f"v{number}").mkdir()
        (tmp_path / f"v{number}" / "version.txt").write_text(str(number))
    (tmp_path / "later").symlink_to("v1")
    with ours(tmp_path) as server:
        assert [get(server.port, "/later/version.txt").text for _ in range(3)] == ["1"] * 3
        (tmp_path / "next").symlink_to("v2")
        (tmp_path / "next").rename(tmp_path / "later")
        assert get(server.port, "/later/version.txt").text == "2"


def test_changes_are_seen_at_once(base: Path, pair: Pair) -> None:
    path = base / "root" / "changing.txt"
    for number in range(20):
        path.write_text(f"version {number}")
        os.utime(path, ns=(number * 10**9, number * 10**9))
        reply = pair.same("GET", "/plain/changing.txt")
        assert reply.text == f"version {number}"
    path.unlink()
    assert pair.same("GET", "/plain/changing.txt").status == 404


@pytest.mark.parametrize("prefix", ["/plain/", "/html/"])
def test_nothing_outside_of_the_folder(base: Path, prefix: str) -> None:
    """However a path is written that leads out of the folder, the answer is 404 or 400."""
    assert len(TRAVERSALS) >= 500
    with ours(base) as server:
        for path in TRAVERSALS:
            with Connection(server.port) as connection:
                connection.send(b"GET " + prefix.encode() + path + b" HTTP/1.1\r\nHost: a\r\n\r\n")
                reply = connection.read_reply()
            assert reply.status in (404, 400, 414), (path, reply)
            assert SECRET not in reply.body and b"root:" not in reply.body, path


def test_traversals_as_under_starlette(pair: Pair) -> None:
    for path in TRAVERSALS:
        if b"<" in path or b">" in path or b'"' in path or any(byte >= 0x80 or byte <= 0x20 for byte in path):
            # Refused before anybody looks at it; see architecture.md.
            continue
        replies = []
        for port in pair.ports:
            with Connection(port) as connection:
                connection.send(b"GET /plain/" + path + b" HTTP/1.1\r\nHost: a\r\n\r\n")
                replies.append(connection.read_reply())
        if replies[0].status in (400, 414):
            continue
        assert_same(*replies)


@pytest.mark.bimetal_only
def test_links_swapped_while_they_are_served(tmp_path: Path) -> None:
    """A name that is a file one moment and a link out of the folder the next never gives what the link leads to."""
    root = make_tree(tmp_path)
    stop = threading.Event()

    def swap() -> None:
        (root / "good").write_bytes(b"good")
        (root / "bad").symlink_to("../secret.txt")
        (root / "bad-dir").symlink_to("../outside")
        (root / "good-dir").mkdir()
        (root / "good-dir" / "secret.txt").write_bytes(b"good")
        while not stop.is_set():
            for kind in ("", "-dir"):
                for source in ("good", "bad"):
                    with contextlib.suppress(OSError):
                        os.rename(root / f"{source}{kind}", root / f"swapped{kind}")
                        os.rename(root / f"swapped{kind}", root / f"{source}{kind}")

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        with ours(tmp_path) as server, Connection(server.port) as connection:
            found = set()
            for _ in range(3000):
                for path in ("swapped", "swapped-dir/secret.txt"):
                    reply = connection.request("GET", f"/plain/{path}")
                    assert SECRET not in reply.body
                    found.add(reply.status)
            assert found <= {200, 404}
    finally:
        stop.set()
        thread.join()


@pytest.mark.bimetal_only
def test_files_are_served_while_the_interpreter_is_held(base: Path) -> None:
    with ours(base) as server:
        # The first look of all may take a thread, which also needs no interpreter.
        holder = threading.Thread(target=get, args=(server.port, "/hold?seconds=3"))
        holder.start()
        with Connection(server.port) as connection:
            for target, status in {
                "/plain/plain.txt": 200, "/plain/big.bin": 200, "/plain/nothing": 404, "/html/sub": 307, "/html/": 200, "/plain/link.txt": 200,
            }.items():  # fmt: skip
                assert connection.request("GET", target).status == status
            assert connection.request("POST", "/plain/plain.txt").status == 405
        assert holder.is_alive()
        holder.join()
        assert "Traceback" not in server.output
