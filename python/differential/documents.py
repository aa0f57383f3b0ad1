"""JSON documents as bytes: fitting a schema or not, written in every way JSON can be written, and some it cannot."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from differential.texts import DECIMALS, STRINGS, Schema, choices, mostly, neat_texts, resolved, texts, weighted

#: Literals as they are written, valid JSON for Python or not.
LITERALS = [
    "null", "true", "false", "0", "-0", "1", "-1", "0.0", "-0.0", "1.0", "1.5", "1e5", "1E+2", "1e16", "1e-5", "1e-7", "1e22", "1e400", "-1e400", "5e-324",
    "0.1", "1e1",
    "3.141592653589793238462643", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "18446744073709551615",
    "18446744073709551616", "123456789012345678901234567890", "-" + "9" * 40, "9" * 4300, "9" * 4301, "1." + "0" * 20, "0." + "9" * 25, "1234567890123456789.5",
    "NaN", "Infinity",
    "-Infinity", "[NaN]", '{"a":Infinity}', '""', '"x"', '"\\u00fc"', '"ü"', '"\\ud83e\\udd80"', '"\U0001f980"', '"\\ud800"', '"\\udc00"', '"\\udc00\\ud800"',
    '"\\ud800\\u0041"', '"\\uD83E"',
    '"\\ud83e\\ud83e\\udd80"', '"\\u0000"', '"\\/\\b\\f\\n\\r\\t\\"\\\\"', '"\u2028\u2029"', '"\x7f"', '"\\u2028"', "[]", "{}", "[[]]", "[null]",
    '{"a":1,"a":2}', '{"b":1,"a":2}', '{"":0}',
    '{"_sa_x":1}', '{"\\u0061":1,"a":2}', '{"a":{"a":{"a":[1,{"b":[]}]}}}', "[1,2,3]", "[1e1, 1E1, 10]", "[true,false,null]", '["a","b"]', '{"\\ud800":1}',
    '{"kind":"cat"}', '{"kind":"dog","name":"x"}', '{"kind":"cow"}', '{"x":1}', '{"x":"1","y":null}', '"2026-01-02T03:04:05Z"', '{"1":1,"01":2}',
]  # fmt: skip
#: Documents that are not JSON.
BROKEN = [
    "", " ", "\n", "[1,2,", "[1,]", "[,1]", '{"a":1,}', '{"a"}', "{a:1}", "{'a':1}", "nan", "-NaN", "+1", "01", "-01", "1.", ".5", "-", "1e", "0x1", "1 2",
    "[1] x", "// c\n1", "/**/1", '"\\x"', '"\\u12"', '"\x01"',
    '"\n"', '"\t"', '"', "tru", "nul", "True", "None", "undefined", "]", "}", "[1}", '{"a":1]', '{"a" 1}', '{1:1}', "{null:1}", "[1 2]", "\u00a01", "\x001",
    "1\x00", '{"a":1}\x00', "\x0c1", "[\u2028]", "Inf", "infinity",
]  # fmt: skip
#: How deep `[[...]]` is. Around the interpreter's recursion limit the outcome hangs on how deep the server's own stack is.
DEPTHS = [2, 5, 20, 64, 100, 127, 128, 129, 130, 5_000, 100_000]

_LITERALS = st.sampled_from(LITERALS)
_BROKEN = st.sampled_from(BROKEN)
_DEEP = st.tuples(st.sampled_from(DEPTHS), st.booleans()).map(
    lambda drawn: '{"a":' * drawn[0] + "1" + "}" * drawn[0] if drawn[1] else "[" * drawn[0] + "]" * drawn[0]
)
_STRINGS = st.sampled_from(
    [json.dumps(text) for text in STRINGS] + [json.dumps(t, ensure_ascii=False) for t in STRINGS]
)
_NUMBERS = st.integers(-3, 12).map(str) | st.integers().map(str) | st.floats().map(json.dumps)
_SPACES = st.sampled_from(["", " ", "", "\n", "\t \r\n", ""])
_ORDER = st.integers(0, 11)
_PRESENCE = st.sampled_from(["absent", "once", "once", "once", "absent", "twice", "null", "odd"])
_KEYS = st.sampled_from(["unknown", "", "a", "__proto__", "NAME", "name ", "_sa", "0"]).map(json.dumps)
_EXTRA = st.integers(0, 15)
_LENGTH = st.integers(0, 3)
_CUT = st.integers(1, 12)
_PLACE = st.integers(0, 60)
_JUNK = st.sampled_from(
    [
        b"\xff",
        b"\xc3\x28",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\x00",
        b"\xc0\x80",
        b"\xe2\x82",
        b"\x80",
        b"\x1f",
        b"\xa0",
    ]
)
_TREATMENT = st.integers(0, 5)
_NEAT_PRESENCE = st.sampled_from(["absent", "once", "once"])
_NO_EXTRA = st.just(0)
#: Values by type: well-formed, and any.
_SIMPLE = {
    "string": st.text("abcdefgh", min_size=1, max_size=6).map(json.dumps) | _STRINGS,
    "integer": st.integers(-1, 9).map(str) | st.integers(-(10**6), 10**20).map(str),
    "number": st.integers(-1, 9).map(str)
    | st.floats(-1e9, 1e20).map(json.dumps)
    | st.floats(allow_nan=False, allow_infinity=False).map(json.dumps),
    "boolean": st.sampled_from(["true", "false"]),
    "null": st.just("null"),
}
_ODDER = {
    "string": _STRINGS,
    "integer": _NUMBERS,
    "number": _NUMBERS | st.sampled_from([json.dumps(text) for text in DECIMALS]),
    "boolean": st.sampled_from(["true", "false", "1", '"true"', "0.0", '"off"']),
    "null": st.just("null"),
}
_ANYTHING = weighted((2, _LITERALS), (1, _STRINGS), (1, _NUMBERS))


def documents(schema: Schema, definitions: Mapping[str, Schema]) -> SearchStrategy[bytes]:
    """Bodies for a value of this schema."""
    neat, fitting = _Writer(definitions, neat=True).value(schema), _Writer(definitions, neat=False).value(schema)
    odd = weighted((4, fitting), (2, _anything()), (3, _LITERALS), (1, _DEEP), (1, _BROKEN))
    return weighted((9, neat), (1, _treated(neat)), (1, _treated(odd)), (6, odd)).map(_utf8)


def _utf8(document: str | bytes) -> bytes:
    return document if isinstance(document, bytes) else document.encode("utf-8", "surrogatepass")


@st.composite
def _treated(draw: DrawFn, document: SearchStrategy[str]) -> bytes:
    """What a strange or a broken client makes of the document."""
    text = draw(document)
    treatment = draw(_TREATMENT)
    data = text.encode("utf-8", "surrogatepass")
    if treatment == 0:
        return draw(_SPACES).encode() + data + draw(_SPACES).encode()
    if treatment == 1:
        return data[: -draw(_CUT)]
    if treatment == 2:
        return b"\xef\xbb\xbf" + data
    if treatment == 3:
        return text.encode(draw(_ENCODINGS), "surrogatepass")
    place = draw(_PLACE) % (len(data) + 1)
    if treatment == 4:
        return data[:place] + draw(_JUNK) + data[place:]
    return data[:place] + data[place + 1 :]


_ENCODINGS = st.sampled_from(["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])


@st.composite
def _anything(draw: DrawFn) -> str:
    """Arrays and objects of whatever there is."""
    kind = draw(_ORDER)
    if kind < 4:
        return str(draw(_ANYTHING))
    space = draw(_SPACES)
    values = [draw(_ANYTHING) for _ in range(draw(_LENGTH))]
    if kind < 7:
        return "[" + f",{space}".join(values) + "]"
    return "{" + ",".join(f"{draw(_KEYS)}{space}:{value}" for value in values) + "}"


@dataclass(frozen=True)
class _Writer:
    """Makes strategies for values of a schema in the form of JSON text."""

    definitions: Mapping[str, Schema]
    #: Well-formed values of the right type only; else one in eight is anything.
    neat: bool

    def value(self, schema: Schema, depth: int = 0) -> SearchStrategy[str]:
        fitting = self._fitting(resolved(schema, self.definitions), depth)
        return fitting if self.neat else mostly(fitting, _LITERALS)

    def _fitting(self, schema: Schema, depth: int) -> SearchStrategy[str]:
        if "enum" in schema or "const" in schema:
            return st.sampled_from([json.dumps(value) for value in choices(schema)])
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return st.one_of(*(self.value(one, depth) for one in schema[key]))
        kind = schema.get("type")
        if kind == "string" and ("format" in schema or "pattern" in schema):
            return (neat_texts if self.neat else texts)(schema, self.definitions).map(json.dumps)
        if kind in _SIMPLE:
            return _SIMPLE[kind] if self.neat else _ODDER[kind]
        if depth > 3:
            return _LITERALS
        if kind == "array":
            if "prefixItems" in schema:
                return _tuple([self.value(one, depth + 1) for one in schema["prefixItems"]])
            return _array(self.value(schema.get("items") or {}, depth + 1))
        if kind == "object" and "properties" in schema:
            fields = {json.dumps(name): self.value(one, depth + 1) for name, one in schema["properties"].items()}
            required = frozenset(json.dumps(name) for name in schema.get("required", ()))
            return _object(
                fields, required, _NEAT_PRESENCE if self.neat else _PRESENCE, _NO_EXTRA if self.neat else _EXTRA
            )
        if kind == "object":
            extra = schema.get("additionalProperties")
            return _dictionary(self.value(extra if isinstance(extra, dict) else {}, depth + 1))
        return _anything()


@st.composite
def _array(draw: DrawFn, item: SearchStrategy[str]) -> str:
    space = draw(_SPACES)
    return f"[{space}" + f",{space}".join([draw(item) for _ in range(draw(_LENGTH))]) + "]"


@st.composite
def _tuple(draw: DrawFn, items: list[SearchStrategy[str]]) -> str:
    return "[" + ",".join([draw(item) for item in items]) + "]"


@st.composite
def _dictionary(draw: DrawFn, value: SearchStrategy[str]) -> str:
    pairs = [f"{draw(_DICTIONARY_KEYS)}:{draw(value)}" for _ in range(draw(_LENGTH))]
    return "{" + ",".join(pairs) + "}"


_DICTIONARY_KEYS = _KEYS | st.sampled_from(['"1"', '"2"', '"-3"', '"b"', '"\\u0062"', '"01"', '"\\ud800"', '"x y"'])


@st.composite
def _object(
    draw: DrawFn,
    fields: dict[str, SearchStrategy[str]],
    required: frozenset[str],
    presences: SearchStrategy[str],
    extras: SearchStrategy[int],
) -> str:
    space, pairs = draw(_SPACES), []
    for name, value in fields.items():
        presence = draw(presences)
        if presence == "absent" and name in required:
            presence = "once"
        if presence in ("once", "twice"):
            pairs.append(f"{name}{space}:{draw(value)}")
        if presence == "twice":
            pairs.append(f"{name}:{draw(value)}")
        elif presence == "null":
            pairs.append(f"{name}:null")
        elif presence == "odd":
            pairs.append(f"{name}:{draw(_ANYTHING)}")
    extra = draw(extras)
    if extra == 15:
        pairs.append(f"{draw(_KEYS)}:{draw(_ANYTHING)}")
    elif extra == 14 and pairs:
        pairs.pop(0)
    elif extra == 13:
        pairs.reverse()
    return "{" + f",{space}".join(pairs) + "}"
