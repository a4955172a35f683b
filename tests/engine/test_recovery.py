"""Does the engine go on where the journal ends?"""

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from orchestrald.core.model import ActionSpec, Retry
from orchestrald.runner.base import Attempt, Observer, Outcome, Succeeded
from support.rig import Gate, Rig, broken, busy, step


async def test_an_idempotent_step_that_was_running_is_run_again_under_the_same_key(rig: Rig, autojump_clock: MockClock):
    gate = Gate()
    rig.script["work"] = [gate]
    async with rig.running():
        state = await rig.submit(step("a"), step("b", "other", depends_on=["a"]))
        await gate.begun.wait()
        key = rig.runner.started[0].idempotency_key
    gate.open.set()
    async with rig.running():
        assert (await rig.end_of(state.id)).state == "completed"
    again = rig.runner.started[0]
    assert (again.step_id, again.attempt, again.idempotency_key) == ("a", 2, key)
    assert rig.types("step.")[:3] == ["step.started a", "step.interrupted a", "step.started a"]


async def test_what_may_not_be_repeated_waits_for_a_person(rig: Rig, autojump_clock: MockClock):
    gate = Gate()
    rig.script["once"] = [gate]
    async with rig.running():
        state = await rig.submit(step("a", "once"), step("b", "other"), step("c", "other", depends_on=["a"]))
        await gate.begun.wait()
    gate.open.set()
    for _ in range(2):  # and a second crash asks the same, once
        async with rig.running():
            waiting = await rig.end_of(state.id)
            assert sorted(waiting.waiting) == ["a"]
            assert ("a", 1) not in rig.attempts
    async with rig.running() as engine:
        await rig.end_of(state.id)
        await engine.answer(state.id, None, {"decision": "skip", "value": {"n": 7}}, "uid:0")
        ended = await rig.end_of(state.id)
    assert ended.state == "completed"
    assert rig.types("step.waiting") == ["step.waiting a"]
    assert rig.types("step.started a") == ["step.started a"]


async def test_finished_steps_are_not_run_again(rig: Rig, autojump_clock: MockClock):
    gate = Gate()
    rig.script["other"] = [gate]
    async with rig.running():
        state = await rig.submit(
            step("a"), step("b", "other", depends_on=["a"], params={"x": "{{a.ok}}"}), step("c", depends_on=["b"])
        )
        await gate.begun.wait()
    gate.open.set()
    async with rig.running():
        await rig.end_of(state.id)
    assert [name for name, _ in rig.attempts] == ["b", "c"]
    assert rig.runner.started[0].params == {"x": True}


async def test_a_backoff_goes_on_where_it_was(rig: Rig, autojump_clock: MockClock):
    rig.script["work"] = [broken(retryable=True, retry_after_ms=3_600_000), Succeeded({})]
    async with rig.running():
        began = trio.current_time()
        state = await rig.submit(step("a"))
        await trio.sleep(600)
    rig.script["work"] = [Succeeded({})]
    async with rig.running():
        assert (await rig.end_of(state.id)).state == "completed"
        assert trio.current_time() - began == pytest.approx(3_600, abs=1)


async def test_a_timer_that_was_due_while_the_daemon_was_away_fires_at_once(rig: Rig, autojump_clock: MockClock):
    async with rig.running():
        state = await rig.submit(
            {"id": "w", "kind": "wait_until", "params": {"for": "10m"}}, step("b", depends_on=["w"])
        )
    await trio.sleep(7_200)
    async with rig.running() as engine:
        began = trio.current_time()
        while engine.threads.names():
            await trio.sleep(0.1)
        assert trio.current_time() - began < 1
        assert (await rig.look(state.id))[0].state == "completed"


async def test_a_cancellation_survives_the_crash(rig: Rig, autojump_clock: MockClock):
    gate = Gate()

    async def stubborn(attempt: Attempt, observer: Observer) -> Outcome:
        with trio.CancelScope(shield=True):
            return await gate(attempt, observer)

    rig.script["work"] = [stubborn]
    async with trio.open_nursery() as nursery:

        async def first_life() -> None:
            async with rig.running() as engine:
                state = await rig.submit(step("a"), step("b", depends_on=["a"]))
                await gate.begun.wait()
                await engine.cancel(state.id, "uid:0", "")

        nursery.start_soon(first_life)
        await gate.begun.wait()
        await trio.sleep(1)
        journal = list(rig.store.journal.stored)
        gate.open.set()
    rig.store.journal.stored[:] = journal  # what the disk held at the moment of the crash
    interaction = journal[-1][0].interaction_id
    rows = rig.store.journal.interactions
    rows[interaction] = rows[interaction]._replace(state="cancelling")
    async with rig.running():
        state = await rig.end_of(interaction)
    assert state.state == "cancelled"
    assert rig.attempts == []


async def test_crashes_do_not_use_up_the_retries_of_a_step(rig: Rig, autojump_clock: MockClock):
    """An attempt that the daemon did not survive says nothing about the action: the same plan must end the same."""
    rig.actions.specs["work"] = ActionSpec("work", idempotent=True, retry=Retry(max=1))
    for _ in range(3):
        gate = Gate()
        rig.script["work"] = [gate]
        async with rig.running():
            if not rig.store.journal.interactions:
                state = await rig.submit(step("a"))
            await gate.begun.wait()
    rig.script["work"] = [broken(retryable=True), Succeeded({})]
    async with rig.running():
        assert (await rig.end_of(state.id)).state == "completed"
    assert [number for _, number in rig.attempts] == [4, 5]


