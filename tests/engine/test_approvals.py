"""When is a person asked, who may say yes to what, and when does a yes not hold any more?"""

from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from orchestrald.core.approval import Gate, Rule, Rules
from orchestrald.core.interaction import Interaction
from orchestrald.core.model import Question
from orchestrald.errors import Conflict, Denied, WrongState
from orchestrald.runner.base import Asked, Succeeded
from support.rig import Rig, step


def under(rig: Rig, *rules: Rule, **more: Any) -> Callable[[Any], None]:
    """These rules are in force; what is returned puts others in their place, as a reload does."""
    gates: list[Gate] = [Rules(rules, **more)]
    rig.limits = {"gate": lambda: gates[0]}
    return lambda gate: gates.__setitem__(0, gate)


def question(state: Interaction, step_id: str = "a") -> Question:
    asked = state.runs[step_id].question
    assert asked is not None
    return asked


async def decide(rig: Rig, state: Interaction, decision: str = "approve", by: str = "uid:7") -> Interaction:
    payload = {"digest": question(state).digest, "decision": decision, "note": "no way"}
    await rig.engine.answer(state.id, "a", payload, by, channel="decide")
    return await rig.end_of(state.id)


async def test_a_denied_action_never_starts_and_the_reason_is_told(rig: Rig, autojump_clock: MockClock):
    under(rig, Rule("allow", "*"), Rule("deny", "work", reason="not on a Monday"))
    async with rig.running():
        state = await rig.run(step("a"))
    assert state.state == "failed" and "not on a Monday" in (state.answer or "")
    assert state.runs["a"].failure is not None and state.runs["a"].failure.code == "denied"
    assert rig.runner.started == []


async def test_an_action_that_a_rule_asks_about_waits_shows_all_and_records_who_decided(
    rig: Rig, autojump_clock: MockClock
):
    under(rig, Rule("ask", "wo*", {"x": 5}))
    async with rig.running():
        state = await rig.run(step("a", params={"x": 5}))
        assert question(state).preview == {"action": "work", "params": {"x": 5}}
        assert (await decide(rig, state)).state == "completed"
        assert (await rig.run(step("a", params={"x": 6}))).state == "completed"
    (answered,) = [e for e in rig.events if e.type == "step.answered"]
    assert answered.data["by"] == "uid:7"
    assert rig.runner.started[0].approval is not None


async def test_an_allow_rule_is_a_yes_beforehand_also_for_what_always_asks(rig: Rig, autojump_clock: MockClock):
    under(rig, Rule("allow", "guarded", {"x": 1}, reason="x 1 is fine"))
    async with rig.running():
        assert (await rig.run(step("a", "guarded", params={"x": 1}))).state == "completed"
        assert (await rig.run(step("a", "guarded", params={"x": 2}))).state == "waiting"
    approval = rig.runner.started[0].approval
    assert approval is not None and approval["by"] == "rule: x 1 is fine"


async def test_a_denial_fails_the_step_and_says_who_and_why(rig: Rig, autojump_clock: MockClock):
    async with rig.running():
        state = await decide(rig, await rig.run(step("a", "guarded")), "deny")
    failure = state.runs["a"].failure
    assert failure is not None and failure.code == "denied" and "no way" in failure.message
    assert failure.details == {"by": "uid:7"} and rig.runner.started == []


async def test_nothing_but_decide_with_the_right_digest_approves(rig: Rig, autojump_clock: MockClock):
    async with rig.running() as engine:
        state = await rig.run(step("a", "guarded"))
        right = {"digest": question(state).digest, "decision": "approve"}
        for payload in ("yes", right, True):
            with pytest.raises(Denied):
                await engine.answer(state.id, "a", payload, "uid:0")
        with pytest.raises(Conflict):
            await engine.answer(state.id, "a", {**right, "digest": "sha256:0"}, "uid:0", channel="decide")
        await engine.answer(state.id, "a", right, "uid:0", channel="decide")
        with pytest.raises(WrongState):
            await engine.answer(state.id, "a", right, "uid:0", channel="decide")


