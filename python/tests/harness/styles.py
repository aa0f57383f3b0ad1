"""Requests to handlers in the styles of other frameworks, as their tests send them."""

from __future__ import annotations

from typing import Any

from harness.compare import Pair
from harness.wire import Reply, json_body


def ask(pair: Pair, method: str, target: str, body: Any = None, headers: list[tuple[str, str]] | None = None) -> Reply:
    """The same request to both; a body that is not bytes goes out as JSON."""
    given = list(headers or [])
    if body is None or isinstance(body, bytes):
        return pair.same(method, target, given, body)
    typed, content = json_body(body)
    return pair.same(method, target, [*typed, *given], content)


def errors(reply: Reply) -> list[tuple[str, list[Any]]]:
    """Type and place of each error of a 422."""
    assert reply.status == 422, reply
    return [(error["type"], error["loc"]) for error in reply.json()["detail"]]
