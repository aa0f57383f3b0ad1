"""The tables of requests for the compiled lanes; each runs on the sync and on the async lane."""

from __future__ import annotations

import json
from urllib.parse import quote

from harness.compare import Case, case

JSON = [("Content-Type", "application/json")]

#: Spelled in the URL as they are here.
INTS = [
    "0", "1", "-1", "+1", "%2B1", "007", "1_000", "_1", "1__0", "%201", "1%20", "1%09", "1.0", "1.5", "1e3", "0x10", "1,000", "",
    "true", "9223372036854775807", "9223372036854775808", "-9223372036854775809", "1" * 40, "1" * 4301, "%D9%A3", "%EF%BC%91",
    "nan", "--1", "-0", "-", "1%00", "%ff", "1.", ".0", "1.00000000000000000001",
]  # fmt: skip
FLOATS = [
    "0", "1", "-1.5", "+1.5", "%2B1.5", "1e5", "1E5", "1e-5", "1e400", "-1e400", "1e16", "123456789012345678", "inf", "-inf", "Infinity",
    "infinity", "nan", "NaN", "-nan", "1_000.5", "1_0e1_0", ".5", "5.", ".", "", "%201.5", "1.5%20", "0x1p3", "1,5", "1e", "1d5", "-0",
    "-0.0", "5e-324", "0.1", "3.141592653589793238462643", "true", "%D9%A3", "1__0",
]  # fmt: skip
BOOLS = [
    "true", "false", "True", "TRUE", "tRuE", "on", "ON", "off", "yes", "Yes", "no", "y", "Y", "n", "t", "T", "f", "1", "0", "1.0", "2", "",
    "%20true", "true%20", "truee", "None", "-1", "00", "01",
]  # fmt: skip
STRINGS = [
    "x", "a%20b", "a+b", "%2B", "%2F", "a%2Fb", "%252F", "%00", "%0A", "%C3%BC", "%F0%9F%A6%80", "%ff", "%C3", "%C3%28", "%", "%2", "%zz",
    "100%25", "~", "a;b", "a,b", "a:b@c", "'", "%22", "a=b", "a&b", "[x]", "%E2%80%A8", "%ED%A0%80", "x" * 3000, ".", "..", "%2e%2e", "a|b",
]  # fmt: skip

QUERY_STRINGS = [
    "", "?", "?value", "?value=", "?value=a&value=b", "?value=&value=b", "?VALUE=x", "?value=a+b", "?value=a%20b", "?value=a%2Bb", "?val%75e=x",
    "?value=1;other=2", "?value=1&&other=2", "?&value=1", "?value=1&", "?=x", "?value==x", "?value=a=b", "?value=%", "?value=%zz", "?value=%ff",
    "?value=%C3%BC", "?value=%00", "?other=1", "?value=a&other=b", "?other=b&value=a", "?value=?", "?value=/", "?value=a#b", "?value='x'",
    "?%20value=1", "?value%20=1", "?value=" + "x" * 4000, "?unknown=1&value=2", "?value[]=1", "?value=+", "?value=%2B", "?+value=1",
]  # fmt: skip


