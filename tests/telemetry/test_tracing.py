"""Is everything that was committed traced once, whatever was missed or forgotten, and is nobody held up?"""

import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from orchestrald.core.events import Event
from orchestrald.core.redaction import Redaction
from orchestrald.errors import ConfigError, StoreError
from orchestrald.store.base import Batch
from orchestrald.store.memory import MemoryStore
from orchestrald.telemetry import tracing
from orchestrald.telemetry.spans import Span, trace_id
from orchestrald.telemetry.tracing import Tracing, open_tracing
from support.plans import graph, step
from support.simulation import World


class Kept:
    """An exporter that keeps what it gets; `slow` holds up its end."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.closed = False
        self.slow = threading.Event()
        self.slow.set()

    def add(self, span: Span) -> None:
        self.spans.append(span)

    def close(self) -> None:
        self.slow.wait(30)
        self.closed = True

    @property
    def names(self) -> list[str]:
        return [span.name for span in self.spans]


def story(*steps: dict[str, Any]) -> list[Event]:
    world = World()
    world.submit(graph(*steps))
    world.settle()
    return world.events


STORY = story(step("a", "work"), step("b", "once", depends_on=["a"]))
NAMES = ["execute_tool work", "execute_tool once", "invoke_agent orchestrald"]


async def commit(store: MemoryStore, events: list[Event], interaction_id: str = "int_1") -> None:
    for event in events:
        await store.journal.append(Batch([event._replace(interaction_id=interaction_id)]))


async def traced(store: MemoryStore, exporter: Kept, body: Callable[[], Any]) -> None:
    """A life of a daemon, in which `body` happens."""
    follower = Tracing(exporter, store.reader)
    store.journal.on_commit = follower.beside(lambda _events: None)
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(follower.run)
            await trio.testing.wait_all_tasks_blocked()
            await body()
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
    store.journal.on_commit = lambda _events: None


async def test_what_is_committed_is_traced_and_published_first():
    store, exporter, published = MemoryStore(), Kept(), list[Event]()
    follower = Tracing(exporter, store.reader)

    def publish(events: Any) -> None:
        assert not set(map(id, events)) & set(map(id, follower._events)), "clients are told first"
        published.extend(events)

    store.journal.on_commit = follower.beside(publish)
    await commit(store, STORY)
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(follower.run)
            await trio.testing.wait_all_tasks_blocked()
            assert exporter.names == NAMES
            nursery.cancel_scope.cancel()
    assert exporter.closed and len(published) == len(STORY)


@pytest.mark.parametrize("cut", range(len(STORY)))
async def test_a_second_life_goes_on_where_the_first_was_killed(cut: int):
    store, first, second, whole = MemoryStore(), Kept(), Kept(), Kept()
    await traced(store, first, lambda: commit(store, STORY[:cut]))
    await traced(store, second, lambda: commit(store, STORY[cut:]))
    again = MemoryStore()
    await traced(again, whole, lambda: commit(again, STORY))
    assert first.spans + second.spans == whole.spans
    assert whole.names == NAMES and {span.trace_id for span in whole.spans} == {trace_id("int_1")}


async def test_a_long_history_is_read_page_by_page(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tracing, "PAGE", 3)
    events = story(*(step(f"s{i}", "work") for i in range(10)))
    store, first, second = MemoryStore(), Kept(), Kept()
    await traced(store, first, lambda: commit(store, events[:-8]))
    await traced(store, second, lambda: commit(store, events[-8:]))
    assert len(first.spans) + len(second.spans) == 11


async def test_what_was_forgotten_is_read_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tracing, "MOST_TRACES", 1)
    store, exporter = MemoryStore(), Kept()

    async def in_turns() -> None:
        for event in STORY:
            await commit(store, [event], "int_1")
            await commit(store, [event], "int_2")

    await traced(store, exporter, in_turns)
    for name in ("int_1", "int_2"):
        assert [span.name for span in exporter.spans if span.trace_id == trace_id(name)] == NAMES


async def test_what_is_too_much_is_left_out_and_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    monkeypatch.setattr(tracing, "MOST_WAITING", 3)
    store, exporter = MemoryStore(), Kept()
    follower = Tracing(exporter, store.reader)
    store.journal.on_commit = follower.beside(lambda _events: None)
    await commit(store, STORY)
    assert "too fast to be traced" in caplog.text
    with trio.fail_after(5), trio.CancelScope() as scope:
        scope.cancel()
        await follower.run()
    assert exporter.names[-1] == NAMES[-1], "what comes afterwards is read up to there"


async def test_a_call_to_a_model_that_belongs_to_no_interaction_is_a_trace_of_its_own():
    store, exporter = MemoryStore(), Kept()
    said = {"part": "preview", "number": 1, "purpose": "plan", "model": "b/m", "tokens": 1}
    tokens = {"input": 1, "cached": 0, "output": 1}
    answer = {"part": "preview", "number": 1, "purpose": "plan", "backend": "b", "model": "m", "finish": "stop"}

    async def preview() -> None:
        for at in (1, 2):
            (asked,) = await store.journal.append(Batch([Event("model.asked", said, "", at=at)]))
            data = {**answer, "asked": asked.seq, "tokens": tokens, "mode": "plain", "ms": 1, "text": "x"}
            await store.journal.append(Batch([Event("model.answered", data, "", at=at + 10)]))

    await traced(store, exporter, preview)
    assert [(span.name, span.parent_id) for span in exporter.spans] == [("chat m", 0)] * 2
    assert len({span.trace_id for span in exporter.spans}) == 2


async def test_a_journal_that_cannot_be_read_costs_spans_and_nothing_else(caplog: pytest.LogCaptureFixture):
    class Broken:
        async def events(self, **_about: Any) -> list[Event]:
            raise StoreError("The disk is gone.")

    exporter = Kept()
    follower = Tracing(exporter, Broken())
    follower.hear([event._replace(seq=seq) for seq, event in enumerate(STORY[2:], 3)])
    follower.hear([Event("step.started", {}, "thr_1", "int_2", "a", seq=99), *STORY[:1]])
    with trio.fail_after(5), trio.CancelScope() as scope:
        scope.cancel()
        await follower.run()
    assert "The disk is gone" in caplog.text and exporter.closed


async def test_an_event_that_the_end_overtakes_is_still_traced():
    store, exporter = MemoryStore(), Kept()
    await commit(store, STORY)
    stored = await store.reader.events()

    class Slow:
        reading = trio.Event()

        async def events(self, **about: Any) -> list[Event]:
            if not self.reading.is_set():
                self.reading.set()
                await trio.sleep_forever()
            return await store.reader.events(**about)

    follower = Tracing(exporter, Slow())
    follower.hear([event for event in stored if event.type == "interaction.completed"])
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(follower.run)
            await Slow.reading.wait()
            nursery.cancel_scope.cancel()
    assert exporter.names == NAMES[-1:]


async def test_a_bug_in_a_span_is_not_the_end_of_the_daemon(caplog: pytest.LogCaptureFixture):
    store, exporter = MemoryStore(), Kept()
    broken = Event("step.started", {}, "thr_1", "int_9", "a")
    await traced(store, exporter, lambda: commit(store, [*STORY[:1], broken, *STORY[1:]]))
    assert exporter.names == NAMES and "is not traced" in caplog.text


async def test_the_end_is_not_put_off_for_long(autojump_clock: trio.testing.MockClock):
    exporter = Kept()
    exporter.slow.clear()
    began = trio.current_time()
    with trio.CancelScope() as scope:
        scope.cancel()
        await Tracing(exporter, MemoryStore().reader).run()
    assert trio.current_time() - began == pytest.approx(tracing.FLUSH_S)
    exporter.slow.set()


async def test_without_an_address_nothing_is_heard_and_publishing_costs_nothing_more():
    def publish(_events: Any) -> None: ...

    follower = await open_tracing(None, MemoryStore().reader, Redaction)
    assert follower.beside(publish) is publish
    await follower.run()


async def test_without_the_extra_a_start_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    for name in [name for name in sys.modules if name.startswith(("opentelemetry.", "orchestrald.telemetry.export"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("orchestrald.telemetry.export", raising=False)
    with pytest.raises(ConfigError, match=r"observability\.traces is set") as caught:
        await open_tracing("http://127.0.0.1:9", MemoryStore().reader, Redaction)
    assert "pip install 'orchestrald[otel]'" in caught.value.advice


@pytest.mark.slow
def test_a_daemon_that_exports_nothing_loads_nothing_of_it():
    code = """
import sys, trio
import orchestrald.command, orchestrald.telemetry.spans
from orchestrald.core.redaction import Redaction
from orchestrald.store.memory import MemoryStore
from orchestrald.telemetry.tracing import open_tracing
trio.run(open_tracing, None, MemoryStore().reader, Redaction)
heavy = {"opentelemetry", "google.protobuf", "requests", "orchestrald.telemetry.export"}
assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()
"""
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
