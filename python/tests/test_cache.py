"""The response cache: what is answered from it, what is not, and that nobody is lost on the way."""

from __future__ import annotations

import contextlib
import json
import select
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bimetal import Bimetal, Server
from harness.plugins import compile_generation
from harness.servers import REPOSITORY, START_TIMEOUT, ServerProcess, run_bimetal, start_bimetal, until
from harness.wire import Connection, get, request

pytestmark = pytest.mark.bimetal_only

APP = "caching:app"


def calls(server: ServerProcess, name: str) -> int:
    count: int = get(server.port, f"/calls/{name}").json()
    return count


def post(server: ServerProcess, target: str) -> Any:
    reply = request(server.port, "POST", target)
    assert reply.status == 200, reply
    return reply.json()


def counts(server: ServerProcess, pattern: str) -> dict[str, int]:
    found: dict[str, int] = get(server.port, "/stats").json()["routes"][pattern]
    return found


@contextlib.contextmanager
def connections(server: ServerProcess, count: int) -> Iterator[list[Connection]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Connection(server.port)) for _ in range(count)]


# Hits, on every lane.


@pytest.mark.parametrize("target", ["/sync/a", "/async/a", "/operation/a", "/included/a", "/native/health", "/users/7"])
def test_a_hit_is_the_first_answer_with_its_age(server: ServerProcess, target: str) -> None:
    post(server, "/clear")
    first = get(server.port, target)
    second = get(server.port, target)
    assert (first.status, second.status, second.body) == (200, 200, first.body)
    assert first.header("age") is None and second.header("age") == "0"
    hidden = ("date", "age", "cache-status")
    kept = [field for field in first.headers if field[0] not in hidden]
    assert [field for field in second.headers if field[0] not in hidden] == kept


def test_cache_status(server: ServerProcess) -> None:
    get(server.port, "/native/health")
    hit = get(server.port, "/native/health")
    name, what, left = (hit.header("cache-status") or "").split("; ")
    assert (name, what) == ("bimetal", "hit") and 50 <= int(left.removeprefix("ttl=")) <= 60


def test_answers_are_told_apart_by_path_and_query(server: ServerProcess) -> None:
    replies = {
        target: get(server.port, target).json() for target in ("/sync/x", "/sync/y", "/sync/x?q=1", "/sync/x?q=2")
    }
    assert len({reply["call"] for reply in replies.values()}) == 4
    assert all(get(server.port, target).json() == reply for target, reply in replies.items())
    other_host = request(server.port, "GET", "/sync/x", [("Host", "other")]).json()
    assert other_host["call"] != replies["/sync/x"]["call"]


def test_an_answer_is_over_after_its_time(server: ServerProcess) -> None:
    first = get(server.port, "/short").json()
    until(lambda: get(server.port, "/short").json() > first, "another answer")


def test_head(server: ServerProcess) -> None:
    assert get(server.port, "/both").json() == {"call": 1}
    head = request(server.port, "HEAD", "/both")
    assert (head.status, head.header("content-length"), head.header("age")) == (200, "10", "0")
    assert calls(server, "both") == 1
    # A route that has no HEAD gets none by its cache.
    get(server.port, "/sync/h")
    assert request(server.port, "HEAD", "/sync/h").status == 405


def test_header_fields_of_the_handler(server: ServerProcess) -> None:
    for _ in range(2):
        reply = get(server.port, "/operation/fields")
        assert (reply.header("x-from"), reply.header("content-type")) == ("operation", "application/json")


def test_compression_is_for_each_client(server: ServerProcess) -> None:
    """The edge is behind the cache: nothing of it is kept, and nothing skipped."""
    plain = get(server.port, "/text")
    packed = request(server.port, "GET", "/text", [("Accept-Encoding", "gzip")])
    assert plain.header("content-encoding") is None and plain.header("vary") == "Accept-Encoding"
    assert packed.header("content-encoding") == "gzip" and packed.header("age") == "0"
    assert calls(server, "text") == 1


