"""`assert_twins`: a native handler and the Python body of its route give the same answers."""

from __future__ import annotations

import http.client
import json as jsonlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from starlette.routing import compile_path

from bimetal.answers import Answer, differences
from bimetal.compile import RoutePlan
from bimetal.server import Server

#: A bound for hangs, in seconds.
_TIMEOUT = 120.0


@dataclass(frozen=True)
class TwinCase:
    """A request for `assert_twins`."""

    #: Path and query, as sent.
    target: str
    #: The route's method by default: GET where it has that.
    method: str | None = None
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = ()
    #: The body as a value of JSON, or as it is.
    json: Any = None
    body: bytes | None = None


def assert_twins(
    app: Any,
    route: str,
    cases: Iterable[str | TwinCase],
    *,
    exact: bool = False,
    ignore_headers: Collection[str] = (),
) -> None:
    """Send each case to the native handler of a route and to the route's Python body; the answers must be the same.

    Both are asked over a socket, one server after the other, each with the application's lifespan. The Python body runs
    as under any ASGI server: with middleware and dependencies, those the native route bypasses too. What handlers of
    both kinds write, to a database for example, is written twice.

    Args:
        app: A FastAPI application with a native route whose function has a body.
        route: The route: `"/users/{user_id}"`, or `"POST /items"` where several have the path.
        cases: Paths with queries, like `"/users/7?verbose=true"`, or a `TwinCase` for more.
        exact: Compare bodies of JSON byte by byte, instead of as values.
        ignore_headers: Names of response headers that may differ.

    Raises:
        AssertionError: Some answers differ; the text shows the cases and where they do.
        ValueError: There is nothing to compare: no such native route, no Python body, a case for another route.

    Example:
        ```python
        from bimetal.testing import TwinCase, assert_twins

        def test_users():
            assert_twins(app, "/users/{user_id}", ["/users/7", "/users/7?verbose=true", "/users/seven"])

        def test_items():
            assert_twins(app, "POST /items", [TwinCase("/items", json={"name": "bolt", "price": 1})])
        ```
    """
    server = Server(app)
    plans = server.compile()
    plan = _native_plan(plans, route)
    requests = [_request(plans, plan, case) for case in cases]
    if not requests:
        raise ValueError(f"assert_twins({route!r}): there are no cases")
    native = _ask(server, requests)

    async def whole(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    exceptions: list[BaseException] = []
    python = _ask(Server(whole, on_exception=exceptions.append), requests)
    failures = []
    for request, ours, theirs in zip(requests, native, python, strict=True):
        lines = differences(ours, theirs, exact=exact, ignore_headers=ignore_headers)
        if lines:
            failures.append("\n    ".join([f"{request.method} {request.target}", *lines]))
    if failures:
        count = f"{len(failures)} of {len(requests)} case{'' if len(requests) == 1 else 's'}"
        what = f"the native handler {plan.native!r} and the Python body {plan.name} of {plan.path}"
        failures += [f"the Python body raised {error!r}" for error in exceptions]
        raise AssertionError("\n\n".join([f"{what} differ in {count}:", *failures]))


@dataclass(frozen=True)
class _Request:
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None


def _native_plan(plans: Sequence[RoutePlan], route: str) -> RoutePlan:
    method, _, path = route.rpartition(" ")
    found = [plan for plan in plans if plan.path == path and (not method or _answers(plan, method))]
    native = [plan for plan in found if plan.lane == "native"]
    if not native:
        if found:
            raise ValueError(
                f"assert_twins({route!r}): the route is on the {found[0].lane} lane "
                f"({found[0].reason or 'it is not native'})"
            )
        known = ", ".join(sorted({plan.path for plan in plans if plan.lane == "native"})) or "none"
        raise ValueError(f"assert_twins({route!r}): there is no such route; native routes are {known}")
    if len(native) > 1:
        raise ValueError(f"assert_twins({route!r}): several native routes have this path; put the method before it")
    if not native[0].twin:
        raise ValueError(
            f"assert_twins({route!r}): {native[0].name} has no body; write what the native handler is compared with"
        )
    return native[0]


def _request(plans: Sequence[RoutePlan], plan: RoutePlan, given: str | TwinCase) -> _Request:
    case = TwinCase(given) if isinstance(given, str) else given
    method = case.method or ("GET" if _answers(plan, "GET") else plan.methods[0])
    path = unquote(urlsplit(case.target).path)
    taker = next(
        (other for other in plans if compile_path(other.path)[0].match(path) and _answers(other, method)), None
    )
    if taker is not plan:
        whose = "no route" if taker is None else f"the route {taker.path}"
        raise ValueError(f"case {method} {case.target}: {whose} answers it, not {plan.path}")
    headers = tuple(case.headers.items() if isinstance(case.headers, Mapping) else case.headers)
    body = case.body
    if case.json is not None:
        body = jsonlib.dumps(case.json).encode()
        if not any(name.lower() == "content-type" for name, _ in headers):
            headers += (("Content-Type", "application/json"),)
    return _Request(method, case.target, headers, body)


def _answers(plan: RoutePlan, method: str) -> bool:
    return not plan.methods or method.upper() in plan.methods


def _ask(server: Server, requests: Sequence[_Request]) -> list[Answer]:
    """The answers of a server that is started for them."""
    with server:
        return [_answer(server, request) for request in requests]


def _answer(server: Server, request: _Request) -> Answer:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=_TIMEOUT)
    try:
        connection.putrequest(request.method, request.target, skip_accept_encoding=True)
        for name, value in request.headers:
            connection.putheader(name, value)
        if request.body is not None:
            connection.putheader("Content-Length", str(len(request.body)))
        connection.endheaders(request.body)
        response = connection.getresponse()
        headers = tuple((name.lower(), value) for name, value in response.getheaders())
        return Answer(response.status, headers, response.read())
    finally:
        connection.close()
