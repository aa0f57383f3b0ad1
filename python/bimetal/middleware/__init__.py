"""Middleware that the server does at its edge, in Rust: in front of every route of every lane.

- `CompressionMiddleware`: zstd, br and gzip for responses, as the client wants it.
- `ETagMiddleware`: entity tags, and 304 for what a client has already.
- `SecurityHeadersMiddleware`: header fields that have browsers be careful.
- `RequestIDMiddleware`: one name for each request.
- `CORSMiddleware`, `GZipMiddleware`, `TrustedHostMiddleware`, `HTTPSRedirectMiddleware`: Starlette's own, which the
  server does as well.

The outermost middleware of an application, up to the first that is none of these, is done by the server. Elsewhere, and
under another ASGI server, they are ordinary ASGI middleware with the same answers.

Example:
    ```python
    from bimetal import Bimetal
    from bimetal.middleware import CompressionMiddleware, CORSMiddleware

    app = Bimetal()
    app.add_middleware(CompressionMiddleware, minimum_size=1000)
    app.add_middleware(CORSMiddleware, allow_origins=["https://example.org"])
    ```
"""

from __future__ import annotations

from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.httpsredirect import HTTPSRedirectMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from bimetal._core import EXCLUDED_CONTENT_TYPES
from bimetal.middleware.compression import CompressionMiddleware
from bimetal.middleware.etag import ETagMiddleware
from bimetal.middleware.request_id import RequestIDMiddleware
from bimetal.middleware.security_headers import SecurityHeadersMiddleware

__all__ = [
    "EXCLUDED_CONTENT_TYPES",
    "CORSMiddleware",
    "CompressionMiddleware",
    "ETagMiddleware",
    "GZipMiddleware",
    "HTTPSRedirectMiddleware",
    "RequestIDMiddleware",
    "SecurityHeadersMiddleware",
    "TrustedHostMiddleware",
]
