"""`SecurityHeadersMiddleware`: header fields that have browsers be careful."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.types import ASGIApp
from typing_extensions import Unpack

from bimetal._core import EdgeLayer
from bimetal.middleware.layered import LayeredMiddleware
from bimetal.options import SecurityHeaderOptions

#: What is sent where nothing else is said. FastAPI's documentation pages work with it.
DEFAULTS: dict[str, str | None] = {
    "strict_transport_security": "max-age=31536000",
    "x_content_type_options": "nosniff",
    "x_frame_options": "DENY",
    "referrer_policy": "strict-origin-when-cross-origin",
    "permissions_policy": "camera=(), geolocation=(), microphone=()",
    "content_security_policy": "base-uri 'self'; frame-ancestors 'none'; object-src 'none'",
    "cross_origin_resource_policy": "same-origin",
    # A page of these would lose the window that it has opened for OAuth2, as /docs does.
    "cross_origin_opener_policy": None,
    "cross_origin_embedder_policy": None,
}


def security_fields(options: SecurityHeaderOptions) -> list[tuple[str, str]]:
    """The header fields with these settings; see `SecurityHeadersMiddleware`. Raises TypeError."""
    given: dict[str, object] = dict(options)
    more = given.pop("headers", None) or {}
    if not isinstance(more, Mapping):
        raise TypeError(f"headers={more!r}: give a mapping of names to values")
    fields: dict[str, object] = dict(DEFAULTS)
    for name, value in given.items():
        if name not in fields:
            raise TypeError(f"{name}= is unknown; there are {', '.join(fields)}, and headers= for any other")
        fields[name] = value
    fields = {name.replace("_", "-"): value for name, value in fields.items()}
    # Those of `headers` come last, and go first.
    fields |= {str(name).lower(): value for name, value in more.items()}
    for name, value in fields.items():
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{name}: {value!r} is neither a text nor None")
    return [(name, value) for name, value in fields.items() if isinstance(value, str)]


def security_layer(**options: Unpack[SecurityHeaderOptions]) -> EdgeLayer:
    """The layer with these settings; see `SecurityHeadersMiddleware`. Raises TypeError and BimetalError."""
    return EdgeLayer("security", {"headers": security_fields(options)})


class SecurityHeadersMiddleware(LayeredMiddleware):
    """Adds header fields that have browsers be careful, to every response that does not have them.

    The defaults are `Strict-Transport-Security` (over HTTPS only), `X-Content-Type-Options`, `X-Frame-Options`,
    `Referrer-Policy`, `Permissions-Policy`, a `Content-Security-Policy` that leaves scripts alone, and
    `Cross-Origin-Resource-Policy`. What the application sets itself stays.

    Args:
        app: What is inside.
        options: The value of each field, by its name in small letters with underscores; None leaves it out. `headers`
            is a mapping of further fields. See `bimetal.options.SecurityHeaderOptions`.

    Example:
        ```python
        app.add_middleware(SecurityHeadersMiddleware, x_frame_options="SAMEORIGIN", cross_origin_resource_policy=None)
        ```
    """

    def __init__(self, app: ASGIApp, **options: Unpack[SecurityHeaderOptions]) -> None:
        super().__init__(app, security_layer(**options))
