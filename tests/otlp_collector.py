"""A collector of OpenTelemetry in a thread: takes traces by OTLP over HTTP, and keeps them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collector:
    """What it got.

    Attributes:
        url: Where it takes traces.
        requests: As they came.
        authorization: The header of the last one.
        answer: What it answers with.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[ExportTraceServiceRequest] = []
        self.authorization: str | None = None
        self.answer = 200

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def resource(self) -> dict[str, str]:
        """Of the last request."""
        return {one.key: one.value.string_value for one in self.requests[-1].resource_spans[0].resource.attributes}


@contextlib.contextmanager
def collector() -> Iterator[Collector]:
    """One that listens on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            kept.authorization = self.headers["authorization"]
            if kept.answer == 200 and self.path == "/v1/traces":
                kept.requests.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(kept.answer)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept = Collector(f"http://127.0.0.1:{server.server_port}/v1/traces")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join(30)


def attributes_of(span: Span) -> dict[str, object]:
    """By name."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}
