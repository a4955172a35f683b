"""Does every moment of a schedule start one interaction, whatever the clock, the disk and the daemon do meanwhile?"""

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from orchestrald.engine.clock import TrioClock
from orchestrald.errors import Conflict, InvalidParams, NotFound, PlanError, StoreError, WrongState
from orchestrald.store.base import Batch, RequestRow, ThreadRow
from orchestrald.store.memory import MemoryJournal
from support.rig import Gate, Rig, SlowJournal
from support.scheduling import PLAN, SECOND, fired, make, params, scheduling, submitted, told

START = 1_000_000_000_000_000
HOUR = 3600 * SECOND


class WallClock(TrioClock):
    """A wall clock that somebody can set."""

    def __init__(self) -> None:
        super().__init__(START)
        self.offset = 0

    def now(self) -> int:
        return super().now() + self.offset


async def test_each_moment_of_an_interval_starts_one_interaction(rig: Rig, autojump_clock: MockClock):
    async with scheduling(rig) as schedules:
        made = await make(schedules, {"every": "10m"}, labels={"a": "b"}, workspace="/w")
        anchor = schedules.named(made).created_at
        await trio.sleep(1801)
    assert [moment - anchor for moment in fired(rig)] == [600 * SECOND, 1200 * SECOND, 1800 * SECOND]
    for data in submitted(rig):
        assert (data["labels"], data["workspace"]) == ({"a": "b", "schedule": made}, "/w")
        assert data["by"] == f"schedule:{made}"
    assert params(rig)[0].endswith("Z")


async def test_an_intent_is_handed_to_the_planner_as_it_is(rig: Rig, autojump_clock: MockClock):
    async with scheduling(rig) as schedules:
        await make(schedules, {"every": "10m"}, plan=None, intent="survey {path}")
        await trio.sleep(601)
    assert [data["intent"] for data in submitted(rig)] == ["survey {path}"]


async def test_a_single_moment_comes_once_and_the_schedule_is_over(rig: Rig, autojump_clock: MockClock):
    async with scheduling(rig) as schedules:
        made = await make(schedules, {"at": "2001-09-09T02:00:00Z"})
        shown = schedules.show(schedules.named(made))
        await trio.sleep(5000)
        assert schedules.named(made).state == "ended"
        with pytest.raises(WrongState, match="ended"):
            await schedules.resume(made, "uid:0")
    assert fired(rig) == shown["next"] == [START + 800 * SECOND]


async def test_three_moments_are_told_in_advance(rig: Rig, autojump_clock: MockClock):
    async with scheduling(rig) as schedules:
        made = await make(schedules, {"cron": "0 9 * * *", "tz": "Europe/Berlin"})
        following = schedules.show(schedules.named(made))["next"]
        assert [moment - following[0] for moment in following] == [0, 24 * HOUR, 48 * HOUR]


@pytest.mark.parametrize(
    ("misfire", "firings", "missed"), [("once", 1, [5]), ("skip", 0, [6]), ("all", 6, [])], ids=["once", "skip", "all"]
)
async def test_what_passed_while_the_daemon_was_away_follows_the_rule(
    rig: Rig, autojump_clock: MockClock, misfire: str, firings: int, missed: list[int]
):
    clock = rig.clock = WallClock()
    async with scheduling(rig) as schedules:
        await make(schedules, {"every": "10m"}, misfire=misfire)
    clock.offset = HOUR + 120 * SECOND
    async with scheduling(rig) as schedules:
        await trio.sleep(60)
        assert len(fired(rig)) == len(submitted(rig)) == firings
        assert [data["count"] for data in told(rig, "schedule.missed")] == missed
        await trio.sleep(421)
        assert fired(rig)[firings:] == [START + HOUR + 600 * SECOND], "it goes on with the moments to come"


