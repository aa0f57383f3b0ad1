"""Raw requests, valid and not, with what is right for each: generated here, and taken from the tests of other servers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Right = Literal["answered", "last", "once", "refused", "cut"]


@dataclass(frozen=True)
class Case:
    """Bytes for a connection of their own, which the test follows with another request."""

    name: str
    raw: bytes
    #: `answered`: as any request, and what follows as well. `last`: answered, and then the connection ends. `once`: either,
    #: with any status, so that what follows is not answered. `refused`: a 4xx or 5xx of the server, or no answer, and the end
    #: of the connection. `cut`: the body never comes to its end; at most a refusal.
    right: Right