def test_conditions(server: ServerProcess) -> None:
    """The first request of a client that has the answer fills the cache like any other."""
    for _ in range(2):
        reply = request(server.port, "GET", "/etag", [("If-None-Match", '"v1"')])
        assert (reply.status, reply.body, reply.header("etag")) == (304, b"", '"v1"')
    assert reply.header("cache-control") == "public, max-age=3600" and reply.header("content-type") is None
    other = request(server.port, "GET", "/etag", [("If-None-Match", 'W/"v0", "v2"')])
    assert (other.status, other.json(), calls(server, "etag")) == (200, {"call": 1}, 1)


def test_ranges_are_as_without_a_cache(server: ServerProcess) -> None:
    whole = get(server.port, "/sync/range")
    part = request(server.port, "GET", "/sync/range", [("Range", "bytes=0-3")])
    assert (part.status, part.body) == (200, whole.body)


def test_wishes_of_clients(server: ServerProcess) -> None:
    wish = [("Cache-Control", "no-cache")]
    assert [request(server.port, "GET", "/async/w", wish).json()["call"] for _ in range(2)] == [
        get(server.port, "/async/w").json()["call"]
    ] * 2
    assert [request(server.port, "GET", "/honouring", wish).json() for _ in range(2)] == [1, 2]
    assert get(server.port, "/honouring").json() == 2
    absent = request(server.port, "GET", "/honouring?absent", [("Cache-Control", "only-if-cached")])
    assert absent.status == 504


# What is not for all.


@pytest.mark.parametrize("kind", ["cookie", "private", "no-store", "vary", "stream", "missing"])
def test_answers_that_are_not_kept(server: ServerProcess, kind: str) -> None:
    before = counts(server, "/unfit/{kind}")["stored"] if calls(server, kind) else 0
    replies = [get(server.port, f"/unfit/{kind}") for _ in range(3)]
    assert len({reply.body for reply in replies}) == 3
    assert all(reply.header("age") is None for reply in replies)
    assert calls(server, kind) == 3 and counts(server, "/unfit/{kind}")["stored"] == before


@pytest.mark.parametrize(
    ("kind", "said"),
    [("cookie", "it sets a cookie"), ("vary", "its Vary names what"), ("stream", "it comes in parts")],
)
def test_a_route_whose_answers_cannot_be_kept_is_told_of_once(kind: str, said: str) -> None:
    with start_bimetal(APP) as server:
        server.wait_ready()
        for _ in range(3):
            get(server.port, f"/unfit/{kind}")
        get(server.port, "/unfit/private")
        server.wait_output("is not kept: ")
        assert server.output.count("is not kept: ") == 1 and said in server.output and "/unfit/{kind}" in server.output


@pytest.mark.parametrize("field", [("Authorization", "Bearer x"), ("Cookie", "sid=1")])
def test_requests_of_somebody_stay_aside(server: ServerProcess, field: tuple[str, str]) -> None:
    target = f"/sync/{field[0]}"
    theirs = [request(server.port, "GET", target, [field]).json()["call"] for _ in range(2)]
    everybodys = get(server.port, target).json()["call"]
    assert len({*theirs, everybodys}) == 3
    assert request(server.port, "GET", target, [field]).json()["call"] > everybodys
    assert get(server.port, target).json()["call"] == everybodys


def test_what_the_answer_varies_by(server: ServerProcess) -> None:
    def ask(target: str = "/language", *fields: tuple[str, str]) -> list[Any]:
        answer: list[Any] = request(server.port, "GET", target, list(fields)).json()
        return answer

    german, dark = ("Accept-Language", "de"), ("Cookie", "sid=3; theme=dark")
    first = [ask(), ask("/language", german), ask("/language", dark), ask("/language?page=2")]
    assert [answer[:3] for answer in first] == [
        ["en", "light", 1],
        ["de", "light", 1],
        ["en", "dark", 1],
        ["en", "light", 2],
    ]
    assert ask("/language", ("Cookie", "theme=dark; sid=4")) == first[2]
    assert ask("/language?utm_source=x&page=2", ("User-Agent", "other")) == first[3]
    assert calls(server, "language") == 4


