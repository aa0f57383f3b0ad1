"""OpenTelemetry: one server span for each request, whatever lane it takes, at a collector that takes them by OTLP."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from fastapi import FastAPI

from bimetal import BimetalError, Server
from harness.servers import ServerProcess, free_port, start_bimetal, until
from harness.wire import Reply, get, request

pytest.importorskip("opentelemetry.sdk", reason="opentelemetry-sdk is not installed")
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

pytestmark = pytest.mark.bimetal_only

CALLER = "00f067aa0ba902b7"
SERVER, INTERNAL = 2, 1


@dataclass
class Span:
    """One as the collector has it; numbers in hexadecimal digits."""

    name: str
    kind: int
    trace: str
    id: str
    parent: str
    attributes: dict[str, Any]
    failed: bool
    nanos: int
    scope: str
    service: str


class Collector:
    """An OTLP receiver over HTTP that keeps what it is sent."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                assert self.path == "/v1/traces"
                collector.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def take(self, sent: Any) -> None:
        for resource in sent.resource_spans:
            names = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    attributes = {pair.key: value_of(pair.value) for pair in span.attributes}
                    self.spans.append(
                        Span(
                            span.name,
                            span.kind,
                            span.trace_id.hex(),
                            span.span_id.hex(),
                            span.parent_span_id.hex(),
                            attributes,
                            span.status.code == 2,
                            span.end_time_unix_nano - span.start_time_unix_nano,
                            scope.scope.name,
                            names["service.name"],
                        )
                    )

    def of(self, trace: str) -> list[Span]:
        return [span for span in self.spans if span.trace == trace]

    def server_span(self, trace: str) -> Span:
        """Wait for the one server span of a trace."""
        until(lambda: any(span.kind == SERVER for span in self.of(trace)), f"a server span of {trace}")
        (span,) = [span for span in self.of(trace) if span.kind == SERVER]
        return span

    @property
    def environment(self) -> dict[str, str]:
        endpoint = f"http://127.0.0.1:{self._server.server_port}"
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_SERVICE_NAME": "shop", "OTEL_BSP_SCHEDULE_DELAY": "100"}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def value_of(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


@contextlib.contextmanager
def serve(collector: Collector, *args: str, app: str = "otel:app", **env: str) -> Iterator[ServerProcess]:
    with start_bimetal(app, "--otel", *args, env=collector.environment | env) as server:
        yield server.wait_ready()


@pytest.fixture(scope="module")
def server(collector: Collector) -> Iterator[ServerProcess]:
    with serve(collector, "--probes") as server:
        yield server


def trace_of(number: int, flags: str = "01") -> tuple[str, tuple[str, str]]:
    """A trace, and the field by which a caller names it."""
    trace = f"{number:032x}"
    return trace, ("traceparent", f"00-{trace}-{CALLER}-{flags}")


@pytest.mark.parametrize(
    ("number", "target", "name", "recorder"),
    [
        (1, "/native/a?sig=secret&b=c", "GET /native/{name}", "bimetal"),
        (2, "/sync/a?sig=secret&b=c", "GET /sync/{name}", "fastapi"),
        (3, "/async/a?sig=secret&b=c", "GET /async/{name}", "fastapi"),
        (4, "/asgi/a?sig=secret&b=c", "GET /asgi/{path}", "fastapi"),
    ],
)
def test_every_lane_has_one_server_span(
    collector: Collector, server: ServerProcess, number: int, target: str, name: str, recorder: str
) -> None:
    trace, field = trace_of(number)
    reply = get(server.port, target, [("Host", "shop.example:81"), field])
    assert reply.status == 200
    span = collector.server_span(trace)
    assert (span.name, span.parent, span.scope, span.service) == (name, CALLER, recorder, "shop")
    assert not span.failed and span.nanos > 0
    assert span.attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": name.removeprefix("GET "),
        "network.protocol.version": "1.1",
        "server.address": "shop.example",
        "server.port": 81,
        "url.path": target.partition("?")[0],
        "url.query": "sig=REDACTED&b=c",
        "url.scheme": "http",
    }
    if number in (2, 3):
        assert reply.json() == {"trace": trace}
        until(lambda: any(span.name == "work" for span in collector.of(trace)), "the handler's own span")
        (work,) = [span for span in collector.of(trace) if span.name == "work"]
        assert work.kind == INTERNAL
        by_id = {span.id: span for span in collector.of(trace)}
        while work.kind != SERVER:
            work = by_id[work.parent]
        assert work.id == span.id


