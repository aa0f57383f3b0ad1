"""The HTTP library of the test client: the one Starlette's test client uses, so that response classes agree."""

from __future__ import annotations

import importlib
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx as httpx
else:
    with warnings.catch_warnings():
        # Starlette warns when it falls back from httpx2 to httpx; both do here.
        warnings.simplefilter("ignore")
        import starlette.testclient

    httpx = starlette.testclient.httpx

httpcore: Any = importlib.import_module("httpcore2" if httpx.__name__ == "httpx2" else "httpcore")
