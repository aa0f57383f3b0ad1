"""What the servers are asked to do: each work is one request, and what its answer has to say."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Work:
    """One request. `answer` is the JSON value that every system must give before it is timed."""

    name: str
    target: str
    answer: Any
    method: str = "GET"
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)


_ITEM = {"name": "widget", "price": 9.5, "tags": ["a", "b"]}

WORKS = (
    Work("GET /health", "/health", {"status": "ok"}),
    Work("GET /users/{user_id}", "/users/42", {"id": 42, "name": "user42"}),
    Work("GET /search", "/search?q=abc&limit=5", {"q": "abc", "limit": 5}),
    Work(
        "POST /items",
        "/items",
        _ITEM,
        method="POST",
        body=json.dumps(_ITEM, separators=(",", ":")),
        headers={"content-type": "application/json"},
    ),
    Work("GET /a/health", "/a/health", {"status": "ok"}),
    Work("GET /a/users/{user_id}", "/a/users/42", {"id": 42, "name": "user42"}),
    Work("GET /a/sleep", "/a/sleep", {"slept": 0.001}),
)
"""The routes of the baseline: `def` (or native), then `async def` below `/a`. `/a/sleep` awaits a timer of 1 ms."""
