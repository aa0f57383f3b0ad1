"""Handlers `(req, res)` in FasterAPI's style: what clients get, on which lanes, and that it is the same on uvicorn."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.compare import Pair, serve_both, unpacked
from harness.servers import ServerProcess, free_port, run_bimetal
from harness.styles import ask, errors
from harness.wire import get

APP = "req_res_style:app"

JSON = [("Content-Type", "application/json")]


@pytest.mark.parametrize(
    ("method", "target", "body", "status", "answer"),
    [
        ("GET", "/", None, 200, {"hello": "req and res"}),
        ("GET", "/users/7", None, 200, {"id": 7, "name": "user7"}),
        ("GET", "/users/99", None, 404, {"error": "no such user"}),
        ("GET", "/users/x", None, 404, {"error": "no such user"}),
        ("POST", "/users", {"name": "a", "email": "b"}, 201, {"id": 51, "name": "a", "email": "b", "age": None}),
        ("PUT", "/users/3", {"name": "x"}, 200, {"id": "3", "name": "x", "all": {"name": "x"}, "kept": {"name": "x"}}),
        ("POST", "/documented", {"name": "x", "email": "y"}, 200, {"name": "x", "email": "y", "age": None}),
        ("POST", "/caught", {"name": "x", "email": "y"}, 200, {"id": 1, "name": "x"}),
        ("POST", "/caught", b"nothing", 400, {"error": "no user"}),
        ("POST", "/caught", b'"\xff"', 400, {"error": "no user"}),
        ("DELETE", "/users/2", None, 202, {"deleted": "2"}),
        ("POST", "/orders", {"sku": "bolt", "amount": 1}, 201, {"order": {"sku": "bolt", "amount": 1}}),
        ("POST", "/orders", {"sku": "bolt", "amount": 0}, 400, {"detail": "nothing to order"}),
        ("POST", "/orders", b"[]", 400, {"detail": "nothing to order"}),
        ("POST", "/any", b"null", 200, {"value": None, "is_object": False, "size": 4}),
        ("POST", "/any", b'["a"]', 200, {"value": ["a"], "is_object": False, "size": 5}),
        ("POST", "/any", b'{"a": 1}', 200, {"value": {"a": 1}, "is_object": True, "size": 8}),
        ("GET", "/unreturned", None, 202, {"sent": True}),
        ("GET", "/passed", None, 206, {"by": "FastAPI"}),
        ("GET", "/nothing", None, 200, None),
        ("GET", "/dashboard", None, 200, {name: {"part": name} for name in ("user", "posts", "comments")}),
        ("GET", "/plain/3", None, 200, {"n": 3}),
        ("GET", "/added", None, 200, {"method": "GET"}),
        ("POST", "/added", None, 200, {"method": "POST"}),
    ],
)  # fmt: skip
def test_answers(pair: Pair, method: str, target: str, body: Any, status: int, answer: Any) -> None:
    reply = ask(pair, method, target, body)
    assert (reply.status, reply.json()) == (status, answer)
    assert reply.header("content-type") == "application/json"


@pytest.mark.parametrize(
    ("method", "target", "body", "found"),
    [
        ("POST", "/users", b"", [("missing", ["body"])]),
        ("POST", "/users", b"{x", [("json_invalid", ["body", 1])]),
        ("POST", "/users", [1], [("model_attributes_type", ["body"])]),
        ("POST", "/users", {"name": "", "email": 1}, [("string_too_short", ["body", "name"]), ("string_type", ["body", "email"])]),
        ("PUT", "/users/3", b"", [("missing", ["body"])]),
        ("PUT", "/users/3", b"[1,", [("json_invalid", ["body", 3])]),
        ("GET", "/typed/x", None, [("int_parsing", ["path", "user_id"])]),
        ("GET", "/plain/x", None, [("int_parsing", ["path", "n"])]),
    ],
)  # fmt: skip
def test_bad_input(pair: Pair, method: str, target: str, body: Any, found: list[Any]) -> None:
    assert errors(ask(pair, method, target, body)) == found


def test_a_model_is_refused_as_fastapi_refuses_it(pair: Pair) -> None:
    """`req.json(Model)` and a parameter with that model: one text for both."""
    for body in (
        b"",
        b"{x",
        b"[1]",
        b"null",
        b'{"name": ""}',
        b'{"name": "a", "email": "b", "age": "c"}',
        b'{"name": "\xff"}',
    ):
        by_hand, declared = (ask(pair, "POST", target, body, JSON) for target in ("/users", "/documented"))
        assert (by_hand.status, by_hand.body) == (declared.status, declared.body), body


def test_what_is_read_of_a_request(pair: Pair) -> None:
    headers = [("User-Agent", "test/1"), ("Cookie", "seen=yes")]
    assert ask(pair, "GET", "/whoami?a=1&b=%20", headers=headers).json() == {
        "agent": "test/1", "capitals": "test/1", "cookie": "yes", "method": "GET", "path": "/whoami", "query": "a=1&b=%20",
        "ip": "127.0.0.1", "secure": False,
    }  # fmt: skip


def test_bodies_that_are_not_json(pair: Pair) -> None:
    reply = ask(pair, "POST", "/raw", b"abc")
    assert (reply.body, reply.header("content-type")) == (b"cba", "application/octet-stream")
    assert ask(pair, "GET", "/with-body", "grün".encode()).text == "grün"
    assert ask(pair, "GET", "/with-body", b"\xff").status == 400
    form = ask(pair, "POST", "/form", b"name=ann", [("Content-Type", "application/x-www-form-urlencoded")])
    assert form.json() == {"name": "ann", "type": "application/x-www-form-urlencoded"}
    both = ask(pair, "POST", "/form-and-body", b"name=ann", [("Content-Type", "application/x-www-form-urlencoded")])
    assert "was read as a form" in both.json()["error"]
    chunked = pair.same("POST", "/any", JSON, (b'{"a"', b": 1}"))
    assert chunked.json()["value"] == {"a": 1}


def test_a_response_of_its_own_type(pair: Pair) -> None:
    for target, status, kind, text in [
        ("/text", 200, "text/plain; charset=utf-8", "plain"),
        ("/said", 200, "text/plain; charset=utf-8", "documented as text"),
        ("/html", 200, "text/html", "<h1>bold</h1>"),
        ("/legacy", 200, "text/plain; charset=utf-8", "old style"),
        ("/typed-json", 409, "application/problem+json", '{"title":"taken"}'),
    ]:
        reply = ask(pair, "GET", target)
        assert (reply.status, reply.header("content-type"), reply.text) == (status, kind, text)
    assert ask(pair, "GET", "/legacy").header("x-old") == "yes"


def test_headers_beside_a_response_model(pair: Pair) -> None:
    reply = ask(pair, "GET", "/typed/3")
    assert (reply.json(), reply.header("x-user")) == ({"id": 3, "name": "user3"}, "3")
    assert ask(pair, "POST", "/users", {"name": "a", "email": "b"}).header("location") == "/users/51"


def test_statuses_without_a_body(pair: Pair) -> None:
    gone = ask(pair, "DELETE", "/users/1")
    assert (gone.status, gone.body, gone.header("content-length")) == (204, b"", None)
    assert (ask(pair, "GET", "/status/299").status, ask(pair, "GET", "/status/205").body) == (299, b"")
    # No status at all, and an exception nobody handles: as under FastAPI.
    assert ask(pair, "GET", "/status/99").status == 500
    assert ask(pair, "GET", "/users?size=many").status == 500


def test_redirects_cookies_and_files(pair: Pair) -> None:
    moved = ask(pair, "GET", "/moved")
    assert (moved.status, moved.header("location"), moved.body) == (302, "/text", b"")
    assert ask(pair, "GET", "/moved?permanent").status == 301
    cookies = ask(pair, "GET", "/cookies")
    assert [value.split(";")[0] for value in cookies.all("set-cookie")] == ["seen=1", 'old=""']
    assert cookies.text == "<p>set</p>"
    assert b"Handlers in FasterAPI's style" in ask(pair, "GET", "/source").body


def test_a_list_in_pages(pair: Pair) -> None:
    assert [user["id"] for user in ask(pair, "GET", "/users?page=2&size=3").json()["users"]] == [7, 8, 9]
    assert len(ask(pair, "GET", "/users").json()["users"]) == 10
    assert ask(pair, "GET", "/users?page=50").json() == {"page": 50, "users": []}


def test_cache_control(pair: Pair) -> None:
    assert ask(pair, "GET", "/config").header("cache-control") == "public, max-age=3600"


def test_a_tag_and_what_has_not_changed(pair: Pair) -> None:
    first = ask(pair, "GET", "/data")
    tag = first.header("etag")
    assert first.status == 200 and first.json() == {"data": [1, 2, 3]} and tag
    second = ask(pair, "GET", "/data", headers=[("If-None-Match", tag)])
    assert (second.status, second.body, second.header("etag")) == (304, b"", tag)
    assert ask(pair, "GET", "/data", headers=[("If-None-Match", '"other"')]).status == 200


def test_dependencies_take_req_and_res(pair: Pair) -> None:
    known = [("Authorization", "Bearer ann")]
    reply = ask(pair, "GET", "/me", headers=known)
    assert reply.json() == {"user": {"token": "ann", "path": "/me"}} and reply.header("x-token") == "ann"
    text = ask(pair, "GET", "/me-as-text", headers=known)
    assert (text.text, text.header("x-token")) == ("ann", "ann")
    item = ask(pair, "GET", "/shop/corner/items/4?verbose=yes", headers=known)
    assert item.json() == {"shop": "corner", "item_id": 4, "verbose": True} and item.header("x-token") == "ann"
    for target in ("/me", "/me-as-text", "/shop/corner/items/4"):
        refused = ask(pair, "GET", target)
        assert (refused.status, refused.header("www-authenticate")) == (401, "Bearer")


def test_compression(pair: Pair) -> None:
    reply = pair.same("GET", "/large", [("Accept-Encoding", "gzip")], normalise=unpacked)
    assert reply.header("content-encoding") == "gzip" and len(reply.body) < 500
    assert ask(pair, "GET", "/large").header("content-encoding") is None


def test_the_document(pair: Pair) -> None:
    document = get(pair.ours.port, "/openapi.json").json()
    paths = document["paths"]

    def parameters(path: str, method: str = "get") -> list[tuple[str, str, str]]:
        given = paths[path][method].get("parameters", [])
        return [(each["in"], each["name"], each["schema"]["type"]) for each in given]

    assert parameters("/users/{user_id}") == [("path", "user_id", "string")]
    assert parameters("/typed/{user_id}") == [("path", "user_id", "integer")]
    shop = [("path", "shop", "string"), ("path", "item_id", "integer"), ("query", "verbose", "boolean")]
    assert parameters("/shop/{shop}/items/{item_id}") == shop
    new = paths["/documented"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert new == {"$ref": "#/components/schemas/NewUser"}
    assert list(paths["/said"]["get"]["responses"]["200"]["content"]) == ["text/plain"]
    user = paths["/typed/{user_id}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert user == {"$ref": "#/components/schemas/User"}


@pytest.mark.bimetal_only
def test_the_lanes() -> None:
    rows = json.loads(run_bimetal("routes", APP, "--json").stdout)
    lanes = {(row["methods"][0], row["path"]): row["lane"] for row in rows}
    assert lanes["GET", "/users/{user_id}"] == lanes["POST", "/users"] == lanes["GET", "/me"] == "sync"
    assert lanes["GET", "/users"] == lanes["POST", "/orders"] == lanes["GET", "/dashboard"] == "async"
    assert lanes["GET", "/health"] == "native"
    documentation = {"/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc"}
    assert {path for (_, path), lane in lanes.items() if lane == "asgi"} == documentation


def test_functions_before_the_handlers() -> None:
    with serve_both("req_res_middleware:app") as pair:
        opened = ask(pair, "GET", "/open")
        assert (opened.json(), opened.header("x-size")) == ({"open": True}, "0")
        refused = ask(pair, "POST", "/closed", b"body")
        assert (refused.status, refused.json()) == (401, {"error": "who are you?"})
        banned = ask(pair, "POST", "/closed", b"body", [("Authorization", "banned")])
        assert (banned.status, banned.body) == (403, b"")
        passed = ask(pair, "POST", "/closed", b"body", [("Authorization", "ann")])
        assert (passed.json(), passed.header("x-size")) == ({"size": 4}, "4")


@pytest.mark.bimetal_only
def test_run_listens_on_the_port_of_the_application(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "main.py").write_text(
        "from bimetal.styles.fasterapi import App\n"
        f"app = App(port={port}, enable_h2=True)\n"
        "@app.get('/')\n"
        "def root(req, res):\n    return {'port': app.port}\n"
        "app.run()\n"
    )
    with ServerProcess([sys.executable, "main.py"], port, tmp_path) as server:
        server.wait_ready()
        assert get(port, "/").json() == {"port": port}


def test_what_cannot_be_is_refused() -> None:
    from bimetal.styles.fasterapi import App

    app = App()

    def handler(req, res): ...
    def lonely(req): ...
    def streaming(req, res):
        yield 1

    with pytest.raises(TypeError, match='handler_type="native"'):
        app.get("/x", handler_type="cpp")(lambda: None)  # type: ignore[typeddict-item]
    with pytest.raises(TypeError, match=r"handler: the stub of a native route names what"):
        app.get("/x", handler_type="native", native="health")(handler)
    with pytest.raises(TypeError, match=r"lonely takes `req` alone"):
        app.get("/x")(lonely)
    with pytest.raises(TypeError, match=r"streaming streams by `yield`"):
        app.get("/x")(streaming)
    with pytest.raises(TypeError, match="enable_h3"):
        App(enable_h3=True)  # type: ignore[call-arg]