def test_a_trace_begins_here_where_nobody_has_begun_one(collector: Collector, server: ServerProcess) -> None:
    before = len(collector.spans)
    assert get(server.port, "/native/new").status == 200

    def found() -> list[Span]:
        return [span for span in collector.spans[before:] if span.attributes.get("url.path") == "/native/new"]

    until(lambda: bool(found()), "the span")
    (span,) = found()
    assert span.parent == "" and len(span.trace) == 32 and "url.query" not in span.attributes


def test_what_the_edge_answers_is_recorded(collector: Collector, server: ServerProcess) -> None:
    trace, field = trace_of(10)
    fields = [("Origin", "https://example.org"), ("Access-Control-Request-Method", "GET"), field]
    reply = request(server.port, "OPTIONS", "/sync/a", fields)
    assert reply.status == 200 and reply.header("access-control-allow-origin") == "https://example.org"
    span = collector.server_span(trace)
    assert (span.name, span.scope, span.attributes["http.response.status_code"]) == ("OPTIONS", "bimetal", 200)
    assert "http.route" not in span.attributes


def test_failures_are_failures(collector: Collector, server: ServerProcess) -> None:
    trace, field = trace_of(11)
    assert get(server.port, "/broken", [field]).status == 500
    span = collector.server_span(trace)
    assert span.failed and span.attributes["http.response.status_code"] == 500
    missing, field = trace_of(12)
    assert get(server.port, "/nothing", [field]).status == 404
    assert not collector.server_span(missing).failed


def test_who_samples_nothing_gets_nothing(collector: Collector, server: ServerProcess) -> None:
    silent, unsampled = trace_of(20, "00")
    for target in ("/native/a", "/sync/a"):
        assert get(server.port, target, [unsampled]).status == 200
    heard, sampled = trace_of(21)
    assert get(server.port, "/native/a", [sampled]).status == 200
    collector.server_span(heard)
    assert not collector.of(silent)


def test_the_answers_are_the_same(collector: Collector, server: ServerProcess) -> None:
    def told(reply: Reply) -> tuple[int, list[tuple[str, str]], bytes]:
        return reply.status, sorted(field for field in reply.headers if field[0] != "date"), reply.body

    origin = ("Origin", "https://example.org")
    with start_bimetal("otel:app", "--probes") as plain:
        plain.wait_ready()
        for target in ("/native/a", "/asgi/a", "/broken", "/nothing"):
            for fields in ([], [origin]):
                expected = told(get(plain.port, target, fields))
                assert told(get(server.port, target, fields)) == expected, (target, fields)


def test_what_is_dropped_is_counted(server: ServerProcess) -> None:
    assert "\nbimetal_spans_dropped_total 0\n" in get(server.port, "/metrics").text


@pytest.mark.parametrize("arguments", [(), ("--workers", "2")], ids=str)
def test_a_stop_sends_what_there_is(collector: Collector, arguments: tuple[str, ...]) -> None:
    first = 100 + 20 * len(arguments)
    with serve(collector, *arguments, OTEL_BSP_SCHEDULE_DELAY="600000") as server:
        for number in range(first, first + 20):
            _, field = trace_of(number)
            assert get(server.port, "/native/a" if number % 2 else "/async/a", [field]).status == 200
        assert server.stop() == 0
    for number in range(first, first + 20):
        assert len([span for span in collector.of(trace_of(number)[0]) if span.kind == SERVER]) == 1


def test_any_asgi_application(collector: Collector) -> None:
    trace, field = trace_of(200)
    with serve(collector, app="otel:bare") as server:
        assert get(server.port, "/some/path", [field]).text == "bare"
        span = collector.server_span(trace)
    assert (span.name, span.parent, span.scope) == ("GET", CALLER, "bimetal")


def test_a_collector_that_is_away_holds_up_nobody() -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}", "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with start_bimetal("otel:app", "--otel", env=env) as server:
        server.wait_ready()
        for target in ("/native/a", "/sync/a", "/async/a"):
            assert get(server.port, target).status == 200
        assert server.stop() == 0


def test_packages_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(BimetalError, match=r"pip install 'bimetal\[otel\]'"), Server(FastAPI(), otel=True):
        pass
