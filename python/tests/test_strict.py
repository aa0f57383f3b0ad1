"""The corpora of raw requests: what is invalid gets a refusal or no answer, and never hides a second request.

Every case is followed by a request that a handler counts. The same bytes go to nginx and HAProxy, where these are installed:
where a request ends, Bimetal accepts nothing that one of them refuses.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from corpora import Case, foreign, generated, proxies
from corpora.dialogue import PATIENCE, Dialogue, hold
from harness.servers import start_bimetal, start_uvicorn
from harness.wire import get

pytestmark = pytest.mark.bimetal_only

#: For a proxy that neither answers nor closes what is refused here, in seconds: it only counts among those that took it or not.
NO_PATIENCE = 1.0


@pytest.fixture(scope="module", params=["app", "asgi"])
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    with start_bimetal(f"strict:{request.param}") as server:
        yield server.wait_ready().port


def wrong(case: Case, dialogue: Dialogue) -> str | None:
    """What is wrong with the answer to a case, if anything is."""
    statuses = dialogue.statuses
    expected = {
        "answered": len(statuses) == 2 and dialogue.first_is_taken and statuses[1] == 200,
        "last": len(statuses) == 1 and dialogue.first_is_taken,
        "once": len(statuses) == 1,
        "refused": statuses in ([], [400], [408], [413], [414], [431], [501], [505]),
        "cut": statuses in ([], [400]),
    }[case.right]
    return None if expected and not dialogue.waits else f"{case.name}: {dialogue}, not {case.right}"


def hold_all(port: int, cases: list[Case]) -> None:
    before = get(port, "/count").json()
    dialogues = [hold(port, case) for case in cases]
    faults = [fault for case, dialogue in zip(cases, dialogues, strict=True) if (fault := wrong(case, dialogue))]
    assert not faults, "\n".join([f"{len(faults)} of {len(cases)}", *faults])
    # What follows was called where it was answered, and nowhere else.
    assert get(port, "/count").json() - before == sum(dialogue.statuses[1:] == [200] for dialogue in dialogues)


@pytest.mark.parametrize("group", generated.SOURCES)
def test_generated(port: int, group: str) -> None:
    cases = [case for case in generated.cases() if case.name.startswith(f"{group}: ")]
    assert cases
    hold_all(port, cases)


def test_gunicorn(port: int) -> None:
    hold_all(port, foreign.gunicorn())


def test_http_parser(port: int) -> None:
    hold_all(port, foreign.http_parser())


def test_the_foreign_corpora_are_whole() -> None:
    """As many as when the exceptions were written, each exception for a case that there is."""
    ours, theirs = foreign.gunicorn(), foreign.http_parser()
    invalid = [case for case in ours if case.name.startswith("gunicorn invalid/")]
    assert (len(invalid), len(ours) - len(invalid), len(theirs)) == (81, 62, 46)
    assert foreign.HERE.keys() <= {case.name for case in ours + theirs}


@pytest.fixture(scope="module")
def ours() -> Iterator[int]:
    with start_bimetal("strict:app") as server:
        yield server.wait_ready().port


#: What uvicorn answers in another way: the case, both statuses, and why.
NOT_AS_UVICORN: dict[str, tuple[list[int], list[int], str]] = {
    "coding: '\\tchunked\\t'": ([200, 200], [400], "a tab is white space as well"),
    **{
        f"line: method {method}": ([405, 200], [400], "it knows a list of methods")
        for method in ("BREW", "get", "!", "A" * 40)
    },
    "chunks: extension ' ;a'": ([200, 200], [400], "white space before an extension, which recipients are to take"),
    "chunks: extension '\\t; a = b'": ([200, 200], [400], "the same"),
    "chunks: extension ';'": ([200, 200], [400], "an extension without a name"),
    "connection: HTTP/1.0 kept alive": ([200, 200], [200], "it keeps no connection of HTTP/1.0"),
}


#: uvicorn neither answers what follows it nor closes.
NOT_COMPARED = "chunks: trailer 'Connection: close'"


def test_valid_requests_are_answered_as_by_uvicorn(ours: int) -> None:
    valid = [case for case in generated.cases() if case.right in ("answered", "last") and case.name != NOT_COMPARED]
    different = {}
    with start_uvicorn("strict:app") as server:
        reference = server.wait_ready().port
        for case in valid:
            here, there = hold(ours, case), hold(reference, case)
            if [(reply.status, reply.body) for reply in here.replies] != [
                (reply.status, reply.body) for reply in there.replies
            ]:
                different[case.name] = (here.statuses, there.statuses)
    assert different == {name: (here, there) for name, (here, there, _) in NOT_AS_UVICORN.items()}


#: Requests that a proxy refuses and that are answered here, each with the reason. None is about where a request ends.
TAKEN_HERE: dict[str, dict[str, str]] = {
    "nginx": {
        "length: '\\t3\\t'": "a tab is white space as well: the length is the same",
        "coding: '\\tchunked\\t'": "the same",
        "line: method get": "methods are case-sensitive: this is an unknown one",
        "line: method !": "an unknown method",
        "gunicorn valid/031compat": "the same",
        "gunicorn valid/031compat2": "the same",
        "line: OPTIONS *": "a valid target",
        "gunicorn valid/rfc9112_target_asterisk_options_01": "the same",
        "host: ''": "what a client sends whose target has no authority",
        "gunicorn valid/rfc9112_target_absolute_userinfo_01": "user names in a target are left unread",
        "http-parser 33 host:port and basic_auth": "the same",
        "http-parser 25 PATCH request": "its answer to If-Match: the request itself was taken",
    },
    "haproxy": {
        "gunicorn valid/005": "a fragment in a target is left unread",
        "http-parser 3 fragment in url": "the same",
        "http-parser 7 post identity body world": "the same",
        "http-parser 22 host terminated by a query string": "a URL without a path",
        "http-parser 23 host:port terminated by a query string": "the same",
    },
}


@pytest.mark.parametrize("proxy", TAKEN_HERE)
def test_where_a_request_ends_nothing_is_taken_that_a_proxy_refuses(ours: int, proxy: str) -> None:
    taken_here, taken_there = {}, 0
    cases = generated.cases() + foreign.gunicorn() + foreign.http_parser()
    with proxies.serve(proxy) as peer:
        for case in cases:
            here = hold(ours, case)
            there = hold(peer, case, PATIENCE if here.replies[1:] else NO_PATIENCE)
            is_taken = there.first_is_taken and len(there.replies) == 2
            if len(here.replies) == 2 and not is_taken:
                taken_here[case.name] = f"{here} here, {there} there"
            taken_there += is_taken and case.right == "refused"
    print(f"{proxy}: {len(cases)} requests; {taken_there} are refused here and taken there")
    assert taken_here.keys() == TAKEN_HERE[proxy].keys(), json.dumps(taken_here, indent=1)