def test_authorization_that_is_part_of_the_key(server: ServerProcess) -> None:
    def ask(who: str, cookie: str) -> list[Any]:
        answer: list[Any] = request(server.port, "GET", "/keyed", [("Authorization", who), ("Cookie", cookie)]).json()
        return answer

    assert [ask("a", "x=1"), ask("b", "x=2"), ask("a", "x=3")] == [["a", 1], ["b", 2], ["a", 1]]


# One call for many.


def test_many_misses_are_one_call(server: ServerProcess) -> None:
    with connections(server, 200) as waiting:
        for connection in waiting:
            connection.send_request("GET", "/gated/many")
        until(lambda: calls(server, "many") == 1, "the call")
        until(lambda: get(server.port, "/stats").json()["routes"]["/gated/{name}"]["miss"] >= 1, "a miss")
        # None has another answer than the first.
        time.sleep(0.3)
        post(server, "/open/many")
        assert [connection.read_reply().json() for connection in waiting] == [1] * 200
    assert calls(server, "many") == 1


def test_many_misses_of_a_handler_that_blocks(server: ServerProcess) -> None:
    with ThreadPoolExecutor(50) as pool:
        replies = list(pool.map(lambda _: get(server.port, "/slow/blocking").json(), range(50)))
    assert replies == [1] * 50 and calls(server, "blocking") == 1


def test_the_next_takes_over_when_the_leaders_client_goes_away(server: ServerProcess) -> None:
    with Connection(server.port) as leader, connections(server, 5) as waiting:
        leader.send_request("GET", "/gated/gone")
        until(lambda: calls(server, "gone") == 1, "the first call")
        for connection in waiting:
            connection.send_request("GET", "/gated/gone")
        time.sleep(0.2)
        leader.close()
        until(lambda: calls(server, "gone") == 2, "another one that calls the handler")
        post(server, "/open/gone")
        assert [connection.read_reply().json() for connection in waiting] == [2] * 5
    assert calls(server, "gone") == 2


def test_the_next_takes_over_when_the_handler_fails(server: ServerProcess) -> None:
    with connections(server, 6) as waiting:
        for connection in waiting:
            connection.send_request("GET", "/failing/once?failures=1")
        replies = [connection.read_reply() for connection in waiting]
    assert sorted(reply.status for reply in replies) == [200] * 5 + [500]
    assert [reply.json() for reply in replies if reply.status == 200] == [2] * 5
    assert calls(server, "once") == 2


def test_nobody_waits_for_a_handler_that_fails_again_and_again(server: ServerProcess) -> None:
    with connections(server, 20) as waiting:
        began = time.monotonic()
        for connection in waiting:
            connection.send_request("GET", "/failing/always?failures=1000")
        assert {connection.read_reply().status for connection in waiting} == {500}
        # One after the other would be four seconds and more, and end by the limit of waiting.
        assert time.monotonic() - began < 4
    assert calls(server, "always") == 20


# Stale answers.


def test_a_stale_answer_is_given_while_one_request_renews_it(server: ServerProcess) -> None:
    assert get(server.port, "/stale/one").json() == 1
    time.sleep(0.3)
    replies = [get(server.port, "/stale/one") for _ in range(20)]
    assert [reply.json() for reply in replies] == [1] * 20
    assert "ttl=-" in (replies[0].header("cache-status") or "")
    until(lambda: calls(server, "one") == 2, "the renewal")
    assert get(server.port, "/stale/one").json() == 1
    assert calls(server, "one") == 2
    post(server, "/open/one")
    until(lambda: get(server.port, "/stale/one").json() >= 2, "the new answer")


