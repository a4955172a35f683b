"""What does an OpenTelemetry collector hear? A real HTTP server in a thread, which takes spans and decodes them.

with Collector() as collector:
    ...  # export to collector.address
    collector.wait_for(3)
"""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PATIENCE_S = 30.0


class Received(NamedTuple):
    """A span as it arrived. Ids are hex, `parent_id` empty at the root; times in nanoseconds; `status` 2: an error."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    start: int
    end: int
    kind: int
    status: int
    attributes: dict[str, Any]
    resource: dict[str, Any]


class Collector:
    """`refuse` is the status of its answers where it is not 0. `bodies` are the requests as they came."""

    def __init__(self, port: int = 0) -> None:
        self.spans: list[Received] = []
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.refuse = 0
        self._news = threading.Condition()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                wrong = collector.refuse or (0 if self.path == "/v1/traces" else 404)
                self.send_response(wrong or 200)
                self.send_header("Content-Length", "0")
                self.end_headers()
                collector._take(body, dict(self.headers), wrong)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class calls it so
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _take(self, body: bytes, headers: dict[str, str], wrong: int) -> None:
        with self._news:
            self.bodies.append(body)
            self.headers.append({name.lower(): value for name, value in headers.items()})
            if not wrong:
                self.spans += _decoded(body)
            self._news.notify_all()

    def wait_for(self, count: int) -> list[Received]:
        """All spans, once there are so many."""
        return self.wait_until(lambda: len(self.spans) >= count)

    def wait_until(self, condition: Any) -> list[Received]:
        deadline = time.monotonic() + PATIENCE_S
        with self._news:
            while not condition():
                assert self._news.wait(deadline - time.monotonic()), [span.name for span in self.spans]
            return list(self.spans)

    def __enter__(self) -> "Collector":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(PATIENCE_S)


def _decoded(body: bytes) -> list[Received]:
    request = ExportTraceServiceRequest.FromString(body)
    return [
        Received(
            span.name,
            span.trace_id.hex(),
            span.span_id.hex(),
            span.parent_span_id.hex(),
            span.start_time_unix_nano,
            span.end_time_unix_nano,
            span.kind,
            span.status.code,
            _attributes(span.attributes),
            _attributes(resource.resource.attributes),
        )
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return [_value(each) for each in value.array_value.values] if kind == "array_value" else getattr(value, kind)
