"""Which step gets an external event, however early, late, twice or at the moment of a crash it comes?"""

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from orchestrald.core.events import Event
from orchestrald.engine import mailbox
from orchestrald.errors import NotFound, Overloaded
from orchestrald.store.base import Batch
from support.rig import Gate, Rig, step


def awaits(kind: str = "ready", **params: Any) -> dict[str, Any]:
    return {"id": "w", "kind": "wait_event", "params": {"kind": kind, **params}}


async def emit(rig: Rig, kind: str = "ready", payload: Any = None, **more: Any) -> str:
    return await rig.engine.emit(kind=kind, payload=payload, by="uid:0", **more)


async def test_an_event_ends_the_wait_for_it(rig: Rig, autojump_clock: MockClock):
    async with rig.running() as engine:
        waiting = await rig.run(awaits(), step("b", params={"x": "{{w.payload.n}}"}))
        assert not engine.live
        await emit(rig, payload={"n": 5})
        await wait_all_tasks_blocked()
        state = await rig.end_of(waiting.id)
    assert state.state == "completed"
    assert rig.runner.started[0].params == {"x": 5}
    assert rig.store.journal.waiting.mail == {}


async def test_an_event_that_comes_before_its_wait_is_kept_for_it_also_over_a_crash(
    rig: Rig, autojump_clock: MockClock
):
    async with rig.running():
        await emit(rig, payload="early")
    async with rig.running():
        state = await rig.run(awaits())
        await wait_all_tasks_blocked()
        state = await rig.end_of(state.id)
    assert state.runs["w"].output == {"kind": "ready", "payload": "early"}


async def test_an_event_is_taken_once_by_the_step_that_waits_longest(rig: Rig, autojump_clock: MockClock):
    async with rig.running():
        first, second = await rig.run(awaits()), await rig.run(awaits())
        await emit(rig)
        await wait_all_tasks_blocked()
        assert (await rig.look(first.id))[0].state == "completed"
        assert (await rig.look(second.id))[0].state == "waiting"
        await emit(rig)
        await wait_all_tasks_blocked()
        assert (await rig.look(second.id))[0].state == "completed"


@pytest.mark.parametrize(
    ("params", "event", "taken"),
    [
        ({"kind": "ready"}, {"kind": "READY"}, True),
        ({"kind": "*"}, {"kind": "anything"}, True),
        ({"kind": "ready"}, {"kind": "other"}, False),
        ({"kind": "ready"}, {"kind": "ready", "correlation": "any"}, True),
        ({"kind": "ready", "correlation": "a"}, {"kind": "ready", "correlation": "a"}, True),
        ({"kind": "ready", "correlation": "a"}, {"kind": "ready", "correlation": "b"}, False),
        ({"kind": "ready", "correlation": "a"}, {"kind": "ready"}, False),
        ({"kind": "ready", "correlation": 7}, {"kind": "ready", "correlation": "7"}, True),
        ({"event_type": "ready"}, {"kind": "ready"}, True),
    ],
)
async def test_kind_and_correlation_decide(
    rig: Rig, autojump_clock: MockClock, params: dict[str, Any], event: dict[str, Any], taken: bool
):
    async with rig.running():
        waiting = await rig.run({"id": "w", "kind": "wait_event", "params": params})
        await emit(rig, **event)
        await wait_all_tasks_blocked()
        assert (await rig.look(waiting.id))[0].final is taken


async def test_an_event_for_a_thread_stays_in_it(rig: Rig, autojump_clock: MockClock):
    async with rig.running():
        here, there = await rig.run(awaits()), await rig.run(awaits())
        await emit(rig, thread_id=there.thread_id)
        await wait_all_tasks_blocked()
        assert (await rig.look(here.id))[0].state == "waiting"
        assert (await rig.look(there.id))[0].state == "completed"
        with pytest.raises(NotFound):
            await emit(rig, thread_id="thr_of_nobody")


async def test_an_event_that_was_being_handed_over_at_a_crash_is_handed_over_again_and_once(
    rig: Rig, autojump_clock: MockClock
):
    async def died_before(*_: object) -> None: ...

    async with rig.running() as engine:
        waiting = await rig.run(awaits())
        engine.mailbox._hand_over = died_before  # type: ignore[method-assign]
        await emit(rig, payload=1)
    async with rig.running():
        await wait_all_tasks_blocked()
        assert (await rig.look(waiting.id))[0].state == "completed"
    async with rig.running():
        again = await rig.run(awaits())
        await wait_all_tasks_blocked()
        assert (await rig.look(again.id))[0].state == "waiting"
    assert rig.types("step.succeeded") == ["step.succeeded w"]


async def test_an_event_that_nobody_waits_for_is_given_up_in_its_time(rig: Rig, autojump_clock: MockClock):
    rig.limits = {"retain_unmatched": 60.0}
    async with rig.running():
        await emit(rig)
        await trio.sleep(61)
        late = await rig.run(awaits())
        await wait_all_tasks_blocked()
        assert (await rig.look(late.id))[0].state == "waiting"
        await emit(rig, kind="other")
    assert len(rig.store.journal.waiting.mail) == 1


