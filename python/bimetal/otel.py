"""OpenTelemetry: the SDK set up by the standard OTEL_* variables, and server spans of what no lane of Python records.

FastAPI records the requests that reach its application, with a span that is current in handlers. What it never hears
of, native routes and answers of the server's edge, is recorded here, with the same names and attributes: each request
has one server span.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from fastapi import FastAPI

from bimetal._core import SpanQueue, build_info
from bimetal.errors import BimetalError

if TYPE_CHECKING:
    from opentelemetry.context import Context

#: How long a server that stops waits until the spans of its requests are with the collector, in seconds.
_FLUSH = 5.0

#: OpenTelemetry's list; anything else is `_OTHER`.
_METHODS = frozenset(("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"))

#: Parameters of a query whose values are secrets, by OpenTelemetry's conventions.
_SECRET = frozenset(("X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token", "sig", "X-Goog-Signature"))

logger = logging.getLogger("bimetal")


class Telemetry:
    """The spans of one server, from its start to its end.

    Raises BimetalError where the packages are not there.
    """

    def __init__(self, app: Callable[..., Any]) -> None:
        try:
            from opentelemetry import propagate, trace
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            raise BimetalError(
                f"spans cannot be recorded: {error}; install the packages with `pip install 'bimetal[otel]'`"
            ) from None
        self._trace = trace
        self._extract: Callable[[Mapping[str, str]], Context] = propagate.extract
        if not _configured(trace.get_tracer_provider()) and not _configures_itself(app):
            provider = TracerProvider()
            if os.environ.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower() != "none":
                provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
            trace.set_tracer_provider(provider)
        self.queue = SpanQueue(not _records_itself(app))
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Make spans of what the server records, on a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="bimetal otel", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """The server has ended: what it has recorded goes to the collector, within a few seconds."""
        self.queue.close()
        if self._thread is not None:
            self._thread.join(_FLUSH)
        flush = getattr(self._trace.get_tracer_provider(), "force_flush", None)
        if flush is not None and not flush(int(_FLUSH * 1000)):
            logger.warning("some spans were not taken by the collector in time and are lost")

    def _run(self) -> None:
        tracer = self._trace.get_tracer("bimetal", build_info()["version"])
        while (ended := self.queue.take()) is not None:
            for request in ended:
                try:
                    self._record(tracer, request)
                except Exception:
                    logger.exception("a span of %s %s is lost", request["method"], request["path"])

    def _record(self, tracer: Any, request: dict[str, Any]) -> None:
        headers: dict[str, str] = {}
        for name, value in request["headers"]:
            headers[name] = f"{headers[name]},{value}" if name in headers else value
        method = request["method"] if request["method"] in _METHODS else "_OTHER"
        route, status = request["route"], request["status"]
        attributes: dict[str, Any] = {
            "url.scheme": request["scheme"],
            "http.request.method": method,
            "network.protocol.version": request["version"],
            "url.path": request["path"],
            **_server(headers.get("host"), request),
        }
        if request["query"]:
            attributes["url.query"] = _redacted(request["query"])
        if method == "_OTHER":
            attributes["http.request.method_original"] = request["method"]
        if route is not None:
            attributes["http.route"] = route
        if status is not None:
            attributes["http.response.status_code"] = status
        failed = status is None or status >= 500
        if failed:
            attributes["error.type"] = str(status or "incomplete_response")
        name = "HTTP" if method == "_OTHER" else method
        span = tracer.start_span(
            f"{name} {route}" if route is not None else name,
            context=self._extract(headers),
            kind=self._trace.SpanKind.SERVER,
            attributes=attributes,
            start_time=request["began"],
        )
        if failed:
            span.set_status(self._trace.StatusCode.ERROR)
        span.end(request["ended"])


def _configured(provider: Any) -> bool:
    """Whether somebody has set a provider up. OpenTelemetry has no question for that."""
    return type(provider).__module__ != "opentelemetry.trace"


def _configures_itself(app: Any) -> bool:
    """Whether FastAPI exports by the same variables: twice would be each span twice."""
    return bool(getattr(app, "_telemetry", {}).get("auto_configure")) if isinstance(app, FastAPI) else False


def _records_itself(app: Any) -> bool:
    """Whether the application makes server spans of the requests that reach it."""
    if isinstance(app, FastAPI):
        return hasattr(app, "_native_telemetry")
    return type(app).__module__ == "opentelemetry.instrumentation.asgi"


def _server(authority: str | None, request: dict[str, Any]) -> dict[str, Any]:
    if authority is None:
        address, port = request["server"] or (None, None)
    else:
        try:
            url = urlsplit(f"//{authority}")
            address, port = url.hostname, url.port or {"http": 80, "https": 443}[request["scheme"]]
        except ValueError:
            return {}
    return {"server.address": address, "server.port": port} if address is not None else {}


def _redacted(query: str) -> str:
    pairs = parse_qsl(query, keep_blank_values=True)
    return urlencode([(name, "REDACTED" if name in _SECRET else value) for name, value in pairs])
