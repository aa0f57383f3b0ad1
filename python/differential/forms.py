"""Bodies of forms: urlencoded and multipart."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from differential.request import Fields
from differential.targets import Named

FILE_NAMES = [
    b'filename="a.txt"', b'filename=""', b"filename=plain.bin", 'filename="grün.txt"'.encode(), b'filename="gr\xfcn.txt"', b"filename*=UTF-8''gr%C3%BCn.txt",
    b"filename*=UTF-8''x.txt; filename=\"y.txt\"", b'filename="a\\"b.txt"',
    b'filename="C:\\\\dir\\\\f.txt"', b'filename="a%22b.txt"', b'filename="../../etc/passwd"', b'filename="a;b.txt"', b'filename="a\x00b"',
    b"filename*=latin1''%FF", b"filename", b'FILENAME="x"', b'filename="a"; filename="b"', b'filename=" sp ace "',
]  # fmt: skip
CONTENTS = [
    b"", b"x", b"hello", bytes(range(256)), b"\r\n", b"--", b"--edge", b"\r\n--edge", b"\r\n--edg", b"line\nline", b"\x00" * 50, "grün".encode(), b"gr\xfcn",
    b"\xff", b"1", b"true", b"y" * 5000, b"\r\n\r\n", b"-", b"--edge--x",
]  # fmt: skip
_PART_HEADERS = [
    b"", b"", b"", b"", b"Content-Type: text/plain\r\n", b"Content-Type: text/plain; charset=latin-1\r\n",
    b"Content-Type: application/octet-stream\r\nX-Part: 1\r\n", b"content-type:image/png\r\n", b"Content-Type:\r\n", b"X-Part: caf\xe9\r\n",
    b"Content-Transfer-Encoding: base64\r\n", b"Content-Transfer-Encoding: binary\r\n", b"Content-Length: 3\r\n", b"X-Empty: \r\n",
    b"Content-Type: multipart/mixed; boundary=in\r\n", b"Content-Type: a\r\nContent-Type: b\r\n",
]  # fmt: skip
#: Mostly none; what a broken client does to a whole body.
_BREAKS = [
    "", "", "", "", "", "", "", "", "", "", "", "", "cut", "no end", "preamble", "epilogue", "line feeds", "empty", "other edge", "only end", "blank head",
    "no blank line", "junk", "trailing space",
]  # fmt: skip

_PRESENCE = st.sampled_from([0, 1, 1, 1, 1, 1, 1, 2])
_REPEATED = st.sampled_from([0, 1, 1, 2, 2, 3])
_FILE_NAMES = st.sampled_from(FILE_NAMES)
_CONTENTS = st.sampled_from(CONTENTS) | st.binary(max_size=12)
_PART_HEADER = st.sampled_from(_PART_HEADERS)
_AS_FILE = st.integers(0, 7)
_NAMES = st.integers(0, 31)
_BREAK = st.sampled_from(_BREAKS)
_CUT = st.integers(1, 30)
_EDGE = st.sampled_from(
    [b"edge", b"edge", b"edge", b'"edge"', b"edge; charset=utf-8", b"edge;x=y", b"EDGE", b"", b'"ed ge"', b"edge "]
)
_URLENCODED = [
    b"application/x-www-form-urlencoded", b"application/x-www-form-urlencoded", b"application/x-www-form-urlencoded",
    b"application/x-www-form-urlencoded; charset=utf-8", b"application/x-www-form-urlencoded; charset=latin-1",
    b"Application/X-WWW-Form-Urlencoded", b"application/x-www-form-urlencoded;charset=nonsense",
]  # fmt: skip
_URLENCODED_TYPE = st.sampled_from(_URLENCODED)
_TAIL = st.integers(0, 31)
_TAILS = st.sampled_from(
    [
        b"&",
        b"&&",
        b"=",
        b";a=b",
        b"&a",
        b"\r\n",
        b"&\xff=\xfe",
        b"&%=%",
        b"&a=\x00",
        b"\x00",
        b"%00",
        b" ",
        b"&a b=c d",
        b"+",
    ]
)

Body = tuple[Fields, bytes]


@st.composite
def urlencoded(draw: DrawFn, pairs: SearchStrategy[list[str]]) -> Body:
    """Headers and body of an urlencoded form."""
    data = "&".join(draw(pairs)).encode()
    if draw(_TAIL) == 31:
        data += draw(_TAILS)
    return ((b"Content-Type", draw(_URLENCODED_TYPE)),), data


@st.composite
def multipart(draw: DrawFn, fields: Sequence[Named], files: frozenset[str]) -> Body:
    """Headers and body of a multipart form; the fields named in `files` mostly come as files."""
    parts = []
    for field in fields:
        for _ in range(draw(_REPEATED if field.repeated else _PRESENCE)):
            as_file = (draw(_AS_FILE) == 7) != (field.name in files)
            odd = draw(_NAMES)
            name = field.name.encode()
            disposition = b'Content-Disposition: form-data; name="%s"' % name
            if odd == 31:
                disposition = b"Content-Disposition: form-data; name=%s" % name
            elif odd == 30:
                disposition = b'content-disposition:form-data;name="%s"' % name
            elif odd == 29:
                disposition = b"Content-Disposition: form-data"
            elif odd == 28:
                disposition = b'Content-Disposition: attachment; name="%s"' % name
            if as_file:
                disposition += b"; " + draw(_FILE_NAMES)
                content = draw(_CONTENTS)
            else:
                content = draw(field.values).encode("utf-8" if odd != 27 else "latin-1", "replace")
            parts.append(disposition + b"\r\n" + draw(_PART_HEADER) + b"\r\n" + content)
    data = b"".join(b"--edge\r\n" + part + b"\r\n" for part in parts) + b"--edge--\r\n"
    how = draw(_BREAK)
    if how:
        data = _broken(data, how, draw(_CUT))
    edge = draw(_EDGE) if how == "other edge" else b"edge"
    return ((b"Content-Type", b"multipart/form-data; boundary=" + edge),), data


def _broken(data: bytes, how: str, cut: int) -> bytes:
    if how == "cut":
        return data[:-cut]
    if how == "no end":
        return data.removesuffix(b"--edge--\r\n")
    if how == "preamble":
        return b"preamble\r\n" + data
    if how == "epilogue":
        return data + b"epilogue"
    if how == "line feeds":
        return data.replace(b"\r\n", b"\n")
    if how == "empty":
        return b""
    if how == "only end":
        return b"--edge--"
    if how == "blank head":
        return b"--edge\r\n\r\nno head\r\n" + data
    if how == "no blank line":
        return data.replace(b"\r\n\r\n", b"\r\n", 1)
    if how == "junk":
        return data[:cut] + b"\xff\x00" + data[cut:]
    if how == "trailing space":
        return data.replace(b"--edge\r\n", b"--edge \r\n", 1)
    return data
