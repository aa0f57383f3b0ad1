"""Which of an application's middleware the server does in Rust, at its edge.

Starlette's `CORSMiddleware`, `GZipMiddleware`, `TrustedHostMiddleware` and `HTTPSRedirectMiddleware`, and those of
`bimetal.middleware`, give the same answers at the server's edge, in front of every route of every lane. The order of
middleware shows in responses, so the edge takes the outermost ones only: from the first that it does not know,
everything stays with the application.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import starlette
import starlette.middleware.cors
import starlette.middleware.gzip
import starlette.middleware.httpsredirect
import starlette.middleware.trustedhost
from starlette.middleware import Middleware

from bimetal._core import BimetalError, EdgeLayer
from bimetal.compile import versions
from bimetal.compile.origin_regex import translate
from bimetal.middleware.compression import CompressionMiddleware, compression_layer
from bimetal.middleware.etag import ETagMiddleware, etag_layer
from bimetal.middleware.request_id import RequestIDMiddleware
from bimetal.middleware.security_headers import SecurityHeadersMiddleware, security_fields, security_layer

#: The minor versions of Starlette whose middleware the edge stands for.
STARLETTE = ((1, 10),)

#: What a value may be that the edge takes: the exact types, as a subclass can behave in its own way.
_STRINGS = (list, tuple, set, frozenset)


#: What a layer is made from: its kind and the middleware's arguments.
_Config = tuple[Literal["cors", "gzip", "hosts", "https"], dict[str, Any]]


@dataclass(frozen=True)
class Recognised:
    """Middleware, divided between the server's edge and the application."""

    #: What the edge does, the outermost first.
    layers: tuple[EdgeLayer, ...] = ()
    #: The middleware the layers stand for.
    done: tuple[Middleware, ...] = ()
    #: What the application still does, the outermost first.
    remaining: list[Middleware] = field(default_factory=list)
    #: Whether the server names each request, as `RequestIDMiddleware` among `done` wants it.
    request_id: bool = False
    #: `Strict-Transport-Security` of requests that only seem to be encrypted: the layers do not see that they do.
    transport_security: str | None = None

    @property
    def names(self) -> list[str]:
        """The classes whose work is done at the edge, the outermost first."""
        return [middleware.cls.__name__ for middleware in self.done]  # type: ignore[attr-defined]


def recognise(user_middleware: Sequence[Middleware], *, knows_scheme: bool = True) -> Recognised:
    """Divide an application's middleware: its outermost ones that are known go to the edge.

    Args:
        user_middleware: The outermost first, as in `app.user_middleware`.
        knows_scheme: Whether the server sees the scheme that the application sees. Where something between the two
            changes it, middleware that answers with the request's URL is not recognised.

    Example:
        ```python
        found = recognise(app.user_middleware)
        print("at the edge:", ", ".join(found.names))
        ```
    """
    layers: list[EdgeLayer] = []
    done = 0
    request_id = False
    transport_security = None
    for middleware in user_middleware:
        if type(middleware) is Middleware and middleware.cls in _OWN:
            cls: Any = middleware.cls
            if cls is SecurityHeadersMiddleware and not knows_scheme:
                transport_security = dict(_made(middleware, _given_fields)).get("strict-transport-security")
            if (own := _OWN[middleware.cls]) is None:
                _made(middleware, lambda: None)
                request_id = True
            else:
                layers.append(_made(middleware, own))
        else:
            layer = _layer(middleware)
            if layer is None or (layer.redirects and not knows_scheme):
                break
            layers.append(layer)
        done += 1
    return Recognised(
        tuple(layers),
        tuple(user_middleware[:done]),
        list(user_middleware[done:]),
        request_id=request_id,
        transport_security=transport_security,
    )


def edge_middleware(*, compression: Any, etag: Any, security_headers: Any) -> list[Middleware]:
    """The middleware that options of `Bimetal` ask for, the outermost first. Raises TypeError and ValueError.

    Each option is True or False, or has the settings.
    """
    wanted = (
        (SecurityHeadersMiddleware, "security_headers", security_headers),
        (CompressionMiddleware, "compression", compression),
        (ETagMiddleware, "etag", etag),
    )
    found = []
    for cls, name, value in wanted:
        if value is None or value is False:
            continue
        if value is not True and not isinstance(value, Mapping):
            raise TypeError(f"{name}={value!r}: use True, False or a dictionary of settings")
        settings = {} if value is True else dict(value)
        try:
            _OWN[cls](**settings)
        except (TypeError, ValueError, BimetalError) as error:
            raise ValueError(f"{name}: {error}") from None
        found.append(Middleware(cls, **settings))
    return found


def at_edge(found: Recognised) -> str | None:
    """One line for people, None when the edge does nothing: `at the edge: CORSMiddleware, GZipMiddleware`."""
    return f"at the edge: {', '.join(found.names)}" if found.done else None


#: The middleware of this package: what makes its layer; None for what the server does without one.
_OWN: dict[Any, Any] = {
    CompressionMiddleware: compression_layer,
    ETagMiddleware: etag_layer,
    SecurityHeadersMiddleware: security_layer,
    RequestIDMiddleware: None,
}


