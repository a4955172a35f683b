"""Does the engine do what its clients ask, and does every interaction come to an end in words?"""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from orchestrald.core.model import Failure, Question
from orchestrald.engine.clock import TrioClock
from orchestrald.errors import Conflict, Denied, Draining, InternalError, InvalidParams, NotFound, PlanError, WrongState
from orchestrald.runner.base import Asked, Attempt, Failed, Observer, Outcome, Succeeded, Violation
from support.rig import Gate, Rig, SlowJournal, broken, busy, step


async def test_a_plan_is_run_to_its_end_and_answered_in_words(rig: Rig, autojump_clock: MockClock):
    async with rig.running():
        state = await rig.run(step("a"), step("b", depends_on=["a"]))
    assert state.state == "completed"
    assert state.answer
    assert rig.attempts == [("a", 1), ("b", 1)]
    assert rig.types("interaction.")[-1] == "interaction.completed"


async def test_a_finished_step_and_the_next_ones_start_share_one_commit(rig: Rig, autojump_clock: MockClock):
    async with rig.running():
        await rig.run(step("a"), step("b", depends_on=["a"]), step("c", depends_on=["b"]))
    assert rig.store.journal.transactions == 4  # submitted, then one commit for each step that ended
    assert [event.seq for event in rig.events] == list(range(1, len(rig.events) + 1))


async def test_a_submission_is_durable_when_it_is_acknowledged_and_no_effect_came_before(
    rig: Rig, autojump_clock: MockClock
):
    async with rig.running():
        state = await rig.submit(step("a"))
        assert "interaction.submitted" in rig.types()
        assert rig.store.journal.interactions[state.id].state == "executing"


async def test_independent_steps_run_side_by_side_and_a_finished_one_frees_its_own_dependents_at_once(
    rig: Rig, autojump_clock: MockClock
):
    rig.script["work"] = [busy(10)]
    rig.script["other"] = [busy(1)]
    async with rig.running():
        began = trio.current_time()
        await rig.run(step("slow"), step("quick", "other"), step("after", "other", depends_on=["quick"]))
        assert trio.current_time() - began == pytest.approx(10, abs=0.1)
    assert rig.types("step.succeeded") == ["step.succeeded quick", "step.succeeded after", "step.succeeded slow"]


async def test_a_retryable_failure_is_tried_again_after_its_pause(rig: Rig, autojump_clock: MockClock):
    rig.script["work"] = [broken(retryable=True, retry_after_ms=60_000), Succeeded({"n": 2})]
    async with rig.running():
        began = trio.current_time()
        state = await rig.run(step("a"))
        assert trio.current_time() - began == pytest.approx(60, abs=0.1)
    assert state.runs["a"].output == {"n": 2}
    assert rig.attempts == [("a", 1), ("a", 2)]
    assert len({attempt.idempotency_key for attempt in rig.runner.started}) == 1
    assert len({attempt.execution_id for attempt in rig.runner.started}) == 2


async def test_a_step_that_keeps_failing_fails_when_its_retries_are_used_up(rig: Rig, autojump_clock: MockClock):
    rig.script["work"] = [broken("no luck", retryable=True)]
    async with rig.running():
        state = await rig.run(step("a"), step("b", depends_on=["a"]), step("c", "other"))
    assert [number for name, number in rig.attempts if name == "a"] == [1, 2, 3, 4]
    assert state.state == "failed"
    assert {name: run.state.value for name, run in state.runs.items()} == {
        "a": "failed",
        "b": "skipped",
        "c": "succeeded",
    }
    assert "no luck" in (state.answer or "")