def parameters() -> list[Case]:
    cases = [("GET", f"/int/{text}") for text in INTS] + [("GET", f"/query/int?value={text}") for text in INTS]
    cases += [("GET", f"/float/{text}") for text in FLOATS] + [("GET", f"/query/float?value={text}") for text in FLOATS]
    cases += [("GET", f"/bool/{text}") for text in BOOLS] + [("GET", f"/query/bool?value={text}") for text in BOOLS]
    cases += [("GET", f"/str/{text}") for text in STRINGS if text not in (".", "..")]
    cases += [("GET", f"/query/str{text}") for text in QUERY_STRINGS] + [
        ("GET", f"/query/int{text}") for text in QUERY_STRINGS
    ]
    cases += [("GET", f"/rest/{text}") for text in [*STRINGS, "", "/", "a/b", "a//b", "a/b/", "%2F/"]]
    cases += [
        ("GET", target)
        for target in [
            "/health", "/health/", "/health?x=1", "/health#f", "/two/1/and/b", "/two/x/and/b", "/two/x/and/", "/two/1/and/a%2Fb", "/two//and/b",
            "/query/optional", "/query/optional?value=1&text=t&number=2", "/query/optional?value=", "/query/optional?value=x&number=y",
            "/query/optional?text=", "/query/optional?number=null", "/query/constrained?the-value=1", "/query/constrained?the-value=10",
            "/query/constrained?value=1", "/query/constrained?the-value=2&day=2026-01-01&who=6e8bc430-9c3a-11d9-9669-0800200c9a66",
            "/query/constrained?the-value=2&day=x&who=y", "/query/mutable", "/query/mutable?values=4&values=5", "/query/mutable?values=x",
        ]
    ] + [(method, "/health") for method in ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"]]  # fmt: skip
    return [case(method, target) for method, target in cases]


#: Bodies as they are sent: to a route that takes any JSON, one that takes a model, one that takes a dictionary, one of numbers.
RAW_BODIES = [
    b"null", b"true", b"1", b"-0", b"0.0", b"-0.0", b"1e5", b"1E+2", b"1e16", b"1e-5", b"1.0", b"1e400", b"-1e400", b"123456789012345678901234567890",
    b"9223372036854775808", b"18446744073709551616", b"0.1", b"5e-324", b"3.141592653589793238462643", b'""', b'"\\u00fc"', b'"\\ud83e\\udd80"',
    b'"\\ud800"', b'"\\udc00\\ud800"', b'"\\u0000"', b'"\\/\\b\\f\\n"', b'"\\x"', b'"\\u12"', b'"\x01"', b'"\n"', "\"\u2028\"".encode(), b'"\xff"',
    b'"\xed\xa0\x80"', b"[]", b"{}", b'{"a":1,"a":2}', b'{"b":1,"a":2}', b"[1,2,3]", b"[1,2,", b"[1,]", b"[,1]", b'{"a":1,}', b'{"a"}', b"{a:1}",
    b"{'a':1}", b"NaN", b"Infinity", b"-Infinity", b"nan", b"[NaN]", b"01", b"1.", b".5", b"+1", b"1 2", b"[1] x", b"// comment\n1", b"", b" ", b"\n",
    b"\t[1]\r\n", b"\xef\xbb\xbf[1]", "[1]".encode("utf-16"), "[1]".encode("utf-32"), "[1]".encode("utf-16-le"), b"[" * 100 + b"]" * 100,
    b"[" * 100_000, b"[" * 3000 + b"]" * 3000, b'{"a":' * 300 + b"1" + b"}" * 300, b'"' + b"x" * 200_000 + b'"', b"tru", b"nul", b"True",
    b"[1" + b",1" * 5000 + b"]", b'{"x":1}\x00', b"1" * 5000, b'{"\\u0061":1}', b'{"":0}', b'[1e1, 1E1, 10]', b'"\\ud800\\u0041"',
]  # fmt: skip
MODELS: list[object] = [
    {"name": "n"}, {"name": "n", "price": 1, "howMany": 2, "owner": {"name": "o", "tags": ["t"]}, "extra": {"a": [1, {"b": None}]}},
    {"name": "n", "count": 3}, {"name": 1}, {"name": "n", "price": "1.5"}, {"name": "n", "price": True}, {"name": "n", "howMany": 1.0},
    {"name": "n", "howMany": 1.5}, {"name": "n", "howMany": 2**70}, {"name": "n", "howMany": "12"}, {"name": "n", "owner": {}}, {}, [], "x", None, 5,
    {"name": "n", "price": 1e22}, {"name": "n", "unknown": 1}, {"name": None}, {"name": "\ud800"}, {"name": "n", "owner": None},
    {"name": "n", "price": None}, {"name": "n", "extra": {"x": 2**80, "y": -0.0, "z": 1e-7}}, {"name": "n" * 100_000},
]  # fmt: skip
CONTENT_TYPES = [
    "application/json; charset=utf-8", "APPLICATION/JSON", "application/json;charset=latin-1", "application/geo+json", "application/x-json", "text/plain",
    "application/x-www-form-urlencoded", "application/jsonp", "json", "", "application/json, text/plain", " application/json ", "multipart/form-data; boundary=x",
    "application/", "/json", "application/vnd.x+JSON; v=1",
]  # fmt: skip


def short(body: bytes) -> str:
    return f"{body[:40]!r}" + (f" of {len(body)}" if len(body) > 40 else "")


def bodies() -> list[Case]:
    cases = [
        case("POST", path, JSON, raw, note=short(raw)) for path in ["/json", "/dict", "/ints"] for raw in RAW_BODIES
    ]
    for model in MODELS:
        raw = json.dumps(model).encode()
        cases += [case("POST", path, JSON, raw, note=short(raw)) for path in ["/model", "/model/dict", "/optional"]]
    raw = b'{"name": "n"}'
    cases += [
        case("POST", path, [("Content-Type", t)], raw, note=t) for path in ["/model", "/json"] for t in CONTENT_TYPES
    ]
    cases += [
        case("POST", "/model", [], raw, note="no content type"),
        case(
            "POST",
            "/model",
            [("Content-Type", "text/plain"), ("Content-Type", "application/json")],
            raw,
            note="two content types",
        ),
        case("POST", "/model", JSON, note="no body at all"),
        case("POST", "/optional", note="no body at all"),
        case("POST", "/optional", JSON, b"", note="empty"),
        case("POST", "/model", JSON, (b'{"na', b'me": "n', b'"}'), note="chunked"),
        case("POST", "/model", JSON, (b'{"na', b"me"), note="chunked, cut short"),
        case("POST", "/model/path/7?q=a+b", JSON, raw),
        case("POST", "/model/path/x?q=a", JSON, raw),
        case("POST", "/model/path/x", JSON, b"{}"),
        case("POST", "/model/path/7", JSON, b"{"),
        case("POST", "/json", [*JSON, ("Content-Encoding", "gzip")], b"1", note="content-encoding"),
        case("GET", "/model"),
    ]
    return cases


RESULT_KINDS = [
    "none", "true", "false", "int", "big-int", "int-edges", "str", "empty", "floats", "nested", "deep", "wide", "long", "keys", "key-order",
    "duplicate-keys", "tuple-key", "date-key", "enum-key", "sa-keys", "tuple", "set", "frozenset", "generator", "bytes", "bytes-invalid", "datetime",
    "decimal", "uuid", "path", "ip", "enum", "dataclass", "model", "models", "object", "mapping", "subclasses", "surrogate", "nan", "infinity", "lambda",
    "class", "exception",
]  # fmt: skip
RESPONSE_KINDS = [
    "plain", "empty", "not-modified", "json", "text", "html", "redirect", "stream", "file", "media-type", "no-length", "background",
]  # fmt: skip
RAISE_KINDS = ["http", "value", "key", "unicode", "group", "recursion", "memory", "unprintable"]
OUT_KINDS = [
    "filter", "annotated", "unset", "none", "exclude", "alias", "dataclass", "int", "invalid", "nan", "created", "text", "response",
]  # fmt: skip


def results() -> list[Case]:
    targets = [f"/result/{kind}" for kind in RESULT_KINDS] + [f"/response/{kind}" for kind in RESPONSE_KINDS]
    targets += [f"/raise/{kind}" for kind in RAISE_KINDS] + [f"/out/{kind}" for kind in OUT_KINDS]
    return [case("GET", target) for target in targets] + [case("DELETE", "/out/gone"), case("HEAD", "/response/json")]


#: What must run on the lane it was compiled for, and not on the asgi lane: where Bimetal's speed comes from.
COMPILED = [
    case("GET", "/health"), case("GET", "/int/42"), case("GET", "/float/1.5"), case("GET", "/bool/true"), case("GET", f"/str/{quote('ü x')}"),
    case("GET", "/two/1/and/b"), case("GET", "/rest/a/b"), case("GET", "/query/int?value=7"), case("GET", "/query/float"),
    case("GET", "/query/bool?value=yes"), case("GET", "/query/str?value=a+b"), case("GET", "/query/optional?value=1"),
    case("GET", "/query/constrained?the-value=3&day=2026-01-01"), case("POST", "/model", JSON, b'{"name": "n", "price": 2.5}'),
    case("POST", "/model/dict", JSON, b'{"name": "n"}'), case("POST", "/model/path/7?q=x", JSON, b'{"name": "n"}'),
    case("POST", "/dict", JSON, b'{"a": [1, null]}'), case("POST", "/ints", JSON, b"[1, 2]"), case("GET", "/result/nested"),
    case("GET", "/result/floats"), case("GET", "/out/filter"), case("GET", "/out/annotated"), case("GET", "/out/unset"), case("GET", "/out/alias"),
    case("GET", "/out/created"),
]  # fmt: skip
