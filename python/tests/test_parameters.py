"""Parameters, bodies, response models and status codes of an untouched FastAPI application: the same bytes as on uvicorn."""

from __future__ import annotations

import pytest

from harness.compare import Case, Pair, case
from harness.wire import json_body

APP = "parameters:app"

JSON = [("Content-Type", "application/json")]
FORM = [("Content-Type", "application/x-www-form-urlencoded")]
UUID = "6e8bc430-9c3a-11d9-9669-0800200c9a66"


def multipart(*parts: tuple[str, str, bytes]) -> dict[str, object]:
    """Keyword arguments of a multipart request: (disposition, further headers, content) for each part."""
    pieces = [
        f"--edge\r\nContent-Disposition: form-data; {disposition}\r\n{extra}\r\n".encode() + content + b"\r\n"
        for disposition, extra, content in parts
    ]
    body = b"".join(pieces) + b"--edge--\r\n"
    return {"headers": [("Content-Type", "multipart/form-data; boundary=edge")], "body": body}


def json_case(method: str, target: str, value: object) -> Case:
    headers, body = json_body(value)
    return case(method, target, headers, body, note=body.decode())


PATHS = [
    case("GET", target)
    for target in [
        "/path/int/42", "/path/int/-7", "/path/int/x", "/path/int/1.0", "/path/int/", "/path/int/99999999999999999999",
        "/path/float/1.5", "/path/float/nan", "/path/enum/red", "/path/enum/blue", f"/path/uuid/{UUID}", "/path/uuid/1",
        "/path/bounded/1", "/path/bounded/10", "/path/rest/a/b/c.txt", "/path/rest/", "/path/rest//x", "/path/rest/a%2Fb",
        "/path/convertor/12/end", "/path/convertor/x/end", "/path/me", "/path/you", "/path/a%20b", "/path/a+b",
        "/path/gr%C3%BCn", "/path/%F0%9F%A6%80", "/path/a%2Fb", "/path/100%25", "/path/%ff", "/nothing", "/path",
    ]
]  # fmt: skip

QUERIES = [
    case("GET", "/query" + tail)
    for tail in [
        "?required=x", "", "?required=", "?required", "?required=a&required=b", "?required=x&number=5&flag=true",
        "?required=x&number=five", "?required=x&flag=yes&optional=o", "?required=x&flag=2", "?required=x&many=1&many=2",
        "?required=x&item-name=abcd", "?required=x&item-name=a", "?required=x&literal=b", "?required=x&literal=c",
        "?required=x&day=2026-02-28", "?required=x&day=2026-02-30", "?required=a+b%20c&optional=%C3%A4", "?required=x&&number=",
        "/model?limit=5&tags=a&tags=b", "/model?limit=0", "/model?unknown=1", "/model?order_by=updated_at",
    ]
]  # fmt: skip

HEADERS = [
    case("GET", "/header", headers, note=str(headers))
    for headers in [
        [],
        [("User-Agent", "test/1"), ("X-Token", "a"), ("X-Token", "b"), ("X-Number", "8")],
        [("x-number", "eight")],
        [("X-TOKEN", "caf\xe9")],
    ]
] + [
    case("GET", "/cookie", headers, note=str(headers))
    for headers in [[], [("Cookie", "session=abc; count=3")], [("Cookie", "count=x")], [("Cookie", 'session="a b"; x')]]
]

FORMS = [
    case("POST", "/form", FORM, b"username=ann&age=30"),
    case("POST", "/form", FORM, b"username=a+b%20c%C3%A4"),
    case("POST", "/form", FORM, b"age=x"),
    case("POST", "/form", FORM, b"", note="empty"),
    case("POST", "/form", JSON, b'{"username": "x"}', note="json"),
    case("POST", "/form/model", FORM, b"username=ann&password=x"),
    case("POST", "/form/model", FORM, b"username=ann"),
    case("POST", "/form", **multipart(('name="username"', "", b"multi"))),  # type: ignore[arg-type]
    case("POST", "/file/bytes", **multipart(('name="file"; filename="f"', "", bytes(range(256))))),  # type: ignore[arg-type]
    case("POST", "/file/bytes", **multipart(('name="other"; filename="f"', "", b"x"))),  # type: ignore[arg-type]
    case(
        "POST",
        "/file/uploads",
        **multipart(  # type: ignore[arg-type]
            ('name="files"; filename="a.txt"', "Content-Type: text/plain\r\n", b"hello"),
            (
                'name="files"; filename="gr\xfc\xdf.bin"',
                "Content-Type: application/x-thing\r\nX-Part: 1\r\n",
                b"\x00" * 3000000,
            ),
            ('name="note"', "", b"two files"),
        ),
        note="two",
    ),
    case("POST", "/file/uploads", [("Content-Type", "multipart/form-data")], b"--edge--", note="no boundary"),
]