async def test_a_clock_that_is_set_back_fires_no_moment_again(rig: Rig, autojump_clock: MockClock):
    clock = rig.clock = WallClock()
    async with scheduling(rig) as schedules:
        await make(schedules, {"every": "10m"})
        await trio.sleep(1210)
        assert len(fired(rig)) == 2
        clock.offset = -HOUR
        await trio.sleep(3600)
        assert len(fired(rig)) == 2
        await trio.sleep(600)
    assert [moment - START for moment in fired(rig)] == [600 * SECOND, 1200 * SECOND, 1800 * SECOND]


async def test_resuming_on_a_clock_that_was_set_back_starts_nothing_a_second_time(rig: Rig, autojump_clock: MockClock):
    clock = rig.clock = WallClock()
    async with scheduling(rig) as schedules:
        made = await make(schedules, {"every": "10m"})
        await trio.sleep(610)
        clock.offset = -HOUR
        await schedules.pause(made, "uid:0")
        await schedules.resume(made, "uid:0")
        await trio.sleep(3610)
    assert len(submitted(rig)) == 1


class FailsAfterTheClaim(MemoryJournal):
    """The daemon dies between the interaction's first commit and the schedule's own."""

    armed = True

    async def append(self, batch: Batch) -> Any:
        if self.armed and batch.schedule is not None and any(e.type == "schedule.fired" for e in batch.events):
            raise StoreError("the daemon is dead")
        return await super().append(batch)


async def test_a_crash_between_the_claim_and_the_schedules_row_starts_nothing_twice(
    rig: Rig, autojump_clock: MockClock
):
    journal = FailsAfterTheClaim()
    rig.use(journal)
    async with scheduling(rig) as schedules:
        await make(schedules, {"every": "10m"})
        await trio.sleep(610)
        assert len(submitted(rig)) == 1
        assert fired(rig) == []
    journal.armed = False
    async with scheduling(rig) as schedules:
        await trio.sleep(1)
        assert len(submitted(rig)) == len(fired(rig)) == 1
        await trio.sleep(600)
    assert len(submitted(rig)) == len(fired(rig)) == len(set(fired(rig))) == 2


async def test_a_plan_that_cannot_be_run_any_more_is_told_and_the_schedule_goes_on(rig: Rig, autojump_clock: MockClock):
    async with scheduling(rig) as schedules:
        made = await make(schedules, {"every": "10m"})
        gone = rig.actions.specs.pop("work")
        await trio.sleep(610)
        last = schedules.show(schedules.named(made))["last"]
        assert last["error"]["code"] == "invalid_plan"
        assert "work" in last["error"]["message"]
        assert [data["error"] for data in told(rig, "schedule.refused")] == [last["error"]]
        rig.actions.specs["work"] = gone
        await trio.sleep(600)
        assert schedules.named(made).fired == len(submitted(rig)) == 1


async def test_a_thread_takes_all_that_its_schedule_starts(rig: Rig, autojump_clock: MockClock):
    async with scheduling(rig) as schedules:
        thread_id = (await rig.submit({"id": "a", "action": "work"})).thread_id
        await make(schedules, {"every": "10m"}, thread_id=thread_id)
        await trio.sleep(1210)
        about = {data["thread_id"] for data in told(rig, "schedule.fired")}
    assert about == {thread_id}


async def test_a_firing_that_the_threads_policy_refuses_is_told_and_the_schedule_goes_on(
    rig: Rig, autojump_clock: MockClock
):
    gate = Gate()
    rig.script["other"] = [gate]
    await rig.store.journal.append(Batch(thread=ThreadRow("thr_busy", "", 0, policy="reject")))
    async with scheduling(rig) as schedules:
        graph = await rig.engine.planning.accept({"steps": [{"id": "a", "action": "other"}]})
        await rig.engine.submit(by="uid:0", graph=graph, source="plan", thread_id="thr_busy")
        await gate.begun.wait()
        made = await make(schedules, {"every": "10m"}, thread_id="thr_busy")
        await trio.sleep(610)
        assert schedules.show(schedules.named(made))["last"]["error"]["code"] == "rejected"
        gate.open.set()
        await trio.sleep(600)
        assert schedules.named(made).fired == 1
    assert len(told(rig, "schedule.refused")) == len(submitted(rig)) == 1


