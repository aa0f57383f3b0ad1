"""Which route answers: order, methods, routers, mounts, redirects; and what the request looks like from inside."""

from __future__ import annotations

import pytest

from harness.compare import Case, Pair, case, serve_both
from harness.servers import ServerProcess
from harness.wire import request

APP = "routing:app"

ABOUT = [
    case("GET", "/about/"),
    case("GET", "/about/a/b?x=1&x=2&y=%C3%BC+z"),
    case("GET", "/about/a%20b%2Fc%C3%A4"),
    case("GET", "/about//double//slash"),
    case("GET", "/about/../dots/./here"),
    case("GET", "/about/semi;colon,comma:@!$'()*"),
    case("GET", "/about/?" + "&".join(f"k{i}={i}" for i in range(50)), note="many"),
    case("GET", "/about/x?"),
    case("GET", "/about/x?a=b?c=d#e"),
    case("GET", "/about/h", [("Host", "example.org:8080"), ("B", "1"), ("A", "2"), ("b", "3")], note="headers"),
    case("GET", "/about/c", [("Cookie", "a=1; b=2"), ("Cookie", "c=3")], note="cookies"),
    case("GET", "/about/s", [("X-Spaces", "  in  side"), ("X-Empty", "")], note="spaces"),
    case("GET", "/about/l", [("X-Long", "v" * 6000)], note="long header"),
    case("GET", "http://other.example/about/absolute"),
    case("GET", "/about/" + "p" * 4000, note="long path"),
]

ROUTES = [
    case(method, target)
    for method, target in [
        ("GET", "/only-head"), ("HEAD", "/only-head"), ("GET", "/slash"), ("GET", "/slash/"), ("POST", "/slash"),
        ("GET", "/no-slash/"), ("GET", "/no-slash/?q=1"), ("GET", "/redirect"), ("GET", "/multi"), ("POST", "/multi"),
        ("PUT", "/multi"), ("HEAD", "/multi"), ("OPTIONS", "/multi"), ("GET", "/order/fixed"), ("GET", "/order/late"),
        ("GET", "/order/7"), ("POST", "/order/7"), ("POST", "/order/x"), ("POST", "/order/fixed"), ("GET", "/order/"),
        ("GET", "/dots/a.b"), ("GET", "/dots/a.b.c"), ("GET", "/dots/ab"), ("GET", "/gr%C3%BCezi/1"),
        ("GET", "/branch/leaf/4"), ("GET", "/branch/leaf"), ("GET", "/branch/leaf/"), ("GET", "/branch/again/leaf/4"),
        ("PUT", "/branch/both"), ("DELETE", "/v2/acme/branch/both"), ("GET", "/v2/acme/branch/leaf/9"),
        ("GET", "/v2/acme/branch/leaf/x"), ("GET", "/sub/hello"), ("GET", "/sub"), ("GET", "/sub/"), ("GET", "/sub/none"),
        ("GET", "/sub/boom"), ("GET", "/sub/docs"), ("GET", "/sub/openapi.json"), ("POST", "/sub/hello"),
        ("GET", "/bare/x/y"), ("GET", "/bare"), ("DELETE", "/bare/x"), ("GET", "/starlette/p/3"), ("GET", "/starlette/p/x"),
        ("GET", "/starlette/deep/er"), ("GET", "/plain/1"), ("POST", "/plain/1"), ("GET", "/page"), ("HEAD", "/page"),
        ("GET", "/"), ("GET", "//"), ("GET", "/none"), ("POST", "/none"), ("MKCOL", "/none"), ("TRACE", "/page"),
        ("GET", "/openapi.json"), ("GET", "/docs"), ("HEAD", "/docs"), ("POST", "/docs"), ("GET", "/docs/"), ("GET", "/redoc"),
    ]
] + [
    case("GET", "/anything", [("Host", "x.hosted.example")], note="by host"),
    case("GET", "/page", [], b"a body nobody asked for", note="with body"),
    case("OPTIONS", "*"),
]  # fmt: skip


@pytest.mark.parametrize("request_", ABOUT, ids=str)
def test_the_request_as_the_handler_sees_it(pair: Pair, request_: Case) -> None:
    pair.check(request_)


@pytest.mark.parametrize("request_", ROUTES, ids=str)
def test_routes(pair: Pair, request_: Case) -> None:
    pair.check(request_)


def test_absolute_answers(pair: Pair) -> None:
    assert pair.same("GET", "/slash").header("location") == "http://testserver/slash/"
    assert pair.same("PUT", "/multi").status == 405
    assert pair.same("GET", "/sub/hello").json()["root_path"] == "/sub"
    about = pair.same("GET", "/about/a%2Fb?q=1", [("X-B", "1"), ("X-A", "2")]).json()
    assert about["raw_path"] == "/about/a%2Fb" and about["path"] == "/about/a/b" and about["client"] == "127.0.0.1"
    assert about["headers"] == [["host", "testserver"], ["x-b", "1"], ["x-a", "2"]]


@pytest.mark.bimetal_only
def test_a_method_nobody_has_heard_of(server: ServerProcess) -> None:
    """The routes decide, as they do for known ones; uvicorn's parser refuses it."""
    assert request(server.port, "BREW", "/none").status == 404
    assert request(server.port, "BREW", "/multi").status == 405


def test_without_redirects_and_documentation() -> None:
    with serve_both("routing:no_redirect") as pair:
        for target in ["/slash", "/slash/", "/docs", "/openapi.json", "/schema.json", "/reference"]:
            pair.same("GET", target)
        assert pair.same("GET", "/slash").status == 404


def test_root_path() -> None:
    """Behind a proxy that strips `/api`."""
    with serve_both("routing:app", "--root-path", "/api") as pair:
        for target in [
            "/about/x?q=1",
            "/sub/hello",
            "/openapi.json",
            "/docs",
            "/slash",
            "/branch/leaf/1",
            "/api/no-slash",
            "/none",
        ]:
            pair.same("GET", target)
        assert pair.same("GET", "/about/x").json()["root_path"] == "/api"