def _given_fields(**options: Any) -> list[tuple[str, str]]:
    return security_fields(options)  # type: ignore[arg-type]


def _made(middleware: Middleware, make: Callable[..., Any]) -> Any:
    """What `make` makes of the middleware's arguments."""
    try:
        return make(*middleware.args, **middleware.kwargs)
    except (TypeError, ValueError, BimetalError) as error:
        raise BimetalError(f"{middleware.cls.__name__}: {error}") from None  # type: ignore[attr-defined]


def _layer(middleware: Middleware) -> EdgeLayer | None:
    read = _READERS.get(middleware.cls)
    if read is None or type(middleware) is not Middleware or not _as_shipped(middleware.cls):
        return None
    try:
        bound = inspect.signature(middleware.cls).bind(None, *middleware.args, **middleware.kwargs)
    except TypeError:
        # Starlette has the same complaint when it builds the stack.
        return None
    bound.apply_defaults()
    try:
        kind, config = read(bound.arguments)
        return EdgeLayer(kind, config)
    except (_NotPlain, BimetalError):
        return None


class _NotPlain(Exception):
    """An argument is not of a kind that can be carried over."""


def _cors(given: dict[str, Any]) -> _Config:
    regex = given["allow_origin_regex"]
    translated = None if regex is None else translate(regex)
    if regex is not None and translated is None:
        raise _NotPlain("allow_origin_regex")
    return "cors", {
        "allow_origins": _strings(given["allow_origins"]),
        "allow_origin_regex": translated,
        "allow_methods": _strings(given["allow_methods"]),
        "allow_headers": _strings(given["allow_headers"]),
        "allow_credentials": _plain(given["allow_credentials"], bool),
        "allow_private_network": _plain(given["allow_private_network"], bool),
        "expose_headers": _strings(given["expose_headers"]),
        "max_age": str(_plain(given["max_age"], int)),
    }


def _gzip(given: dict[str, Any]) -> _Config:
    level = _plain(given["compresslevel"], int)
    if not -1 <= level <= 9:
        raise _NotPlain("compresslevel")
    return "gzip", {
        "minimum_size": max(0, _plain(given["minimum_size"], int)),
        # zlib's own default.
        "compresslevel": 6 if level == -1 else level,
        "exclude_content_types": _strings(given["exclude_content_types"]),
    }


def _hosts(given: dict[str, Any]) -> _Config:
    allowed = given["allowed_hosts"]
    return "hosts", {
        "allowed_hosts": ["*"] if allowed is None else _strings(allowed),
        "www_redirect": _plain(given["www_redirect"], bool),
    }


def _https(given: dict[str, Any]) -> _Config:
    return "https", {}


_READERS: dict[Any, Callable[[dict[str, Any]], _Config]] = {
    starlette.middleware.cors.CORSMiddleware: _cors,
    starlette.middleware.gzip.GZipMiddleware: _gzip,
    starlette.middleware.trustedhost.TrustedHostMiddleware: _hosts,
    starlette.middleware.httpsredirect.HTTPSRedirectMiddleware: _https,
}


#: What each of them works with, by its name in the class's module.
_PARTS: dict[Any, tuple[str, ...]] = {
    starlette.middleware.cors.CORSMiddleware: ("Headers", "MutableHeaders", "PlainTextResponse"),
    starlette.middleware.gzip.GZipMiddleware: ("GZipResponder", "IdentityResponder", "Headers", "MutableHeaders"),
    starlette.middleware.trustedhost.TrustedHostMiddleware: (
        "Headers",
        "PlainTextResponse",
        "RedirectResponse",
        "URL",
        "parse_host_header",
    ),
    starlette.middleware.httpsredirect.HTTPSRedirectMiddleware: ("PlainTextResponse", "RedirectResponse", "URL"),
}


def _strings(value: Any) -> list[str]:
    # A text in place of a list is searched for substrings, and text beyond ASCII has rules of its own.
    if type(value) not in _STRINGS or not all(type(item) is str and item.isascii() for item in value):
        raise _NotPlain(value)
    return list(value)


def _plain(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise _NotPlain(value)
    return value


def _as_shipped(cls: Any) -> bool:
    """Whether the class, and what it works with, are what a known Starlette came with and nobody has replaced."""
    version = versions.parse(starlette.__version__)
    if version is None or version[:2] not in STARLETTE:
        return False
    module = vars(sys.modules[cls.__module__])
    return all(is_own(module.get(name), name) for name in (cls.__name__, *_PARTS[cls]))


def is_own(part: Any, name: str) -> bool:
    """Whether a class or function of Starlette's is there under its name, as it was written."""
    home = getattr(part, "__module__", "")
    if getattr(part, "__name__", None) != name or not home.startswith("starlette."):
        return False
    members = [part] if inspect.isfunction(part) else list(vars(part).values())
    functions = [getattr(member, "fget", None) or getattr(member, "__func__", member) for member in members]
    return all(_module(f) == home for f in functions if inspect.isfunction(f))


def _module(function: Any) -> str:
    """Where a function was written, for one that `contextlib` has made a context manager, too."""
    module: str = function.__globals__["__name__"]
    return _module(function.__wrapped__) if module == "contextlib" else module
