"""Header fields and cookies."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from differential.request import Fields
from differential.targets import Named

Field = tuple[bytes, bytes]

AUTHORIZATIONS = [
    "Bearer abc", "bearer me items", "Bearer me", "Bearer", "Bearer ", "BEARER me  items", "Basic YTpi", "basic YTpi", "Basic YTpiOmM=", "Basic Og==",
    "Basic YQ==", "Basic !!!", "Basic", "Basic  YTpi",
    "Basic w7w6w7w=", "Basic /zr/", "Basic YTpi=", "Basic YTpi\xff", "Digest username=a", "Token x", "", " ", "Bearer\tme", "Bearer \xfc", "Bearer,me",
    "Basic YTpi, Bearer x",
]  # fmt: skip
#: Fields any client may send with any request.
COMMON: list[Field] = [
    (b"Accept", b"*/*"), (b"Accept", b"application/json, text/html;q=0.9"), (b"User-Agent", b"test/1"), (b"User-Agent", b""), (b"Referer",
    b"http://a.example/\xfc"), (b"X-Empty", b""), (b"X-Latin", b"caf\xe9"),
    (b"X-UTF-8", "grün".encode()), (b"X-Spaces", b" \t padded \t "), (b"X-Token", b"from noise"), (b"X_Under", b"1"), (b"x-lower", b"1"), (b"X-A", b"1, 2"),
    (b"X-Long", b"v" * 3000), (b"Content-Type", b"application/json"),
    (b"Range", b"bytes=0-3"), (b"If-None-Match", b"*"), (b"If-Modified-Since", b"Thu, 01 Jan 2026 00:00:00 GMT"), (b"Accept-Encoding", b"gzip, deflate"),
    (b"Accept-Encoding", b"identity"), (b"Content-Encoding", b"gzip"),
    (b"Origin", b"https://a.example"), (b"Origin", b"null"), (b"Cookie", b"session=noise; other=1"), (b"Cookie", b""), (b"Connection", b"keep-alive"),
    (b"Connection", b"close"), (b"Connection", b"X-Token"), (b"TE", b"trailers"),
    (b"X-Forwarded-For", b"10.1.2.3"), (b"X-Forwarded-Proto", b"https"), (b"X-Forwarded-Host", b"b.example"), (b"Forwarded", b"for=10.1.2.3;proto=https"),
    (b"Host", b"a.example:8080"), (b"Host", b"TESTSERVER"), (b"Host", b"evil.example"),
    (b"X-HTTP-Method-Override", b"DELETE"), (b"Expect", b"100-continue"), (b"Upgrade", b"h2c"), (b"Transfer-Coding", b"chunked"), (b"Proxy-Connection",
    b"keep-alive"), (b"!#$%&'*+-.^_`|~1", b"odd name"), (b"X-Key", b"open"),
    (b"Pragma", b"no-cache"), (b"Date", b"Thu, 01 Jan 2026 00:00:00 GMT"), (b"Server", b"mine"), (b"traceparent",
    b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), (b"Content-Language", b"de"),
]  # fmt: skip

_COMMON = st.sampled_from(COMMON)
_HOW_MANY = st.sampled_from([0, 0, 0, 0, 1, 0, 0, 2, 1, 0, 4])
_PRESENCE = st.sampled_from([0, 1, 1, 1, 1, 0, 2])
_WAY = st.integers(0, 9)
_COOKIE_WAY = st.integers(0, 19)
_ODD_COOKIES = st.sampled_from([
    b"", b";", b" ", b"lonely", b"=x", b"=", b"a=b=c", b"a", b"$Version=1", b'q="', b'q="a', b'q=a"', b'q="a;b"', b'q="\\073"', b"a b=c", b"s\xe9=1", b"a=\xff",
    b"a=,b=2", b"session", b"session =x", b" session= x ", b"SESSION=x",
    b"session=", b"__Host-a=1", b"a[]=1", b"a=1;;b=2", b"path=/; domain=x; secure", b"\ttab=1", b"session=a%20b", b"session=a+b", b"count=7,8",
    b'session="x"; session="y"',
])  # fmt: skip


def value_bytes(text: str, way: int = 0) -> bytes:
    """The text as a field value: no control characters, in Latin-1 where it can be, else in UTF-8."""
    text = "".join(char for char in text if char >= " " and char != "\x7f")
    try:
        data = text.encode("utf-8" if way == 9 else "latin-1")
    except UnicodeEncodeError:
        data = text.encode()
    return data if way == 8 else data.strip(b" \t")


@st.composite
def headers(
    draw: DrawFn, names: Sequence[Named], cookies: SearchStrategy[Fields] | None, own: SearchStrategy[Field] | None
) -> Fields:
    """The operation's own parameters among fields of any client; `own` are fields that matter to the application."""
    found: list[Field] = []
    for named in names:
        for _ in range(draw(_PRESENCE)):
            way = draw(_WAY)
            name = named.name.upper() if way == 6 else named.name.title() if way == 7 else named.name
            found.append((name.encode(), value_bytes(draw(named.values), way)))
    if cookies is not None:
        found += draw(cookies)
    if own is not None:
        found += [draw(own) for _ in range(draw(_PRESENCE))]
    for _ in range(draw(_HOW_MANY)):
        field = draw(_COMMON)
        if field[0] != b"Host" or all(name != b"Host" for name, _ in found):
            found.append(field)
    return tuple(found)


@st.composite
def cookie_fields(draw: DrawFn, names: Sequence[Named]) -> Fields:
    """`Cookie` fields that hold these cookies, none of them, or something else."""
    found: list[list[bytes]] = [[]]
    for named in names:
        for _ in range(draw(_PRESENCE)):
            way = draw(_COOKIE_WAY)
            value = value_bytes(draw(named.values))
            if way < 16:
                value = value.replace(b";", b"")
            if way in (10, 11):
                value = b'"' + value + b'"'
            elif way == 12:
                value = b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
            elif way == 13:
                value = b'"' + b"".join(b"\\%03o" % byte for byte in value) + b'"'
            found[-1].append(named.name.encode() + b"=" + value)
            if way == 18:
                found[-1].append(draw(_ODD_COOKIES))
            elif way == 19:
                found.append([])
    way = draw(_COOKIE_WAY)
    separator = b";" if way == 18 else b" ; " if way == 17 else b", " if way == 16 else b"; "
    return tuple((b"Cookie", separator.join(pairs)) for pairs in found if pairs or way == 19)
