"""Handlers in TurboAPI's style: what clients get, on which lanes, and that FastAPI's machinery answers the same on uvicorn."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.compare import Pair
from harness.servers import run_bimetal
from harness.styles import ask, errors
from harness.wire import get

APP = "turbo_style:app"


@pytest.mark.parametrize(
    ("method", "target", "body", "status", "answer"),
    [
        ("GET", "/", None, 200, {"hello": "turbo"}),
        ("GET", "/users/7", None, 200, {"id": 7, "name": "user7", "email": "user7@example.com"}),
        ("GET", "/users/99", None, 404, {"error": "no such user"}),
        ("POST", "/users", {"name": "a", "email": "b"}, 201, {"name": "a", "email": "b", "age": None}),
        ("POST", "/users", {"name": "a", "email": "b", "age": 3}, 201, {"name": "a", "email": "b", "age": 3}),
        ("PUT", "/users/3", {"name": "x"}, 200, {"user_id": 3, "name": "x", "email": "unchanged", "notify": False}),
        ("PUT", "/users/3?notify=1", {"name": "x", "email": "y"}, 200, {"user_id": 3, "name": "x", "email": "y", "notify": True}),
        ("PATCH", "/users/3", {"name": "xy"}, 200, {"user_id": 3, "name": "xy"}),
        ("GET", "/typed/3", None, 200, {"id": 3, "name": "user3", "email": "user3@example.com"}),
        ("GET", "/typed/99", None, 404, {"error": "no such user"}),
        ("POST", "/typed", {"name": "n", "secret": "s"}, 201, {"id": 99, "name": "n", "email": "new@example.com"}),
        ("POST", "/items?dry=true", {"name": "n", "price": 1}, 201, {"item": {"name": "n", "price": 1.0}, "dry": True}),
        ("POST", "/whole", [1, {"a": None}], 200, {"data": [1, {"a": None}]}),
        ("POST", "/tags", ["a", "b"], 200, ["a", "b"]),
        ("GET", "/points", None, 200, [1, 2]),
        ("GET", "/triple", None, 200, [{"a": 1}, 201, {"not": "a status"}]),
        ("GET", "/dashboard", None, 200, {name: {"part": name} for name in ("user", "orders", "news")}),
        ("POST", "/sum", {"left": 1, "right": 2}, 200, {"sum": 3}),
    ],
)  # fmt: skip
def test_answers(pair: Pair, method: str, target: str, body: Any, status: int, answer: Any) -> None:
    reply = ask(pair, method, target, body)
    assert (reply.status, reply.json()) == (status, answer)


@pytest.mark.parametrize(
    ("method", "target", "body", "found"),
    [
        ("POST", "/users", {"name": "a"}, [("missing", ["body", "email"])]),
        ("POST", "/users?name=a&email=b", None, [("missing", ["body", "name"]), ("missing", ["body", "email"])]),
        ("POST", "/users", {"name": 1, "email": "b"}, [("string_type", ["body", "name"])]),
        ("POST", "/users", b"", [("missing", ["body", "name"]), ("missing", ["body", "email"])]),
        ("POST", "/users", [1], [("missing", ["body", name]) for name in ("name", "email", "age")]),
        ("PUT", "/users/three", {"name": "x"}, [("int_parsing", ["path", "user_id"])]),
        ("PUT", "/users/3?notify=maybe", {"name": "x"}, [("bool_parsing", ["query", "notify"])]),
        ("PATCH", "/users/3", {"name": "x"}, [("string_too_short", ["body", "name"])]),
        ("POST", "/items", {"name": "", "price": 0}, [("string_too_short", ["body", "name"]), ("greater_than", ["body", "price"])]),
        ("GET", "/users?page=first", None, [("int_parsing", ["query", "page"])]),
        ("POST", "/sum", {"left": "one", "right": 2}, [("int_parsing", ["body", "left"])]),
    ],
)  # fmt: skip
def test_bad_input(pair: Pair, method: str, target: str, body: Any, found: list[Any]) -> None:
    assert errors(ask(pair, method, target, body)) == found


def test_a_body_that_is_no_json(pair: Pair) -> None:
    reply = ask(pair, "POST", "/users", b'{"name": ', [("Content-Type", "application/json")])
    assert errors(reply) == [("json_invalid", ["body", 9])]
    assert ask(pair, "POST", "/users", b'{"name": "\xff"}', [("Content-Type", "application/json")]).status == 400


def test_a_list_in_pages(pair: Pair) -> None:
    reply = ask(pair, "GET", "/users?page=2&size=3").json()
    assert [user["id"] for user in reply["users"]] == [4, 5, 6] and reply["total"] == 50
    assert ask(pair, "GET", "/users?page=17&size=3").json()["users"][0]["id"] == 49
    assert ask(pair, "GET", "/users?page=18&size=3").json()["users"] == []
    assert ask(pair, "GET", "/users?size=51").status == 400


def test_a_status_without_a_body(pair: Pair) -> None:
    reply = ask(pair, "DELETE", "/users/3")
    assert (reply.status, reply.body, reply.header("content-length")) == (204, b"", None)


def test_a_response_and_a_status(pair: Pair) -> None:
    reply = ask(pair, "GET", "/page/ann")
    assert (reply.status, reply.text, reply.header("content-type")) == (203, "<h1>ann</h1>", "text/html; charset=utf-8")


def test_cache_control_beside_a_status(pair: Pair) -> None:
    reply = ask(pair, "GET", "/config")
    assert (reply.status, reply.header("cache-control")) == (203, "public, max-age=60")


def test_a_tag_and_what_has_not_changed(pair: Pair) -> None:
    first = ask(pair, "GET", "/data")
    tag = first.header("etag")
    assert first.status == 200 and first.json() == {"data": [1, 2, 3]} and tag
    second = ask(pair, "GET", "/data", headers=[("If-None-Match", tag)])
    assert (second.status, second.body, second.header("etag")) == (304, b"", tag)


def test_lines(pair: Pair) -> None:
    assert ask(pair, "POST", "/lines", {"count": 2}).body == b'{"line":0}\n{"line":1}\n'
    assert errors(ask(pair, "POST", "/lines", {"count": "two"})) == [("int_parsing", ["body", "count"])]


def test_a_router_with_a_dependency(pair: Pair) -> None:
    target, known = "/shop/corner/orders", [("Token", "secret")]
    reply = ask(pair, "POST", target, {"sku": "bolt", "amount": 3}, known)
    assert (reply.status, reply.json()) == (201, {"shop": "corner", "sku": "bolt", "amount": 3, "user": "ann"})
    assert ask(pair, "POST", target, {"sku": "bolt", "amount": 0}, known).status == 400
    assert ask(pair, "POST", target, {"sku": "bolt"}, [("Token", "other")]).status == 401
    assert errors(ask(pair, "POST", target, {"amount": "x"}, known)) == [
        ("missing", ["body", "sku"]),
        ("int_parsing", ["body", "amount"]),
    ]


def test_the_document(pair: Pair) -> None:
    document = get(pair.ours.port, "/openapi.json").json()
    paths = document["paths"]

    def body(path: str, method: str = "post") -> Any:
        schema = paths[path][method]["requestBody"]["content"]["application/json"]["schema"]
        return document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema

    def parameters(path: str, method: str) -> list[tuple[str, str]]:
        return [(each["in"], each["name"]) for each in paths[path][method].get("parameters", [])]

    assert body("/users")["required"] == ["name", "email"]
    assert body("/users")["properties"]["name"] == {"type": "string", "title": "Name"}
    assert body("/users/{user_id}", "patch")["properties"]["name"]["minLength"] == 2
    assert parameters("/users/{user_id}", "put") == [("path", "user_id"), ("query", "notify")]
    assert parameters("/users", "get") == [("query", "page"), ("query", "size")]
    assert parameters("/shop/{shop}/orders", "post") == [("path", "shop"), ("header", "token")]
    typed = paths["/typed"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert typed == {"$ref": "#/components/schemas/User"}


@pytest.mark.bimetal_only
def test_the_lanes() -> None:
    rows = json.loads(run_bimetal("routes", APP, "--json").stdout)
    lanes = {(row["methods"][0], row["path"]): row["lane"] for row in rows}
    assert lanes["POST", "/users"] == lanes["GET", "/users/{user_id}"] == lanes["POST", "/shop/{shop}/orders"] == "sync"
    assert lanes["PUT", "/users/{user_id}"] == lanes["GET", "/dashboard"] == "async"
    assert lanes["GET", "/health"] == "native"
    documentation = {"/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc"}
    assert {path for (_, path), lane in lanes.items() if lane == "asgi"} == documentation


def test_plain_fastapi_keeps_its_meaning() -> None:
    """The class is what asks for it: the same handler on `Bimetal` and on `FastAPI` takes query parameters."""
    from fastapi import FastAPI

    from bimetal import APIRouter, Bimetal

    def create(name: str, email: str): ...

    plain, ours, router = FastAPI(), Bimetal(), APIRouter()
    for application in (plain, ours, router):
        application.post("/users")(create)
    routed = Bimetal()
    routed.include_router(router)
    assert plain.openapi()["paths"] == ours.openapi()["paths"] == routed.openapi()["paths"]
    assert "requestBody" not in plain.openapi()["paths"]["/users"]["post"]


def test_the_handler_stays_a_function() -> None:
    """What a decorator gives back can be called as it was written."""
    from bimetal.styles.turboapi import TurboAPI

    app = TurboAPI()

    @app.post("/users")
    def create(name: str, email: str):
        return {"name": name, "email": email}, 201

    assert create("a", "b") == ({"name": "a", "email": "b"}, 201)
