"""Does an intent become a plan, and does whatever a planner does end in words?"""

from dataclasses import replace
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from orchestrald.core.interaction import Interaction
from orchestrald.engine.planning import Bounds
from orchestrald.errors import PlannerUnavailable
from orchestrald.interpreter.rules import RulesInterpreter
from orchestrald.planner.base import Proposal, Request
from support.rig import Gate, Rig, step


class Scripted:
    """A planner that answers with what it was given, or raises it."""

    replans = False

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[Request] = []

    async def propose(self, request: Request) -> Proposal:
        self.asked.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]


async def run_intent(rig: Rig, intent: str = "do it") -> Interaction:
    return await rig.end_of((await rig.engine.submit(by="uid:0", intent=intent)).state.id)


async def test_what_the_planner_proposes_is_run(rig: Rig, autojump_clock: MockClock):
    rig.planner = planner = Scripted(Proposal({"goal": "g", "steps": [step("a")]}, "playbook:test"))
    async with rig.running():
        state = await run_intent(rig)
    assert (state.state, state.planner) == ("completed", "playbook:test")
    assert [request.intent for request in planner.asked] == ["do it"]


async def test_an_intent_that_nothing_fits_is_answered_in_words(rig: Rig, autojump_clock: MockClock):
    async with rig.running():
        state = await run_intent(rig, "make tea")
    assert state.state == "failed"
    assert "make tea" in (state.answer or "")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (ZeroDivisionError("by zero"), "ZeroDivisionError"),
        (ExceptionGroup("two", [ValueError("x"), OSError("y")]), "ExceptionGroup"),
        (RecursionError(), "RecursionError"),
        (PlannerUnavailable("The model is away."), "The model is away."),
        (None, "planner"),
        (Proposal(None, "x"), "plan"),  # type: ignore[arg-type]
        (Proposal({}, "x"), "steps"),
        (Proposal({"steps": [step("a", "wrok")]}, "x"), "wrok"),
        (Proposal({"steps": [step("a", depends_on=["b"]), step("b", depends_on=["a"])]}, "x"), "wait for each other"),
    ],
    ids=str,
)
async def test_whatever_a_planner_does_the_interaction_ends_in_words(
    rig: Rig, autojump_clock: MockClock, answer: Any, said: str
):
    rig.planner = Scripted(answer)
    async with rig.running() as engine:
        state = await run_intent(rig)
        assert engine.failure is None
    assert state.state == "failed"
    assert said.lower() in (state.answer or "").lower()
    assert rig.attempts == []


async def test_a_planner_that_takes_its_time_can_be_cancelled_and_its_late_answer_changes_nothing(
    rig: Rig, autojump_clock: MockClock
):
    gate = Gate()

    class Slow(Scripted):
        async def propose(self, request: Request) -> Proposal:
            await gate(None, None)  # type: ignore[arg-type]
            return await super().propose(request)

    rig.planner = Slow(Proposal({"steps": [step("a")]}, "x"))
    async with rig.running() as engine:
        submitted = (await engine.submit(by="uid:0", intent="do it")).state
        await gate.begun.wait()
        await engine.cancel(submitted.id, "uid:0", "")
        state = await rig.end_of(submitted.id)
        gate.open.set()
    assert state.state == "cancelled"
    assert rig.attempts == []


async def test_a_crash_while_planning_asks_the_planner_again(rig: Rig, autojump_clock: MockClock):
    gate = Gate()

    class Slow(Scripted):
        async def propose(self, request: Request) -> Proposal:
            await gate(None, None)  # type: ignore[arg-type]
            return await super().propose(request)

    rig.planner = Slow(Proposal({"steps": [step("a")]}, "x"))
    async with rig.running() as engine:
        submitted = (await engine.submit(by="uid:0", intent="do it")).state
        await gate.begun.wait()
    gate.open.set()
    async with rig.running():
        assert (await rig.end_of(submitted.id)).state == "completed"


async def test_an_interpreter_that_raises_does_not_keep_an_interaction_from_its_end(
    rig: Rig, autojump_clock: MockClock
):
    class Broken(RulesInterpreter):
        def explain(self, state: Interaction, status: str) -> str:
            raise KeyError(status)

    rig.interpreter = Broken()
    async with rig.running() as engine:
        state = await rig.run(step("a"))
        assert engine.failure is None
    assert state.state == "completed"
    assert "KeyError" in (state.answer or "")


