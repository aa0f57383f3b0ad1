"""`bimetal routes`: each route with its lane and the reason, for people and for programs."""

from __future__ import annotations

import json

import pytest

from harness.servers import run_bimetal, start_bimetal

pytestmark = pytest.mark.bimetal_only


def routes(app: str, *args: str) -> list[dict[str, object]]:
    completed = run_bimetal("routes", app, "--json", *args)
    assert completed.returncode == 0, completed.stderr
    found: list[dict[str, object]] = json.loads(completed.stdout)
    return found


def test_json() -> None:
    found = {str(route["path"]): route for route in routes("lanes:app")}
    health = found["/sync/health"]
    assert (health["methods"], health["lane"], health["reason"]) == (["GET"], "sync", None)
    assert "health" in str(health["handler"])
    assert found["/async/health"]["lane"] == "async"
    assert found["/sync/model"]["methods"] == ["POST"]
    assert found["/openapi.json"]["lane"] == "asgi"


def test_every_route_is_there_in_order() -> None:
    import parameters

    paths = [route.path for route in parameters.app.routes]
    assert [route["path"] for route in routes("parameters:app")] == paths


def test_what_is_not_compiled_says_why() -> None:
    for app in ["dependencies:app", "streams:app", "layers:function_app", "routing:app"]:
        for route in routes(app):
            assert route["lane"] in ("sync", "async", "asgi") or "StaticFiles" in str(route["handler"])
            assert route["lane"] != "asgi" or route["reason"], route


@pytest.mark.parametrize("app", ["dependencies:app", "parameters:app", "streams:app", "tasks:app"])
def test_path_operations_are_compiled(app: str) -> None:
    """With dependencies, forms, injected objects and streams; FastAPI's own handler runs on the lane for generators."""
    for route in routes(app):
        if not str(route["handler"]).startswith("fastapi.applications."):
            assert route["lane"] in ("sync", "async"), route
            assert (route["reason"] or "").startswith("streams its response") or route["reason"] is None


def test_native_routes_and_routers() -> None:
    found = {str(route["path"]): route for route in routes("native:app")}
    assert found["/health"]["lane"] == "native" and found["/health"]["handler"] == "health"
    assert found["/twice/routed/health"]["lane"] == "native"
    assert found["/twice/routed/python"]["lane"] == "async"
    assert found["/probe"]["methods"] == ["GET", "POST"]


def test_native_from_the_command_line_comes_first() -> None:
    first = routes("parameters:app", "--native", "/up=livez")[0]
    assert (first["path"], first["lane"], first["handler"]) == ("/up", "native", "livez")


def test_text() -> None:
    completed = run_bimetal("routes", "native:app")
    assert completed.returncode == 0, completed.stderr
    header, *rows = completed.stdout.splitlines()
    assert header.split()[:3] == ["METHOD", "PATH", "LANE"]
    row = next(row for row in rows if row.split()[1] == "/health")
    assert row.split()[:4] == ["GET", "/health", "native", "health"]
    assert len(rows) == len(routes("native:app"))


def test_another_asgi_application_has_no_table() -> None:
    assert routes("bare:app") == []


def test_run_prints_the_same_table() -> None:
    table = run_bimetal("routes", "lanes:app").stdout
    with start_bimetal("lanes:app") as server:
        server.wait_ready()
        output = server.wait_output(f":{server.port}")
        assert table.strip() in output
    with start_bimetal("lanes:app", "--quiet") as server:
        server.wait_ready()
        assert "/sync/health" not in server.output


def test_help_and_version() -> None:
    for args in [["--help"], ["run", "--help"], ["routes", "--help"], ["version"]]:
        completed = run_bimetal(*args)
        assert completed.returncode == 0 and completed.stdout


def test_what_the_edge_does_stands_below_the_table() -> None:
    shown = run_bimetal("routes", "edge:cors_any").stdout
    assert shown.rstrip().endswith("\n\nat the edge: CORSMiddleware")
    assert "at the edge" not in run_bimetal("routes", "lanes:app").stdout
