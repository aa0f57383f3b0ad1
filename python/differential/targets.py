"""Request targets: path and query, encoded in every way a client may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from differential.texts import STRINGS


@dataclass(frozen=True)
class Named:
    """A parameter or field of a request: its name, and strategies for what it holds."""

    name: str
    values: SearchStrategy[str]
    repeated: bool = False


#: Pieces that are put into a target as they are.
PIECES = [
    "%zz", "%", "%2", "%ff", "%C3", "%c3%28", "%00", "%ED%A0%80", "%F4%90%80%80", "%2F", "%2f", "%25", "%252F", "+", "%2B", "..", ".", "%2e%2e", "%2E", "...",
    ";a=b", "a;b", "%3B", "%0a", "%7f", "~", "%7E", "@", ":",
    "%20", "a%20", "%E2%80%A8", "%EF%BB%BF", "$&'()*,;=", "!", "%5C", "|", "^", "`", "{x}", "%uFFFF", "%u00e9", "\u00fc", "\u00ff", "\U0001f980",
]  # fmt: skip
_QUERY_TAILS = [
    "&",
    "&&",
    "?",
    "=",
    "&=",
    "&a",
    "&=x",
    ";",
    "&a;b=c",
    "&%",
    "&a=b=c",
    "&a[]=1",
    "&a.b=1",
    "&%00=1",
    "&\u00fc=\u00e4",
    "&a=1&a=2",
    "&_=1",
    "&+=+",
    "&%20a=1",
    "&a%20=1",
    "#x",
    "&'=\"",
    '&a="',
]

_WAY = st.integers(0, 13)
_PIECES = st.sampled_from(PIECES)
_PIECE = st.integers(0, 15)
_PRESENCE = st.sampled_from([0, 1, 1, 1, 1, 1, 1, 0, 2])
_SPARSE = st.sampled_from([0, 0, 1, 0, 1, 0, 0, 2])
_REPEATED = st.sampled_from([0, 1, 1, 2, 2, 3])
_TAILS = st.sampled_from(["", *_QUERY_TAILS])
_CHANGE = st.integers(0, 40)
_PATH_CHANGE = st.integers(0, 99)
_PLACE = st.integers(0, 40)
_OTHER_NAMES = st.sampled_from(["unknown", "VALUE", "value[]", "q", "page", ""])
_STRINGS = st.sampled_from(STRINGS)
_SEGMENTS = st.sampled_from(["x", "..", ".", "", "%2e%2e", "%2F", "1", "\u00fc", "%00", "x;y"])


def encoded(text: str, way: int, plus: bool = False) -> str:
    """Percent-encoded in one of fourteen ways, the first of them the usual one."""
    data = text.encode()
    if way == 8:
        return quote(data, safe="!$'()*,:@/?")
    if way == 9:
        return "".join(f"%{byte:02X}" for byte in data)
    if way == 10:
        return "".join(f"%{byte:02x}" if not chr(byte).isalnum() or byte > 127 else chr(byte) for byte in data)
    if way == 11:
        return quote(text.encode("latin-1", "replace"), safe="")
    if way == 12:
        # As it is, but for what ends a target or a query's pair.
        return "".join(char if char > " " and char not in "#?&=\x7f%+/" else quote(char, safe="") for char in text)
    usual = quote(data, safe="")
    return usual.replace("%20", "+") if plus and way >= 6 else usual


@st.composite
def paths(draw: DrawFn, template: Sequence[str | SearchStrategy[str]]) -> str:
    """A path made from a template's pieces: text as it stands in the route, or the values of a parameter."""
    path = ""
    for piece in template:
        if isinstance(piece, str):
            path += quote(piece, safe="/!$&'()*+,;=:@")
        elif draw(_PIECE) == 15:
            path += draw(_PIECES)
        else:
            path += encoded(draw(piece), draw(_WAY))
    return path


@st.composite
def changed(draw: DrawFn, paths: SearchStrategy[str]) -> str:
    """The path, or in about one of ten cases something like it."""
    return "/" + draw(_changed(paths)).removeprefix("/")


@st.composite
def _changed(draw: DrawFn, paths: SearchStrategy[str]) -> str:
    path = draw(paths)
    change = draw(_PATH_CHANGE)
    place = draw(_PLACE) if change >= 92 else 0
    if change == 90:
        return path + "/"
    if change == 91:
        return path.rstrip("/") or "/"
    if change == 92:
        return path.replace("/", "//", 1 + place % 2)
    if change == 93 and len(path) > 1:
        at = 1 + place % (len(path) - 1)
        return path if path[at] == "%" or ord(path[at]) > 126 else f"{path[:at]}%{ord(path[at]):02x}{path[at + 1 :]}"
    if change == 94:
        return path.swapcase() if place % 2 else path.upper()
    if change >= 95:
        segments = path.split("/")
        at = 1 + place % len(segments)
        if change == 95:
            return "/".join(segments[: at - 1] + segments[at:]) or "/"
        if change in (96, 97):
            return "/".join([*segments[:at], draw(_SEGMENTS), *segments[at:]])
        if change == 98:
            return path + draw(_PIECES)
    return path


@st.composite
def pairs(draw: DrawFn, names: Sequence[Named]) -> list[str]:
    """`name=value` for the parameters of a query or the fields of a form: present, absent, or several times."""
    presence = _PRESENCE if len(names) < 5 else _SPARSE
    found = []
    for named in names:
        for _ in range(draw(_REPEATED if named.repeated else presence)):
            way = draw(_WAY)
            if way == 13:
                found.append(f"{named.name}={draw(_PIECES)}")
            else:
                found.append(f"{encoded(named.name, 0)}={encoded(draw(named.values), way, plus=True)}")
    odd = draw(_CHANGE)
    if odd == 37 and found:
        found[0] = encoded(found[0].partition("=")[0], 9) + "=" + found[0].partition("=")[2]
    elif odd == 38 and found:
        found[-1] = found[-1].partition("=")[0]
    elif odd == 39:
        found.append(f"{draw(_OTHER_NAMES)}={encoded(draw(_STRINGS), 0)}")
    elif odd == 40:
        found.reverse()
    return found


@st.composite
def queries(draw: DrawFn, names: Sequence[Named], pairs: SearchStrategy[list[str]]) -> str:
    """A query with its question mark; mostly nothing where the operation has no parameters."""
    odd = draw(_CHANGE)
    if not names and odd < 36:
        return ""
    text = "&".join(draw(pairs)) + (draw(_TAILS) if odd >= 36 else "")
    return f"?{text}" if text or odd == 35 else ""


def template(path: str, values: Mapping[str, SearchStrategy[str]]) -> list[str | SearchStrategy[str]]:
    """The pieces of an OpenAPI path."""
    pieces: list[str | SearchStrategy[str]] = []
    while path:
        before, brace, rest = path.partition("{")
        pieces.append(before)
        if not brace:
            break
        name, _, path = rest.partition("}")
        pieces.append(values.get(name, _STRINGS))
    return pieces
