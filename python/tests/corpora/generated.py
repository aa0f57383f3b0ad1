"""Requests made here: what servers are known to disagree about, each form where it can stand.

Those that are answered ask for `/e`, which echoes.
"""

from __future__ import annotations

from collections.abc import Iterator

from corpora import Case, Right

HOST = "Host: x\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"
CTL = [chr(code) for code in (*range(0x20), 0x7F) if chr(code) not in "\t\r\n"]
DELIMITERS = '"(),/;<=>?@[\\]{} \t'


def cases() -> list[Case]:
    made = [
        Case(f"{group}: {name}", raw.encode("latin-1"), right)
        for group, source in SOURCES.items()
        for name, raw, right in source()
    ]
    assert len({case.name for case in made}) == len(made), "names are used twice"
    return made


Made = Iterator[tuple[str, str, Right]]


def get(fields: str = "", line: str = "GET /e HTTP/1.1", host: str = HOST) -> str:
    return f"{line}\r\n{host}{fields}\r\n"


def post(fields: str, body: str, line: str = "POST /e HTTP/1.1") -> str:
    return f"{line}\r\n{HOST}{fields}\r\n{body}"


def lengths() -> Made:
    for value in ("3", " 3", "3 ", "\t3\t", "03", "0000000000000000000003"):
        yield repr(value), post(f"Content-Length:{value}\r\n", "abc"), "answered"
    yield "0", post("Content-Length: 0\r\n", ""), "answered"
    for value in (
        *(
            "",
            "+3",
            "-3",
            "--3",
            "3-",
            "3+",
            "3 3",
            "3 4",
            "3,3",
            "3, 3",
            "3,4",
            ",3",
            "3,",
            "0x3",
            "3.0",
            "3e0",
            "3;",
            '"3"',
            "'3'",
        ),
        *(
            "3\x00",
            "\x003",
            "3\x0b",
            "\x0c3",
            "3\xa0",
            "\xb3",
            "1_0",
            "three",
            "NaN",
            "3:",
            ":3",
            "3\r",
            "#3",
            "%33",
            "3/1",
            "(3)",
        ),
        *("18446744073709551616", "99999999999999999999", "-18446744073709551613", "3" * 400),
    ):
        yield repr(value)[:60], post(f"Content-Length: {value}\r\n", "abc"), "refused"
    for first, second in (
        ("3", "3"),
        ("3", "4"),
        ("4", "3"),
        ("0", "3"),
        ("3", "0"),
        ("3", "03"),
        ("3", ""),
        ("", "3"),
        ("3", "x"),
    ):
        for between in ("", "X-A: 1\r\n"):
            fields = f"Content-Length: {first}\r\n{between}content-length: {second}\r\n"
            yield f"{first!r} and {second!r}{' apart' if between else ''}", post(fields, "abc"), "refused"
    for method in ("GET", "DELETE", "OPTIONS", "PUT", "PATCH"):
        yield f"on {method}", post("Content-Length: 3\r\n", "abc", f"{method} /e HTTP/1.1"), "answered"
    yield "more than comes", post("Content-Length: 4000\r\n", "abc"), "cut"