async def test_cancelling_stops_what_runs_and_waits_until_it_is_gone(rig: Rig, autojump_clock: MockClock):
    gate = Gate()

    async def slow_to_die(attempt: Attempt, observer: Observer) -> Outcome:
        try:
            return await gate(attempt, observer)
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(2)

    rig.script["work"] = [slow_to_die]
    async with rig.running() as engine:
        state = await rig.submit(step("a"), step("b", depends_on=["a"]))
        await gate.begun.wait()
        assert (await engine.cancel(state.id, "uid:0", "enough")).state == "cancelling"
        began = trio.current_time()
        state = await rig.end_of(state.id)
        assert trio.current_time() - began == pytest.approx(2, abs=0.1)
    assert state.state == "cancelled"
    assert state.answer
    assert {run.state for run in state.runs.values()} == {"cancelled"}
    assert len(rig.runner.stopped) == 1


async def test_cancelling_in_the_very_moment_in_which_an_attempt_starts_is_not_lost(
    rig: Rig, autojump_clock: MockClock
):
    rig.script["work"] = [busy(1_000_000)]
    async with rig.running() as engine:
        for _ in range(20):  # trio decides anew each time whether the attempt or the cancellation comes first
            state = await rig.submit(step("a"))
            await engine.cancel(state.id, "uid:0", "")
            assert (await rig.end_of(state.id)).state == "cancelled"
        assert engine.slots.running == 0


async def test_what_is_final_is_not_cancelled_again(rig: Rig, autojump_clock: MockClock):
    async with rig.running() as engine:
        state = await rig.run(step("a"))
        with pytest.raises(WrongState):
            await engine.cancel(state.id, "uid:0", "")
        with pytest.raises(NotFound):
            await engine.cancel("int_of_nobody", "uid:0", "")


async def test_cancelling_twice_is_refused_the_second_time(rig: Rig, autojump_clock: MockClock):
    gate = Gate()

    async def stubborn(attempt: Attempt, observer: Observer) -> Outcome:
        with trio.CancelScope(shield=True):
            return await gate(attempt, observer)

    rig.script["work"] = [stubborn]
    async with rig.running() as engine:
        state = await rig.submit(step("a"))
        await gate.begun.wait()
        await engine.cancel(state.id, "uid:0", "")
        with pytest.raises(WrongState):
            await engine.cancel(state.id, "uid:0", "")
        gate.open.set()
        assert (await rig.end_of(state.id)).state == "cancelled"


async def test_a_person_answers_a_wait(rig: Rig, autojump_clock: MockClock):
    async with rig.running() as engine:
        state = await rig.run({"id": "ask", "kind": "wait_user"}, step("b", params={"x": "{{ask.answer}}"}))
        assert state.state == "waiting"
        _, step_id = await engine.answer(state.id, None, "blue", "uid:7")
        assert step_id == "ask"
        assert (await rig.end_of(state.id)).state == "completed"
    assert [attempt.params for attempt in rig.runner.started] == [{"x": "blue"}]


async def test_two_waits_must_be_named(rig: Rig, autojump_clock: MockClock):
    async with rig.running() as engine:
        state = await rig.run({"id": "x", "kind": "wait_user"}, {"id": "y", "kind": "wait_user"})
        with pytest.raises(InvalidParams, match="x, y"):
            await engine.answer(state.id, None, 1, "uid:0")
        await engine.answer(state.id, "x", 1, "uid:0")
        await engine.answer(state.id, None, 2, "uid:0")
        assert (await rig.end_of(state.id)).state == "completed"


async def test_an_answer_to_what_does_not_ask_is_refused(rig: Rig, autojump_clock: MockClock):
    gate = Gate()
    rig.script["work"] = [gate]
    async with rig.running() as engine:
        state = await rig.submit(step("a"))
        await gate.begun.wait()
        with pytest.raises(WrongState):
            await engine.answer(state.id, None, 1, "uid:0")
        with pytest.raises(WrongState):
            await engine.answer(state.id, "a", 1, "uid:0")
        with pytest.raises(NotFound):
            await engine.answer(state.id, "nobody", 1, "uid:0")


