"""How do spans reach a collector?

The one file that imports OpenTelemetry, and is itself imported only when spans are wanted: the SDK is an optional
extra, and costs a start 0.1 s and 10 MB.

Rules of this file:

- Nothing here waits for a collector, but `close`, which is called in a thread. The SDK sends in a thread of its own.
- Spans are made as they are to be sent, not by a tracer: their ids and times are those of the journal.
- A collector that does not answer is told once, and once when it is back; the spans in between are lost.
- Every text is redacted: names of models, steps and plugins are other people's words.
"""

import logging
from collections.abc import Callable, Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from orchestrald.core.redaction import Redaction
from orchestrald.telemetry.spans import Span, Value
from orchestrald.version import VERSION

log = logging.getLogger("orchestrald.telemetry")

MOST_WAITING = 16_384
"""Spans that wait to be sent, some 20 MB; then the oldest are dropped. The SDK's 2,048 is one large plan."""

_KINDS = {"internal": SpanKind.INTERNAL, "client": SpanKind.CLIENT}


class Exporter:
    """Sends spans to the collector at `address`, which is without the path that OTLP gives it."""

    def __init__(self, address: str, redact: Callable[[], Redaction]) -> None:
        self._redact = redact
        self._resource = Resource.create({SERVICE_NAME: "orchestrald", SERVICE_VERSION: VERSION})
        self._scope = InstrumentationScope("orchestrald", VERSION)
        sending = _Told(OTLPSpanExporter(endpoint=f"{address.rstrip('/')}/v1/traces"), address)
        self._processor = BatchSpanProcessor(sending, max_queue_size=MOST_WAITING)

    def add(self, span: Span) -> None:
        """Never waits and never fails for want of a collector."""
        redact = self._redact()
        self._processor.on_end(
            ReadableSpan(
                name=redact(span.name),
                context=_context(span.trace_id, span.span_id),
                parent=_context(span.trace_id, span.parent_id) if span.parent_id else None,
                resource=self._resource,
                attributes={name: _clean(value, redact) for name, value in span.attributes.items()},
                kind=_KINDS[span.kind],
                status=Status(StatusCode.ERROR if span.error else StatusCode.UNSET),
                start_time=span.started_at * 1000,
                end_time=span.ended_at * 1000,
                instrumentation_scope=self._scope,
            )
        )

    def close(self) -> None:
        """Send what waits, and end. May take as long as a collector that does not answer is waited for."""
        self._processor.shutdown()  # type: ignore[no-untyped-call]


def _clean(value: Value, redact: Redaction) -> Value:
    if isinstance(value, str):
        return redact(value)
    return tuple(map(redact, value)) if isinstance(value, tuple) else value


def _context(trace_id: int, span_id: int) -> SpanContext:
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


class _Reasons(logging.Handler):
    """What the SDK would log each second. The newest is kept, for who tells it once."""

    newest = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.newest = record.getMessage()


class _Told(SpanExporter):
    """The same exporter, with its failures told once. All of it is called in the SDK's thread."""

    def __init__(self, exporter: SpanExporter, address: str) -> None:
        self._exporter = exporter
        self._address = address
        self._lost = 0
        self._reasons = _Reasons()
        theirs = logging.getLogger("opentelemetry")
        theirs.handlers[:], theirs.propagate = [self._reasons], False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            if self._lost:
                log.info("the collector at %s takes spans again; %d are lost", self._address, self._lost)
            self._lost = 0
            return result
        if not self._lost:
            log.warning("the collector at %s takes no spans: %s", self._address, self._reasons.newest)
        self._lost += len(spans)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)
