"""What happens when the disk does not take what must be remembered?"""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from orchestrald.errors import StoreError
from orchestrald.runner.base import Succeeded
from support.rig import Gate, Rig, SlowJournal, step


async def test_a_journal_that_fails_stops_the_engine_and_reads_go_on(rig: Rig, autojump_clock: MockClock):
    gate = Gate()
    rig.script["work"] = [gate]
    async with rig.running() as engine:
        done = await rig.run(step("z", "other"))
        state = await rig.submit(step("a"))
        await gate.begun.wait()
        known = len(rig.events)
        rig.store.journal.failed = "the disk is full"
        gate.open.set()
        await wait_all_tasks_blocked()
        assert engine.failure is not None
        assert len(rig.events) == known
        assert (await rig.look(done.id))[0].state == "completed"
        seen, last_seq = await rig.look(state.id)
        assert (seen.runs["a"].state, last_seq) == ("running", known)


async def test_nothing_is_acknowledged_and_nobody_waits_for_ever(rig: Rig, autojump_clock: MockClock):
    async with rig.running():
        rig.store.journal.failed = "the disk is full"
        with trio.fail_after(5), pytest.raises(StoreError, match="disk is full"):
            await rig.submit(step("a"))
        with pytest.raises(StoreError, match="disk is full"):
            await rig.submit(step("a"))
    assert rig.events == []


async def test_whoever_waits_for_another_interaction_is_told_too(rig: Rig, autojump_clock: MockClock):
    gate = Gate()
    rig.script["work"] = [gate]
    told: list[str] = []
    async with rig.running() as engine:
        bystander = await rig.submit(step("a"))
        asked = await rig.run({"id": "ask", "kind": "wait_user"})
        await gate.begun.wait()

        async def wait() -> None:
            with pytest.raises(StoreError):
                await engine.wait(bystander.id, 1_000)
            told.append("wait")

        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait)
                await wait_all_tasks_blocked()
                rig.store.journal.failed = "the disk is full"
                with pytest.raises(StoreError):
                    await engine.answer(asked.id, "ask", 1, "uid:0")
        with pytest.raises(StoreError):
            await engine.wait(bystander.id, 1_000)
        with pytest.raises(StoreError):
            await engine.cancel(bystander.id, "uid:0", "")
    assert told == ["wait"]


async def test_attempts_are_stopped_and_what_they_did_is_up_to_the_next_start(rig: Rig, autojump_clock: MockClock):
    gate = Gate()
    rig.script["work"] = [gate]
    async with rig.running():
        state = await rig.submit(step("a"))
        await gate.begun.wait()
        rig.store.journal.failed = "the disk is full"
        with pytest.raises(StoreError):
            await rig.submit(step("b", "other"))
        await wait_all_tasks_blocked()
        assert [attempt.step_id for attempt in rig.runner.stopped] == ["a"]
    rig.store.journal.failed = ""
    gate.open.set()
    async with rig.running():
        assert (await rig.end_of(state.id)).state == "completed"
    assert rig.attempts == [("a", 2)]


async def test_a_request_that_waits_for_its_commit_when_the_daemon_stops_is_not_left_hanging(
    rig: Rig, autojump_clock: MockClock
):
    journal = SlowJournal()
    rig.use(journal)
    ended: list[str] = []
    async with trio.open_nursery() as clients:
        async with rig.running() as engine:
            journal.hold()
            graph = await engine.planning.accept({"steps": [step("a")]})

            async def submit() -> None:
                with pytest.raises(Exception, match="shutting down"):
                    await engine.submit(by="uid:0", graph=graph, source="plan")
                ended.append("told")

            clients.start_soon(submit)
            await wait_all_tasks_blocked()
        with trio.fail_after(5):
            await wait_all_tasks_blocked()
    assert ended == ["told"]
    assert rig.events == []


async def test_a_reference_store_that_fails_stops_the_engine_before_anything_names_the_reference(
    rig: Rig, autojump_clock: MockClock
):
    async def full(_content: bytes) -> str:
        raise StoreError("No space left on device")

    rig.references.put = full  # type: ignore[method-assign]  # the disk, not our code, is what is stood in for
    rig.script["work"] = [Succeeded({"text": "x" * 100_000})]
    async with rig.running() as engine:
        state = await rig.submit(step("a"))
        with trio.fail_after(5), pytest.raises(StoreError, match="No space"):
            await engine.wait(state.id, 1_000)
    assert rig.types("step.") == ["step.started a"]


async def test_a_store_that_fails_during_the_recovery_keeps_the_engine_from_starting(
    rig: Rig, autojump_clock: MockClock
):
    """It has to write down the end of what is lost, and cannot: nobody may take it for a daemon that runs."""
    rig.limits = {"inline_output_bytes": 10}
    rig.script |= {"other": [Succeeded({"text": "long enough to be stored"})], "work": [Gate()]}
    async with rig.running():
        await rig.submit(step("a", "other"), step("b", params={"x": "{{a.text}}"}))
        await wait_all_tasks_blocked()
    rig.references.contents.clear()
    rig.store.journal.failed = "the disk is full"
    with pytest.RaisesGroup(StoreError, flatten_subgroups=True):
        async with rig.running():
            raise AssertionError("it must not start")
