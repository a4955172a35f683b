"""Who is woken at which moment, and what becomes of moments that nobody waits for any more?"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from trio.testing import MockClock

from orchestrald.engine.clock import TrioClock
from orchestrald.engine.timers import MANY, Timers
from support.rig import Rig

SECOND = 1_000_000


@asynccontextmanager
async def running() -> AsyncIterator[tuple[Timers, TrioClock]]:
    clock = TrioClock()
    timers = Timers(clock)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(timers.run)
        yield timers, clock
        nursery.cancel_scope.cancel()


async def test_timers_fire_once_each_in_their_order(autojump_clock: MockClock):
    fired: list[int] = []
    async with running() as (timers, clock):
        for seconds in (30, 10, 20):
            timers.set(clock.now() + seconds * SECOND, lambda s=seconds: fired.append(s))  # type: ignore[misc]
        await trio.sleep(100)
    assert fired == [10, 20, 30]


async def test_a_timer_that_was_dropped_or_replaced_does_not_fire(autojump_clock: MockClock):
    fired: list[str] = []
    async with running() as (timers, clock):
        for name in ("dropped", "kept"):
            timers.set(clock.now() + 10 * SECOND, lambda n=name: fired.append(n), key=name)  # type: ignore[misc]
        timers.set(clock.now() + 20 * SECOND, lambda: fired.append("again"), key="kept")
        timers.drop("dropped")
        timers.drop("nobody")
        await trio.sleep(100)
    assert fired == ["again"]


async def test_moments_that_nobody_waits_for_do_not_pile_up(autojump_clock: MockClock):
    async with running() as (timers, clock):
        for number in range(5 * MANY):
            timers.set(clock.now() + 3600 * SECOND, lambda: None, key=number)
            timers.drop(number)
        assert len(timers._heap) <= MANY + 1


async def test_an_answer_takes_its_deadline_along(rig: Rig, autojump_clock: MockClock):
    async with rig.running() as engine:
        for _ in range(2 * MANY):
            state = await rig.run({"id": "q", "kind": "wait_user", "timeout": "30d"})
            await engine.answer(state.id, "q", "yes", "uid:0")
            await rig.end_of(state.id)
        assert engine.timers._keys == {} and len(engine.timers._heap) <= MANY + 10
