"""The page for people, `/_bimetal/`: what it says and to whom, and what a browser makes of it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from bimetal import Server
from harness.browser import CHROMIUM, Browser
from harness.servers import REPOSITORY, ServerProcess, free_port, run_bimetal, start_bimetal, until
from harness.wire import Connection, get, json_body, request

pytestmark = pytest.mark.bimetal_only

PATHS = ("/_bimetal", "/_bimetal/", "/_bimetal/data")
MARKUP = "/<img src=x onerror=document.title='hurt'>"


@contextlib.contextmanager
def serve(folder: Path, *args: str) -> Iterator[ServerProcess]:
    with start_bimetal("dashboard:app", *args, env={"FOLDER": str(folder)}) as server:
        yield server.wait_ready()


def data(port: int) -> Any:
    reply = get(port, "/_bimetal/data")
    assert reply.status == 200, reply
    return reply.json()


def requests_of(said: Any) -> Counter[str]:
    """Method and route to the requests that have been answered."""
    counted: Counter[str] = Counter()
    for series in said["series"]:
        counted[f"{series['method']} {series['route']}"] += sum(series["statuses"].values())
    return counted


def test_off_unless_asked_for(tmp_path: Path) -> None:
    admin = free_port()
    with serve(tmp_path, "--probes", "--admin", f"127.0.0.1:{admin}") as server:
        for port in (server.port, admin):
            for path in PATHS:
                assert get(port, path).status == 404
        assert get(server.port, "/_bimetal/").json() == {"detail": "Not Found"}
        assert "_bimetal" not in server.output


def test_on_with_reload_unless_not_wanted(tmp_path: Path) -> None:
    with serve(tmp_path, "--reload") as server:
        assert get(server.port, "/_bimetal/").status == 200
        assert [route["path"] for route in data(server.port)["routes"]][-1] == "/files/{path:path}"
        server.wait_output(f"What becomes of its routes: http://127.0.0.1:{server.port}/_bimetal/")
    with serve(tmp_path, "--reload", "--no-dashboard") as server:
        assert get(server.port, "/_bimetal/").status == 404


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One that has the page on its only port."""
    with serve(tmp_path_factory.mktemp("dashboard"), "--dashboard") as server:
        yield server