def test_a_stale_answer_stands_in_for_a_handler_that_fails(server: ServerProcess) -> None:
    assert get(server.port, "/fragile").json() == "kept"
    time.sleep(0.2)
    for _ in range(2):
        reply = get(server.port, "/fragile")
        assert (reply.status, reply.json()) == (200, "kept")
    assert calls(server, "fragile") == 3


# Invalidation.


@pytest.mark.parametrize(
    "how",
    [
        "/invalidate?path=/users/1",
        "/invalidate?path=/users/{user_id}",
        "/invalidate?name=get_user",
        "/invalidate?tag=users",
        "/invalidate?tag=user:1",
        "/invalidate/async?path=/users/1",
        "/invalidate/thread?path=/users/1",
    ],
)
def test_invalid_answers_are_made_anew(server: ServerProcess, how: str) -> None:
    one, other = get(server.port, "/users/1").json(), get(server.port, "/users/2").json()
    assert get(server.port, "/users/1").json() == one
    assert post(server, how.replace("{", "%7B").replace("}", "%7D")) is True
    assert get(server.port, "/users/1").json() > one
    for_all = any(part in how for part in ("{user_id}", "name=", "tag=users"))
    assert (get(server.port, "/users/2").json() > other) is for_all


def test_clear(server: ServerProcess) -> None:
    before = [get(server.port, target).json() for target in ("/users/8", "/async/clear")]
    post(server, "/clear")
    assert get(server.port, "/stats").json()["entries"] == 0
    after = [get(server.port, target).json() for target in ("/users/8", "/async/clear")]
    assert after[0] > before[0] and after[1]["call"] > before[1]["call"]


def test_what_was_begun_before_an_invalidation_is_not_kept(server: ServerProcess) -> None:
    with Connection(server.port) as before, Connection(server.port) as after:
        before.send_request("GET", "/gated/write")
        until(lambda: calls(server, "write") == 1, "the call")
        assert post(server, "/invalidate?path=/gated/write") is True
        after.send_request("GET", "/gated/write")
        until(lambda: calls(server, "write") == 2, "another call")
        post(server, "/open/write")
        assert (before.read_reply().json(), after.read_reply().json()) == (1, 2)
    assert get(server.port, "/gated/write").json() == 2


def test_what_there_is_not_to_invalidate(server: ServerProcess) -> None:
    assert post(server, "/invalidate?path=/calls/1") is False
    assert request(server.port, "POST", "/invalidate?name=get_usr").status == 500
    assert "no cached route has the name 'get_usr'; known are" in server.output
    assert request(server.port, "POST", "/invalidate").status == 500


def test_plain_fastapi_under_a_root_path() -> None:
    with start_bimetal("caching:plain") as server:
        server.wait_ready()
        assert [get(server.port, target).json() for target in ("/config", "/config", "/api/config")] == [1, 1, 2]


# Bounds.