LARGE = {"items": [{"name": f"file-{i}", "text": "x" * 200} for i in range(600)]}


async def test_a_large_output_goes_to_the_reference_store_and_its_event_names_it(rig: Rig, autojump_clock: MockClock):
    rig.script["work"] = [Succeeded(LARGE)]
    async with rig.running():
        state = await rig.run(step("a"), step("b", "other", params={"last": "{{a.items[599].name}}"}))
    (event,) = [event for event in rig.events if event.type == "step.succeeded" and event.step_id == "a"]
    assert event.data.keys() == {"stored", "ms"}
    assert event.data["stored"]["digest"] in rig.references.contents
    assert event.data["stored"]["size"] == len(rig.references.contents[event.data["stored"]["digest"]]) > 64 * 1024
    assert state.runs["a"].stored is not None
    assert rig.runner.started[-1].params == {"last": "file-599"}


async def test_items_of_a_stored_list_are_the_same_after_a_crash(rig: Rig, autojump_clock: MockClock):
    seen: dict[str, list[Any]] = {}

    async def measure(attempt: Attempt, _observer: Observer) -> Outcome:
        seen.setdefault(attempt.step_id, []).append(attempt.params["name"])
        await trio.sleep(1)
        return Succeeded({"n": len(attempt.params["name"])})

    rig.script |= {"work": [Succeeded(LARGE)], "other": [measure]}
    each = step("b", "other", for_each="{{a.items}}", params={"name": "{{item.name}}"})
    async with rig.running():
        state = await rig.submit(step("a"), each, step("c", params={"all": "{{b}}"}))
        await trio.sleep(20.5)
    rig.script["work"] = [Succeeded({})]
    async with rig.running():
        ended = await rig.end_of(state.id)
    assert ended.state == "completed"
    assert len(seen) == 600
    assert all(len(set(names)) == 1 for names in seen.values())
    assert {name for name, begun in seen.items() if len(begun) > 1} == {
        event.step_id for event in rig.events if event.type == "step.interrupted"
    }
    assert len(rig.runner.started[-1].params["all"]) == 600


async def test_an_interaction_whose_stored_output_is_lost_fails_in_words_and_stops_nobody_else(
    rig: Rig, autojump_clock: MockClock
):
    gate = Gate()
    rig.script |= {"work": [Succeeded(LARGE)], "other": [gate]}
    async with rig.running():
        lost = await rig.submit(step("a"), step("b", "other", depends_on=["a"]))
        await gate.begun.wait()
        healthy = await rig.submit(step("c", "other"))
        await trio.sleep(1)
    rig.references.contents.clear()
    gate.open.set()
    async with rig.running() as engine:
        assert (await rig.end_of(healthy.id)).state == "completed"
        assert lost.id not in engine.live
        listed = await rig.store.reader.interaction(lost.id)
    assert listed is not None
    assert listed.state == "failed"
    assert "sha256:" in (listed.answer or "")
    async with rig.running() as engine:
        assert engine.live == {}
    assert rig.types("interaction.failed") == ["interaction.failed"]


async def test_an_output_that_has_no_json_form_fails_its_step_in_words(rig: Rig, autojump_clock: MockClock):
    for output in ({"x": object()}, {"x": "\ud800"}):
        rig.script["work"] = [Succeeded(output)]
        async with rig.running() as engine:
            state = await rig.run(step("a"))
            assert engine.failure is None
        assert state.state == "failed", output
        assert state.answer


async def test_many_interactions_are_recovered_side_by_side(rig: Rig, autojump_clock: MockClock):
    rig.script["work"] = [busy(10)]
    async with rig.running():
        ids = [(await rig.submit(step("a"), step("b", depends_on=["a"]))).id for _ in range(50)]
        await trio.sleep(5)
    async with rig.running() as engine:
        for interaction_id in ids:
            assert (await rig.end_of(interaction_id)).state == "completed"
        assert engine.slots.running == 0
    assert [event.seq for event in rig.events] == list(range(1, len(rig.events) + 1))


async def test_what_an_older_version_left_waiting_is_indexed_and_goes_on(rig: Rig, autojump_clock: MockClock):
    """Schema 1 knew neither the table of waits nor that an interaction rests."""
    async with rig.running():
        state = await rig.run(
            {"id": "w", "kind": "wait_event", "params": {"kind": "ready"}},
            {"id": "u", "kind": "wait_until", "params": {"for": "1h"}},
            {"id": "q", "kind": "wait_user", "timeout": "2h"},
        )
    rig.store.journal.waiting.waits.clear()
    row = rig.store.journal.interactions[state.id]
    rig.store.journal.interactions[state.id] = row._replace(resting=False)
    async with rig.running() as engine:
        await wait_all_tasks_blocked()
        assert not engine.live
        assert sorted(wait.step_id for wait in await engine.reader.waits()) == ["q", "u", "w"]
        assert rig.store.journal.interactions[state.id].resting
        await engine.emit(kind="ready", payload=None, by="uid:0")
        await trio.sleep(3 * 3600)
        state, _ = await rig.look(state.id)
    assert {run.id: run.state for run in state.by_node} == {"w": "succeeded", "u": "succeeded", "q": "failed"}