async def test_an_approval_is_answered_by_decide_alone_and_names_its_digest(rig: Rig, autojump_clock: MockClock):
    async with rig.running() as engine:
        state = await rig.run(step("a", "guarded", params={"n": 1}))
        question = state.runs["a"].question
        assert question is not None
        yes = {"digest": question.digest, "decision": "approve"}
        with pytest.raises(Denied):
            await engine.answer(state.id, "a", yes, "uid:0")
        with pytest.raises(Conflict):
            await engine.answer(state.id, "a", {**yes, "digest": "sha256:0"}, "uid:0", channel="decide")
        assert rig.attempts == []
        await engine.answer(state.id, "a", yes, "uid:0", channel="decide")
        assert (await rig.end_of(state.id)).state == "completed"
    assert rig.runner.started[0].approval["by"] == "uid:0"


async def test_a_plugin_that_asks_is_run_again_with_the_answer_and_its_own_state(rig: Rig, autojump_clock: MockClock):
    rig.script["work"] = [Asked(Question("clarification", "Which year?", state="opaque")), Succeeded({})]
    async with rig.running() as engine:
        state = await rig.run(step("a"))
        assert state.state == "waiting"
        await engine.answer(state.id, None, {"year": 1999}, "uid:0")
        assert (await rig.end_of(state.id)).state == "completed"
    assert (rig.runner.started[1].answers, rig.runner.started[1].state) == ({"year": 1999}, "opaque")


async def test_waiting_for_an_interaction_ends_with_the_time_that_is_given(rig: Rig, autojump_clock: MockClock):
    gate = Gate()
    rig.script["work"] = [gate]
    async with rig.running() as engine:
        state = await rig.submit(step("a"))
        assert not await engine.wait(state.id, 5)
        gate.open.set()
        assert await engine.wait(state.id, 5)


async def test_whoever_waits_is_woken_again_after_a_wait_was_answered(rig: Rig, autojump_clock: MockClock):
    async with rig.running() as engine:
        state = await rig.run({"id": "x", "kind": "wait_user"}, {"id": "y", "kind": "wait_user", "depends_on": ["x"]})
        await engine.answer(state.id, "x", 1, "uid:0")
        state = await rig.end_of(state.id)
        assert sorted(state.waiting) == ["y"]


async def test_a_timed_wait_goes_on_by_itself(rig: Rig, autojump_clock: MockClock):
    async with rig.running() as engine:
        began = trio.current_time()
        state = await rig.submit({"id": "w", "kind": "wait_until", "params": {"for": "10m"}})
        with trio.fail_after(700):
            while not (await rig.end_of(state.id)).final:
                await trio.sleep(1)
        assert trio.current_time() - began == pytest.approx(600, abs=2)
        assert not engine.live


async def test_a_wait_that_nobody_answers_in_time_fails_in_words(rig: Rig, autojump_clock: MockClock):
    async with rig.running() as engine:
        state = await rig.submit({"id": "w", "kind": "wait_user", "timeout": "1h"})
        with trio.fail_after(4_000):
            while engine.threads.names():
                await trio.sleep(60)
        state, _ = await rig.look(state.id)
    assert state.state == "failed"
    assert "nobody answered" in (state.answer or "")


async def test_draining_takes_nothing_new_and_lets_what_runs_come_to_its_end(rig: Rig, autojump_clock: MockClock):
    gate = Gate()
    rig.script["work"] = [gate]
    async with rig.running() as engine:
        state = await rig.submit(step("a"), step("b", depends_on=["a"]))
        await gate.begun.wait()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(engine.drain, 30)
            await wait_all_tasks_blocked()
            with pytest.raises(Draining):
                await rig.submit(step("c"))
            gate.open.set()
        # Whoever stops the engine now loses nothing: the end of the step is written.
        assert rig.types("step.") == ["step.started a", "step.succeeded a"]
    async with rig.running():
        assert (await rig.end_of(state.id)).state == "completed"
    assert rig.attempts == [("b", 1)]


async def test_draining_waits_for_an_end_that_is_not_yet_written(rig: Rig, autojump_clock: MockClock):
    journal = SlowJournal()
    rig.use(journal)
    gate = Gate()
    rig.script["work"] = [gate]
    async with rig.running() as engine:
        await rig.submit(step("a"))
        await gate.begun.wait()
        journal.hold()
        gate.open.set()
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(engine.drain, 30)
            await wait_all_tasks_blocked()
            journal.go_on()
        assert "step.succeeded a" in rig.types()