async def test_a_yes_is_void_when_the_policy_has_changed_before_the_step_starts(rig: Rig, autojump_clock: MockClock):
    """The person said yes to what would have run in a read-only sandbox; the operator has loosened it since."""
    change = under(rig, policies={"guarded": "read_only"})
    async with rig.running() as engine:
        state = await rig.run(step("a", "guarded"))
        await engine.pause(state.id, "uid:0")
        payload = {"digest": question(state).digest, "decision": "approve"}
        await engine.answer(state.id, "a", payload, "uid:0", channel="decide")
        change(Rules(policies={"guarded": "workspace_write"}))
        await engine.resume(state.id, "uid:0")
        state = await rig.end_of(state.id)
        assert state.state == "waiting" and "not what was approved" in question(state).prompt
        assert (await decide(rig, state)).state == "completed"


async def test_an_open_question_expires_as_denied(rig: Rig, autojump_clock: MockClock):
    under(rig, expires_us=3_600_000_000)
    async with rig.running():
        state = await rig.run(step("a", "guarded"))
    async with rig.running() as engine:
        while engine.threads.names():
            await trio.sleep(60)
        state, _ = await rig.look(state.id)
    failure = state.runs["a"].failure
    assert failure is not None and failure.code == "denied" and "expired" in failure.message


@pytest.mark.parametrize("unattended", ["queue", "deny"])
async def test_when_nobody_is_there_the_question_is_queued_or_denied(
    rig: Rig, autojump_clock: MockClock, unattended: Any
):
    under(rig, unattended=unattended)
    rig.script["work"] = [Asked(Question("approval", "really?", preview={"command": "rm"}))]
    async with rig.running() as engine:
        for action in ("guarded", "work"):
            graph = await engine.planning.accept({"steps": [step("a", action)]})
            alone = await engine.submit(by="uid:0", graph=graph, source="schedule", unattended=True)
            attended = await engine.submit(by="uid:0", graph=graph, source="plan")
            expected = {"queue": "waiting", "deny": "failed"}[unattended]
            assert (await rig.end_of(alone.state.id)).state == expected
            assert (await rig.end_of(attended.state.id)).state == "waiting"


async def test_a_plugin_that_shows_something_else_after_the_yes_is_asked_about_again(
    rig: Rig, autojump_clock: MockClock
):
    rig.script["work"] = [
        Asked(Question("approval", "delete?", preview={"files": ["a"]})),
        Asked(Question("approval", "delete?", preview={"files": ["a", "b"]})),
        Succeeded({}),
    ]
    async with rig.running():
        state = await rig.run(step("a"))
        first = question(state).digest
        state = await decide(rig, state)
        assert state.state == "waiting" and question(state).digest != first
        assert (await decide(rig, state)).state == "completed"


async def test_a_retry_by_a_person_asks_again(rig: Rig, autojump_clock: MockClock):
    async with rig.running() as engine:
        state = await decide(rig, await rig.run(step("a", "guarded")))
        await engine.retry(state.id, "a", "uid:0")
        assert (await rig.end_of(state.id)).state == "waiting"


async def test_an_action_that_has_become_stricter_is_asked_about_in_plans_of_before(
    rig: Rig, autojump_clock: MockClock
):
    change = under(rig)
    async with rig.running() as engine:
        state = await rig.run({"id": "p", "kind": "wait_user"}, step("a", "once", depends_on=["p"]))
        change(Rules(declared={"once": ("always", "destructive")}))
        await engine.answer(state.id, "p", "go on", "uid:0")
        state = await rig.end_of(state.id)
        assert state.state == "waiting" and question(state).kind == "approval"


async def test_an_approval_that_comes_after_its_time_is_refused_though_no_timer_has_looked(
    rig: Rig, autojump_clock: MockClock
):
    under(rig, expires_us=1_000_000)
    async with rig.running() as engine:
        state = await rig.run(step("a", "guarded"))
        engine.timers.drop((state.id, "a"))  # as after a suspend, when the timer has not looked yet
        await trio.sleep(2)
        with pytest.raises(WrongState, match="time"):
            await decide(rig, state)
    assert rig.runner.started == []
