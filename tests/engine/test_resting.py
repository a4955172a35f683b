"""What does an interaction that only waits cost the daemon? An entry in an index, also at a start."""

import gc
import tracemalloc
from typing import Any

import pytest
from trio.testing import MockClock, wait_all_tasks_blocked

from orchestrald.core.events import Event
from orchestrald.store.memory import MemoryReader
from support.rig import Rig

COUNT = 1_000
ASKS: list[dict[str, Any]] = [
    {"id": "q", "kind": "wait_user", "params": {"prompt": "x" * 500}},
    {"id": "e", "kind": "wait_event", "params": {"kind": "ready"}, "timeout": "10d"},
]


class Counting(MemoryReader):
    """Counts the events that were read."""

    read = 0

    async def events(self, **about: Any) -> list[Event]:
        found = await super().events(**about)
        self.read += len(found)
        return found

    async def unfinished(self) -> dict[str, list[Event]]:
        found = await super().unfinished()
        self.read += sum(map(len, found.values()))
        return found


async def crowd(rig: Rig) -> list[str]:
    async with rig.running() as engine:
        found = [(await rig.submit(*ASKS)).id for _ in range(COUNT)]
        await wait_all_tasks_blocked()
        assert engine.threads.counts() == {"active": 0, "waiting": COUNT, "queued": 0}
        assert engine.live == {}
    return found


@pytest.mark.slow
async def test_a_thousand_waiting_threads_cost_less_than_5_kb_each_and_a_start_reads_none_of_their_events(
    rig: Rig, autojump_clock: MockClock
):
    found = await crowd(rig)
    rig.store.reader = reader = Counting(rig.store.journal)
    gc.collect()
    tracemalloc.start()
    try:
        async with rig.running() as engine:
            await wait_all_tasks_blocked()
            gc.collect()
            held, _ = tracemalloc.get_traced_memory()
            assert engine.threads.counts()["waiting"] == COUNT
            assert held / COUNT < 5_000
            assert reader.read == 0
            await engine.answer(found[7], "q", "yes", "uid:0")
            assert 0 < reader.read < 20
    finally:
        tracemalloc.stop()