async def test_a_planner_is_told_what_was_said_in_the_thread_before(rig: Rig, autojump_clock: MockClock):
    rig.planner = planner = Scripted(Proposal({"goal": "g", "steps": [step("a")]}, "p"))
    rig.limits = {"bounds": lambda: Bounds(history=3)}
    async with rig.running():
        first = await run_intent(rig, "first")
        for intent in ("second", "third"):
            state = (await rig.engine.submit(by="uid:0", intent=intent, thread_id=first.thread_id)).state
            await rig.end_of(state.id)
    heard = [[(each.role, each.text.split(".")[0]) for each in request.dialogue] for request in planner.asked]
    done = ("assistant", "Done: g")
    assert heard == [[], [("user", "first"), done], [done, ("user", "second"), done]]


async def test_a_planner_is_told_nothing_where_no_history_is_wanted(rig: Rig, autojump_clock: MockClock):
    rig.planner = planner = Scripted(Proposal({"goal": "g", "steps": [step("a")]}, "p"))
    rig.limits = {"bounds": lambda: Bounds(history=0)}
    async with rig.running():
        first = await run_intent(rig, "first")
        await rig.end_of((await rig.engine.submit(by="uid:0", intent="x", thread_id=first.thread_id)).state.id)
    assert [request.dialogue for request in planner.asked] == [(), ()]


async def test_a_planner_that_is_still_thinking_after_a_pause_is_not_asked_a_second_time(
    rig: Rig, autojump_clock: MockClock
):
    """It may be a model that is paid for each question; the answer that is on its way is the one to this round."""
    asked = 0

    class Slow:
        replans = False

        async def propose(self, request: Request) -> Proposal:
            nonlocal asked
            asked += 1
            await trio.sleep(100)
            return Proposal({"steps": [step(f"s{asked}"), {"id": "q", "kind": "wait_user"}]}, f"answer {asked}")

    rig.planner = Slow()
    async with rig.running() as engine:
        state = (await engine.submit(by="uid:0", intent="do it")).state
        await wait_all_tasks_blocked()
        await engine.pause(state.id, "uid:0")
        await engine.resume(state.id, "uid:0")
        await trio.sleep(200)
        state, _ = await rig.look(state.id)
    assert list(state.runs) == ["s1", "q"]
    assert rig.types("plan.") == ["plan.adopted"]


async def test_an_answer_that_came_while_it_was_paused_is_asked_for_again(rig: Rig, autojump_clock: MockClock):
    rig.planner = planner = Scripted(Proposal({"steps": [step("a")]}, "x"))
    gate = Gate()

    class Slow(Scripted):
        async def propose(self, request: Request) -> Proposal:
            await gate(None, None)  # type: ignore[arg-type]
            return await super().propose(request)

    rig.planner = planner = Slow(planner.answer)
    async with rig.running() as engine:
        state = (await engine.submit(by="uid:0", intent="do it")).state
        await gate.begun.wait()
        await engine.pause(state.id, "uid:0")
        gate.open.set()
        await wait_all_tasks_blocked()
        assert rig.types("plan.") == []
        await engine.resume(state.id, "uid:0")
        assert (await rig.end_of(state.id)).state == "completed"
    assert len(planner.asked) == 2


async def test_a_plan_that_a_person_agreed_to_does_not_run_another_plugin_of_the_same_name(
    rig: Rig, autojump_clock: MockClock
):
    gate = Gate()
    rig.script["other"] = [gate, gate]
    async with rig.running() as engine:
        graph = await engine.planning.accept({"steps": [step("w", "other"), step("a", depends_on=["w"])]})
        agreed, handed_in = [
            (await engine.submit(by="uid:0", graph=graph, source="plan", approved=approved)).state.id
            for approved in (graph.digest(""), "")
        ]
        await wait_all_tasks_blocked()
        rig.actions.specs["work"] = replace(rig.actions.specs["work"], digest="sha256:another")
        gate.open.set()
        ended = await rig.end_of(agreed)
        assert (ended.state, ended.failure and ended.failure.code) == ("failed", "plan_changed")
        assert (await rig.end_of(handed_in)).state == "completed"
