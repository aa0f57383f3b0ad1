"""Texts for parameters, form fields and strings in JSON: mostly what the schema asks for, sometimes anything else.

Strategies are made once, here and for each operation: hypothesis takes longer to make one than to draw from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

Schema = Mapping[str, Any]

INTEGERS = [
    "0", "1", "-1", "-0", "+1", "007", "1_000", "1.0", "1.5", "1e3", " 1", "1 ", "\u0663", "0x1f", "", "-", "--1", "1__0", "_1", "9" * 18, "9" * 19,
    "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "9" * 60, "9" * 4301, "1.", ".0", "1.0000000000000000001",
    "\uff11", "NaN", "true", "1\u00a0", "\t1", "1\n", "0" * 20 + "1", "+ 1", "-00", "0.0", "1,000",
]  # fmt: skip
FLOATS = [
    "0", "-0", "-0.0", "0.1", "1.5", ".5", "5.", "1e5", "1E5", "1e-7", "1e400", "-1e400", "inf", "-inf", "Infinity", "nan", "NaN", "-nan", "+1.5", "1_0.5",
    " 1.5",
    "1.7976931348623157e308", "5e-324", "1e-400", "123456789012345678901234567890.5", "0.1" + "0" * 30, "3.141592653589793238462643383279", "1.5.2", "0x1p3",
    "1e", "e1", "00.5", "", "1,5", "\u0661.\u0665", "9007199254740993", "1" * 41,
]  # fmt: skip
BOOLEANS = [
    "true", "false", "True", "False", "TRUE", "FALSE", "1", "0", "on", "off", "On", "yes", "no", "y", "n", "t", "f", "Y", "T", "", " true", "true ", "2",
    "tRuE", "null", "01",
]  # fmt: skip
MOMENTS = [
    "2026-01-02T03:04:05", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678901+02:00", "2026-01-02 03:04", "2026-01-02", "1700000000", "1700000000.5",
    "-1", "2026-02-30T00:00:00", "2026-01-02T25:00", "1700000000000", "2026-01-02T03:04:05.1234567", "2026-01-02t03:04:05z", "0", "1e10", "now", "",
]  # fmt: skip
DATES = [
    "2026-01-02",
    "2026-1-2",
    "2026-02-29",
    "2024-02-29",
    "20260102",
    "2026-01-02T00:00:00",
    "2026-01-02T00:00:01",
    "1700006400",
    "0",
    "9999-12-31",
    "",
]
TIMES = ["03:04", "03:04:05", "03:04:05.5", "03:04:05Z", "03:04:05+01:00", "24:00", "3:4", "3600", ""]
SPANS = ["P1D", "PT1.5S", "P1DT2H", "1 days, 02:03:04", "00:00:01", "90.5", "-P1D", "P", "PT1H30M", "1e3", "-1", ""]
UUIDS = [
    "6e8bc430-9c3a-11d9-9669-0800200c9a66", "6E8BC430-9C3A-11D9-9669-0800200C9A66", "6e8bc4309c3a11d996690800200c9a66",
    "{6e8bc430-9c3a-11d9-9669-0800200c9a66}",
    "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66", "6e8bc430-9c3a-11d9-9669-0800200c9a6", "00000000-0000-0000-0000-000000000000", "1", "",
]  # fmt: skip
DECIMALS = [
    "1.10",
    "1",
    "-0.0",
    "1E+2",
    "1e-10",
    "NaN",
    "Infinity",
    "sNaN",
    " 1.5 ",
    "1_0",
    "0" * 10 + ".1",
    "1" * 30,
    ".5",
    "x",
    "",
]
STRINGS = [
    "", "x", "abc", "red", "a b", " padded ", "a+b", "a%20b", "ü", "grün", "e\u0301", "\u00e9", "\U0001f980", "\u4e2d\u6587", "\u200b", "\ufeff", "\ufffd",
    "\x00", "a\x00b",
    "\x1f", "\x7f", "\x85", "\u2028", "\t", "\n", "a\r\nb", "a,b", "a;b", "a=b", "a&b", "a/b", "..", ".", "a?b", "a#b", "'q'", '"q"', "\\", "a\\b", "[1]",
    '{"a":1}', "null", "None", "NaN",
    "<b>", "%", "%zz", "undefined", "x" * 60, "A" * 300, "me", "root", "_sa", "İ", "ß", "\u0000\ud7ff", "\U0010ffff",
]  # fmt: skip

ODD = st.sampled_from([*INTEGERS, *FLOATS, *BOOLEANS, *STRINGS])
_ALPHABET = (
    "abcxyzABC019 _-.+%&=;,/?#\"'\\[]{}()<>@:!$*~^|`\t\n\x00\x7f\u00e4\u00ff\u0100\u03b1\u2028\ufffd\ufffe\U0001f980"
)
_WORDS = st.text("abcdefgh", min_size=1, max_size=6)
_TEXT = st.text(_ALPHABET, max_size=8)
_STRINGS = st.sampled_from(STRINGS) | _TEXT
_SMALL = st.integers(-1, 9).map(str)
#: Well-formed values by type, then by format.
_NEAT: dict[str, SearchStrategy[str]] = {
    "string": _WORDS | _STRINGS,
    "integer": _SMALL | st.integers(-(10**9), 10**20).map(str),
    "number": _SMALL | st.floats(-1e9, 1e20).map(repr) | st.decimals(-100, 100, places=2).map(str),
    "boolean": st.sampled_from(["true", "false", "1", "0", "True", "yes", "off"]),
    "date-time": st.datetimes().map(lambda moment: moment.isoformat()) | st.sampled_from(MOMENTS[:3]),
    "date": st.dates().map(str),
    "time": st.times().map(str),
    "duration": st.sampled_from(SPANS[:6]),
    "uuid": st.uuids().map(str),
}
#: Odd ones.
_ODD: dict[str, SearchStrategy[str]] = {
    "string": _STRINGS,
    "integer": st.sampled_from(INTEGERS),
    "number": st.sampled_from(FLOATS) | st.floats().map(repr),
    "boolean": st.sampled_from(BOOLEANS),
    "date-time": st.sampled_from(MOMENTS),
    "date": st.sampled_from(DATES),
    "time": st.sampled_from(TIMES),
    "duration": st.sampled_from(SPANS),
    "uuid": st.sampled_from(UUIDS),
}


def weighted(*choices: tuple[int, SearchStrategy[Any]]) -> SearchStrategy[Any]:
    """One of the strategies, each as often as its weight says; shrinks towards the first.

    `one_of` knows no weights: it drops repeated strategies, and puts the branches of nested ones beside the others.
    """
    ladder = [strategy for weight, strategy in choices for _ in range(weight)]
    return st.integers(0, len(ladder) - 1).flatmap(ladder.__getitem__)


def mostly(common: SearchStrategy[Any], rare: SearchStrategy[Any]) -> SearchStrategy[Any]:
    """One in eight from `rare`; shrinks towards `common`."""
    return weighted((7, common), (1, rare))


def texts(schema: Schema, definitions: Mapping[str, Schema]) -> SearchStrategy[str]:
    """Texts for a value of this JSON schema: most of them well-formed, some odd, a few of any type."""
    neat, odd = neat_texts(schema, definitions), _typed(schema, definitions, _ODD)
    return weighted((10, neat), (3, odd), (1, ODD))


def neat_texts(schema: Schema, definitions: Mapping[str, Schema]) -> SearchStrategy[str]:
    """Well-formed texts, which may still be out of bounds."""
    return _typed(schema, definitions, _NEAT)


def _typed(
    schema: Schema, definitions: Mapping[str, Schema], kinds: Mapping[str, SearchStrategy[str]]
) -> SearchStrategy[str]:
    schema = resolved(schema, definitions)
    if "enum" in schema or "const" in schema:
        return st.sampled_from([str(value) for value in choices(schema)])
    for key in ("anyOf", "oneOf"):
        if key in schema:
            ways = [_typed(one, definitions, kinds) for one in schema[key] if one.get("type") != "null"]
            return st.one_of(*ways, st.sampled_from(DECIMALS)) if len(ways) > 1 and kinds is _ODD else st.one_of(*ways)
    kind = schema.get("type", "string")
    if kind == "array":
        items = schema.get("prefixItems") or [schema.get("items") or {}]
        return st.one_of(*(_typed(one, definitions, kinds) for one in items))
    if kind == "integer" and kinds is _NEAT and (bounds := _bounds(schema)) is not None:
        return st.integers(*bounds).map(str)
    return kinds[next((name for name in (schema.get("format"), kind) if name in kinds), "string")]


def _bounds(schema: Schema) -> tuple[int, int] | None:
    """From just below the least to just above the greatest integer the schema allows, where it has bounds."""
    least = schema.get("minimum", schema.get("exclusiveMinimum"))
    greatest = schema.get("maximum", schema.get("exclusiveMaximum"))
    if least is None and greatest is None:
        return None
    low = least - 1 if least is not None else min(-1, greatest - 10)
    return low, greatest + 1 if greatest is not None else low + 10


def resolved(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """The schema itself, where it is given by reference."""
    while True:
        if "$ref" in schema:
            schema = definitions[schema["$ref"].rpartition("/")[2]]
        elif len(schema.get("allOf", ())) == 1:
            schema = schema["allOf"][0]
        else:
            return schema


def choices(schema: Schema) -> Sequence[Any]:
    """The values of an enumeration."""
    return schema["enum"] if "enum" in schema else [schema["const"]]