async def test_draining_ends_when_its_time_is_over(rig: Rig, autojump_clock: MockClock):
    rig.script["work"] = [busy(1_000)]
    async with rig.running() as engine:
        await rig.submit(step("a"))
        began = trio.current_time()
        await engine.drain(30)
        assert trio.current_time() - began == pytest.approx(30, abs=0.1)


async def test_a_plan_with_faults_names_them_all_and_starts_nothing(rig: Rig, autojump_clock: MockClock):
    async with rig.running():
        with pytest.raises(PlanError) as caught:
            await rig.submit(step("a", "wrok"), step("a"), step("b", depends_on=["nobody"]))
    assert len(caught.value.data["problems"]) >= 3
    assert rig.events == []


async def test_an_interaction_belongs_to_the_thread_that_it_names(rig: Rig, autojump_clock: MockClock):
    async with rig.running() as engine:
        first = await rig.run(step("a"))
        graph = await engine.planning.accept({"steps": [step("a")]})
        second = (await engine.submit(by="uid:0", graph=graph, source="plan", thread_id=first.thread_id)).state
        await rig.end_of(second.id)
        with pytest.raises(NotFound):
            await engine.submit(by="uid:0", graph=graph, source="plan", thread_id="thr_of_nobody")
    assert rig.types("thread.created") == ["thread.created"]


async def test_an_action_that_is_gone_when_its_turn_comes_fails_its_step_in_words(rig: Rig, autojump_clock: MockClock):
    gate = Gate()
    rig.script["work"] = [gate]
    async with rig.running():
        state = await rig.submit(step("a"), step("b", "other", depends_on=["a"]))
        await gate.begun.wait()
        del rig.actions.specs["other"]
        gate.open.set()
        state = await rig.end_of(state.id)
    assert state.state == "failed"
    assert "other" in (state.answer or "")


async def test_news_of_an_attempt_reach_the_spectators_and_violations_the_journal(rig: Rig, autojump_clock: MockClock):
    async def talkative(_attempt: Attempt, observer: Observer) -> Outcome:
        observer.progress(1, 2, "half")
        observer.log("info", "working")
        observer.violation(Violation("network", "connect 10.0.0.1:80"))
        return Succeeded({})

    rig.script["work"] = [talkative]
    async with rig.running():
        state = await rig.run(step("a"))
        await wait_all_tasks_blocked()
        folded, last_seq = await rig.look(state.id)
    assert rig.spectators.reports == [(state.id, "a", 1, 2, "half")]
    assert rig.spectators.lines == [(state.id, "a", "info", "working")]
    (violation,) = [event for event in rig.events if event.type == "step.violation"]
    assert violation.step_id == "a"
    assert violation.data == {"kind": "network", "evidence": "connect 10.0.0.1:80", "certain": True}
    assert (folded.state, last_seq) == ("completed", len(rig.events))


async def test_a_runner_that_raises_fails_one_step_in_words(rig: Rig, autojump_clock: MockClock):
    async def bug(_attempt: Attempt, _observer: Observer) -> Outcome:
        raise ZeroDivisionError("by zero")

    rig.script["work"] = [bug]
    async with rig.running():
        state = await rig.run(step("a"), step("b", "other"))
    assert state.state == "failed"
    assert "ZeroDivisionError" in (state.answer or "")
    assert state.runs["b"].state == "succeeded"