def test_large_answers_and_flat_memory() -> None:
    """Thousands of large answers pass through a cache of eight of them in every hundred."""

    def resident() -> int:
        status = Path(f"/proc/{server.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) * 1024

    with start_bimetal(APP, "--cache-size", "8000000") as server:
        server.wait_ready()
        with Connection(server.port) as connection:
            for number in range(500):
                connection.request("GET", f"/large/{number}")
            settled = resident()
            for number in range(500, 3000):
                assert connection.request("GET", f"/large/{number}").status == 200
        stats = get(server.port, "/stats").json()
        assert stats["bytes"] <= stats["max_bytes"] == 8_000_000
        assert stats["entries"] >= 50 and stats["evicted"] >= 2900
        assert resident() - settled < 16_000_000


def test_without_room_for_a_cache() -> None:
    with start_bimetal(APP, "--cache-size", "0") as server:
        server.wait_ready()
        assert [get(server.port, "/async/a").json()["call"] for _ in range(2)] == [1, 2]
        assert post(server, "/invalidate?path=/async/a") is True
        assert get(server.port, "/stats").json()["max_bytes"] == 0


# The interpreter, workers, figures.


def test_hits_are_answered_while_the_interpreter_is_held(tmp_path: Path) -> None:
    sign = tmp_path / "sign"
    with start_bimetal(APP, env={"SIGN": str(sign)}) as server:
        server.wait_ready()
        targets = ["/sync/held", "/async/held", "/operation/held", "/native/health", "/language?page=3"]
        first = [get(server.port, target).body for target in targets]
        with Connection(server.port) as holding, Connection(server.port) as probe:
            holding.send_request("GET", "/hold/3")
            deadline = time.monotonic() + START_TIMEOUT
            while not sign.exists():
                assert time.monotonic() < deadline, "the handler that holds the GIL never began"
            answered = 0
            while not select.select([holding.socket], [], [], 0)[0]:
                number = answered % len(targets)
                reply = probe.request("GET", targets[number])
                assert (reply.status, reply.body) == (200, first[number])
                answered += 1
            assert holding.read_reply().json() == "held"
    assert answered > 200


def test_workers_are_told_of_each_others_invalidations() -> None:
    with start_bimetal(APP, "--workers", "2") as server:
        server.wait_ready()
        with contextlib.ExitStack() as stack:
            by_pid: dict[int, Connection] = {}

            def meets_both() -> bool:
                connection = stack.enter_context(Connection(server.port))
                by_pid.setdefault(connection.request("GET", "/pid").json(), connection)
                return len(by_pid) == 2

            until(meets_both, "both workers")
            one, other = by_pid.values()
            before = [connection.request("GET", "/sync/w").json() for connection in (one, other)]
            assert {reply["pid"] for reply in before} == set(by_pid)
            assert one.request("POST", "/invalidate?path=/sync/w").json() is True
            assert one.request("GET", "/sync/w").json() != before[0]
            until(lambda: other.request("GET", "/sync/w").json() != before[1], "the other worker's answer, made anew")


def test_a_reload_drops_what_the_replaced_handler_has_answered(tmp_path: Path) -> None:
    def install(version: str) -> None:
        built = compile_generation(tmp_path, version)
        with built.open("ab") as end:
            end.write(str(tmp_path).encode())
        built.rename(tmp_path / "gen.so")

    install("1.0.0")
    journal = tmp_path / "journal"
    app = Bimetal(plugins=[(tmp_path / "gen.so", {"folder": str(tmp_path)})])

    @app.get("/version", handler_type="native", native="gen.version", cache=60)
    def version() -> None: ...

    with Server(app) as server:
        old = [get(server.port, "/version") for _ in range(2)]
        assert old[0].body == old[1].body and old[1].header("age") == "0"
        install("2.0.0")
        assert len(server.reload_plugins()) == 1
        assert app.cache.stats()["entries"] == 0
        # Nothing that was kept is memory of the library.
        until(lambda: "retire 1.0.0" in journal.read_text().splitlines(), "the end of the old version")
        new = [get(server.port, "/version") for _ in range(2)]
        assert new[0].body == new[1].body != old[0].body and new[1].header("age") == "0"
        # Figures of a route go on.
        assert app.cache.stats()["routes"]["/version"]["hit"] == 2


def test_figures() -> None:
    with start_bimetal(APP, "--probes") as server:
        server.wait_ready()
        for _ in range(3):
            get(server.port, "/sync/f")
        request(server.port, "GET", "/sync/f", [("Authorization", "x")])
        found = counts(server, "/sync/{name}")
        assert (found["hit"], found["miss"], found["bypass"], found["stored"]) == (2, 1, 1, 1)
        figures = get(server.port, "/metrics").text
        assert 'bimetal_cache_requests_total{route="/sync/{name}",result="hit"} 2' in figures
        assert 'bimetal_cache_answers_total{route="/sync/{name}",result="stored"} 1' in figures
        assert "bimetal_cache_entries 1\n" in figures and "bimetal_cache_max_bytes 67108864\n" in figures
    with start_bimetal("native:app", "--probes") as server:
        assert "bimetal_cache" not in get(server.wait_ready().port, "/metrics").text


# In other styles, and in the guide.


@pytest.mark.parametrize("app", ["turbo", "faster"])
def test_the_familiar_styles(app: str) -> None:
    """`Cache-Control` for clients and a cache on the server, beside each other; the handler's own 304 stays one."""
    with start_bimetal(f"caching:{app}") as server:
        server.wait_ready()
        replies = [get(server.port, "/config") for _ in range(2)]
        assert [reply.json() for reply in replies] == [{"call": 1}] * 2
        assert {reply.header("cache-control") for reply in replies} == {"public, max-age=3600"}
        tag = get(server.port, "/data").header("etag")
        assert tag is not None
        unchanged = request(server.port, "GET", "/data", [("If-None-Match", tag)])
        assert (unchanged.status, unchanged.body, unchanged.header("etag"), unchanged.header("age")) == (
            304,
            b"",
            tag,
            "0",
        )


def test_the_guide(tmp_path: Path) -> None:
    text = (REPOSITORY / "docs" / "guide" / "caching.md").read_text()
    (tmp_path / "main.py").write_text(text.split("```python\n# main.py\n")[1].split("```")[0])
    with start_bimetal("main:app", cwd=tmp_path) as server:
        server.wait_ready()
        assert [get(server.port, "/users/7").json() for _ in range(2)] == [{"name": "Ann"}] * 2
        assert request(server.port, "PUT", "/users/7?name=Bea").status == 200
        reply = get(server.port, "/users/7")
        assert reply.json() == {"name": "Bea"} and reply.header("cache-status") == "bimetal; fwd=uri-miss; stored"
        german = request(server.port, "GET", "/greeting", [("Accept-Language", "de")]).json()
        assert (german, get(server.port, "/greeting").json()) == ({"language": "de"}, {"language": "en"})
        assert get(server.port, "/config").header("age") is None and get(server.port, "/config").header("age") == "0"


# Refused at the start.


@pytest.mark.parametrize(
    ("app", "said"),
    [
        ("with_dependency", "would bypass dependency:nothing"),
        ("with_security", "would bypass security:APIKeyHeader"),
        ("with_header", "would bypass header:accept-language, cookie:theme, query:size"),
        ("with_background", "would bypass background:tasks"),
        ("with_middleware", "would bypass middleware:layer"),
        ("with_stream", "the handler streams"),
        ("with_methods", "only answers to GET are kept"),
        ("with_tag", "the path has no parameter 'user'"),
        ("with_mount", "routes of a mounted application are not cached"),
        ("on_asgi", "the whole application answers this route"),
    ],
)
def test_what_would_be_left_out_is_refused(app: str, said: str) -> None:
    refused = run_bimetal("routes", f"caching:{app}")
    assert refused.returncode != 0
    assert said in " ".join((refused.stdout + refused.stderr).split()), refused.stderr


def test_what_is_left_out_is_shown() -> None:
    routes = {route["path"]: route for route in json.loads(run_bimetal("routes", APP, "--json").stdout)}
    assert routes["/operation/{name}"]["reason"] == "answers from the cache bypass dependency:nothing"
    assert (routes["/sync/{name}"]["lane"], routes["/sync/{name}"]["reason"]) == ("sync", None)
    [accepted] = [
        route
        for route in json.loads(run_bimetal("routes", "caching:accepting", "--json").stdout)
        if route["path"] == "/x"
    ]
    assert accepted["reason"] == "answers from the cache bypass middleware:layer"