class TestOn:
    def test_the_routes_are_those_of_the_command(self, server: ServerProcess) -> None:
        listed = json.loads(run_bimetal("routes", "dashboard:app", "--json").stdout)
        assert data(server.port)["routes"] == listed
        assert {route["lane"] for route in listed} == {"native", "sync", "async", "asgi"}
        assert not any("_bimetal" in route["path"] for route in listed)
        assert "_bimetal" not in get(server.port, "/openapi.json").text

    def test_every_request_is_counted(self, server: ServerProcess) -> None:
        before = requests_of(data(server.port))
        headers, body = json_body({"name": "bolt", "price": 1.5})
        for _ in range(20):
            assert get(server.port, "/health").status == get(server.port, "/items/1").status == 200
            assert get(server.port, "/broken").status == 500
            assert get(server.port, "/missing").status == 404
        assert request(server.port, "POST", "/items", headers, body).status == 200
        said = data(server.port)
        more = requests_of(said) - before
        expected = {
            "GET /health": 20,
            "GET /items/{item_id}": 20,
            "GET /broken": 20,
            "GET /missing": 20,
            "POST /items": 1,
        }
        assert {name: number for name, number in more.items() if "_bimetal" not in name} == expected
        statuses = {series["route"]: series["statuses"] for series in said["series"]}
        assert statuses["/broken"].keys() == {"5xx"} and statuses["/missing"].keys() == {"4xx"}
        for series in said["series"]:
            bounds = [bound for bound, _ in series["buckets"]]
            counts = [count for _, count in series["buckets"]]
            assert bounds[-1] is None and bounds[:-1] == sorted(bounds[:-1]) and counts == sorted(counts)
            assert counts[-1] == sum(series["statuses"].values())
        (process,) = said["processes"]
        assert process["ready"] == 1 and process["runners_max"] == 1000 and process["memory"] > 1e6
        assert {"loop_lag", "queue_oldest", "queue_sync", "queue_async", "connections"} <= process.keys()

    def test_the_judgement_is_that_of_the_command(self, server: ServerProcess) -> None:
        for _ in range(10):
            assert get(server.port, "/items/1").status == get(server.port, "/report").status == 200
        gains = {series["route"]: series["gain"] for series in data(server.port)["series"]}
        # It waits, and what waits has its time inside.
        assert gains["/report"] is None and gains["/health"] is None

    def test_nobody_else_gets_it(self, server: ServerProcess) -> None:
        first, second = get(server.port, "/_bimetal/"), get(server.port, "/_bimetal/")
        nonces = []
        for page in (first, second):
            policy = page.header("content-security-policy") or ""
            assert policy.startswith("default-src 'none'; ") and "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy and "http" not in policy
            (nonce,) = set(re.findall(r"'nonce-([0-9a-f]{32})'", policy))
            assert page.text.count(f'nonce="{nonce}"') == 2 and "NONCE" not in page.text
            nonces.append(nonce)
        assert nonces[0] != nonces[1]
        for reply in (first, get(server.port, "/_bimetal/data")):
            assert reply.header("cache-control") == "no-store"
            assert reply.header("x-frame-options") == "DENY"
            assert reply.header("x-content-type-options") == "nosniff"
            assert reply.header("cross-origin-resource-policy") == "same-origin"
        assert first.header("content-type") == "text/html; charset=utf-8"
        for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)):
            assert get(server.port, "/_bimetal/data", [("Sec-Fetch-Site", site)]).status == status
        head = request(server.port, "HEAD", "/_bimetal/")
        assert (head.status, head.body) == (200, b"")
        door = get(server.port, "/_bimetal")
        assert (door.status, door.header("location")) == (307, "_bimetal/")

    def test_names_are_no_markup(self, server: ServerProcess) -> None:
        text = get(server.port, "/_bimetal/data").text
        assert any(route["path"] == MARKUP for route in json.loads(text)["routes"])
        assert get(server.port, MARKUP.replace("<", "%3C").replace(">", "%3E").replace(" ", "%20")).status == 200
        series = [series["route"] for series in data(server.port)["series"]]
        assert MARKUP in series

    def test_the_interpreter_is_not_needed(self, server: ServerProcess) -> None:
        folder = Path(f"/proc/{server.pid}/environ").read_bytes().split(b"FOLDER=")[1].split(b"\0")[0].decode()
        with Connection(server.port) as held:
            held.send_request("GET", "/gil")
            until(Path(folder, "gil").exists, "the interpreter is held")
            assert data(server.port)["routes"] and get(server.port, "/_bimetal/").status == 200
            Path(folder, "go").touch()
            assert held.read_reply().status == 200


def test_an_address_of_their_own_has_it_alone(tmp_path: Path) -> None:
    admin = free_port()
    with serve(tmp_path, "--dashboard", "--admin", f"127.0.0.1:{admin}") as server:
        assert get(server.port, "/items/1").status == 200
        assert all(get(server.port, path).status == 404 for path in PATHS)
        assert get(admin, "/_bimetal/").status == 200
        said = data(admin)
        assert requests_of(said)["GET /items/{item_id}"] == 1 and said["routes"]
        assert f"What becomes of its routes: http://127.0.0.1:{admin}/_bimetal/" in server.output