async def test_more_events_than_can_be_kept_are_refused_and_none_is_dropped(
    rig: Rig, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(mailbox, "MAX_KEPT", 2)
    async with rig.running():
        await emit(rig, kind="a")
        await emit(rig, kind="b")
        with pytest.raises(Overloaded):
            await emit(rig, kind="c")
    assert rig.types("external.event") == ["external.event"] * 2


async def test_a_step_that_takes_no_event_any_more_leaves_it_to_the_next(rig: Rig, autojump_clock: MockClock):
    async with rig.running() as engine:
        first, second = await rig.run(awaits()), await rig.run(awaits())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(engine.cancel, first.id, "uid:0", "")
            nursery.start_soon(emit, rig)
        await wait_all_tasks_blocked()
        states = [(await rig.look(each.id))[0].state for each in (first, second)]
    assert states in (["cancelled", "completed"], ["completed", "waiting"])


async def test_a_wait_for_an_event_has_a_deadline(rig: Rig, autojump_clock: MockClock):
    async with rig.running() as engine:
        waiting = await rig.run({**awaits(), "timeout": "10m"})
        while engine.threads.names():
            await trio.sleep(30)
        state, _ = await rig.look(waiting.id)
    assert state.runs["w"].failure is not None and state.runs["w"].failure.code == "timeout"


async def test_an_event_for_a_paused_interaction_is_taken_and_nothing_starts(rig: Rig, autojump_clock: MockClock):
    async with rig.running() as engine:
        waiting = await rig.run(awaits(), step("b", depends_on=["w"]))
        await engine.pause(waiting.id, "uid:0")
        await emit(rig)
        await wait_all_tasks_blocked()
        state, _ = await rig.look(waiting.id)
        assert (state.state, state.runs["w"].state, state.runs["b"].state) == ("paused", "succeeded", "pending")
        await engine.resume(waiting.id, "uid:0")
        assert (await rig.end_of(waiting.id)).state == "completed"


async def test_a_wait_never_holds_back_a_ready_sibling(rig: Rig, autojump_clock: MockClock):
    gate = Gate()
    gate.open.set()
    rig.script["work"] = [gate]
    async with rig.running():
        state = await rig.run(awaits(), *(step(f"s{i}") for i in range(20)))
    assert sum(run.state == "succeeded" for run in state.by_node) == 20


async def test_an_interaction_that_is_being_cancelled_leaves_the_event_to_another(rig: Rig, autojump_clock: MockClock):
    async def stubborn(_attempt: Any, _observer: Any) -> Any:
        with trio.CancelScope(shield=True):
            await trio.sleep(5)
        await trio.sleep_forever()

    rig.script["other"] = [stubborn]
    async with rig.running() as engine:
        doomed = await rig.submit(awaits(), step("s", "other"))
        await wait_all_tasks_blocked()
        other = await rig.run(awaits())
        await engine.cancel(doomed.id, "uid:0", "")
        await emit(rig)
        await wait_all_tasks_blocked()
        assert (await rig.look(other.id))[0].state == "completed"
        assert (await rig.end_of(doomed.id)).state == "cancelled"


@pytest.mark.parametrize("params", [{"correlation": "{{p}}"}, {"kind": "{{p}}"}, {"kind": ""}, {"kind": 7}])
async def test_a_kind_or_correlation_that_comes_to_nothing_takes_nothing(
    rig: Rig, autojump_clock: MockClock, params: dict[str, Any]
):
    async with rig.running() as engine:
        state = await rig.run(
            {"id": "p", "kind": "wait_user"},
            {"id": "w", "kind": "wait_event", "params": {"kind": "payment", **params}, "depends_on": ["p"]},
        )
        await engine.skip(state.id, "p", None, "uid:0")
        state = await rig.end_of(state.id)
    assert state.state == "failed" and state.runs["w"].failure is not None


async def test_an_event_that_a_step_took_and_could_not_remember_is_taken(rig: Rig, autojump_clock: MockClock):
    async with rig.running():
        state = await rig.run({**awaits(), "remember": {"thread.x": "payload.missing"}})
        await emit(rig, payload={"n": 1})
        await wait_all_tasks_blocked()
        assert (await rig.look(state.id))[0].state == "failed"
    assert rig.store.journal.waiting.mail == {}


async def test_one_whose_events_cannot_be_followed_takes_nobody_with_it(rig: Rig, autojump_clock: MockClock):
    """Another version wrote them, or the store was restored by half."""
    async with rig.running() as engine:
        strange, sound = await rig.run(awaits()), await rig.run(awaits())
        unheard = Event("step.started", {"attempt": 7}, strange.thread_id, strange.id, "nobody", engine.clock.now())
        await engine.journal.append(Batch([unheard]))
        await emit(rig)
        await wait_all_tasks_blocked()
        assert (await rig.look(sound.id))[0].state == "completed"
        done = await engine.submit(by="u", intent="hello", thread_id=strange.thread_id)
        assert done.disposition == "started"


async def test_an_event_is_not_handed_back_and_forth_between_those_that_will_not_have_it(
    rig: Rig, autojump_clock: MockClock
):
    async def stubborn(_attempt: Any, _observer: Any) -> Any:
        with trio.CancelScope(shield=True):
            await trio.sleep(5)
        await trio.sleep_forever()

    rig.script["other"] = [stubborn]
    async with rig.running() as engine:
        doomed = [await rig.submit(awaits(), step("s", "other")) for _ in range(2)]
        await wait_all_tasks_blocked()
        for each in doomed:
            await engine.cancel(each.id, "uid:0", "")
        await emit(rig)
        with trio.fail_after(1):  # of a clock that does not move while anybody is busy
            await wait_all_tasks_blocked()
        assert [(await rig.end_of(each.id)).state for each in doomed] == ["cancelled"] * 2
        late = await rig.run(awaits())
        await wait_all_tasks_blocked()
        assert (await rig.look(late.id))[0].state == "completed"


@pytest.mark.parametrize("length", ["9999999999999s", 1e300, 9e12])
async def test_a_moment_that_nobody_will_live_to_see_fails_the_step_alone(
    rig: Rig, autojump_clock: MockClock, length: Any
):
    async with rig.running():
        state = await rig.run({"id": "w", "kind": "wait_until", "params": {"for": length}}, step("b"))
    assert {run.id: run.state for run in state.by_node} == {"w": "failed", "b": "succeeded"}