def codings() -> Made:
    body = "3\r\nabc\r\n0\r\n\r\n"
    right = ("chunked", "Chunked", "CHUNKED", "chunked ", "\tchunked\t")
    for value in right:
        yield repr(value), post(f"Transfer-Encoding: {value}\r\n", body), "answered"
    for value in (
        *(
            "",
            "gzip",
            "identity",
            "deflate",
            "chunked, gzip",
            "gzip, chunked",
            "chunked, chunked",
            "chunked,",
            ",chunked",
            "identity, chunked",
        ),
        *(
            "chunked, identity",
            "xchunked",
            "chunkedx",
            "chunk",
            "chunked;q=1",
            "chunked; a",
            '"chunked"',
            "'chunked'",
            "chu nked",
            "chunked identity",
        ),
        *(
            "chunked\x0b",
            "\x0bchunked",
            "chunked\x00",
            "\x00chunked",
            "chunked\x0c",
            "\xa0chunked",
            "chunked\xa0",
            "chunked\x7f",
            "c\xe9unked",
            "nonsense",
        ),
    ):
        yield repr(value), post(f"Transfer-Encoding: {value}\r\n", body), "refused"
    for value in ("chunked", "CHUNKED", "identity", "gzip", "gzip, chunked", "x", ""):
        for length in ("0", "3", "13", "x"):
            coding, declared = f"Transfer-Encoding: {value}\r\n", f"Content-Length: {length}\r\n"
            yield f"{value!r} before length {length}", post(coding + declared, body), "refused"
            yield f"{value!r} behind length {length}", post(declared + coding, body), "refused"
    for first, second in (
        ("chunked", "chunked"),
        ("chunked", "identity"),
        ("identity", "chunked"),
        ("gzip", "chunked"),
        ("chunked", "x"),
        ("", "chunked"),
    ):
        yield (
            f"{first!r} and {second!r}",
            post(f"Transfer-Encoding: {first}\r\ntransfer-encoding: {second}\r\n", body),
            "refused",
        )
    for name in (
        *(
            " Transfer-Encoding",
            "\tTransfer-Encoding",
            "Transfer-Encoding ",
            "Transfer-Encoding\t",
            "Transfer-Encoding\x00",
            "\x00Transfer-Encoding",
        ),
        *(
            "Transfer-Encoding\x0b",
            "Transfer-Encoding\r",
            "Transfer\x00-Encoding",
            "Transfer Encoding",
            "\rTransfer-Encoding",
            "Transfer-Encoding\xa0",
        ),
    ):
        for declared in ("", "Content-Length: 13\r\n"):
            yield (
                f"name {name!r}{' with length' if declared else ''}",
                post(f"{declared}{name}: chunked\r\n", body),
                "refused",
            )
    yield "folded", post("Transfer-Encoding:\r\n chunked\r\n", body), "refused"
    yield "folded list", post("Transfer-Encoding: chunked\r\n , identity\r\n", body), "refused"
    yield "in HTTP/1.0", post(CHUNKED, body, "POST /e HTTP/1.0"), "refused"
    yield "in HTTP/1.0, kept alive", post(f"Connection: keep-alive\r\n{CHUNKED}", body, "POST /e HTTP/1.0"), "refused"
    for method in ("GET", "DELETE", "OPTIONS", "PUT", "PATCH"):
        yield f"on {method}", post(CHUNKED, body, f"{method} /e HTTP/1.1"), "answered"


def line_ends() -> Made:
    names = ("request line", "Host", "field", "blank line")
    for place, where in enumerate(names):
        for end in ("\n", "\r", "\r\r\n", "\n\r", "\n\r\n", "\r\n\t", "\x85", "\0\r\n"):
            if where == "blank line" and end == "\r\n\t":
                continue
            if where != "blank line" and end == "\n\r\n":
                continue
            ends = ["\r\n"] * 4
            ends[place] = end
            for kind, line, field, body in (("get", "GET", "X-A: 1", ""), ("post", "POST", "Content-Length: 3", "abc")):
                parts = zip((f"{line} /e HTTP/1.1", "Host: x", field, ""), ends, strict=True)
                yield f"{end!r} behind {where} of {kind}", "".join(map("".join, parts)) + body, "refused"
    yield "only LF", "GET /e HTTP/1.1\nHost: x\n\n", "refused"
    for lead, right in (
        ("\r\n", "answered"),
        ("\r\n\r\n", "answered"),
        ("\n", "refused"),
        ("\r", "refused"),
        (" ", "refused"),
        ("\t\r\n", "refused"),
        ("\0", "refused"),
    ):
        yield f"{lead!r} first", lead + get(), right  # type: ignore[misc]


def characters() -> Made:
    for char in CTL:
        yield f"{char!r} in a value", get(f"X-A: a{char}b\r\n"), "refused"
        yield f"{char!r} in a name", get(f"X{char}A: 1\r\n"), "refused"
        yield f"{char!r} in the target", get(line=f"GET /e?{char} HTTP/1.1"), "refused"
        yield f"{char!r} in the method", get(line=f"G{char}T /e HTTP/1.1"), "refused"
    for char in DELIMITERS:
        yield f"{char!r} in a name", get(f"X{char}A: 1\r\n"), "refused"
        yield f"{char!r} behind a name", get(f"XA{char}: 1\r\n"), "refused"
        if char != " ":
            yield f"{char!r} in the method", get(line=f"G{char}T /e HTTP/1.1"), "refused"
    for char in ("\x80", "\xe9", "\xff"):
        yield f"{char!r} in a value", get(f"X-A: a{char}b\r\n"), "answered"
        yield f"{char!r} in a name", get(f"X{char}A: 1\r\n"), "refused"
        yield f"{char!r} in the method", get(line=f"G{char}T /e HTTP/1.1"), "refused"
    for field in (": 1", "X-A", "X-A 1", "=", "\t", " ", "X-A: 1\r\n  2", "X-A: 1\r\n\t2", "X-A:\r\n 1"):
        yield f"field {field!r}", get(f"{field}\r\n"), "refused"
    for field in ("X-A:", "X-A:1", "X-A: \t 1 \t", "x-a: :", "X_A: 1", "!#$%&'*+-.^_`|~: 1", "X-A: a\tb", "1: 2"):
        yield f"field {field!r}", get(f"{field}\r\n"), "answered"


