"""Is what a real daemon does seen by a collector, over its lives, and does a collector that is down harm nobody?"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.collector import Collector, Received
from support.daemon import Daemon, daemon
from support.lives import GRANTS, GUEST, gate, heard, hold, over, put

pytestmark = pytest.mark.slow

PRIVATE = "what nobody but the user may read"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        yield made


def exporting(place: Daemon, address: str) -> Daemon:
    place.configure(f'{GRANTS}\nobservability:\n  traces: "{address}"\n')
    quiet = {name: value for name, value in place.environment.items() if not name.lower().endswith("_proxy")}
    place.environment = {**quiet, "OTEL_BSP_SCHEDULE_DELAY": "50"}
    return place


def loaded(place: Daemon) -> bool:
    """Whether the daemon has mapped a library that only the exporter needs."""
    assert place.process is not None
    return "google/_upb" in Path(f"/proc/{place.process.pid}/maps").read_text(encoding="utf-8")


def of_step(spans: list[Received], step_id: str) -> list[str]:
    return [s.attributes["orchestrald.outcome"] for s in spans if s.attributes.get("orchestrald.step.id") == step_id]


def test_a_trace_goes_on_after_the_daemon_was_killed_and_no_span_is_sent_twice(collector: Collector):
    with daemon(started=False) as place:
        exporting(place, collector.address).drop(GUEST)
        place.start()
        say = {"action": "echo", "params": {"message": PRIVATE}}
        steps = (
            {"id": "a", **say},
            hold("b", "open", depends_on=["a"]),
            {"id": "c", **say, "depends_on": ["b"]},
        )
        interaction_id = put(place, *steps)["interaction_id"]
        heard(place, "step.started", interaction_id, step_id="b")
        collector.wait_for(1)
        place.kill()

        gate(place, "open")
        place.start()
        assert over(place, interaction_id)["state"] == "completed"
        spans = collector.wait_until(lambda: any(span.name.startswith("invoke_agent") for span in collector.spans))
        assert place.stop() == 0

    (root,) = [span for span in spans if not span.parent_id]
    steps_ = [span for span in spans if span.parent_id]
    assert {span.trace_id for span in spans} == {root.trace_id}
    assert {span.parent_id for span in steps_} == {root.span_id}, "also of those that the first life has sent"
    assert len({span.span_id for span in spans}) == len(spans) == 5
    assert [of_step(spans, name) for name in "abc"] == [["succeeded"], ["interrupted", "succeeded"], ["succeeded"]]
    assert root.attributes["orchestrald.interaction.id"] == interaction_id
    assert all(root.start <= span.start <= span.end <= root.end for span in spans)
    assert not [body for body in collector.bodies if PRIVATE.encode() in body]


def test_what_ends_just_before_the_daemon_does_is_still_sent(collector: Collector):
    with daemon(started=False) as place:
        exporting(place, collector.address)
        place.environment["OTEL_BSP_SCHEDULE_DELAY"] = "3600000"
        place.start()
        place.run({"id": "a", "action": "echo", "params": {"message": "x"}})
        assert place.stop() == 0
        assert {span.name for span in collector.spans} == {"execute_tool echo", "invoke_agent orchestrald"}


def test_a_collector_that_is_down_is_logged_once_and_delays_no_step_and_no_end():
    with daemon(started=False) as place:
        exporting(place, "http://127.0.0.1:9").start()
        for _ in range(5):
            assert place.run({"id": "a", "action": "echo", "params": {"message": "x"}})["state"] == "completed"
        began = time.monotonic()
        assert place.stop() == 0
        assert time.monotonic() - began < 15
        told = [line for line in place.log if "takes no spans" in line]
        assert len(told) <= 1 and not [line for line in place.log if '"opentelemetry' in line], place.said
        assert not [line for line in place.log if '"exception"' in line], place.said


def test_a_daemon_that_exports_nothing_has_loaded_nothing_of_it(collector: Collector):
    with daemon() as place:
        assert not loaded(place)
        place.stop()
        exporting(place, collector.address).start()
        assert loaded(place)


def test_an_address_that_is_none_is_told_at_start():
    with daemon(started=False) as place:
        exporting(place, "127.0.0.1:4318").spawn()
        assert place.gone() == 78
        assert "observability.traces" in place.said and os.linesep.join(place.log).count("Traceback") == 0
