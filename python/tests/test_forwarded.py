"""Proxies that are believed about the client, and those that are not: as with uvicorn."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from websockets.sync.client import connect

from harness.compare import comparable
from harness.servers import ServerProcess, run_bimetal, start_bimetal, start_uvicorn
from harness.wire import Headers, Reply, get, request

Start = Callable[..., tuple[ServerProcess, ServerProcess]]

HEADERS: dict[str, Headers] = {
    "neither": (),
    "both": (("X-Forwarded-For", "192.0.2.7"), ("X-Forwarded-Proto", "https")),
    "a chain": (("X-Forwarded-For", "6.6.6.6, 192.0.2.7, 127.0.0.1"),),
    "a chain of two fields": (("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "10.2.2.2")),
    "a port": (("X-Forwarded-For", "192.0.2.7:4711"),),
    "IPv6": (("X-Forwarded-For", "[2001:db8::7]:4711, 127.0.0.1"),),
    "a name": (("X-Forwarded-For", "unknown"),),
    "nothing": (("X-Forwarded-For", ""),),
    "only proxies": (("X-Forwarded-For", "127.0.0.1, 127.0.0.1"),),
    "Latin-1": (("X-Forwarded-For", "caf\xe9"),),
    "two protocols": (("X-Forwarded-Proto", "https"), ("X-Forwarded-Proto", "http")),
    "spaces": (("X-Forwarded-Proto", "  https "),),
    "no protocol": (("X-Forwarded-Proto", "gopher"),),
    "Forwarded": (("Forwarded", "for=192.0.2.7;proto=https"),),
}


@pytest.fixture
def start() -> Iterator[Start]:
    running: list[ServerProcess] = []

    def both(app: str, *arguments: str, env: dict[str, str] | None = None) -> tuple[ServerProcess, ServerProcess]:
        for begin in (start_bimetal, start_uvicorn):
            running.append(begin(app, *arguments, env=env))
        return running[-2].wait_ready(), running[-1].wait_ready()

    yield both
    for server in running:
        server.__exit__()


def told(server: ServerProcess, path: str, headers: Headers) -> dict[str, object]:
    """What the handler saw, but for the ports, which differ between the servers."""
    answer: dict[str, object] = get(server.port, path, headers).json()
    client = answer["client"]
    assert isinstance(client, list)
    if client[0] == "127.0.0.1":
        client[1] = "its own"
    answer["url"] = str(answer["url"]).replace(str(server.port), "PORT")
    return answer


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        ((), {}),
        (("--no-proxy-headers",), {}),
        (("--forwarded-allow-ips", "10.0.0.0/8"), {}),
        (("--forwarded-allow-ips", "10.0.0.0/8,127.0.0.0/8"), {}),
        (("--forwarded-allow-ips", "*"), {}),
        ((), {"FORWARDED_ALLOW_IPS": "192.0.2.1"}),
        ((), {"FORWARDED_ALLOW_IPS": "127.0.0.1,10.2.2.2"}),
    ],
    ids=str,
)
def test_handlers_see_what_they_see_on_uvicorn(start: Start, arguments: tuple[str, ...], env: dict[str, str]) -> None:
    ours, reference = start("forwarded:app", *arguments, env=env)
    with start_bimetal("forwarded:wrapped", *arguments, env=env).wait_ready() as wrapped:
        for name, headers in HEADERS.items():
            for path in ("/sync", "/async"):
                expected = told(reference, path, headers)
                assert told(ours, path, headers) == expected, name
                assert told(wrapped, path, headers) == expected, name


def test_a_proxy_ends_the_encryption(start: Start) -> None:
    ours, reference = start("forwarded:redirecting")

    def answers(server: ServerProcess) -> list[tuple[object, bytes]]:
        replies: list[Reply] = [
            request(server.port, "GET", "/secure?x=1", (("Host", "example.org"), *headers))
            for headers in HEADERS.values()
        ]
        return [(comparable(reply), reply.body) for reply in replies]

    assert answers(ours) == answers(reference)
    assert {reply[0][0] for reply in answers(ours)} == {200, 307}  # type: ignore[index]


def test_websockets(start: Start) -> None:
    seen = []
    for server in start("forwarded:app"):
        address = f"ws://127.0.0.1:{server.port}/socket"
        for headers in (HEADERS["both"], HEADERS["a port"], HEADERS["no protocol"]):
            with connect(address, additional_headers=list(headers), origin=None) as socket:
                message = json.loads(socket.recv())
            if message["client"][0] == "127.0.0.1":
                message["client"][1] = "its own"
            seen.append({**message, "url": message["url"].replace(str(server.port), "PORT")})
    assert seen[:3] == seen[3:]
    assert seen[0]["scheme"] == "wss" and seen[1]["client"] == ["192.0.2.7", 4711]


@pytest.mark.bimetal_only
def test_the_access_log_names_the_client() -> None:
    with start_bimetal("forwarded:app", "--access-log").wait_ready() as server:
        get(server.port, "/sync", HEADERS["a port"])
        get(server.port, "/sync", HEADERS["both"])
        server.stop()
        assert "192.0.2.7:4711" in server.output and "192.0.2.7" in server.output.replace("192.0.2.7:4711", "")


@pytest.mark.bimetal_only
def test_a_malformed_network_stops_the_start() -> None:
    done = run_bimetal("run", "forwarded:app", "--port", "0", "--forwarded-allow-ips", "10.0.0.0/99")
    assert done.returncode == 1
    assert "10.0.0.0/99" in done.stderr and "write it like" in done.stderr