def lines() -> Made:
    for version in (
        *(
            "HTTP/1.2",
            "HTTP/0.9",
            "HTTP/2.0",
            "HTTP/2",
            "HTTP/3",
            "HTTP/9.9",
            "HTTP/1",
            "HTTP/1.",
            "HTTP/.1",
            "HTTP/1.10",
            "HTTP/01.1",
            "HTTP/11",
        ),
        *(
            "HTTP/-1.1",
            "http/1.1",
            "Http/1.1",
            "HTTP 1.1",
            "HTTP/1.1 ",
            "HTTP/1.1\t",
            "HTTP/1,1",
            "XTTP/1.1",
            "HTTPS/1.1",
            "",
            "HTTP/1.1x",
            "1.1",
            "ICY/1.1",
        ),
        *("HTTP/1.1 HTTP/1.1", "RTSP/1.0", "HTTP/\xb9.1", "HTTP//1.1", "HTTP/1.1\x00", "HTTP/1.\x001", "/HTTP/1.1"),
    ):
        yield f"version {version!r}", get(line=f"GET /e {version}"), "refused"
    for line in (
        *(
            "GET",
            "GET /e",
            "GET  /e HTTP/1.1",
            " GET /e HTTP/1.1",
            "\tGET /e HTTP/1.1",
            "GET\t/e\tHTTP/1.1",
            "GET /e  HTTP/1.1",
            "GET/e HTTP/1.1",
        ),
        *(
            "GET /e HTTP/1.1 x",
            "GET /e e HTTP/1.1",
            "GET\x0b/e HTTP/1.1",
            "GET \t/e HTTP/1.1",
            "/e HTTP/1.1",
            "HTTP/1.1 200 OK",
            "GET HTTP/1.1",
            "get",
        ),
        *("PRI * HTTP/2.0", "\x16\x03\x01\x02", ":", "GET /e\rHTTP/1.1", "GET\r/e HTTP/1.1"),
    ):
        yield f"line {line!r}", get(line=line), "refused"
    for target in ("/e", "/e?", "/e?x=/../y", "http://x/e", "HTTP://x:80/e?x", "https://x/e", "/e?%00", "/e?x=?&y=%zz"):
        yield f"target {target!r}", get(line=f"GET {target} HTTP/1.1"), "answered"
    for target in (
        "e",
        "x:80",
        "*",
        "http:/e",
        "http:e",
        "http:///e",
        "http://",
        "://x/e",
        "\\e",
        "?x",
        "#",
        "%2fe",
        "javascript:e",
        "1http://x/e",
        "http//x/e",
    ):
        yield f"target {target!r}", get(line=f"GET {target} HTTP/1.1"), "refused"
    for method in ("BREW", "get", "M-SEARCH", "!", "A" * 40):
        yield f"method {method}", get(line=f"{method} /nowhere HTTP/1.1"), "answered"
    for method in ("CONNECT x:80", "CONNECT /e", "CONNECT x"):
        yield method, get(line=f"{method} HTTP/1.1"), "once"
    yield "CONNECT with a body", post("Content-Length: 3\r\n", "abc", "CONNECT x:80 HTTP/1.1"), "once"
    yield "OPTIONS *", get(line="OPTIONS * HTTP/1.1"), "answered"


