"""The requests that gunicorn and http-parser are tested with, from their source distributions on PyPI.

They are fetched once with pip into the repository's `.cache`, which is not committed. Many of the valid ones have no `Host`,
which HTTP/1.1 requires: they get one.
"""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import replace
from pathlib import Path

from corpora import Case, Right
from harness.servers import REPOSITORY

#: Upper bound for a download, in seconds.
FETCH_TIMEOUT = 300.0
GUNICORN = ("gunicorn", "27.0.1", ("tests/requests/",))
HTTPTOOLS = ("httptools", "0.9.0", ("vendor/http-parser/test.c",))

#: What is right here where it is not what they say, and why.
HERE: dict[str, tuple[Right, str]] = {
    **dict.fromkeys(
        [f"gunicorn invalid/{name}" for name in ("006", "007", "008", "limit_header_default_01")],
        ("last", "within the limits of this server"),
    ),
    **dict.fromkeys(
        ["gunicorn invalid/011", "gunicorn invalid/012"], ("answered", "refused by limits that the case sets itself")
    ),
    "gunicorn invalid/040": ("last", "an underscore in a name: the header is not the one with a hyphen"),
    "gunicorn invalid/041": ("answered", "two Content-Type: both are there for the application"),
    "gunicorn invalid/rfc9112_leading_crlf_02": (
        "answered",
        "blank lines before a request are ignored, within the size of a head",
    ),
    **dict.fromkeys(
        ["gunicorn valid/014", "http-parser 12 with quotes", "http-parser 27 utf-8 path request"],
        ("refused", "not allowed in a target by RFC 3986"),
    ),
    **dict.fromkeys(
        [
            *(f"gunicorn valid/{name}" for name in ("025", "025_line", "029", "030")),
            *(f"gunicorn valid/rfc9112_smuggle_{name}_chunked_01" for name in ("gzip", "te_identity")),
            "http-parser 44 post - multi coding transfer-encoding chunked body",
        ],
        ("refused", "a transfer coding besides chunked"),
    ),
    "gunicorn valid/028": ("refused", "a space before the colon"),
    "gunicorn valid/099": ("cut", "the file has less of the body than it declares"),
    **dict.fromkeys(
        [
            *("gunicorn valid/compat_obs_fold", "gunicorn valid/compat_obs_fold_huge"),
            *(f"http-parser {number} line folding in header value" for number in (21, 34)),
            "http-parser 35 multiple connection header values with folding",
            "http-parser 37 multiple connection header values with folding and lws",
            "http-parser 45 post - multi line coding transfer-encoding chunked body",
        ],
        ("refused", "a folded line"),
    ),
    **dict.fromkeys(
        [f"gunicorn valid/pp_{name}" for name in ("01", "02", "04", "05")], ("refused", "the PROXY protocol")
    ),
    **dict.fromkeys(
        [f"gunicorn valid/rfc9112_target_authority_{name}_01" for name in ("connect", "ipv6")],
        ("once", "nothing here is a tunnel: the connection ends with the answer to CONNECT"),
    ),
    **dict.fromkeys(
        [
            "http-parser 16 upgrade request",
            "http-parser 36 multiple connection header values with folding and lws",
            "http-parser 38 upgrade post request",
        ],
        ("once", "the connection ends with the answer to an upgrade that is not granted"),
    ),
    **dict.fromkeys(
        ["http-parser 19 request with no http version", "http-parser 43 source request"], ("refused", "not HTTP/1")
    ),
    "http-parser 20 m-search request": ("refused", "an asterisk without OPTIONS"),
}


@functools.cache
def _source(name: str, version: str, wanted: tuple[str, ...]) -> Path:
    target = REPOSITORY / ".cache" / f"{name}-{version}"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", name]
        command += ["--dest", temporary, f"{name}=={version}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_TIMEOUT)
        archives = list(Path(temporary).glob(f"{name}-*.tar.gz"))
        if done.returncode or not archives:
            raise AssertionError(f"these tests need PyPI once.\n{' '.join(command)}:\n{done.stderr}")
        partial = Path(temporary, "new")
        with tarfile.open(archives[0]) as archive:
            for member in archive.getmembers():
                path = Path(*Path(member.name).parts[1:])
                content = archive.extractfile(member)
                if content is None or not path.as_posix().startswith(wanted) or ".." in path.parts:
                    continue
                file = partial / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content.read())
        partial.rename(target)
    return target


def gunicorn() -> list[Case]:
    """Those in `invalid` and `valid`; the names are theirs."""
    folder = _source(*GUNICORN) / "tests" / "requests"
    invalid = [
        Case(f"gunicorn invalid/{file.stem}", _gunicorn_bytes(file.read_bytes()), "refused")
        for file in sorted((folder / "invalid").glob("*.http"))
    ]
    valid = [
        _valid(f"gunicorn valid/{file.stem}", _gunicorn_bytes(file.read_bytes()))
        for file in sorted((folder / "valid").glob("*.http"))
    ]
    return [_here(case) for case in invalid + valid]


def _here(case: Case) -> Case:
    right, _ = HERE.get(case.name, (case.right, ""))
    return replace(case, right=right)


def _valid(name: str, raw: bytes) -> Case:
    if b"\nhost:" not in raw.lower():
        absolute = re.match(rb"\s*\S+ http://(?:[^/?@]*@)?([^/? ]+)", raw)
        host = absolute[1] if absolute else b"x"
        raw = raw.replace(b" HTTP/1.1\r\n", b" HTTP/1.1\r\nHost: %s\r\n" % host)
    head = raw.lstrip(b"\r\n").split(b"\r\n\r\n")[0].lower()
    is_kept = b"http/1.1" in head.split(b"\r\n")[0] or b"connection: keep-alive" in head
    return Case(name, raw, "answered" if is_kept and b"connection: close" not in head else "last")


def _gunicorn_bytes(text: bytes) -> bytes:
    """Their notation: line ends do not count, escapes stand for bytes."""
    escapes = {b"\\r": b"\r", b"\\n": b"\n", b"\\t": b"\t", b"\\0": b"\0"}
    return re.sub(
        rb"\\x([0-9a-fA-F]{2})|\\[rnt0]",
        lambda match: bytes.fromhex(match[1].decode()) if match[1] else escapes[match[0]],
        text.replace(b"\n", b""),
    )


def http_parser() -> list[Case]:
    """The requests among the messages of its `test.c`: all are valid to it. The names are theirs."""
    text = (_source(*HTTPTOOLS) / "vendor" / "http-parser" / "test.c").read_text("latin-1")
    table = text[text.index("const struct message requests[]") : text.index("const struct message responses[]")]
    found = re.findall(r'\.name\s*=\s*"([^"]*)".*?\.raw=((?:\s*"(?:[^"\\]|\\.)*")+)', table, re.DOTALL)
    return [_here(_valid(f"http-parser {number} {name}", _c_bytes(raw))) for number, (name, raw) in enumerate(found)]


def _c_bytes(literals: str) -> bytes:
    parts = re.findall(r'"(?:[^"\\]|\\.)*"', literals)
    return "".join(map(ast.literal_eval, parts)).encode("latin-1")
