"""`app.static`: conditions and ranges of RFC 9110, packed variants, pages of names, and what the start refuses."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin

import httpx
import pytest
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.staticfiles import StaticFiles

from bimetal import APIRouter, Bimetal, Server
from bimetal.errors import BimetalError, RouteError
from corpora.traversal import TRAVERSALS
from harness.servers import REPOSITORY, ServerProcess, run_bimetal, start_bimetal
from harness.tree import BIG, FILES, SECRET, make_tree, pack
from harness.wire import Connection, get, request

pytestmark = pytest.mark.bimetal_only

MODIFIED = "Tue, 14 Nov 2023 22:13:20 GMT"
BEFORE, AFTER = "Tue, 14 Nov 2023 22:13:19 GMT", "Tue, 14 Nov 2023 22:13:21 GMT"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("assets")
    pack(make_tree(base))
    return base


@pytest.fixture(scope="module")
def server(base: Path) -> Iterator[ServerProcess]:
    with start_bimetal("static_files:assets", env={"STATIC_FILES": str(base)}) as server:
        yield server.wait_ready()


def test_a_file(server: ServerProcess) -> None:
    reply = get(server.port, "/plain/plain.txt")
    assert (reply.status, reply.body) == (200, FILES["plain.txt"])
    assert dict(reply.headers) | {"date": "", "etag": ""} == {
        "content-type": "text/plain; charset=utf-8",
        "content-length": "100",
        "accept-ranges": "bytes",
        "last-modified": MODIFIED,
        "etag": "",
        "date": "",
    }
    assert re.fullmatch(r'"[0-9a-f]+-64"', reply.header("etag") or "")
    head = request(server.port, "HEAD", "/plain/plain.txt")
    assert dict(head.headers) | {"date": ""} == dict(reply.headers) | {"date": ""}


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("style.css", "text/css; charset=utf-8"),
        ("data.json", "application/json"),
        ("page.html", "text/html; charset=utf-8"),
        ("archive.tar.gz", "application/gzip"),
        ("archive.tgz", "application/gzip"),
        ("UPPER.TXT", "text/plain; charset=utf-8"),
        ("no-extension", "application/octet-stream"),
        ("app.js.gz", "application/gzip"),
    ],
)
def test_types(server: ServerProcess, path: str, kind: str) -> None:
    reply = get(server.port, f"/plain/{path}")
    assert (reply.status, reply.header("content-type"), reply.header("content-encoding")) == (200, kind, None)


def test_methods(server: ServerProcess) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"):
        for target in ("/plain/plain.txt", "/plain/nothing"):
            reply = request(server.port, method, target, body=b"ignored")
            assert (reply.status, reply.header("allow")) == (405, "GET, HEAD")
            assert reply.json() == {"detail": "Method Not Allowed"}


@pytest.mark.parametrize(
    ("header", "status", "content_range"),
    [
        ("bytes=0-9", 206, "bytes 0-9/100"),
        ("bytes=90-", 206, "bytes 90-99/100"),
        ("bytes=-5", 206, "bytes 95-99/100"),
        ("bytes=-500", 206, "bytes 0-99/100"),
        ("bytes=95-500", 206, "bytes 95-99/100"),
        ("bytes=0-4,3-9", 206, "bytes 0-9/100"),
        ("bytes=100-", 416, "bytes */100"),
        ("bytes=-0", 416, "bytes */100"),
        ("bytes=5-2", 200, None),
        ("bytes=x", 200, None),
        ("bytes=1-2,x", 200, None),
        ("bytes=+1-2", 200, None),
        ("bytes=", 200, None),
        ("bytes", 200, None),
        ("items=0-1", 200, None),
        ("bytes=99999999999999999999-", 200, None),
        ("bytes=" + ",".join(["0-0"] * 101), 200, None),
    ],
)
def test_ranges(server: ServerProcess, header: str, status: int, content_range: str | None) -> None:
    reply = get(server.port, "/plain/plain.txt", [("Range", header)])
    assert (reply.status, reply.header("content-range")) == (status, content_range)
    if content_range is not None and status == 206:
        first, last = map(int, re.findall(r"\d+", content_range)[:2])
        assert reply.body == FILES["plain.txt"][first : last + 1]


def test_several_ranges(server: ServerProcess) -> None:
    for name in ("plain.txt", "big.bin"):
        size = len(FILES[name])
        reply = get(server.port, f"/plain/{name}", [("Range", "bytes=0-1,50-59,-1")])
        boundary = (reply.header("content-type") or "").partition("multipart/byteranges; boundary=")[2]
        assert reply.status == 206 and boundary
        parts = reply.body.split(f"--{boundary}".encode())
        assert (parts[0], parts[-1]) == (b"", b"--")
        for part, (first, last) in zip(parts[1:-1], [(0, 1), (50, 59), (size - 1, size - 1)], strict=True):
            head, _, body = part.partition(b"\r\n\r\n")
            assert f"Content-Range: bytes {first}-{last}/{size}".encode() in head
            assert body == FILES[name][first : last + 1] + b"\r\n"


def test_conditions(server: ServerProcess) -> None:
    etag = get(server.port, "/plain/plain.txt").header("etag") or ""
    ranged = ("Range", "bytes=0-1")
    for headers, status in [
        ([("If-None-Match", etag)], 304),
        ([("If-None-Match", f'"x", W/{etag}')], 304),
        ([("If-None-Match", "*")], 304),
        ([("If-None-Match", '"x"')], 200),
        ([("If-None-Match", '"x"'), ("If-Modified-Since", MODIFIED)], 200),
        ([("If-Modified-Since", MODIFIED)], 304),
        ([("If-Modified-Since", "Tuesday, 14-Nov-23 22:13:20 GMT")], 304),
        ([("If-Modified-Since", BEFORE)], 200),
        ([("If-Modified-Since", "nonsense")], 200),
        ([("If-Match", etag)], 200),
        ([("If-Match", "*")], 200),
        ([("If-Match", f"W/{etag}")], 412),
        ([("If-Match", '"x"')], 412),
        ([("If-Unmodified-Since", BEFORE)], 412),
        ([("If-Unmodified-Since", AFTER)], 200),
        ([("If-Range", etag), ranged], 206),
        ([("If-Range", f"W/{etag}"), ranged], 200),
        ([("If-Range", '"x"'), ranged], 200),
        ([("If-Range", MODIFIED), ranged], 206),
        ([("If-Range", BEFORE), ranged], 200),
        ([("If-None-Match", etag), ranged], 304),
    ]:
        for method in ("GET", "HEAD"):
            reply = request(server.port, method, "/plain/plain.txt", headers)
            assert reply.status == status, (method, headers, reply)
            if status == 304:
                assert (reply.header("etag"), reply.header("content-length"), reply.body) == (etag, None, b"")


@pytest.mark.parametrize(
    ("path", "accepted", "coding"),
    [
        ("app.js", "gzip, deflate, br, zstd", "zstd"),
        ("app.js", "gzip, br", "br"),
        ("app.js", "gzip", "gzip"),
        ("app.js", "x-gzip", "gzip"),
        ("app.js", "*", "zstd"),
        ("app.js", "zstd;q=0, *", "br"),
        ("app.js", "br;q=0.3, gzip;q=0.9", "gzip"),
        ("app.js", "identity, gzip;q=0.9", None),
        ("app.js", "deflate", None),
        ("app.js", "gzip;q=0", None),
        ("app.js", "gzip;q=nonsense", None),
        ("app.js", "", None),
        ("app-0123abcd.js", "zstd, gzip", "gzip"),
        ("page.html", "zstd, br", None),
        ("sub/index.html", "gzip", "gzip"),
        # Variants that are no files, or lead out of the folder.
        ("style.css", "gzip", None),
        ("plain.txt", "gzip", None),
        ("data.json", "gzip", None),
    ],
)
def test_packed_variants(server: ServerProcess, base: Path, path: str, accepted: str, coding: str | None) -> None:
    reply = get(server.port, f"/packed/{path}", [("Accept-Encoding", accepted)])
    suffix = {"zstd": ".zst", "br": ".br", "gzip": ".gz", None: ""}[coding]
    assert (reply.status, reply.header("content-encoding")) == (200, coding)
    assert reply.body == (base / "root" / f"{path}{suffix}").read_bytes()
    assert (reply.header("vary"), reply.header("content-type")) == (
        "Accept-Encoding",
        get(server.port, f"/plain/{path}").header("content-type"),
    )


def test_a_variant_has_validators_and_ranges_of_its_own(server: ServerProcess) -> None:
    etags = {}
    for coding in ("identity", "gzip", "br", "zstd"):
        accept = ("Accept-Encoding", coding)
        reply = get(server.port, "/packed/deep.txt", [accept])
        etags[coding] = reply.header("etag")
        kept = get(server.port, "/packed/deep.txt", [accept, ("If-None-Match", str(etags[coding]))])
        fields = [kept.header(name) for name in ("vary", "cache-control", "content-encoding")]
        assert (kept.status, fields) == (304, ["Accept-Encoding", "no-cache", None])
        part = get(server.port, "/packed/deep.txt", [accept, ("Range", "bytes=1-4")])
        assert (part.status, part.body) == (206, reply.body[1:5])
        assert part.header("content-encoding") == reply.header("content-encoding")
    # The files are of one size and one time.
    assert len(set(etags.values())) == 4
    stale = get(server.port, "/packed/deep.txt", [("Accept-Encoding", "gzip"), ("If-None-Match", str(etags["br"]))])
    assert stale.status == 200


def test_cache_control(server: ServerProcess) -> None:
    for path, value in {
        "/packed/app.js": "no-cache",
        "/packed/app-0123abcd.js": "public, max-age=31536000, immutable",
        "/packed/sub/file.txt": "no-cache",
        "/plain/app.js": None,
        "/packed/nothing": None,
    }.items():
        assert get(server.port, path).header("cache-control") == value


def test_folders_and_pages(server: ServerProcess) -> None:
    for target, status, where in [
        ("/html/", 200, None),
        ("/html/sub/", 200, None),
        ("/html/sub", 307, "http://testserver/html/sub/"),
        ("/html/sub?a=1", 307, "http://testserver/html/sub/?a=1"),
        ("/html/sub/deep/", 404, None),
        ("/plain/sub/", 404, None),
        ("/plain/sub", 404, None),
        ("/html/plain.txt/", 404, None),
        ("/list/sub", 307, "http://testserver/list/sub/"),
    ]:
        reply = get(server.port, target)
        assert (reply.status, reply.header("location")) == (status, where), target
    assert get(server.port, "/html/nothing").body == FILES["404.html"]
    assert get(server.port, "/plain/nothing").json() == {"detail": "Not Found"}


class Links(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.targets += [value or "" for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_page_of_names(server: ServerProcess, base: Path) -> None:
    reply = get(server.port, "/list/")
    assert (reply.status, reply.header("content-type")) == (200, "text/html; charset=utf-8")
    page = Links(reply.text)
    names = {unquote(target[2:]) for target in page.targets}
    shown = {name for name in os.listdir(base / "root") if (base / "root" / name).is_file() and name[0] != "."}
    # Names of files that may be had, and of no link that leads out of the folder.
    hidden = {"out.txt", "out-absolute.txt", "plain.txt.gz", "device"}
    assert {name for name in names if not name.endswith("/")} == shown - hidden
    assert {name for name in names if name.endswith("/")} == {
        "sub/",
        "empty-dir/",
        "linked-dir/",
        "to-root/",
        "style.css.gz/",
    }
    assert not {"script", "c", "b"} & page.tags
    assert "a&b<c>\"d'.txt" in page.text
    for target in page.targets:
        assert get(server.port, urljoin("/list/", target)).status == 200, target
    inner = Links(get(server.port, "/list/sub/").text)
    assert inner.targets == ["../", "./deep/", "./file.txt", "./index.html", "./index.html.gz"]
    head = request(server.port, "HEAD", "/list/sub/")
    assert (head.status, head.body) == (200, b"")


def test_hidden_names(server: ServerProcess) -> None:
    for target, status in {
        "/plain/.hidden": 404, "/plain/empty-dir/.keep": 404, "/plain/.well-known/security.txt": 200, "/plain/...": 404, "/plain/..dots.txt": 404,
        "/all/.hidden": 200, "/all/empty-dir/.keep": 200, "/list/.hidden": 404,
    }.items():  # fmt: skip
        assert get(server.port, target).status == status, target


def test_links(server: ServerProcess) -> None:
    for target, status in {
        "/plain/link.txt": 200, "/plain/absolute.txt": 200, "/plain/linked-dir/file.txt": 200, "/plain/to-root/plain.txt": 200, "/plain/out.txt": 404,
        "/plain/out-dir/secret.txt": 404, "/plain/out-and-in": 200, "/plain/loop": 404, "/plain/dangling": 404, "/all/out-dir/secret.txt": 200, "/all/out.txt": 200,
    }.items():  # fmt: skip
        assert get(server.port, target).status == status, target


@pytest.mark.parametrize("prefix", ["/plain/", "/packed/", "/html/", "/list/"])
def test_nothing_outside_of_the_folder(server: ServerProcess, prefix: str) -> None:
    for path in TRAVERSALS:
        with Connection(server.port) as connection:
            connection.send(b"GET " + prefix.encode() + path + b" HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
            reply = connection.read_reply()
        assert reply.status in (404, 400, 414), (path, reply)
        assert SECRET not in reply.body and b"root:" not in reply.body, path


def test_files_are_served_while_the_interpreter_is_held(server: ServerProcess) -> None:
    holder = threading.Thread(target=get, args=(server.port, "/hold?seconds=3"))
    holder.start()
    with Connection(server.port) as connection:
        for target, status in {
            "/plain/plain.txt": 200, "/plain/big.bin": 200, "/plain/nothing": 404, "/list/": 200, "/html/sub": 307, "/plain/%2e%2e/x": 404,
        }.items():  # fmt: skip
            assert connection.request("GET", target).status == status
        assert connection.request("GET", "/plain/big.bin").body == BIG
    assert holder.is_alive()
    holder.join()


def test_the_table_and_the_figures(server: ServerProcess, base: Path) -> None:
    listed = json.loads(run_bimetal("routes", "static_files:assets", "--json", env={"STATIC_FILES": str(base)}).stdout)
    lanes = {route["path"]: route["lane"] for route in listed}
    assert lanes["/packed/{path:path}"] == lanes["/all/{path:path}"] == "native"


def test_requests_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    app = Bimetal(openapi_url=None)
    app.static("/files", directory=tmp_path)
    with Server(app) as server:
        for target in ("/files/a.txt", "/files/b.txt"):
            get(server.port, target)
        assert server.stats()["requests"]["native"] == 2


def test_what_is_packed_passes_the_edge_as_it_is(base: Path) -> None:
    app = Bimetal(openapi_url=None)
    app.add_middleware(GZipMiddleware, minimum_size=10)
    app.static("/files", directory=base / "root")
    with Server(app) as server:
        accept = ("Accept-Encoding", "br, gzip")
        packed = get(server.port, "/files/app.js", [accept])
        assert (packed.header("content-encoding"), packed.body) == ("br", b"brotli of app.js")
        # What has no variant is the edge's to pack.
        text = get(server.port, "/files/big.txt", [accept])
        assert (text.header("content-encoding"), gzip.decompress(text.body)) == ("gzip", FILES["big.txt"])


def test_over_http2(base: Path) -> None:
    app = Bimetal(openapi_url=None)
    app.static("/files", directory=base / "root")
    app.mount("/static", StaticFiles(directory=base / "root"))
    with Server(app, http2=True) as server, httpx.Client(http1=False, http2=True, base_url=server.url) as client:
        for mount in ("/files", "/static"):
            assert client.get(f"{mount}/big.bin").content == BIG
            part = client.get(f"{mount}/big.bin", headers={"Range": "bytes=70000-139999"})
            assert (part.status_code, part.content) == (206, BIG[70_000:140_000])
            assert client.head(f"{mount}/big.bin").headers["content-length"] == str(len(BIG))
            assert client.get(f"{mount}/nothing").status_code == 404
        assert server.stats()["requests"] == {"native": 8, "sync": 0, "async": 0, "asgi": 0}


def test_a_server_that_has_stopped_has_no_thread_for_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    app = Bimetal(openapi_url=None)
    app.static("/files", directory=tmp_path)
    with Server(app) as server:
        # The first look of a server is a thread's.
        assert get(server.port, "/files/a.txt").text == "a"
        assert "bimetal-files-0" in thread_names()
    assert "bimetal-files-0" not in thread_names()


def thread_names() -> list[str]:
    names = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            names.append((task / "comm").read_text().strip())
    return names


def test_the_guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The applications of docs/guide/static-files.md, with folders as they name them."""
    monkeypatch.chdir(tmp_path)
    for folder in ("static", "site"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "app-0123abcd.js").write_text("let x = 1;")
    guide = (REPOSITORY / "docs" / "guide" / "static-files.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    found: list[tuple[str, int, str | None]] = []
    for block in blocks:
        names: dict[str, Any] = {}
        exec(block, names)
        with Server(names["app"]) as server:
            for target in ("/static/app-0123abcd.js", "/app-0123abcd.js", "/assets/app-0123abcd.js", "/downloads/"):
                reply = get(server.port, target)
                found.append((target, reply.status, reply.header("cache-control")))
            assert server.stats()["requests"]["native"] >= 2
    assert found == [
        ("/static/app-0123abcd.js", 200, None),
        ("/app-0123abcd.js", 200, None),
        ("/assets/app-0123abcd.js", 404, None),
        ("/downloads/", 404, None),
        ("/static/app-0123abcd.js", 404, None),
        ("/app-0123abcd.js", 404, None),
        ("/assets/app-0123abcd.js", 200, "public, max-age=31536000, immutable"),
        ("/downloads/", 200, None),
    ]


def plain_app(tmp_path: Path, **options: object) -> Bimetal:
    app = Bimetal(openapi_url=None)
    app.static("/files", directory=tmp_path, **options)  # type: ignore[arg-type]
    return app


def test_middleware_is_not_passed_by_silently(tmp_path: Path) -> None:
    async def seen(request, call_next):
        return await call_next(request)

    app = plain_app(tmp_path)
    app.middleware("http")(seen)
    with pytest.raises(
        RouteError, match=r'/files .* would bypass middleware:seen; accept it with bypass=\["middleware:seen"\]'
    ):
        Server(app).compile()
    accepting = plain_app(tmp_path, bypass=["seen"])
    accepting.middleware("http")(seen)
    (plan,) = Server(accepting).compile()
    assert (plan.lane, plan.reason) == ("native", "bypasses middleware:seen")


def test_exception_handlers_are_not_passed_by_silently(tmp_path: Path) -> None:
    async def mine(request, error): ...

    for key in (404, 405):
        app = plain_app(tmp_path)
        app.exception_handler(key)(mine)
        with pytest.raises(RouteError, match="would bypass exception_handler:mine"):
            Server(app).compile()


def test_what_cannot_be_served_is_refused(tmp_path: Path) -> None:
    app = Bimetal()
    with pytest.raises(RouteError, match="the path must start with"):
        app.static("files", directory=tmp_path)
    with pytest.raises(RouteError, match="nowhere is no directory"):
        app.static("/files", directory=tmp_path / "nowhere")
    with pytest.raises(RouteError, match=r"write immutable=\['\*.js'\]"):
        app.static("/files", directory=tmp_path, immutable="*.js")
    with pytest.raises(RouteError, match=r"write bypass=\['x'\]"):
        app.static("/files", directory=tmp_path, bypass="x")
    with pytest.raises(RouteError, match="no value of a header field"):
        app.static("/files", directory=tmp_path, cache_control="a\r\nb")
    app.mount("/sub", plain_app(tmp_path))
    with pytest.raises(RouteError, match=r"/sub/files .* of a mounted application is not served natively"):
        Server(app).compile()


def test_a_router_has_files_too(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    router = APIRouter(prefix="/not-for-mounts")
    router.static("/files", directory=tmp_path)
    app = Bimetal(openapi_url=None, root_path="/api")
    app.include_router(router, prefix="/shop")
    with Server(app) as server:
        paths = [plan.path for plan in server.plans if plan.lane == "native"]
        assert len(paths) == 2
        for path in paths:
            assert get(server.port, path.replace("{path:path}", "a.txt")).text == "a"


def test_another_server_says_what_is_missing(tmp_path: Path) -> None:
    starlette_client = pytest.importorskip("starlette.testclient")
    with (
        pytest.raises(BimetalError, match="sent by Bimetal's server only"),
        contextlib.closing(starlette_client.TestClient(plain_app(tmp_path))) as client,
    ):
        client.get("/files/a.txt")
