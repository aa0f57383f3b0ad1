"""Any application, with a note when it has ended a request: how the tests know that the reference has nothing more to do.

A plain function around the application, which is named in the environment as `MODULE:APP`.
"""

from __future__ import annotations

import importlib
import os

from journal import ENDED, note

module, _, name = os.environ["ENDED_APP"].partition(":")
inner = getattr(importlib.import_module(module), name)


async def app(scope, receive, send):
    try:
        await inner(scope, receive, send)
    finally:
        if scope["type"] == "http":
            note(ENDED)