async def test_what_is_not_yet_durable_is_shown_to_nobody(rig: Rig, autojump_clock: MockClock):
    journal = SlowJournal()
    rig.use(journal)
    gate = Gate()
    rig.script["work"] = [gate]
    async with rig.running() as engine:
        state = await rig.submit(step("a"))
        await gate.begun.wait()
        journal.hold()
        gate.open.set()
        await wait_all_tasks_blocked()
        seen: list[tuple[str, int]] = []

        async def look() -> None:
            seen.append(await engine.view(state.id, lambda shown, seq: (shown.runs["a"].state.value, seq)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(look)
            await wait_all_tasks_blocked()
            assert "succeeded" not in [shown for shown, _ in seen]
            journal.go_on()
        assert seen == [("succeeded", len(rig.events))]


async def test_a_wall_clock_that_is_set_back_loses_no_timer(rig: Rig, autojump_clock: MockClock):
    """NTP steps, a person sets the clock, a laptop wakes up: a retry must come all the same."""

    class Stepping(TrioClock):
        """Goes back by an hour whenever it is asked a second time within one moment."""

        back = 0

        def now(self) -> int:
            shown = super().now() - self.back
            if self.back == 0 and trio.current_time() - began > 59:
                self.back = 3_600_000_000
            return shown

    rig.clock = Stepping()
    rig.script["work"] = [broken(retryable=True, retry_after_ms=60_000), Succeeded({})]
    began = trio.current_time()
    async with rig.running() as engine:
        state = await rig.submit(step("a"))
        assert await engine.wait(state.id, 7_200)
    assert [number for _, number in rig.attempts] == [1, 2]


async def test_a_failed_attempt_says_no_more_than_its_failure(rig: Rig, autojump_clock: MockClock):
    rig.script["work"] = [Failed(broken("plain words").failure)]
    async with rig.running():
        state = await rig.run(step("a"))
    assert "plain words" in (state.answer or "")


@pytest.mark.parametrize(
    "outcome",
    [
        Failed(Failure("broken", "no file \udcff here")),
        Failed(Failure("broken", "it broke", details={"share": float("nan")})),
        Asked(Question("clarification", "which?", schema={"const": object()})),
    ],
)
async def test_what_a_plugin_says_and_nobody_could_store_fails_its_step_and_never_the_daemon(
    rig: Rig, autojump_clock: MockClock, outcome: Outcome
):
    rig.script["work"] = [outcome]
    async with rig.running() as engine:
        state = await rig.run(step("a"))
        assert engine.failure is None
    assert state.state == "failed"
    assert state.runs["a"].failure is not None


async def test_a_violation_that_names_a_file_whose_name_is_no_text_is_recorded_all_the_same(
    rig: Rig, autojump_clock: MockClock
):
    async def plants(_attempt: Attempt, observer: Observer) -> Outcome:
        observer.violation(Violation("protected_create", "/workspace/.env\udcff was created"))
        return Succeeded({})

    rig.script["work"] = [plants]
    async with rig.running() as engine:
        await rig.run(step("a"))
        await wait_all_tasks_blocked()
        assert engine.failure is None
    assert "step.violation a" in rig.types()


def _wrong(*_: object) -> None:
    raise RuntimeError("two and two are five")


async def test_a_bug_of_ours_ends_one_interaction_in_words_and_nothing_else(
    rig: Rig, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
):
    gate = Gate()
    rig.script["other"] = [gate]
    async with rig.running() as engine:
        unharmed = await rig.submit(step("b", "other"))
        await gate.begun.wait()

        with monkeypatch.context() as patch:
            patch.setattr("orchestrald.core.scheduling.parameters", _wrong)
            with pytest.raises(InternalError):
                await rig.submit(step("a"))
        gate.open.set()
        assert (await rig.end_of(unharmed.id)).state == "completed"
        assert engine.failure is None


async def test_a_bug_in_the_middle_leaves_an_answer_and_a_final_state(
    rig: Rig, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
):
    gate = Gate()
    rig.script["work"] = [gate]
    async with rig.running():
        state = await rig.submit(step("a"), step("b", "other", depends_on=["a"]))
        await gate.begun.wait()

        monkeypatch.setattr("orchestrald.core.scheduling.parameters", _wrong)
        gate.open.set()
        with pytest.raises(InternalError):
            await rig.engine.wait(state.id, 60)
        await wait_all_tasks_blocked()
        row = await rig.store.reader.interaction(state.id)
        assert row is not None
        assert row.state == "failed"
        assert "two and two are five" in (row.answer or "")