def hosts() -> Made:
    for host in ("x", "x:80", "", " x ", "[::1]", "[::1]:80", "x.y-z_1", "127.0.0.1", "xn--bcher-kva", "%41"):
        yield repr(host), get(host=f"Host: {host}\r\n"), "answered"
    for host in (
        *(
            "x y",
            "x/y",
            "x@y",
            "x:y",
            "x:80:80",
            "x:-1",
            "x?y",
            "x#y",
            "x\\y",
            "[::1",
            "::1",
            "[]",
            "[::1]x",
            "http://x/",
            '"x"',
            "<x>",
            "x|y",
            "x^y",
        ),
        *("\xe9", "x\xff", "x\ty", "x\x00", "x\x7f", "{x}", "x`"),
    ):
        yield repr(host), get(host=f"Host: {host}\r\n"), "refused"
    yield "none", get(host=""), "refused"
    yield "none in HTTP/1.0", get(line="GET /e HTTP/1.0", host=""), "last"
    for first, second in (("x", "x"), ("x", "y"), ("x", ""), ("", "x")):
        yield f"{first!r} and {second!r}", get(host=f"Host: {first}\r\nhost: {second}\r\n"), "refused"
    yield "two in HTTP/1.0", get(line="GET /e HTTP/1.0", host="Host: x\r\nHost: y\r\n"), "refused"
    yield "folded", get(host="Host: x\r\n y\r\n"), "refused"


def chunks() -> Made:
    def case(body: str) -> str:
        return post(CHUNKED, body)

    for size in ("3", "03", "0003", "0000000000000003"):
        yield f"size {size!r}", case(f"{size}\r\nabc\r\n0\r\n\r\n"), "answered"
    for size in ("a", "A", "0a", "0A"):
        yield f"size {size!r}", case(f"{size}\r\n0123456789\r\n00\r\n\r\n"), "answered"
    wrong = (
        *(
            "",
            " ",
            "x",
            "g",
            "-3",
            "+3",
            "0x3",
            "3h",
            " 3",
            "3 ",
            "\t3",
            "3\t",
            "3 3",
            "3.0",
            "3,",
            "3:",
            "3=",
            "3\x00",
            "\x003",
            "3\x0b",
            "3\xa0",
            "\xb3",
            "3_",
        ),
        *(
            "00000000000000003",
            "fffffffffffffffff",
            "10000000000000003",
            "ffffffffffffffff3",
            "f" * 40,
            "3" * 40,
            "1_0",
            '"3"',
            "#3",
            "3//",
        ),
    )
    for size in wrong:
        yield f"size {size!r}", case(f"{size}\r\nabc\r\n0\r\n\r\n"), "refused"
        yield f"second size {size!r}", case(f"1\r\na\r\n{size}\r\nabc\r\n0\r\n\r\n"), "refused"
    for last in ("0 ", " 0", "-0", "+0", "0x0", "0x", "00000000000000000", "o", "0\x00", "0.0"):
        yield f"last size {last!r}", case(f"3\r\nabc\r\n{last}\r\n\r\n"), "refused"
    for end in ("\n", "\r", "\r\r\n", "\n\r", "\0\r\n"):
        yield f"{end!r} behind a size", case(f"3{end}abc\r\n0\r\n\r\n"), "refused"
        yield f"{end!r} behind a chunk", case(f"3\r\nabc{end}0\r\n\r\n"), "refused"
        yield f"{end!r} behind the last size", case(f"3\r\nabc\r\n0{end}\r\n"), "refused"
        yield f"{end!r} at the end", case(f"3\r\nabc\r\n0\r\n{end}"), "refused"
    for size, data in (("2", "abc"), ("4", "abc"), ("3", "ab"), ("3", "abcd"), ("1", "abc")):
        yield f"size {size} of {data}", case(f"{size}\r\n{data}\r\n0\r\n\r\n"), "refused"
    for extension in (";a", ";a=b", ';a="b c"', ";a;b=c", " ;a", "\t; a = b", ";", ';a="\\""', ";a=b;c=d;e=f"):
        yield f"extension {extension!r}", case(f"3{extension}\r\nabc\r\n0{extension}\r\n\r\n"), "answered"
    for extension in (
        ";\xe9",
        ";\n",
        ";a\nb",
        ";a\r",
        ";a\rb",
        ";a\x00",
        ';a="\n"',
        ";a\x0b",
        ";\x7f",
        " a",
        "=b",
        ",a",
        ";" + "a" * 20_000,
        " " * 20_000 + ";",
    ):
        yield f"extension {extension[:20]!r}", case(f"3{extension}\r\nabc\r\n0\r\n\r\n"), "refused"
        yield f"last extension {extension[:20]!r}", case(f"3\r\nabc\r\n0{extension}\r\n\r\n"), "refused"
    for trailer in ("X-A: 1", "X-A:", "X-A: 1\r\nX-B: 2", "Hosts: y", "Connection: close", "X-A: \xe9"):
        yield f"trailer {trailer!r}", case(f"3\r\nabc\r\n0\r\n{trailer}\r\n\r\n"), "answered"
    for trailer in (
        *("Content-Length: 5", "Transfer-Encoding: gzip", "X-A: 1\r\nhost: y"),
        *(
            "X-A",
            "X-A 1",
            ": 1",
            "X-A : 1",
            " X-A: 1",
            "X-A: 1\r\n 2",
            "X-A: 1\nX-B: 2",
            "X-A: 1\n",
            "X-A: \x00",
            "X\x00A: 1",
            "X-A: 1\rX-B: 2",
            "X-A: 1\r",
        ),
        *(
            "GET /e HTTP/1.1",
            "X-A: 1\n\nGET /smuggled HTTP/1.1",
            "X-A: " + "a" * 20_000,
            "X-A: 1\r\n" * 5000,
            "{: 1",
            "\x80: 1",
            "\n",
        ),
    ):
        yield f"trailer {trailer[:30]!r}", case(f"3\r\nabc\r\n0\r\n{trailer}\r\n\r\n"), "refused"
    yield "without an end", case("1000000\r\nabc"), "cut"


