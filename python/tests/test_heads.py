"""Header and cookie parameters are read in Rust, response objects are sent from Rust: as FastAPI does both."""

from __future__ import annotations

import json

import heads
import pytest

from harness.compare import Pair, ask
from harness.servers import run_bimetal

APP = "heads:app"
LANES = ["sync", "async"]

HEADS: list[tuple[str, tuple[tuple[str, str], ...]]] = [
    ("/header/text", (("X-Token", "abc"),)),
    ("/header/text", (("x-token", "first"), ("X-TOKEN", "second"))),
    ("/header/text", (("X-Token", ""),)),
    ("/header/text", (("X-Token", "caf\xe9"),)),
    ("/header/text", (("X-Token", "a\tb"),)),
    ("/header/text", ()),
    ("/header/text", (("x_token", "underscored"),)),
    ("/header/optional", ()),
    ("/header/optional", (("User-Agent", "test"), ("X-Count", "7"))),
    ("/header/optional", (("X-Count", "seven"),)),
    ("/header/optional", (("X-Count", "007"),)),
    ("/header/alias", (("x-mixed-case", "v"), ("raw_name", "kept"))),
    ("/header/alias", (("X-Mixed-Case", "v"), ("raw-name", "dashed"))),
    ("/header/level", (("X-Level", "high"),)),
    ("/header/level", (("X-Level", "middle"),)),
    ("/header/bounded", (("X-Small", "5"),)),
    ("/header/bounded", (("X-Small", "6"),)),
    ("/cookie/text", (("Cookie", "session=abc"),)),
    ("/cookie/text", (("Cookie", "a=1; session=first; session=second"),)),
    ("/cookie/text", (("Cookie", "session=one"), ("Cookie", "session=two"))),
    ("/cookie/text", (("Cookie", "session=two"), ("Cookie", "other=1"))),
    ("/cookie/text", (("Cookie", 'session="quoted \\"value\\""'),)),
    ("/cookie/text", (("Cookie", "session"),)),
    ("/cookie/text", (("Cookie", "session="),)),
    ("/cookie/text", (("Cookie", " session = spaced ;"),)),
    ("/cookie/text", (("Cookie", "session=a=b=c"),)),
    ("/cookie/text", (("Cookie", "SESSION=upper"),)),
    ("/cookie/text", (("Cookie", "session=caf\xe9"),)),
    ("/cookie/text", (("Cookie", "session=%41%20"),)),
    ("/cookie/text", (("Cookie", ";;=;x"),)),
    ("/cookie/text", ()),
    ("/cookie/optional", ()),
    ("/cookie/optional", (("Cookie", "visits=3; session=x"),)),
    ("/cookie/optional", (("Cookie", "visits=many"),)),
    ("/everything?q=a&flag=true", (("X-Token", "t"), ("Cookie", "session=s"))),
    ("/everything?flag=maybe", (("X-Token", "t"),)),
]


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize(("target", "headers"), HEADS, ids=[f"{target} {headers}" for target, headers in HEADS])
def test_headers_and_cookies(pair: Pair, lane: str, target: str, headers: tuple[tuple[str, str], ...]) -> None:
    pair.same("GET", f"/{lane}{target}", headers)


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("name", [*heads.RESPONSES])
def test_response_objects(pair: Pair, lane: str, name: str) -> None:
    pair.same("GET", f"/{lane}/response/{name}")
    assert pair.same("GET", f"/{lane}/response/plain").status == 200


@pytest.mark.bimetal_only
@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("name", [*heads.BROKEN])
def test_what_cannot_be_sent_is_a_500(pair: Pair, lane: str, name: str) -> None:
    reply = ask(pair.ours.port, "GET", f"/{lane}/response/{name}")
    assert reply.status == 500
    assert b"b: c" not in reply.body
    assert all(name.lower() not in ("b", "x-bad") for name, _ in reply.headers)


@pytest.mark.bimetal_only
def test_the_routes_are_compiled() -> None:
    routes = json.loads(run_bimetal("routes", APP, "--json").stdout)
    lanes = {route["path"]: route["lane"] for route in routes if route["path"].startswith(("/sync/", "/async/"))}
    assert lanes == {path: path.split("/")[1] for path in lanes}
    assert len(lanes) == 2 * (len(heads.RESPONSES) + len(heads.BROKEN) + 8)
