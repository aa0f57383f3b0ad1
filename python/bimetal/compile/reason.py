"""How the compiler says that a route stays on the ASGI lane."""

from __future__ import annotations


class NotCompiled(Exception):
    """Raised while a route is compiled: its text is the reason shown by `bimetal routes`."""
