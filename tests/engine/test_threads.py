"""What does a new input do while something is active in its thread? Each policy, also with a crash in between."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from orchestrald.core.concurrency import BUILT_IN, Decision, Queue, Reject, Situation, Start
from orchestrald.engine.submissions import Policies, Submission
from orchestrald.errors import Rejected, WrongState
from orchestrald.planner.base import Proposal, Request
from support.rig import Gate, Rig, SlowJournal, step


async def put(rig: Rig, thread_id: str | None, policy: str, action: str = "work", intent: str = "") -> Submission:
    """An input of one step, or an intent, under this policy."""
    graph = None if intent else await rig.engine.planning.accept({"steps": [step("a", action)]})
    return await rig.engine.submit(
        by="uid:0",
        intent=intent,
        graph=graph,
        source="intent" if intent else "plan",
        thread_id=thread_id,
        policy=policy,
    )


async def first(rig: Rig, gate: Gate) -> Submission:
    """Something that runs until the gate is opened."""
    rig.script["other"] = [gate]
    begun = await put(rig, None, "queue", "other")
    await gate.begun.wait()
    return begun


def started(rig: Rig) -> list[str]:
    return [event.interaction_id for event in rig.events if event.type == "step.started"]


def ended(rig: Rig) -> list[tuple[str, str]]:
    final = {"interaction.completed", "interaction.failed", "interaction.cancelled"}
    return [(e.interaction_id, e.type.split(".")[1]) for e in rig.events if e.type in final]


async def test_queued_inputs_start_in_their_order_each_when_the_one_before_is_over(rig: Rig, autojump_clock: MockClock):
    gate = Gate()
    async with rig.running():
        one = await first(rig, gate)
        thread = one.state.thread_id
        two, three = await put(rig, thread, "queue"), await put(rig, thread, "queue")
        assert (two.disposition, two.state.state, three.disposition) == ("queued", "queued", "queued")
        await wait_all_tasks_blocked()
        assert started(rig) == [one.state.id]
        gate.open.set()
        await rig.end_of(three.state.id)
    assert started(rig) == [one.state.id, two.state.id, three.state.id]
    order = [e.type + e.interaction_id for e in rig.events]
    assert order.index("interaction.completed" + two.state.id) < order.index("plan.adopted" + three.state.id)


async def test_a_queue_survives_a_crash_and_goes_on(rig: Rig, autojump_clock: MockClock):
    gate = Gate()
    async with rig.running():
        one = await first(rig, gate)
        rest = [await put(rig, one.state.thread_id, "queue") for _ in range(3)]
    gate.open.set()
    async with rig.running() as engine:
        assert engine.threads.counts()["queued"] == 3
        for each in rest:
            assert (await rig.end_of(each.state.id)).state == "completed"
    assert [name for name, _ in ended(rig)] == [one.state.id, *(each.state.id for each in rest)]


async def test_a_queue_is_bounded(rig: Rig, autojump_clock: MockClock):
    rig.limits = {"policies": Policies(lambda: BUILT_IN, "queue", 2)}
    gate = Gate()
    async with rig.running():
        one = await first(rig, gate)
        for _ in range(2):
            await put(rig, one.state.thread_id, "queue")
        with pytest.raises(Rejected, match="2 inputs wait"):
            await put(rig, one.state.thread_id, "queue")
    assert rig.types("input.rejected") == ["input.rejected"]


async def test_reject_refuses_with_a_reason_and_records_the_input(rig: Rig, autojump_clock: MockClock):
    gate = Gate()
    async with rig.running():
        one = await first(rig, gate)
        with pytest.raises(Rejected, match=f"{one.state.id} is active") as refused:
            await put(rig, one.state.thread_id, "reject", intent="and this")
        gate.open.set()
        await rig.end_of(one.state.id)
        assert (await put(rig, one.state.thread_id, "reject")).disposition == "started"
    recorded = rig.events[refused.value.data["seq"] - 1]
    assert (recorded.type, recorded.data["intent"], recorded.kind) == ("input.rejected", "and this", "user_input")


async def test_parallel_runs_side_by_side_up_to_the_limit(rig: Rig, autojump_clock: MockClock):
    rig.limits = {"max_interactions_per_thread": 3}
    gate = Gate()
    async with rig.running() as engine:
        one = await first(rig, gate)
        others = [await put(rig, one.state.thread_id, "parallel", "other") for _ in range(2)]
        assert [each.disposition for each in others] == ["started", "started"]
        with pytest.raises(Rejected, match="3 interactions"):
            await put(rig, one.state.thread_id, "parallel")
        await wait_all_tasks_blocked()
        assert engine.slots.running == 3


async def test_interrupting_waits_until_the_old_processes_are_gone(rig: Rig, autojump_clock: MockClock):
    gone = trio.Event()

    async def stubborn(_attempt: Any, _observer: Any) -> Any:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(1.5)
            gone.set()

    rig.script["other"] = [stubborn]
    async with rig.running():
        one = await put(rig, None, "queue", "other")
        await wait_all_tasks_blocked()
        two = await put(rig, one.state.thread_id, "interrupt_and_start_new")
        assert two.disposition == "queued"
        await rig.end_of(two.state.id)
        assert gone.is_set()
    assert ended(rig) == [(one.state.id, "cancelled"), (two.state.id, "completed")]
    order = [e.type + e.interaction_id for e in rig.events]
    assert order.index("interaction.cancelled" + one.state.id) < order.index("plan.adopted" + two.state.id)


async def test_of_three_that_interrupt_each_other_only_the_last_runs(rig: Rig, autojump_clock: MockClock):
    gate = Gate()
    async with rig.running():
        one = await first(rig, gate)
        two = await put(rig, one.state.thread_id, "interrupt_and_start_new")
        three = await put(rig, one.state.thread_id, "interrupt_and_start_new")
        await rig.end_of(three.state.id)
    assert dict(ended(rig)) == {one.state.id: "cancelled", two.state.id: "cancelled", three.state.id: "completed"}


async def test_an_interruption_that_a_crash_cut_short_is_made_good(rig: Rig, autojump_clock: MockClock):
    gate = Gate()

    async def died_before(*_: object) -> None: ...

    async with rig.running() as engine:
        one = await first(rig, gate)
        engine.deliver = died_before  # type: ignore[method-assign]  # the old one never hears of it
        two = await put(rig, one.state.thread_id, "interrupt_and_start_new")
    gate.open.set()
    async with rig.running():
        assert (await rig.end_of(two.state.id)).state == "completed"
    assert dict(ended(rig))[one.state.id] == "cancelled"


class TwoPlans:
    """A planner that knows what to do for any intent: one step, always of the same name."""

    replans = False

    async def propose(self, request: Request) -> Proposal:
        if request.intent == "nonsense":
            raise ValueError("nobody knows")
        return Proposal({"goal": request.intent, "steps": [step("a", params={"said": request.intent})]}, "two")


async def test_a_merged_input_is_planned_when_the_plan_it_met_is_through(rig: Rig, autojump_clock: MockClock):
    rig.planner = TwoPlans()
    gate = Gate()
    rig.script["work"] = [gate]
    async with rig.running():
        one = await put(rig, None, "queue", intent="first")
        await gate.begun.wait()
        two = await put(rig, one.state.thread_id, "merge_into_running", intent="second")
        assert (two.disposition, two.state.id) == ("merged", one.state.id)
        gate.open.set()
        state = await rig.end_of(one.state.id)
    assert [(run.id, run.node.params["said"]) for run in state.by_node] == [("a", "first"), ("r1_a", "second")]
    assert state.state == "completed" and ended(rig) == [(one.state.id, "completed")]


async def test_a_merged_input_outlives_a_crash_and_is_planned_once(rig: Rig, autojump_clock: MockClock):
    rig.planner = TwoPlans()
    gate = Gate()
    rig.script["work"] = [gate]
    async with rig.running():
        one = await put(rig, None, "queue", intent="first")
        await gate.begun.wait()
        await put(rig, one.state.thread_id, "merge_into_running", intent="second")
    gate.open.set()
    async with rig.running():
        state = await rig.end_of(one.state.id)
    assert [run.id for run in state.by_node] == ["a", "r1_a"]
    assert rig.types("interaction.planning") == ["interaction.planning"] * 2


async def test_a_merged_input_that_cannot_be_planned_is_said_and_the_others_go_on(rig: Rig, autojump_clock: MockClock):
    rig.planner = TwoPlans()
    gate = Gate()
    rig.script["work"] = [gate]
    async with rig.running():
        one = await put(rig, None, "queue", intent="first")
        await gate.begun.wait()
        for intent in ("nonsense", "third"):
            await put(rig, one.state.thread_id, "merge_into_running", intent=intent)
        gate.open.set()
        state = await rig.end_of(one.state.id)
    assert [run.state for run in state.by_node] == ["succeeded", "succeeded"]
    assert state.state == "failed" and "nonsense" in (state.answer or "")


async def test_what_waits_for_a_person_is_not_active(rig: Rig, autojump_clock: MockClock):
    async with rig.running():
        waiting = await rig.run({"id": "q", "kind": "wait_user", "params": {"schema": {"type": "integer"}}})
        for policy in BUILT_IN:
            done = await put(rig, waiting.thread_id, policy)
            assert done.disposition == "started"
            await rig.end_of(done.state.id)


async def test_a_plain_input_answers_the_one_question_that_it_fits(rig: Rig, autojump_clock: MockClock):
    async with rig.running() as engine:
        waiting = await rig.run({"id": "q", "kind": "wait_user"})
        answered = await engine.submit(by="uid:7", intent="blue", thread_id=waiting.thread_id)
        assert (answered.disposition, answered.step_id, answered.state.id) == ("answered", "q", waiting.id)
        state = await rig.end_of(waiting.id)
    assert state.runs["q"].output == {"answer": "blue", "by": "uid:7"}


@pytest.mark.parametrize("why", ["two questions", "another shape", "an approval", "a schedule", "nobody there"])
async def test_a_plain_input_answers_nothing_else(rig: Rig, autojump_clock: MockClock, why: str):
    steps: dict[str, list[dict[str, Any]]] = {
        "two questions": [{"id": "q", "kind": "wait_user"}, {"id": "r", "kind": "wait_user"}],
        "another shape": [{"id": "q", "kind": "wait_user", "params": {"schema": {"type": "integer"}}}],
        "an approval": [step("q", "guarded")],
    }
    said: dict[str, Any] = {"a schedule": {"source": "schedule"}, "nobody there": {"unattended": True}}.get(why, {})
    async with rig.running() as engine:
        waiting = await rig.run(*steps.get(why, [{"id": "q", "kind": "wait_user"}]))
        done = await engine.submit(by="uid:0", intent="yes", thread_id=waiting.thread_id, **said)
        assert done.disposition == "started"
        assert (await rig.look(waiting.id))[0].state == "waiting"


async def test_two_inputs_at_once_never_both_find_the_thread_idle(rig: Rig, autojump_clock: MockClock):
    gate = Gate()
    rig.script["other"] = [gate]
    refused = []

    async def one_of_many(thread_id: str) -> None:
        try:
            await put(rig, thread_id, "reject", "other")
        except Rejected as error:
            refused.append(error)

    async with rig.running():
        idle = await rig.run(step("a"))
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(one_of_many, idle.thread_id)
        assert len(refused) == 19


def _broken(_situation: Situation) -> Decision:
    raise ValueError("oh")


def _foreign(_situation: Situation) -> Decision:
    return Queue(cancel=("int_of_another_thread",))


def _silent(_situation: Situation) -> Any:
    return None


@pytest.mark.parametrize(
    ("policy", "reason"),
    [(_broken, "failed: ValueError"), (_foreign, "not active"), (_silent, "returned NoneType")],
)
async def test_a_policy_that_misbehaves_lets_nothing_start(
    rig: Rig, autojump_clock: MockClock, policy: Any, reason: str
):
    rig.limits = {"policies": Policies(lambda: {**BUILT_IN, "mine": policy}, "mine", 100)}
    gate = Gate()
    async with rig.running():
        one = await first(rig, gate)
        with pytest.raises(Rejected, match=reason):
            await put(rig, one.state.thread_id, "mine")


async def test_a_policy_of_a_plugin_that_is_gone_lets_nothing_start(rig: Rig, autojump_clock: MockClock):
    async with rig.running():
        idle = await rig.run(step("a"))
        with pytest.raises(Rejected, match="not known"):
            await put(rig, idle.thread_id, "gone")


def test_the_five_policies_as_plain_functions():
    from orchestrald.core.concurrency import Merge, Standing, admit

    alive = (Standing("w", "waiting", 1), Standing("a", "active", 2), Standing("q", "queued", 3))
    busy = Situation("t", "", "", "", alive, 10)
    decisions = {name: admit(policy, busy, 10) for name, policy in BUILT_IN.items()}
    assert decisions["interrupt_and_start_new"] == Queue(cancel=("a", "q"))
    assert isinstance(decisions["reject"], Reject) and decisions["queue"] == Queue()
    assert (decisions["parallel"], decisions["merge_into_running"]) == (Start(), Merge("a"))
    idle = busy._replace(alive=alive[:1])
    assert {admit(policy, idle, 10) for policy in BUILT_IN.values()} == {Start()}


async def test_an_archived_thread_takes_nothing(rig: Rig, autojump_clock: MockClock):
    from orchestrald.store.base import Batch, ThreadRow

    async with rig.running() as engine:
        idle = await rig.run(step("a"))
        await engine.journal.append(Batch(thread=ThreadRow(idle.thread_id, "", 1, archived_at=5)))
        with pytest.raises(WrongState, match="archived"):
            await put(rig, idle.thread_id, "parallel")
        with pytest.raises(WrongState, match="archived"):
            await engine.retry(idle.id, "a", "uid:0")


async def test_an_input_that_would_join_what_is_being_cancelled_waits_behind_it(rig: Rig, autojump_clock: MockClock):
    async def stubborn(_attempt: Any, _observer: Any) -> Any:
        with trio.CancelScope(shield=True):
            await trio.sleep(5)
        await trio.sleep_forever()

    rig.planner = TwoPlans()
    rig.script["work"] = [stubborn, *rig.script["work"]]
    async with rig.running() as engine:
        one = await put(rig, None, "queue", intent="first")
        await wait_all_tasks_blocked()
        await engine.cancel(one.state.id, "uid:0", "")
        two = await put(rig, one.state.thread_id, "merge_into_running", intent="second")
        assert two.disposition == "queued"
        assert (await rig.end_of(two.state.id)).state == "completed"


async def test_a_client_that_hangs_up_does_not_leave_an_interruption_half_done(rig: Rig, autojump_clock: MockClock):
    journal = SlowJournal()
    rig.use(journal)
    gate = Gate()
    async with rig.running() as engine:
        one = await first(rig, gate)
        graph = await engine.planning.accept({"steps": [step("b")]})

        async def submit(_row: Any) -> dict[str, Any]:
            thread, policy = one.state.thread_id, "interrupt_and_start_new"
            done = await engine.submit(by="u", graph=graph, source="plan", thread_id=thread, policy=policy)
            return {"id": done.state.id}

        journal.hold()
        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as client:
                nursery.start_soon(_go_on_later, journal, client)
                await engine.requests.once("u", "interaction.submit", None, {}, submit)
        while engine.threads.names():
            await trio.sleep(1)
    assert [word for _, word in ended(rig)] == ["cancelled", "completed"]


async def _go_on_later(journal: SlowJournal, client: trio.CancelScope) -> None:
    await wait_all_tasks_blocked()
    client.cancel()
    await wait_all_tasks_blocked()
    journal.go_on()


async def test_an_input_does_not_join_what_has_no_plan_yet_and_may_fail_before_it_looks(
    rig: Rig, autojump_clock: MockClock
):
    asked = trio.Event()

    class Late(TwoPlans):
        async def propose(self, request: Request) -> Proposal:
            await asked.wait()
            return await super().propose(request)

    rig.planner = Late()
    async with rig.running():
        one = await put(rig, None, "queue", intent="nonsense")
        two = await put(rig, one.state.thread_id, "merge_into_running", intent="second")
        assert two.disposition == "queued"
        asked.set()
        assert (await rig.end_of(two.state.id)).state == "completed"


@pytest.mark.parametrize("other", [{"workspace": "/elsewhere"}, {"unattended": True}])
async def test_an_input_does_not_join_what_works_elsewhere_or_is_attended_otherwise(
    rig: Rig, autojump_clock: MockClock, other: dict[str, Any]
):
    rig.planner = TwoPlans()
    gate = Gate()
    rig.script["work"] = [gate]
    async with rig.running() as engine:
        one = await put(rig, None, "queue", intent="first")
        await gate.begun.wait()
        thread, policy = one.state.thread_id, "merge_into_running"
        two = await engine.submit(by="u", intent="second", thread_id=thread, policy=policy, **other)
        assert two.disposition == "queued"
        gate.open.set()
        await rig.end_of(two.state.id)


async def test_the_limit_of_a_thread_holds_for_what_leaves_its_queue_too(rig: Rig, autojump_clock: MockClock):
    rig.limits = {"max_interactions_per_thread": 2}
    gate = Gate()
    async with rig.running() as engine:
        one = await first(rig, gate)
        queued = [await put(rig, one.state.thread_id, "queue", "guarded") for _ in range(4)]
        gate.open.set()
        await wait_all_tasks_blocked()
        assert engine.threads.counts() == {"active": 0, "waiting": 2, "queued": 2}
        await engine.cancel(queued[0].state.id, "uid:0", "")
        await wait_all_tasks_blocked()
        assert engine.threads.counts() == {"active": 0, "waiting": 2, "queued": 1}


async def test_what_is_paused_is_active_until_its_step_is_over(rig: Rig, autojump_clock: MockClock):
    gate = Gate()
    async with rig.running() as engine:
        one = await first(rig, gate)
        await engine.pause(one.state.id, "uid:0")
        two = await put(rig, one.state.thread_id, "queue")
        assert two.disposition == "queued"
        await wait_all_tasks_blocked()
        assert started(rig) == [one.state.id]
        gate.open.set()
        assert (await rig.end_of(two.state.id)).state == "completed"
        assert (await rig.look(one.state.id))[0].state == "paused"