@pytest.mark.parametrize("apart", [False, True], ids=["on the main port", "apart"])
def test_workers_are_added_up(tmp_path: Path, apart: bool) -> None:
    admin = free_port()
    arguments = ["--admin", f"127.0.0.1:{admin}"] if apart else []
    with serve(tmp_path, "--dashboard", "--workers", "2", *arguments) as server:
        port = admin if apart else server.port
        until(lambda: sum(process.get("ready", 0) for process in data(port)["processes"]) == 2, "two are ready")
        for _ in range(40):
            assert get(server.port, "/items/1").status == 200
        said = data(port)
        assert requests_of(said)["GET /items/{item_id}"] == 40
        assert {process["worker"] for process in said["processes"]} == {"1", "2", "supervisor"}
        assert any(route["path"] == "/report" for route in said["routes"])
        if apart:
            assert get(server.port, "/_bimetal/").status == 404


def test_a_route_of_the_application_comes_first() -> None:
    app = FastAPI()

    @app.get("/_bimetal/")
    def mine() -> str:
        return "mine"

    with Server(app, dashboard=True) as server:
        assert get(server.port, "/_bimetal/").json() == "mine"
        assert get(server.port, "/_bimetal/data").status == 200


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
class TestInABrowser:
    def test_requests_show_up_in_the_row_of_their_route(self, server: ServerProcess) -> None:
        row = "[...document.querySelectorAll('#routes tbody tr')].find(row => row.dataset.path === '{}')"
        items, report = row.format("/items/{item_id}"), row.format("/report")
        stop = threading.Event()

        def load() -> None:
            with Connection(server.port) as connection:
                while not stop.is_set():
                    assert connection.request("GET", "/items/7").status == 200

        with Browser() as browser:
            browser.look(1400, 900, "light")
            browser.open(f"http://127.0.0.1:{server.port}/_bimetal/")
            browser.until(items)
            # What other tests have asked for is past in a few seconds.
            browser.until(f"{items}.querySelector('.per-second').textContent === '0'")
            assert browser.value(f"{items}.querySelector('.per-second').textContent") == "0"
            client = threading.Thread(target=load)
            client.start()
            try:
                browser.until(f"parseFloat({items}.querySelector('.per-second').textContent) > 0")
                browser.until(f"{items}.querySelector('path.line').getAttribute('d').includes('L')")
                browser.until("parseFloat(document.querySelector('#tile-rate .value').textContent) > 0")
            finally:
                stop.set()
                client.join()
            assert browser.value(f"{report}.querySelector('.per-second').textContent") == "0"
            assert browser.value(f"{items}.querySelector('.lane').textContent") == "sync"
            broken = row.format("/broken")
            before = browser.value(f"{broken}.querySelector('.bad')?.textContent")
            assert get(server.port, "/broken").status == 500
            browser.until(f"{broken}.querySelector('.bad')?.textContent.endsWith(' 5xx')")
            browser.until(f"{broken}.querySelector('.bad').textContent !== {json.dumps(before)}")
            browser.until("document.getElementById('status').textContent === 'ready'")
            # A name that would be markup is text.
            assert browser.value("document.title") == "Bimetal"
            assert browser.value("document.querySelector('main img') === null")
            assert browser.value(f"document.body.innerText.includes({json.dumps(MARKUP)})")
            # Sorted by a click, and readable on a telephone.
            browser.value(
                "[...document.querySelectorAll('#routes thead button')].find(b => b.textContent === 'Requests').click()"
            )
            assert browser.value("document.querySelector('#routes tbody tr').dataset.path") == "/items/{item_id}"
            for width, scheme in ((1400, "dark"), (400, "light"), (400, "dark"), (1400, "light")):
                browser.look(width, 900, scheme)
                assert browser.value("document.documentElement.scrollWidth") <= width
                light = browser.value("getComputedStyle(document.body).backgroundColor")
                assert (light == "rgb(245, 244, 241)") == (scheme == "light")
                if "SCREENSHOTS" in os.environ:
                    (Path(os.environ["SCREENSHOTS"]) / f"{width}-{scheme}.png").write_bytes(browser.screenshot())
            assert not browser.errors


def test_the_page_asks_nobody_else() -> None:
    text = (REPOSITORY / "runtime" / "src" / "probes" / "page.html").read_text()
    assert set(re.findall(r"https?://[^\"'\s]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|\beval\(", text)