async def test_a_firing_that_queues_behind_another_says_so(rig: Rig, autojump_clock: MockClock):
    gate = Gate()
    rig.script["other"] = [gate]
    await rig.store.journal.append(Batch(thread=ThreadRow("thr_busy", "", 0, policy="queue")))
    plan = {"goal": "test", "steps": [{"id": "a", "action": "other"}]}
    async with scheduling(rig) as schedules:
        await make(schedules, {"every": "10m"}, thread_id="thr_busy", plan=plan)
        await trio.sleep(1210)
        gate.open.set()
    assert [data["disposition"] for data in told(rig, "schedule.fired")] == ["started", "queued"]


async def test_what_goes_by_while_it_is_paused_never_fires(rig: Rig, autojump_clock: MockClock):
    async with scheduling(rig) as schedules:
        made = await make(schedules, {"every": "10m"})
        assert (await schedules.pause(made, "uid:0"))["next"] == []
        await trio.sleep(3010)
        with pytest.raises(WrongState, match="paused"):
            await schedules.pause(made, "uid:0")
        await schedules.resume(made, "uid:0")
        await trio.sleep(600)
    assert len(fired(rig)) == 1
    assert told(rig, "schedule.missed") == []


async def test_pausing_and_resuming_before_a_moment_fires_and_tells_it_once(rig: Rig, autojump_clock: MockClock):
    async with scheduling(rig) as schedules:
        made = await make(schedules, {"every": "10m"})
        for _ in range(3):
            await schedules.pause(made, "uid:0")
            await schedules.resume(made, "uid:0")
        await trio.sleep(1210)
    assert len(fired(rig)) == len(submitted(rig)) == 2
    assert told(rig, "schedule.missed") == []


async def test_a_schedule_that_is_paused_while_it_fires_stays_paused(rig: Rig, autojump_clock: MockClock):
    journal = SlowJournal()
    rig.use(journal)
    async with scheduling(rig) as schedules:
        made = await make(schedules, {"every": "10m"})
        journal.hold()
        await trio.sleep(610)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(schedules.pause, made, "uid:0")
            await wait_all_tasks_blocked()
            journal.go_on()
        await trio.sleep(3000)
        assert (schedules.named(made).state, schedules.named(made).next_at) == ("paused", None)
    assert len(fired(rig)) == 1


async def test_a_client_that_hangs_up_while_a_schedule_is_written_leaves_it_alive(rig: Rig, autojump_clock: MockClock):
    journal = SlowJournal()
    rig.use(journal)
    async with scheduling(rig) as schedules:
        journal.hold()
        with trio.CancelScope() as client:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(make, schedules, {"every": "10m"})
                await wait_all_tasks_blocked()
                client.cancel()
                journal.go_on()
        assert schedules.all() == await rig.store.reader.schedules() != []
        await trio.sleep(610)
    assert len(fired(rig)) == 1


async def test_of_two_that_want_one_name_at_once_one_is_refused_in_words(rig: Rig, autojump_clock: MockClock):
    journal = SlowJournal()
    rig.use(journal)
    refused: list[str] = []
    async with scheduling(rig) as schedules:

        async def attempt() -> None:
            try:
                await make(schedules, {"every": "10m"}, name="nightly")
            except Conflict as error:
                refused.append(error.message)

        journal.hold()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(attempt)
            nursery.start_soon(attempt)
            await wait_all_tasks_blocked()
            journal.go_on()
        assert len(refused) == len(schedules.all()) == 1


