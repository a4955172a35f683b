"""Do spans reach a collector as they were meant, and does nobody suffer when there is none?"""

import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from orchestrald.core.redaction import HIDDEN, Redaction
from orchestrald.telemetry.export import Exporter
from orchestrald.telemetry.spans import Span
from orchestrald.version import VERSION
from support.collector import PATIENCE_S, Collector

KEY = "sk-proj-Zm9vYmFyYmF6cXV4MDEyMzQ1Njc4OQ"


def span(number: int = 1, **about: Any) -> Span:
    made = Span("execute_tool echo", "internal", 0xABC, number, 0xFFF, 1_000_001, 2_000_002, {"a": "b"})
    return made._replace(**about)


@contextmanager
def exporting(address: str, *secrets: str) -> Iterator[Exporter]:
    exporter = Exporter(address, lambda: Redaction(secrets))
    yield exporter
    exporter.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], bool]) -> None:
    """The SDK's thread has no event to wait for."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_span_arrives_with_its_ids_times_and_attributes(collector: Collector):
    attributes = {"text": "x", "count": 3, "cost": 0.5, "reasons": ("stop", "length")}
    with exporting(collector.address) as exporter:
        exporter.add(span(kind="client", attributes=attributes, error="rate_limited"))
        exporter.add(span(2, parent_id=0))
    one, two = collector.wait_for(2)
    assert (one.trace_id, one.span_id, one.parent_id) == (f"{0xABC:032x}", f"{1:016x}", f"{0xFFF:016x}")
    assert (one.start, one.end) == (1_000_001_000, 2_000_002_000)
    assert one.attributes == attributes | {"reasons": ["stop", "length"]}
    assert (one.kind, one.status, two.kind, two.status, two.parent_id) == (3, 2, 1, 0, "")
    assert one.resource["service.name"] == "orchestrald" and one.resource["service.version"] == VERSION
    assert collector.headers[0]["content-type"] == "application/x-protobuf"


def test_no_secret_leaves_in_a_span(collector: Collector):
    with exporting(collector.address, "my-own-secret") as exporter:
        exporter.add(
            span(name=f"chat {KEY}", attributes={"model": "of my-own-secret", "reasons": (KEY, "stop"), "n": 1})
        )
    (arrived,) = collector.wait_for(1)
    assert arrived.name == f"chat {HIDDEN}"
    assert arrived.attributes == {"model": f"of {HIDDEN}", "reasons": [HIDDEN, "stop"], "n": 1}
    assert not [body for body in collector.bodies if KEY.encode() in body or b"my-own-secret" in body]


def test_the_redaction_in_force_counts(collector: Collector):
    known: list[str] = []
    exporter = Exporter(collector.address, lambda: Redaction(known))
    exporter.add(span(name="say swordfish"))
    known.append("swordfish")
    exporter.add(span(2, name="say swordfish"))
    exporter.close()
    assert [each.name for each in collector.wait_for(2)] == ["say swordfish", f"say {HIDDEN}"]


def test_an_address_may_end_in_a_slash(collector: Collector):
    with exporting(f"{collector.address}/") as exporter:
        exporter.add(span())
    collector.wait_for(1)


def test_all_of_a_burst_arrives(collector: Collector):
    with exporting(collector.address) as exporter:
        for number in range(1, 10_001):
            exporter.add(span(number))
    assert len({each.span_id for each in collector.wait_for(10_000)}) == 10_000


def test_a_collector_that_is_down_is_told_once_and_once_when_it_is_back(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "0.1")
    port = free_port()

    def said() -> list[str]:
        return [record.getMessage() for record in caplog.records]

    with caplog.at_level(logging.INFO), exporting(f"http://127.0.0.1:{port}") as exporter:
        exporter.add(span())
        until(lambda: len(said()) == 1)
        assert "takes no spans" in said()[0] and f"127.0.0.1:{port}" in said()[0]
        exporter.add(span(2))
        # Two batches that fail, and nothing more to hear of it.
        until(lambda: exporter._processor.span_exporter._lost == 2)
        assert len(said()) == 1
        with Collector(port) as collector:
            exporter.add(span(3))
            assert [each.span_id for each in collector.wait_for(1)] == [f"{3:016x}"]
            until(lambda: len(said()) == 2)
    assert "takes spans again; 2 are lost" in said()[1]
    assert {record.name for record in caplog.records} == {"orchestrald.telemetry"}


def test_a_collector_that_refuses_is_told_with_its_reason(collector: Collector, caplog: pytest.LogCaptureFixture):
    collector.refuse = 401
    with exporting(collector.address) as exporter:
        exporter.add(span())
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "401" in caplog.text


def test_adding_a_span_waits_for_nobody(collector: Collector):
    collector.refuse = 503  # tried again and again by the SDK, in its own thread
    exporter = Exporter(collector.address, Redaction)
    began = time.monotonic()
    for number in range(1, 5_001):
        exporter.add(span(number))
    assert time.monotonic() - began < 5
