"""Pausing, resuming, skipping, retrying and forking: on what runs, what waits, what is over, and across a crash."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from orchestrald.core.interaction import Interaction
from orchestrald.core.model import Question
from orchestrald.core.states import InteractionState
from orchestrald.errors import InvalidParams, NotFound, PlanError, Rejected, WrongState
from orchestrald.runner.base import Asked, Succeeded
from support.rig import Gate, Rig, broken, step


def states(state: Interaction) -> dict[str, str]:
    return {run.id: run.state.value for run in state.by_node}


def chain(*actions: str) -> list[dict[str, Any]]:
    names = "abcdefgh"
    return [
        step(names[i], action, params={"i": i}, **({"depends_on": [names[i - 1]]} if i else {}))
        for i, action in enumerate(actions)
    ]


async def test_a_paused_interaction_finishes_what_runs_and_starts_nothing(rig: Rig, autojump_clock: MockClock):
    gate = Gate()
    rig.script["other"] = [gate]
    async with rig.running() as engine:
        state = await rig.submit(*chain("other", "work"))
        await gate.begun.wait()
        assert (await engine.pause(state.id, "uid:0")).state == "paused"
        gate.open.set()
        await wait_all_tasks_blocked()
        state, _ = await rig.look(state.id)
        assert (state.state, states(state)) == ("paused", {"a": "succeeded", "b": "pending"})
        assert not engine.live
    async with rig.running() as engine:
        assert await engine.wait(state.id, 1)
        await engine.resume(state.id, "uid:0")
        assert (await rig.end_of(state.id)).state == "completed"


async def test_an_interaction_that_was_paused_while_a_step_ran_is_still_paused_after_a_crash(
    rig: Rig, autojump_clock: MockClock
):
    gate = Gate()
    rig.script["other"] = [gate]
    async with rig.running() as engine:
        state = await rig.submit(*chain("other", "work"))
        await gate.begun.wait()
        await engine.pause(state.id, "uid:0")
    async with rig.running() as engine:
        await wait_all_tasks_blocked()
        state, _ = await rig.look(state.id)
        assert (state.state, states(state)) == ("paused", {"a": "interrupted", "b": "pending"})
        gate.open.set()
        await engine.resume(state.id, "uid:0")
        assert (await rig.end_of(state.id)).state == "completed"


async def test_a_failure_during_a_pause_has_its_consequences_when_it_is_resumed(rig: Rig, autojump_clock: MockClock):
    gate = Gate()

    async def fails(attempt: Any, observer: Any) -> Any:
        await gate(attempt, observer)
        return broken()

    rig.script["once"] = [fails]
    async with rig.running() as engine:
        state = await rig.submit(*chain("once", "work"))
        await gate.begun.wait()
        await engine.pause(state.id, "uid:0")
        gate.open.set()
        await wait_all_tasks_blocked()
        assert states((await rig.look(state.id))[0]) == {"a": "failed", "b": "pending"}
        await engine.resume(state.id, "uid:0")
        state = await rig.end_of(state.id)
    assert (state.state, states(state)) == ("failed", {"a": "failed", "b": "skipped"})


async def test_pausing_or_resuming_in_the_wrong_state_is_refused(rig: Rig, autojump_clock: MockClock):
    async with rig.running() as engine:
        done = await rig.run(step("a"))
        for ask in (engine.pause, engine.resume):
            with pytest.raises(WrongState):
                await ask(done.id, "uid:0")
            with pytest.raises(NotFound):
                await ask("int_of_nobody", "uid:0")


async def test_a_step_can_be_skipped_with_a_value(rig: Rig, autojump_clock: MockClock):
    async with rig.running() as engine:
        state = await rig.run(
            {"id": "w", "kind": "wait_event", "params": {"kind": "never"}}, step("b", params={"x": "{{w.payload.n}}"})
        )
        await engine.skip(state.id, "w", {"payload": {"n": 3}}, "uid:0")
        assert (await rig.end_of(state.id)).state == "completed"
        with pytest.raises(WrongState):
            await engine.skip(state.id, "w", None, "uid:0")
        with pytest.raises(NotFound):
            await engine.skip(state.id, "nobody", None, "uid:0")
    assert rig.runner.started[0].params == {"x": 3}


async def test_a_failed_interaction_is_retried_and_what_succeeded_is_not_run_again(rig: Rig, autojump_clock: MockClock):
    rig.script["once"] = [broken(), Succeeded({"ok": True})]
    async with rig.running() as engine:
        state = await rig.run(*chain("work", "once", "work"))
        assert (state.state, states(state)) == ("failed", {"a": "succeeded", "b": "failed", "c": "skipped"})
        await engine.retry(state.id, None, "uid:0")
        state = await rig.end_of(state.id)
    assert (state.state, states(state)) == ("completed", {"a": "succeeded", "b": "succeeded", "c": "succeeded"})
    keys = [attempt.idempotency_key.split("/")[1:] for attempt in rig.runner.started]
    assert keys == [["a", "1"], ["b", "1"], ["b", "2"], ["c", "2"]]


async def test_a_retry_survives_a_crash(rig: Rig, autojump_clock: MockClock):
    rig.script["once"] = [broken()]
    async with rig.running() as engine:
        state = await rig.run(*chain("work", "once", "work"))
    gate = Gate()
    rig.script["once"] = [gate]
    async with rig.running() as engine:
        await engine.retry(state.id, None, "uid:0")
        await gate.begun.wait()
    async with rig.running() as engine:
        state = await rig.end_of(state.id)
        assert states(state)["b"] == "waiting"  # it may not be repeated unasked, and was interrupted
        gate.open.set()
        await engine.answer(state.id, "b", {"decision": "retry"}, "uid:0")
        assert (await rig.end_of(state.id)).state == "completed"


async def test_a_completed_interaction_can_be_run_again_from_a_step(rig: Rig, autojump_clock: MockClock):
    async with rig.running() as engine:
        state = await rig.run(*chain("work", "work", "work"), step("z"))
        with pytest.raises(WrongState, match="name the step"):
            await engine.retry(state.id, None, "uid:0")
        await engine.retry(state.id, "b", "uid:0")
        state = await rig.end_of(state.id)
    assert state.state == "completed"
    assert sorted(rig.attempts[:2]) == [("a", 1), ("z", 1)]
    assert [name for name, _ in rig.attempts[2:]] == ["b", "c", "b", "c"]


async def test_a_cancelled_for_each_is_run_again_as_a_whole(rig: Rig, autojump_clock: MockClock):
    gate = Gate()
    rig.script["other"] = [gate]
    async with rig.running() as engine:
        state = await rig.submit(step("e", "other", for_each=[1, 2, 3], params={"x": "{{item}}"}))
        await gate.begun.wait()
        await engine.cancel(state.id, "uid:0", "")
        await rig.end_of(state.id)
        gate.open.set()
        await engine.retry(state.id, "e", "uid:0")
        state = await rig.end_of(state.id)
    assert state.state == "completed" and len(state.runs["e"].output) == 3


async def test_a_failed_planning_is_retried(rig: Rig, autojump_clock: MockClock):
    from orchestrald.planner.base import Proposal, Request

    class Second:
        replans = False
        asked = 0

        async def propose(self, request: Request) -> Proposal:
            self.asked += 1
            if self.asked == 1:
                raise OSError("not now")
            return Proposal({"steps": [step("a")]}, "second")

    rig.planner = Second()
    async with rig.running() as engine:
        state = (await engine.submit(by="uid:0", intent="do it")).state
        assert (await rig.end_of(state.id)).state == "failed"
        await engine.retry(state.id, None, "uid:0")
        assert (await rig.end_of(state.id)).state == "completed"


@pytest.mark.parametrize("step_id", ["nobody", "e[0]"])
async def test_a_retry_from_what_is_no_step_is_refused(rig: Rig, autojump_clock: MockClock, step_id: str):
    async with rig.running() as engine:
        state = await rig.run(step("e", for_each=[1]))
        with pytest.raises(NotFound):
            await engine.retry(state.id, step_id, "uid:0")
        assert engine.threads.names() == []


async def test_nothing_is_reopened_beside_what_is_active_in_its_thread(rig: Rig, autojump_clock: MockClock):
    gate = Gate()
    rig.script["other"] = [gate]
    async with rig.running() as engine:
        done = await rig.run(step("a"))
        graph = await engine.planning.accept({"steps": [step("b", "other")]})
        busy = await engine.submit(by="uid:0", graph=graph, source="plan", thread_id=done.thread_id)
        with pytest.raises(Rejected, match=busy.state.id):
            await engine.retry(done.id, "a", "uid:0")


async def test_a_fork_keeps_what_came_before_and_runs_what_was_patched(rig: Rig, autojump_clock: MockClock):
    rig.script["other"] = [Succeeded({"n": 1})]
    async with rig.running() as engine:
        state = await rig.run(
            step("a", "other"),
            step("b", params={"x": "{{a.n}}", "keep": True}),
            step("c", params={"y": "{{b.ok}}"}),
            step("d", "other"),
        )
        before = len(rig.runner.started)
        patch = {"b": {"params": {"x": 7}}, "c": None, "e": {"action": "work", "depends_on": ["b"]}}
        forked = await engine.fork(state.id, "b", patch, "uid:0")
        new = await rig.end_of(forked.state.id)
    assert (new.state, list(states(new))) == ("completed", ["a", "b", "d", "e"])
    assert [(a.step_id, a.params) for a in rig.runner.started[before:]] == [("b", {"x": 7, "keep": True}), ("e", {})]
    assert new.forked_from == state.id and new.runs["a"].output == {"n": 1}


async def test_a_fork_that_waits_in_a_queue_over_a_crash_still_has_its_results(rig: Rig, autojump_clock: MockClock):
    rig.limits = {"inline_output_bytes": 10}
    rig.script["other"] = [Succeeded({"text": "long enough to be stored"})]
    gate = Gate()
    async with rig.running() as engine:
        state = await rig.run(step("a", "other"), step("b", params={"x": "{{a.text}}"}))
        rig.script["once"] = [gate]
        graph = await engine.planning.accept({"steps": [step("z", "once")]})
        await engine.submit(by="uid:0", graph=graph, source="plan", thread_id=state.thread_id)
        await gate.begun.wait()
        forked = await engine.fork(state.id, "b", {}, "uid:0")
        assert forked.disposition == "queued"
    async with rig.running() as engine:
        new = await rig.end_of(forked.state.id)
    assert new.state == "completed"
    assert rig.runner.started[-1].params == {"x": "long enough to be stored"}


@pytest.mark.parametrize(
    ("at", "patch", "error"),
    [
        ("b", {"a": {"params": {}}}, InvalidParams),
        ("b", [], InvalidParams),
        ("nobody", {}, NotFound),
        ("b", {"b": {"action": "no_such_action"}}, PlanError),
    ],
)
async def test_a_fork_that_cannot_be_is_refused(rig: Rig, autojump_clock: MockClock, at: str, patch: Any, error: Any):
    async with rig.running() as engine:
        state = await rig.run(*chain("work", "work"))
        with pytest.raises(error):
            await engine.fork(state.id, at, patch, "uid:0")
    assert rig.types("interaction.submitted") == ["interaction.submitted"]


async def test_what_rests_is_not_in_memory_and_comes_back_for_an_answer(rig: Rig, autojump_clock: MockClock):
    async with rig.running() as engine:
        found = [await rig.run({"id": "q", "kind": "wait_user"}) for _ in range(50)]
        assert engine.live == {} and engine.threads.counts()["waiting"] == 50
    async with rig.running() as engine:
        assert engine.live == {} and engine.threads.counts()["waiting"] == 50
        async with trio.open_nursery() as nursery:
            for each in found:
                nursery.start_soon(engine.answer, each.id, "q", "x", "uid:0")
        for each in found:
            assert (await rig.end_of(each.id)).state == "completed"
        assert engine.threads.names() == [] and not engine.waits.of(found[0].id)


async def test_of_two_who_decide_one_approval_at_once_only_the_first_does(rig: Rig, autojump_clock: MockClock):
    refused: list[WrongState] = []

    async def decide(by: str, payload: dict[str, Any], interaction_id: str) -> None:
        try:
            await rig.engine.answer(interaction_id, "a", payload, by, channel="decide")
        except WrongState as error:
            refused.append(error)

    async with rig.running():
        state = await rig.run(step("a", "guarded"))
        question = state.runs["a"].question
        assert question is not None
        async with trio.open_nursery() as nursery:
            for i in range(10):
                word = "approve" if i % 2 else "deny"
                nursery.start_soon(decide, f"uid:{i}", {"digest": question.digest, "decision": word}, state.id)
        state = await rig.end_of(state.id)
    assert len(refused) == 9 and state.state in {InteractionState.COMPLETED, InteractionState.FAILED}


async def test_a_plugin_asks_is_answered_and_asks_for_approval_each_across_a_crash(rig: Rig, autojump_clock: MockClock):
    """Asked with an opaque state, which comes back byte for byte; no process waits in between."""
    rig.script["work"] = [
        Asked(Question("clarification", "which year?", {"type": "integer"}, state="s1")),
        Asked(Question("approval", "really?", preview={"command": "rm"}, state="s2")),
        Succeeded({"ok": True}),
    ]
    turns: list[tuple[Any, Any, Any]] = []
    script = list(rig.script["work"])

    async def act(attempt: Any, _observer: Any) -> Any:
        turns.append((attempt.answers, attempt.state, (attempt.approval or {}).get("by")))
        return script[len(turns) - 1]

    rig.script["work"] = [act]
    async with rig.running():
        state = await rig.run(step("a"))
    async with rig.running() as engine:
        await engine.answer(state.id, "a", 1999, "uid:5")
        state = await rig.end_of(state.id)
        question = state.runs["a"].question
    assert question is not None and question.kind == "approval"
    async with rig.running() as engine:
        payload = {"digest": question.digest, "decision": "approve"}
        await engine.answer(state.id, "a", payload, "uid:6", channel="decide")
        assert (await rig.end_of(state.id)).state == "completed"
    assert turns == [(None, None, None), (1999, "s1", None), (1999, "s2", "uid:6")]


async def test_what_was_cancelled_in_the_queue_can_be_tried_again(rig: Rig, autojump_clock: MockClock):
    gate = Gate()
    rig.script["other"] = [gate]
    async with rig.running() as engine:
        one = await rig.submit(step("a", "other"))
        await gate.begun.wait()
        graph = await engine.planning.accept({"steps": [step("b")]})
        two = await engine.submit(by="uid:0", graph=graph, source="plan", thread_id=one.thread_id, policy="queue")
        await engine.cancel(two.state.id, "uid:0", "")
        await rig.end_of(two.state.id)
        gate.open.set()
        await rig.end_of(one.id)
        with pytest.raises(NotFound):
            await engine.retry(two.state.id, "b", "uid:0")
        await engine.retry(two.state.id, None, "uid:0")
        assert (await rig.end_of(two.state.id)).state == "completed"


async def test_a_fork_keeps_a_value_that_a_person_gave(rig: Rig, autojump_clock: MockClock):
    async with rig.running() as engine:
        state = await rig.run({"id": "q", "kind": "wait_user"}, step("b", params={"x": "{{q.answer}}"}))
        await engine.skip(state.id, "q", {"answer": 7}, "uid:0")
        await rig.end_of(state.id)
        forked = await engine.fork(state.id, "b", {}, "uid:0")
        assert (await rig.end_of(forked.state.id)).state == "completed"
    assert [attempt.params for attempt in rig.runner.started] == [{"x": 7}, {"x": 7}]


async def test_a_step_that_its_action_holds_back_does_not_start_with_what_a_retry_took_from_it(
    rig: Rig, autojump_clock: MockClock
):
    first, again = Gate(), Gate()
    rig.script |= {"once": [first], "work": [Succeeded({"x": 42}), again], "other": [Succeeded({})]}
    rig.actions.limits = {"other": [("g", 1)], "once": [("g", 1)]}
    async with rig.running() as engine:
        state = await rig.submit(step("z", "once"), step("a"), step("b", "other", params={"v": "{{a.x}}"}))
        await wait_all_tasks_blocked()
        await engine.retry(state.id, "a", "uid:0")
        first.open.set()
        await wait_all_tasks_blocked()
        assert [attempt.step_id for attempt in rig.runner.started].count("b") == 0
        again.open.set()
        assert (await rig.end_of(state.id)).state == "failed"  # the second run of `a` has no x
    assert not [attempt for attempt in rig.runner.started if attempt.step_id == "b"]


async def test_a_held_step_that_was_skipped_and_retried_starts_once(rig: Rig, autojump_clock: MockClock):
    gate = Gate()
    rig.script |= {"once": [gate]}
    rig.actions.limits = {"other": [("g", 1)], "once": [("g", 1)]}
    async with rig.running() as engine:
        state = await rig.submit(step("z", "once"), step("b", "other"))
        await wait_all_tasks_blocked()
        await engine.skip(state.id, "b", None, "uid:0")
        await engine.retry(state.id, "b", "uid:0")
        gate.open.set()
        assert (await rig.end_of(state.id)).state == "completed"
    assert [name for name, _ in rig.attempts] == ["z", "b"]


async def test_skipping_items_that_were_not_let_in_lets_no_more_in(rig: Rig, autojump_clock: MockClock):
    gate = Gate()
    rig.script["work"] = [gate]
    async with rig.running() as engine:
        state = await rig.submit(step("e", for_each={"items": list(range(8)), "max_parallel": 1}))
        await gate.begun.wait()
        for index in (1, 5, 6):
            await engine.skip(state.id, f"e[{index}]", None, "uid:0")
        await wait_all_tasks_blocked()
        assert rig.attempts == [("e[0]", 1)]
        gate.open.set()
        assert (await rig.end_of(state.id)).state == "completed"
    assert [name for name, _ in rig.attempts] == [f"e[{i}]" for i in (0, 2, 3, 4, 7)]


@pytest.mark.parametrize("action", ["work", "once"])
async def test_what_was_given_up_in_the_middle_can_be_retried(rig: Rig, autojump_clock: MockClock, action: str):
    """A bug of ours ended it while a step ran and another waited: nobody is behind either any more."""
    gate = Gate()
    rig.script[action] = [gate]
    async with rig.running() as engine:
        state = await rig.submit(step("a", action), {"id": "q", "kind": "wait_user"})
        await gate.begun.wait()
        engine.live[state.id].tell(None)  # type: ignore[arg-type]  # what our own bug might
        await wait_all_tasks_blocked()
    gate.open.set()
    async with rig.running() as engine:
        assert (await rig.look(state.id))[0].state == "failed"
        await engine.retry(state.id, None, "uid:0")
        await wait_all_tasks_blocked()
        waiting = [row.step_id for row in await engine.reader.waits(interaction_id=state.id)]
        assert waiting == (["q"] if action == "work" else ["a", "q"])
        if action == "once":
            await engine.answer(state.id, "a", {"decision": "retry"}, "uid:0")
        await engine.answer(state.id, "q", "yes", "uid:0")
        assert (await rig.end_of(state.id)).state == "completed"


async def test_a_retry_is_refused_where_its_thread_is_full(rig: Rig, autojump_clock: MockClock):
    rig.limits = {"max_interactions_per_thread": 1}
    async with rig.running() as engine:
        done = await rig.run(step("a"))
        graph = await engine.planning.accept({"steps": [{"id": "q", "kind": "wait_user"}]})
        waiting = await engine.submit(by="uid:0", graph=graph, source="plan", thread_id=done.thread_id)
        await rig.end_of(waiting.state.id)
        with pytest.raises(Rejected, match="1 interactions"):
            await engine.retry(done.id, "a", "uid:0")


async def test_a_refused_letter_to_what_is_over_writes_nothing(rig: Rig, autojump_clock: MockClock):
    async with rig.running() as engine:
        state = await rig.submit({"id": "q", "kind": "wait_user"}, step("a", "guarded"))
        await rig.end_of(state.id)
        await engine._give_up(state.id, "internal_error", ValueError("a bug"))
        before = rig.store.journal.transactions
        with pytest.raises(WrongState):
            await engine.cancel(state.id, "uid:0", "")
        assert rig.store.journal.transactions == before
        assert await engine.reader.waits() == []


async def test_a_fork_keeps_a_large_list_in_the_reference_store(rig: Rig, autojump_clock: MockClock):
    rig.limits = {"inline_output_bytes": 200}
    rig.script["other"] = [Succeeded({"text": "x" * 100})]
    async with rig.running() as engine:
        state = await rig.run(step("e", "other", for_each=list(range(20))), step("b", params={"x": "{{e[7].text}}"}))
        forked = await engine.fork(state.id, "b", {}, "uid:0")
        assert (await rig.end_of(forked.state.id)).state == "completed"
    (carried,) = [event for event in rig.events if event.type == "step.carried"]
    assert "stored" in carried.data and "output" not in carried.data
    assert rig.runner.started[-1].params == {"x": "x" * 100}


async def test_nothing_is_left_behind_by_those_who_waited(rig: Rig, autojump_clock: MockClock):
    async with rig.running() as engine:
        state = await rig.submit({"id": "u", "kind": "wait_until", "params": {"for": "1h"}})
        for name in (state.id, "int_of_nobody"):
            for _ in range(5):
                await engine.wait(name, 0)
                await engine.wait(name, 1)
        assert engine.looking._stirring == {}
        assert await engine.wait(state.id, 7200)