def connections() -> Made:
    yield "close", get("Connection: close\r\n"), "last"
    yield "close among others", get("Connection: x, Close , y\r\n"), "last"
    yield "keep-alive", get("Connection: keep-alive\r\n"), "answered"
    yield "HTTP/1.0", get(line="GET /e HTTP/1.0"), "last"
    yield "HTTP/1.0 kept alive", get("Connection: keep-alive\r\n", line="GET /e HTTP/1.0"), "answered"
    yield "close with a body", post("Connection: close\r\nContent-Length: 3\r\n", "abc"), "last"
    yield "close with chunks", post(f"Connection: close\r\n{CHUNKED}", "0\r\n\r\n"), "last"
    yield "length named as an option", post("Connection: content-length\r\nContent-Length: 3\r\n", "abc"), "answered"
    yield "coding named as an option", post(f"Connection: transfer-encoding\r\n{CHUNKED}", "0\r\n\r\n"), "answered"
    yield "expectation", post("Expect: 100-continue\r\nContent-Length: 3\r\n", "abc"), "answered"
    yield "expectation with chunks", post(f"Expect: 100-continue\r\n{CHUNKED}", "1\r\na\r\n0\r\n\r\n"), "answered"
    yield "expectation without a body", get("Expect: 100-continue\r\n"), "answered"
    for method in ("GET", "POST", "PUT"):
        for protocol in ("websocket", "WebSocket", "h2c", "TLS/1.0", "x"):
            upgrade = f"Connection: upgrade\r\nUpgrade: {protocol}\r\n"
            for framing, body in (
                ("Content-Length: 3\r\n", "abc"),
                ("Content-Length: 0\r\n", ""),
                (CHUNKED, "3\r\nabc\r\n0\r\n\r\n"),
                ("", ""),
            ):
                name = f"{method} to {protocol} {framing.strip() or 'without a body'}"
                yield name, post(upgrade + framing, body, f"{method} /e HTTP/1.1"), "once"
    for framing, body in (("Content-Length: 3\r\n", "abc"), (CHUNKED, "3\r\nabc\r\n0\r\n\r\n")):
        yield f"Upgrade alone {framing.strip()}", post(f"Upgrade: h2c\r\n{framing}", body), "answered"
        right: Right = "answered" if framing == CHUNKED else "once"
        yield f"Upgrade to websocket alone {framing.strip()}", post(f"Upgrade: websocket\r\n{framing}", body), right


def sizes() -> Made:
    yield "line", get(line=f"GET /e?{'a' * 9000} HTTP/1.1"), "refused"
    yield "line without an end", "GET /" + "a" * 100_000, "refused"
    yield "field", get(f"X-A: {'a' * 40_000}\r\n"), "refused"
    yield "name", get(f"{'a' * 40_000}: 1\r\n"), "refused"
    yield "fields", get("X-A: 1\r\n" * 100), "refused"
    yield "fields without an end", "GET /e HTTP/1.1\r\n" + "X-A: 1\r\n" * 20_000, "refused"
    yield "blank lines", "\r\n" * 20_000 + get(), "refused"
    yield "declared body", post("Content-Length: 9223372036854775807\r\n", "abc"), "refused"


SOURCES = {
    "length": lengths,
    "coding": codings,
    "line end": line_ends,
    "character": characters,
    "line": lines,
    "host": hosts,
    "chunks": chunks,
    "connection": connections,
    "size": sizes,
}
