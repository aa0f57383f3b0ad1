"""Native routes and their FastAPI twins: the same request gets the same status, headers and bytes, good or bad.

Bimetal serves `apps/twins.py` with the plugin in `fixtures/twin`, uvicorn serves the Python functions. What cannot be equal is in
`DIFFERENT`, each with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.compare import Case, Pair, ask, case, comparable
from harness.servers import start_bimetal, start_uvicorn
from harness.wire import Connection, get

pytestmark = pytest.mark.bimetal_only

JSON = [("Content-Type", "application/json")]
FORM = [("Content-Type", "application/x-www-form-urlencoded")]
MULTIPART = [("Content-Type", "multipart/form-data; boundary=b")]
END = b"--b--\r\n"


@pytest.fixture(scope="module")
def pair(twin_library: Path) -> Iterator[Pair]:
    with (
        start_bimetal("twins:app", "--plugin", str(twin_library)) as ours,
        start_uvicorn("twins:app") as reference,
    ):
        yield Pair(ours.wait_ready(), reference.wait_ready())


def gets(prefix: str, *tails: str) -> list[Case]:
    return [case("GET", prefix + tail) for tail in tails]


def with_headers(target: str, *headers: list[tuple[str, str]]) -> list[Case]:
    return [case("GET", target, fields, note=str(fields)) for fields in headers]


def posts(target: str, headers: list[tuple[str, str]], *bodies: str | bytes) -> list[Case]:
    raw = [body.encode() if isinstance(body, str) else body for body in bodies]
    return [case("POST", target, headers, body, note=repr(body)) for body in raw]


def part(name: str, value: str, more: str = "") -> bytes:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}\r\n'.encode()


PATHS = gets("/path", *[
    "/1/1.5/true/red", "/x/y/z/pink", "/1.0/1/yes/blue", "/1.5/.5/2/RED", "/-7/-1e3/off/green",
    "/%2B5/1_0/t/red", "/1_0/nan%20x/f/red", "/%207/%201/true/red", "/0x1/1/1/red",
]) + gets("/bounded", "/1/abc", "/10/z", "/0/abc", "/11/abcd", "/x/AB", "/5/a1", "/5/%C3%A9", "/-1/abcde")  # fmt: skip

QUERIES = gets("/query", *[
    "", "?number=1", "?number=", "?number=x", "?number=1&number=2", "?number=1.0", "?number=1.5", "?number=1e3", "?number=%201",
    "?number=1&ratio=0.5", "?number=1&ratio=0.51", "?number=1&ratio=100", "?number=1&ratio=100.1", "?number=1&ratio=x", "?number=1&ratio=",
    "?number=1&flag=maybe", "?number=1&flag=ON", "?number=1&flag=", "?number=1&color=pink", "?number=1&color=", "?number=1&color=blue",
    "?number=1&text=a", "?number=1&text=abcdef", "?number=1&text=zzz", "?number=1&text=%C3%A9%C3%A9", "?number=1&text=b%20c",
    "?number=1&tags=1&tags=2", "?number=1&tags=1&tags=x&tags=", "?number=1&tags=1&tags=2&tags=3&tags=4", "?number=1&fives=10",
    "?number=1&fives=11", "?number=1&fives=x", "?number=x&ratio=y&flag=z&color=w&text=v&tags=u&fives=t", "?other=1", "?number=+1",
    "?number=9223372036854775807", "?number=-9223372036854775808",
]) + gets("/page", "?limit=5", "", "?limit=0", "?limit=101&tags=a&tags=b", "?limit=5&other=1", "?other=1&other=2&limit=x", "?tags=a") + gets(
    "/range", "", "?start=1", "?end=1", "?start=x&end=y", "?start=1&end=2&step=3", "?step=3", "?step=x", "?step=", "?other=1"
)  # fmt: skip

HEADERS = with_headers("/headers", *[
    [], [("X-Token", "abc")], [("x-token", "ab")], [("X-TOKEN", "caf\xe9")], [("X-Token", "abc"), ("X-Token", "d")],
    [("X-Token", "abc"), ("X-Number", "7")], [("X-Token", "abc"), ("X-Number", "seven")], [("X-Number", "")],
    [("X-Token", "abc"), ("X-Many", "1"), ("X-Many", "2")], [("X-Token", "abc"), ("X-Many", "1"), ("X-Many", "x")], [("x_token", "abc")],
]) + with_headers("/trace", [], [("X-Trace-Id", "7")], [("X-Trace-Id", "x"), ("X-Hops", "a")])  # fmt: skip

COOKIES = with_headers("/cookies", *[
    [("Cookie", text)] for text in [
        "session=1", "session=0", "session=x", "session=1; theme=blue", "session=1; theme=pink", "theme=blue", "session=1; session=2",
        'session="3"', 'session="\\063"', "session=", "session", ";; session = 4 ;", "a=b",
    ]
], []) + with_headers("/jar", [], [("Cookie", "first=a")], [("Cookie", "first=a; second=maybe; third=b")], [("Cookie", "third=b; third=c")])  # fmt: skip

FORMS = posts("/login", FORM, *[
    "user=abc&age=18", "", "user=ab&age=17", "user=abcdefghi&age=x", "user=ABC&age=18.0", "user=&age=", "user=abc&age=18&groups=a&groups=b+c",
    "user=abc&age=18&groups=", "user=abc&age=18&remember=yes", "user=abc&age=18&remember=2", "user=abc&age=18&other=1&other=2&third=",
    "user=abc&user=abd&age=18", "&&user=abc&&age=20&", "user=%61bc&age=+18", "age", "user=abc&age=18&groups=%C3%A9&groups=\xe9", b"user=\xe9bc&age=18",
]) + posts("/login", JSON, '{"user":"abc","age":18}') + posts("/login", [], "user=abc&age=18") + posts(
    "/login", [("Content-Type", "Application/X-WWW-Form-URLencoded; charset=utf-8")], "user=abc&age=18"
) + posts("/vote", FORM, "choice=1", "choice=x&comment=c", "comment=c", "choice=&comment=", "choice=1&comment=c&more=1") + posts(
    "/range/form", FORM, "", "start=1", "start=", "end=1", "start=x&end=", "other=1"
) + posts("/login", FORM, "&".join(f"groups={n}" for n in range(1001)), "a" * (1024 * 1024) + "=b")  # fmt: skip

MULTIPARTS = posts("/login", MULTIPART, *[
    part("user", "abc") + part("age", "18") + END, END, "", "garbage", b"preamble\r\n" + part("user", "abc") + END, b"\r\n" + part("user", "abc") + END,
    part("user", "ab") + part("age", "x") + END, part("user", "") + part("age", "") + END, part("user", "abc") + part("age", "18") + part("other", "1") + END,
    part("user", "abc") + part("age", "18") + part("groups", "a&b=c%20+") + part("groups", "\xe9") + part("groups", "") + END,
    part("user", "abc") + part("age", "18") + part("groups", "x")[:-8], part("user", "abc") + part("user", "abd") + part("age", "19") + END + b"epilogue",
    b'--b\r\nContent-Disposition: form-data; name="groups"\r\n\r\n\xe9\r\n' + part("user", "abc") + part("age", "18") + END,
    b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n" + END, b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n" + END,
    b"--b\r\ncontent-disposition: form-data; name=user\r\ncontent-type: text/plain\r\n\r\nabc\r\n" + part("age", "18") + END,
    part("groups", "x") * 1001 + END, part("groups", "x" * (1024 * 1024 + 1)) + END, part("user", "line\r\n--xreak") + END,
]) + posts("/vote", MULTIPART, part("choice", "1") + END, part("choice", "x") + part("comment", "c") + END, part("comment", "c") + END) + posts(
    "/login", [("Content-Type", "multipart/form-data")], part("user", "abc") + END
) + posts(
    "/login", [("Content-Type", 'Multipart/Form-Data; charset=utf-8; boundary="a b"')], (part("user", "abc") + END).replace(b"--b", b"--a b")
) + posts("/range/form", MULTIPART, part("start", "1") + END, part("start", "") + END, part("other", "1", '; filename="x"') + END)  # fmt: skip

BODIES = posts("/item", JSON, *[
    '{"name":"a","price":1}', "", "{}", "[]", "null", "1", '"x"', '{"name":1,"price":"x"}', '{"name":"a","price":"3.5","count":"7"}',
    '{"name":"a","price":1,"count":3.5,"active":2}', '{"name":"a","price":1,"count":true,"active":"no","color":"blue"}',
    '{"name":null,"price":null,"tags":null,"count":null,"active":null,"color":null,"dims":null}', '{"name":"a","price":1,"tags":["a",1,null]}',
    '{"name":"a","price":1,"dims":[{"w":1,"h":2},{"w":"x"},7,null]}', '{"name":"a","price":1,"dims":{"w":1,"h":2}}', '{"name":"a","price":true,"extra":1}',
    '{"name":"a","price":1e2,"count":1e2}', '{"name":"a","price":1,"color":1}', '{"name":"a","price":"nan x","count":""}',
    '{"name":"a","price":1,}', '{"name":"a" "price":1}', "{name:1}", '{"a":1} x', '{"a":tru}', '{"a":"\x01"}', '{"a":"\\x"}', '{"a":"abc', "[1,]", "{",
    '{"name":"\\ud83d\\ude00","price":1}', b'{"name":"\xff"}', "\ufeff{}", '{"name":"a","price":1,"count":9223372036854775807}', "  ", "[" * 50 + "1",
    '{"name":"a","price":1,"count":-0}', '{"name":"a","price":1,"name":"b"}', '{"name":"a","price":12345678901234567890}',
]) + posts("/item", [], '{"name":"a","price":1}') + posts("/item", [("Content-Type", "text/plain")], '{"name":"a","price":1}') + posts(
    "/item", [("Content-Type", "application/vnd.api+json")], '{"name":"a","price":1}'
) + posts("/item", FORM, "name=a&price=1") + posts("/item/optional", JSON, "", "null", "{}", '{"name":"a","price":1}')  # fmt: skip

FLOATS = posts("/item", JSON, *(
    f'{{"name":"a","price":{number}}}' for number in ["0.00001", "1e-7", "1.5e-10", "1e15", "1e16", "1e17", "1e22", "123456789012345.67", "5e-324", "0.1"]
))  # fmt: skip

LIMITED = posts("/limited", JSON, *[
    '{"a":1,"s":"xy"}', '{"a":0,"s":"x"}', '{"a":10,"s":"xyzz"}', '{"a":"9","s":"yx"}', '{"a":1,"s":"xy","z":1,"y":{"q":[]}}', '{"a":1,"s":"xy","f":0.4}',
    '{"a":1,"s":"xy","f":2.6}', '{"a":1,"s":"xy","f":"2.5"}', '{"a":1,"s":"xy","f":null}', '{"a":1,"s":"xy","t":[]}', '{"a":1,"s":"xy","t":[1,2,3]}',
    '{"a":1,"s":"xy","t":[1,"x",3]}', '{"a":1,"s":"xy","d":{"a":1,"b":"2"}}', '{"a":1,"s":"xy","d":{"a":1,"b":2,"c":3}}', '{"a":1,"s":"xy","d":{"a":"x"}}',
    '{"a":1,"s":"xy","d":[]}', '{"a":1,"s":"xy","pair":[1,"a"]}', '{"a":1,"s":"xy","pair":[1]}', '{"a":1,"s":"xy","pair":[1,"a",2]}', '{"a":1,"s":"xy","pair":"x"}',
    '{"a":1,"s":"xy","pair":["x",1]}', '{"a":1,"s":"xy","numbers":[3,1,"2",1]}', '{"a":1,"s":"xy","numbers":{"a":1}}', '{"a":1.0,"s":"\u00e9\u00e9"}',
    '{"a":1,"s":5}',
])  # fmt: skip

UNIONS = posts("/shape", JSON, *[
    '{"kind":"circle","radius":2}', '{"kind":"square","side":"3"}', '{"kind":"square","side":3.5}', '{"kind":"circle"}', '{"kind":"cube"}', "{}", "[]", "1",
    '{"kind":1}', '{"kind":null,"side":1}', '{"kind":true}',
]) + posts("/either", JSON, "1", '"x"', '"1"', "[1,2]", '["x"]', '{"w":1,"h":2}', '{"w":"x"}', "1.5", "true", "null", "{}", "[[]]", "2.0") + posts(
    "/list", JSON, '[1,"2",3.0]', '[1,"x",null,1.5,[],{},true]', "{}", '"a"', "null", "[]", "[1", "[1,2"
)  # fmt: skip

SHAPES = posts("/sized", JSON, *[
    '{"small":1,"count":2,"offset":-3,"letter":"x"}', '{"small":256,"count":4294967296,"offset":2147483648,"letter":"xy","big":18446744073709551616}',
    '{"small":-1,"count":-1,"offset":-2147483649,"letter":"","big":-1}', '{"small":"255","count":"1.0","offset":"-0","letter":"é","big":"7"}',
    '{"small":1e2,"count":1.5,"offset":true,"letter":7}', '{"small":1,"count":2,"offset":-3,"letter":"x","big":18446744073709551615}',
]) + posts("/camel", JSON, *[
    '{"firstName":"a","innerList":[[1],[]]}', '{"first_name":"a","inner_list":[]}', '{"firstName":1,"innerList":[[1,"x"],7]}',
    '{"firstName":"a","innerList":[],"byKey":{"k":{"w":1,"h":2},"l":{"w":"x"}}}', '{"firstName":"a","innerList":[],"next":{"firstName":"b","innerList":[["2"]]}}',
    '{"firstName":"a","innerList":[],"next":{"next":{"innerList":{}}}}', '{"firstName":"a","innerList":[],"byKey":{"a b":7}}',
]) + gets("/renamed", "?pageSize=1", "?page_size=1", "?pageSize=x&ids=1&ids=y", "?pageSize=1&ids=1", "?pageSize=1&level=256", "?pageSize=1&level=-1&ids=") + gets(
    "/renamed", "?pageSize=1&level=255&ids=1&ids=2", "?pagesize=1"
)  # fmt: skip

EVERYWHERE = [
    case("POST", "/all/x?q=y", [*JSON, ("X-H", "z"), ("Cookie", "c=w")], b'{"w":"v"}', note="all wrong"),
    case("POST", "/all/1?q=2", [*JSON, ("X-H", "3"), ("Cookie", "c=4")], b'{"w":5,"h":6}', note="all right"),
    case("POST", "/all/1", JSON, b"{", note="no JSON besides"),
    case("POST", "/all/x", note="nothing"),
    case("POST", "/all/x", JSON, b'{"w":1,"h":1}', note="no parameters"),
]

RESPONSES = [
    *gets("/moved", "?to=/a", "?to=/%C3%A4%20b%3Fx%3D1", "?to=", ""),
    case("GET", "/plain"),
    case("GET", "/missing"),
    case("DELETE", "/removed"),
    *posts("/accepted", JSON, '{"w":3,"h":4}', "{}"),
    *posts("/stored", JSON, '{"w":3,"h":4}', '{"w":0,"h":4}', "{}"),
    *gets("/rows", "/0", "/1", "/2000", "/2?broken=false", "/x", "/-1"),
    *posts("/created", JSON, '{"w":3,"h":4}', '{"w":3,"h":0.1}', "{}"),
]

#: Requests whose answers cannot be equal: the native status and what FastAPI does instead.
DIFFERENT = [
    # Python's integers have no size; a Rust `i64` has one, and says so as FastAPI would with `Field(le=2**63 - 1)`.
    (case("GET", "/query?number=9223372036854775808"), 422, 200, "less_than_equal"),
    (case("GET", "/path/99999999999999999999/1/1/red"), 422, 200, "less_than_equal"),
    # sonic-rs reads a negative zero as zero.
    (case("POST", "/item", JSON, b'{"name":"a","price":-0.0}'), 200, 200, '"price":0.0'),
    # A converted body goes through JSON once more, which has no word for infinity.
    (case("POST", "/item", JSON, b'{"name":"a","price":"1e400"}'), 422, 200, "finite_number"),
    # JSON knows no NaN: Python reads and writes it all the same.
    (case("POST", "/item", JSON, b'{"name":"a","price":NaN}'), 422, 200, "finite_number"),
    # Half of a surrogate pair is no text: Python reads it and fails when it writes the answer.
    (case("POST", "/item", JSON, b'{"name":"\\ud83d","price":1}'), 422, 500, "json_invalid"),
    # No Rust type is read from a file; what Python has of it is no use to a client.
    (
        case("POST", "/vote", MULTIPART, part("choice", "1", '; filename="x"') + END),
        422,
        422,
        '"type":"int_type","loc":["body","choice"],"msg":"Input should be a valid integer","input":{"filename":"x"}',
    ),
    (
        case("POST", "/vote", MULTIPART, part("choice", "1") + part("comment", "a", '; filename="x"') + END),
        422,
        422,
        '"type":"string_type","loc":["body","comment"]',
    ),
]

CASES = [
    *PATHS,
    *QUERIES,
    *HEADERS,
    *COOKIES,
    *FORMS,
    *MULTIPARTS,
    *BODIES,
    *FLOATS,
    *LIMITED,
    *UNIONS,
    *SHAPES,
    *EVERYWHERE,
    *RESPONSES,
]


@pytest.mark.parametrize("request_", CASES, ids=str)
def test_the_same_answer(pair: Pair, request_: Case) -> None:
    pair.check(request_)


def test_a_stream_that_fails_is_cut_short(pair: Pair) -> None:
    for port in pair.ports:
        with Connection(port) as connection:
            connection.send_request("GET", "/rows/2?broken=true")
            reply = connection.read_head()
            pieces = connection.body(reply)
            assert (reply.status, next(pieces) + next(pieces)) == (200, b"0,0\n1,1\n")
            with pytest.raises(ConnectionError):
                next(pieces)
        assert get(port, "/rows/1").body == b"0,0\n"
    assert "the response stream of native handler `twin.rows` failed: the table is gone" in pair.ours.output
    assert "/rows/{count}" in pair.ours.output


def test_the_table_is_long_enough() -> None:
    assert len(CASES) >= 250


def test_the_twins_are_native(pair: Pair) -> None:
    """No answer of Bimetal above came from Python."""
    for target, status in [("/plain", 200), ("/page?limit=0", 422)]:
        assert ask(pair.ours.port, "GET", target).status == status
    assert "fell back" not in pair.ours.output


@pytest.mark.parametrize(("request_", "native", "fastapi", "says"), DIFFERENT, ids=str)
def test_known_differences(pair: Pair, request_: Case, native: int, fastapi: int, says: str) -> None:
    ours, reference = (
        ask(port, request_.method, request_.target, request_.headers, request_.body) for port in pair.ports
    )
    assert (ours.status, reference.status) == (native, fastapi)
    assert says in ours.text
    assert comparable(ours) != comparable(reference) or ours.body != reference.body