ITEM = {"name": "widget", "price": 9.5, "tags": ["a", "b"]}
BODIES = [
    json_case("POST", "/item", ITEM),
    json_case("POST", "/item", {"name": "widget"}),
    json_case("POST", "/item", {**ITEM, "owner": {"name": "ann", "born": "2000-01-02T03:04:05+02:00"}}),
    json_case("POST", "/item", {**ITEM, "owner": {"born": "yesterday"}}),
    json_case("POST", "/item", [ITEM]),
    json_case("PUT", "/item/5?q=x", ITEM),
    json_case("PUT", "/item/five", {}),
    json_case("POST", "/embed", {"item": ITEM, "importance": 1}),
    json_case("POST", "/embed", {"item": ITEM, "importance": 0}),
    json_case("POST", "/any", None),
    json_case("POST", "/any", {"ü": [1, 2.5, None, True, "x" * 100]}),
    json_case("POST", "/list", [ITEM, ITEM]),
    json_case("POST", "/list", [ITEM, {}]),
    json_case("POST", "/optional", ITEM),
    json_case("POST", "/account", {"name": "ann", "balance": "3.10"}),
    json_case("POST", "/account", {"name": "root"}),
    case("POST", "/optional"),
    case("POST", "/item", JSON, b"{", note="cut short"),
    case("POST", "/item", [], b'{"name": "x", "price": 1}', note="no content type"),
    case("POST", "/item", [("Content-Type", "application/vnd.api+json")], b'{"name": "x", "price": 1}', note="+json"),
    case("POST", "/item", [("Content-Type", "text/plain")], b'{"name": "x", "price": 1}', note="text"),
]

RESPONSES = [
    case("GET", target)
    for target in [
        "/account/unset", "/account/include", "/account/invalid", "/union", "/union?which=1", "/status/200", "/status/201",
        "/status/418", "/status/503", "/text", "/html", "/response", "/any-method",
    ]
] + [
    case("DELETE", "/gone"), case("PUT", "/any-method"), case("PATCH", "/any-method"), case("OPTIONS", "/any-method"),
    case("REPORT", "/any-method"), case("POST", "/any-method"), case("HEAD", "/any-method"), case("GET", "/status/204"),
    case("GET", "/status/304"),
]  # fmt: skip


@pytest.mark.parametrize("request_", PATHS + QUERIES + HEADERS, ids=str)
def test_parameters(pair: Pair, request_: Case) -> None:
    pair.check(request_)


@pytest.mark.parametrize("request_", FORMS, ids=str)
def test_forms_and_files(pair: Pair, request_: Case) -> None:
    pair.check(request_)


@pytest.mark.parametrize("request_", BODIES, ids=str)
def test_bodies(pair: Pair, request_: Case) -> None:
    pair.check(request_)


@pytest.mark.parametrize("request_", RESPONSES, ids=str)
def test_responses(pair: Pair, request_: Case) -> None:
    pair.check(request_)


@pytest.mark.parametrize("target", ["/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect"])
def test_documentation(pair: Pair, target: str) -> None:
    assert pair.same("GET", target).status == 200


def test_the_answers_are_what_they_should_be(pair: Pair) -> None:
    """The tables compare two servers; a few absolute answers keep both honest."""
    assert pair.same("GET", "/path/int/42").body == b'{"value":42}'
    assert pair.same("GET", "/path/int/x").status == 422
    assert pair.same("DELETE", "/gone").body == b""
    assert pair.same("GET", "/response").all("set-cookie") == ["a=b; Path=/; SameSite=lax", "c=d; Path=/; SameSite=lax"]
    headers, body = json_body(ITEM)
    assert pair.same("POST", "/item", headers, body).status == 201