async def test_a_paused_schedule_is_paused_after_a_restart(rig: Rig, autojump_clock: MockClock):
    async with scheduling(rig) as schedules:
        await schedules.pause(await make(schedules, {"every": "10m"}), "uid:0")
    async with scheduling(rig) as schedules:
        await trio.sleep(3010)
        assert [row.state for row in schedules.all()] == ["paused"]
    assert fired(rig) == []


async def test_a_schedule_that_is_gone_starts_nothing_and_frees_its_name(rig: Rig, autojump_clock: MockClock):
    async with scheduling(rig) as schedules:
        made = await make(schedules, {"every": "10m"}, name="nightly")
        with pytest.raises(Conflict, match="nightly"):
            await make(schedules, {"every": "10m"}, name="nightly")
        await schedules.delete("nightly", "uid:0")
        await trio.sleep(3010)
        with pytest.raises(NotFound):
            schedules.named(made)
        await make(schedules, {"every": "10m"}, name="nightly")
    assert fired(rig) == []
    assert [data["by"] for data in told(rig, "schedule.deleted")] == ["uid:0"]


async def test_firing_now_leaves_the_next_moment_alone(rig: Rig, autojump_clock: MockClock):
    async with scheduling(rig) as schedules:
        made = await make(schedules, {"every": "10m"})
        before = schedules.show(schedules.named(made))["next"]
        answer = await schedules.run_now(made, "uid:7")
        shown = schedules.show(schedules.named(made))
        assert (shown["next"], shown["fired"]) == (before, 1)
        assert shown["last"]["interaction_id"] == answer["interaction_id"]
    assert [(data["by"], data.get("moment")) for data in told(rig, "schedule.fired")] == [("uid:7", None)]


async def test_a_bad_schedule_is_refused_when_it_is_made(rig: Rig, autojump_clock: MockClock):
    broken = {"goal": "test", "steps": [{"id": "a", "action": "worc"}]}
    async with scheduling(rig) as schedules:
        for refusal, given in (
            (PlanError, {"plan": broken}),
            (PlanError, {"plan": {"goal": "g", "steps": [{"id": "a", "action": "work", "when": "{{trigger.path}}"}]}}),
            (InvalidParams, {"plan": None}),
            (InvalidParams, {"plan": PLAN, "intent": "and words"}),
            (NotFound, {"thread_id": "thr_nowhere"}),
        ):
            with pytest.raises(refusal):
                await make(schedules, {"every": "10m"}, **given)
        assert schedules.all() == []
    assert told(rig, "schedule.created") == []


async def test_the_answer_of_a_request_is_committed_with_the_schedule(rig: Rig, autojump_clock: MockClock):
    async with scheduling(rig) as schedules:

        def remember(answer: dict[str, Any]) -> RequestRow:
            return RequestRow("uid:0", "schedule.create", "r1", "hash", answer, START)

        made = await make(schedules, {"every": "10m"}, remember=remember)
        known = await rig.store.reader.request("uid:0", "schedule.create", "r1")
        assert known is not None
        assert known.result == schedules.show(schedules.named(made))


async def test_a_schedule_whose_time_zone_is_gone_says_so_and_hurts_no_other(rig: Rig, autojump_clock: MockClock):
    async with scheduling(rig) as schedules:
        lost = await make(schedules, {"cron": "* * * * *", "tz": "Europe/Berlin"})
        await make(schedules, {"every": "10m"})
    (row,) = [row for row in await rig.store.reader.schedules() if row.schedule_id == lost]
    values = list(rig.store.journal.schedules.rows[lost])
    rig.store.journal.schedules.rows[lost] = tuple(
        str(value).replace("Berlin", "Atlantis") if row._fields[i] == "trigger" else value
        for i, value in enumerate(values)
    )
    async with scheduling(rig) as schedules:
        await trio.sleep(610)
        assert "Atlantis" in schedules.show(schedules.named(lost))["problem"]
    assert len(fired(rig)) == 1
