"""The ways of frames as traces of OpenTelemetry, made of what their messages say: they cost no camera anything."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

import requests
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Tracer, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.util.types import AttributeValue

from pipeline.clock import NS_PER_MS
from pipeline.config.sinks.base import SinkSettings
from pipeline.config.sinks.traces import TracesSink
from pipeline.errors import SinkError
from pipeline.sink.protocol import Place, Sink
from pipeline.wire import FleetState, FrameResult, Message

FRAMES_AT_ONCE = 200
"""Of one request: six spans each, 300 KB."""


def open_sink(settings: SinkSettings, place: Place) -> Sink:
    """A sink that sends to the collector of its settings; nothing is sent yet."""
    assert isinstance(settings, TracesSink)
    session = requests.Session()
    # No proxy, and no password of ~/.netrc, that the settings do not name.
    session.trust_env = False
    exporter = OTLPSpanExporter(
        endpoint=settings.url,
        headers={} if settings.token is None else {"authorization": f"Bearer {settings.token.reveal()}"},
        certificate_file=None if settings.ca_file is None else str(place.directory / settings.ca_file),
        timeout=settings.timeout_s,
        session=session,
    )
    # What it has to say is said once, by whoever tries again.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    return Traces(exporter, settings.service, place.fleet, str(urlsplit(settings.url).hostname))


class Traces:
    """Makes spans of frames, and sends them."""

    def __init__(self, exporter: SpanExporter, service: str, fleet: str, host: str) -> None:
        """Prepare; nothing is sent yet.

        Args:
            exporter: Takes the spans.
            service: What traces call the software.
            fleet: The fleet's name.
            host: Where they go, for people.
        """
        self._exporter, self._host = exporter, host
        self._made, self._ids = InMemorySpanExporter(), _FrameIds()
        resource = Resource({"service.name": service, "service.namespace": fleet})
        # Sampled is what came here, whatever the environment says.
        self._provider = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False, id_generator=self._ids)
        self._provider.add_span_processor(SimpleSpanProcessor(self._made))
        self._tracer = self._provider.get_tracer("camfleet")
        self._p95_ms: float | None = None

    def write(self, batch: Sequence[Message]) -> None:
        """Send the frames among these, so many at a time.

        Raises:
            SinkError: The collector is away or refuses.
        """
        for first in range(0, len(batch), FRAMES_AT_ONCE):
            for message in batch[first : first + FRAMES_AT_ONCE]:
                if isinstance(message, FleetState):
                    self._p95_ms = message.p95_ms
                elif isinstance(message, FrameResult):
                    self._ids.begin(message)
                    _trace(self._tracer, message, self._p95_ms)
            self._send()

    def tick(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Hang up."""
        self._provider.shutdown()
        self._exporter.shutdown()

    def _send(self) -> None:
        spans = self._made.get_finished_spans()
        self._made.clear()
        if spans and self._exporter.export(spans) is not SpanExportResult.SUCCESS:
            raise SinkError(
                f"{self._host} takes no traces; is there a collector that takes OTLP over HTTP, and are path and token "
                "right?"
            )


class _FrameIds(IdGenerator):
    """Ids by the frame's name, so that a frame that is sent again is the same trace."""

    def __init__(self) -> None:
        self._ids: Iterator[int] = iter(())

    def begin(self, frame: FrameResult) -> None:
        """The next spans are this frame's."""
        name = f"{frame.fleet}/{frame.camera_id}/{frame.session_id}/{frame.frame_id}".encode()
        # A trace's id, then one for each span; none is 0, which stands for nothing.
        self._ids = (_number(name, index) for index in range(1 << 16))

    def generate_trace_id(self) -> int:
        """16 bytes."""
        return next(self._ids)

    def generate_span_id(self) -> int:
        """8 bytes."""
        return next(self._ids) >> 64 or 1


def _number(name: bytes, index: int) -> int:
    return int.from_bytes(hashlib.blake2b(name, digest_size=16, salt=index.to_bytes(2, "big")).digest(), "big") or 1


def _trace(tracer: Tracer | trace.Tracer, frame: FrameResult, p95_ms: float | None) -> None:
    """A span for the frame, and one below it for each of its stages, one after the other."""
    # By this machine's clock from end to begin: a camera's own may differ, and stages would lie before their frame.
    end_ns = frame.published_at_ns
    at_ns = begin_ns = end_ns - round(frame.age_ms * NS_PER_MS)
    whole = tracer.start_span("frame", Context(), attributes=_attributes(frame, p95_ms), start_time=begin_ns)
    inside = trace.set_span_in_context(whole, Context())
    for stage, spent_ms in frame.latency_ms.items():
        part = tracer.start_span(stage, inside, start_time=at_ns)
        at_ns += round(spent_ms * NS_PER_MS)
        part.end(at_ns)
    whole.end(end_ns)


def _attributes(frame: FrameResult, p95_ms: float | None) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue | None] = {
        "camfleet.camera": frame.camera_id,
        "camfleet.session": frame.session_id,
        "camfleet.frame": frame.frame_id,
        "camfleet.origin": frame.origin,
        "camfleet.filled_because": frame.filled_because,
        "camfleet.age_ms": frame.age_ms,
        "camfleet.late": None if p95_ms is None else frame.age_ms > p95_ms,
        "camfleet.stride": frame.stride,
        # Skipped is not empty.
        "camfleet.objects": None if frame.origin == "skipped" else len(frame.tracks),
        "camfleet.captured_at_ns": frame.captured_at_ns,
        "camfleet.capture_clock": frame.capture_clock,
    }
    return {name: value for name, value in attributes.items() if value is not None}
