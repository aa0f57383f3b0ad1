"""Native handlers: built in, bound from Python, loaded from libraries; and none of them touches the interpreter."""

from __future__ import annotations

import json
import select
import time
from pathlib import Path

import pytest

from harness.plugins import compile_c
from harness.servers import START_TIMEOUT, ServerProcess, run_bimetal, start_bimetal
from harness.wire import Connection, get, request

pytestmark = pytest.mark.bimetal_only

APP = "native:app"


@pytest.mark.parametrize(
    "target", ["/health", "/livez", "/ready", "/probe", "/overlap/x", "/routed/health", "/twice/routed/health"]
)
def test_built_in_handlers(server: ServerProcess, target: str) -> None:
    reply = get(server.port, target)
    assert reply.status == 200, reply
    assert reply.header("content-type") == "application/json"
    json.loads(reply.body)


def test_python_and_native_routes_keep_their_order(server: ServerProcess) -> None:
    assert get(server.port, "/overlap/fixed").json() == "python"
    assert get(server.port, "/overlap/other").json() == get(server.port, "/health").json()
    assert get(server.port, "/routed/python").json() == "python"


def test_methods(server: ServerProcess) -> None:
    """What FastAPI answers for a route with these methods."""
    assert request(server.port, "POST", "/probe").status == 200
    refused = request(server.port, "POST", "/health")
    assert (refused.status, refused.header("allow")) == (405, "GET")
    assert refused.json() == {"detail": "Method Not Allowed"}
    assert request(server.port, "HEAD", "/health").status == 405
    assert get(server.port, "/health/").status == 307


def test_documentation_has_them_all(server: ServerProcess) -> None:
    paths = get(server.port, "/openapi.json").json()["paths"]
    assert {"/health", "/livez", "/ready", "/overlap/{name}", "/twice/routed/health"} <= paths.keys()
    assert get(server.port, "/docs").status == 200


def test_fallback_runs_the_body(server: ServerProcess) -> None:
    assert get(server.port, "/absent/3").json() == {"python": 3}


def test_fallback_is_shown() -> None:
    routes = {route["path"]: route for route in json.loads(run_bimetal("routes", APP, "--json").stdout)}
    assert routes["/absent/{n}"]["lane"] == "sync" and "nobody.here" in routes["/absent/{n}"]["reason"]
    assert routes["/health"]["lane"] == "native" and routes["/health"]["reason"] is None


def test_under_plain_fastapi() -> None:
    with start_bimetal("native:plain") as server:
        server.wait_ready()
        assert get(server.port, "/health").json() != "the body of the stub"
        assert get(server.port, "/python").json() == "python"


def test_given_on_the_command_line() -> None:
    with start_bimetal("parameters:app", "--native", "/probe=health") as server:
        server.wait_ready()
        assert get(server.port, "/probe").status == 200
        assert get(server.port, "/path/me").json() == "me"


def test_bypass_is_explicit() -> None:
    with start_bimetal("native:bypassing") as server:
        assert get(server.wait_ready().port, "/health").status == 200
    with start_bimetal("native:with_middleware") as server:
        server.wait_ready()
        assert get(server.port, "/health").header("x-layer") is None
        assert get(server.port, "/python").header("x-layer") == "1"


@pytest.mark.parametrize("app", ["native:app", "native:plain"])
def test_a_held_interpreter_does_not_stop_native_handlers(app: str, tmp_path: Path) -> None:
    """From the moment the GIL is taken to the moment the handler that took it answers, /health answers hundreds of times."""
    sign = tmp_path / "sign"
    with start_bimetal(app, env={"SIGN": str(sign)}) as server:
        server.wait_ready()
        with Connection(server.port) as holding, Connection(server.port) as probe:
            holding.send_request("GET", "/hold/3")
            deadline = time.monotonic() + START_TIMEOUT
            while not sign.exists():
                assert time.monotonic() < deadline, "the handler that holds the GIL never began"
            answered = 0
            while not select.select([holding.socket], [], [], 0)[0]:
                assert probe.request("GET", "/health").status == 200
                answered += 1
            assert holding.read_reply().json() == "held"
    assert answered > 200


def test_many_connections_while_the_interpreter_is_held(tmp_path: Path) -> None:
    """New connections too are accepted and answered, and other Python routes get their turn afterwards."""
    sign = tmp_path / "sign"
    with start_bimetal("native:app", env={"SIGN": str(sign)}) as server:
        server.wait_ready()
        with Connection(server.port) as holding, Connection(server.port) as waiting:
            holding.send_request("GET", "/hold/async/3")
            deadline = time.monotonic() + START_TIMEOUT
            while not sign.exists():
                assert time.monotonic() < deadline, "the handler that holds the GIL never began"
            waiting.send_request("GET", "/routed/python")
            for _ in range(50):
                assert get(server.port, "/livez").status == 200
            assert not select.select([waiting.socket], [], [], 0)[0], (
                "Python cannot have answered while the GIL was held"
            )
            assert holding.read_reply().json() == "held"
            assert waiting.read_reply().json() == "python"


def test_a_plugin_in_c(tmp_path: Path) -> None:
    library = compile_c(tmp_path, "cplug")
    natives = [
        "--native",
        "/hello=cplug.hello",
        "--native",
        "/broken=cplug.broken",
        "--native",
        "/echo/{text}=cplug.echo",
    ]
    with start_bimetal("parameters:app", "--plugin", str(library), *natives) as server:
        server.wait_ready()
        assert get(server.port, "/hello").json() == {"hello": "from C"}
        assert get(server.port, "/echo/gr%C3%BC%20x").body == "grü x".encode()
        assert get(server.port, "/broken").status == 500
        assert get(server.port, "/path/me").json() == "me"


def test_an_odd_status_of_a_plugin_is_a_failure(tmp_path: Path) -> None:
    library = compile_c(tmp_path, "odd", "STATUS=70000")
    with start_bimetal("parameters:app", "--plugin", str(library), "--native", "/hello=odd.hello") as server:
        server.wait_ready()
        assert get(server.port, "/hello").status == 500


def test_handlers_that_panic(faulty_library: Path) -> None:
    """Each panic answers 500, is logged with its route, and the server goes on on the same connection."""
    names = ["panics", "panics_later", "panics_oddly", "fails", "works"]
    natives = [part for name in names for part in ("--native", f"/{name}=faulty.{name}")]
    with start_bimetal("parameters:app", "--plugin", str(faulty_library), *natives) as server:
        server.wait_ready()
        for name in ["panics", "panics_later", "panics_oddly"]:
            for _ in range(20):
                assert get(server.port, f"/{name}").status == 500
            assert "on purpose" not in get(server.port, f"/{name}").text
            server.wait_output(f"/{name}")
        assert get(server.port, "/fails").status == 503
        with Connection(server.port) as connection:
            assert connection.request("GET", "/works").json() == 7
            assert connection.request("GET", "/panics").status == 500
        assert get(server.port, "/works").json() == 7
        assert "on purpose" in server.output


def test_plugin_check(tmp_path: Path) -> None:
    completed = run_bimetal("plugin", "check", str(compile_c(tmp_path, "fine")))
    assert completed.returncode == 0, completed.stderr
    assert {"fine.broken", "fine.echo", "fine.hello"} <= set(completed.stdout.split())
