"""The correctness and durability defects of the Rust original, by their numbers in its analysis: none of them is here.

Each test is named after what was broken there, and shows what happens here instead.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from orchestrald.config_file import parse
from orchestrald.core.events import Event
from orchestrald.core.model import ActionSpec, Failure, Question, Retry
from orchestrald.core.states import ALIVE
from orchestrald.errors import ConfigError, PlanError
from orchestrald.planner.base import Proposal, Request
from orchestrald.planner.playbooks import Playbooks
from orchestrald.protocol.reply import Malformed, meaning
from orchestrald.runner.base import Succeeded
from orchestrald.store.base import Batch
from orchestrald.store.memory import MemoryJournal, MemoryStore
from orchestrald.store.sqlite import open_store
from support.rig import Gate, Rig, broken, busy, step


async def test_1_a_waiting_interaction_is_resumed_by_another_process(rig: Rig, autojump_clock: MockClock):
    async with rig.running():
        state = await rig.run({"id": "q", "kind": "wait_user"}, step("b", depends_on=["q"]))
    async with rig.running() as engine:
        assert engine.threads.names() == [state.thread_id]
        await engine.answer(state.id, None, "go on", "uid:0")
        assert (await rig.end_of(state.id)).state == "completed"


async def test_2_a_crash_in_the_middle_of_a_plan_repeats_no_finished_step(rig: Rig, autojump_clock: MockClock):
    gate = Gate()
    rig.script["other"] = [gate]
    async with rig.running():
        state = await rig.submit(step("a"), step("b", "other", depends_on=["a"]))
        await gate.begun.wait()
        keys = {attempt.step_id: attempt.idempotency_key for attempt in rig.runner.started}
    gate.open.set()
    async with rig.running():
        assert (await rig.end_of(state.id)).state == "completed"
    assert rig.attempts == [("b", 2)]
    assert rig.runner.started[0].idempotency_key == keys["b"] != keys["a"]


class Recording(MemoryJournal):
    """Every batch as it was committed, so that a test can die between any two of them."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[Batch] = []

    async def append(self, batch: Batch) -> Sequence[Event]:
        committed = await super().append(batch)
        self.batches.append(batch)
        return committed


async def test_3_no_crash_window_between_two_commits_leaves_an_orphan(rig: Rig, autojump_clock: MockClock):
    journal = Recording()
    rig.use(journal)
    async with rig.running() as engine:
        state = await rig.run(step("a"), {"id": "q", "kind": "wait_user"}, step("b", depends_on=["a", "q"]))
        await engine.answer(state.id, None, "x", "uid:0")
        await rig.end_of(state.id)
    for cut in range(1, len(journal.batches)):
        cut_short = Rig()
        cut_short.store = MemoryStore()
        for batch in journal.batches[:cut]:
            await cut_short.store.journal.append(batch)
        async with cut_short.running() as engine:
            await wait_all_tasks_blocked()
            found, _ = await cut_short.look(state.id)
            if found.state in ALIVE:
                await engine.answer(state.id, None, "x", "uid:0")
            assert (await cut_short.end_of(state.id)).state == "completed"
            assert engine.threads.names() == []


async def test_4_what_is_said_twice_is_done_once(rig: Rig, autojump_clock: MockClock):
    async def submit(row: Any) -> dict[str, Any]:
        graph = await rig.engine.planning.accept({"steps": [step("a")]})
        remember = lambda state, *_: row({"id": state.id})  # noqa: E731
        return {"id": (await rig.engine.submit(by="u", graph=graph, source="plan", remember=remember)).state.id}

    async def emit(row: Any) -> dict[str, Any]:
        remember = lambda event_id: row({"event": event_id})  # noqa: E731
        return {"event": await rig.engine.emit(kind="k", payload=1, by="u", remember=remember)}

    answers = []
    for _ in range(2):
        async with rig.running() as engine:
            answers.append(await engine.requests.once("u", "interaction.submit", "r1", {}, submit))
            answers.append(await engine.requests.once("u", "event.emit", "r1", {}, emit))
            await wait_all_tasks_blocked()
    assert answers[2:] == [{**answer, "replayed": True} for answer in answers[:2]]
    assert rig.types("interaction.submitted", "external.event") == ["interaction.submitted", "external.event"]


async def test_5_the_configured_store_is_the_one_that_is_used_and_it_is_on_disk(tmp_path: Path):
    with pytest.raises(ConfigError, match="stores"):
        parse("stores: {event: {backend: redis}}", {}, "settings")
    for _ in range(2):
        async with open_store(tmp_path / "store.db") as store:
            before = await store.reader.last_seq()
            await store.journal.append(Batch([Event("thread.created", {"title": "t"}, "thr_1", at=1)]))
    assert before == 1


async def test_6_cancelling_stops_what_runs_and_nothing_of_it_is_written_afterwards(
    rig: Rig, autojump_clock: MockClock
):
    rig.script["work"] = [busy(3600)]
    async with rig.running() as engine:
        state = await rig.submit(step("a"), step("b", depends_on=["a"]))
        await wait_all_tasks_blocked()
        began = trio.current_time()
        await engine.cancel(state.id, "uid:0", "enough")
        assert (await rig.end_of(state.id)).state == "cancelled"
        assert trio.current_time() - began < 2
        await trio.sleep(7200)
    assert [attempt.step_id for attempt in rig.runner.stopped] == ["a"]
    assert rig.types()[-1] == "interaction.cancelled"


class AnyIntent:
    replans = False

    async def propose(self, request: Request) -> Proposal:
        return Proposal({"steps": [step("s", params={"said": request.intent})]}, "any")


async def test_7_a_queued_input_is_run_and_a_merged_one_is_seen(rig: Rig, autojump_clock: MockClock):
    rig.planner = AnyIntent()
    gate = Gate()
    rig.script["work"] = [gate]
    async with rig.running() as engine:
        one = (await engine.submit(by="u", intent="one")).state
        await gate.begun.wait()
        two = (await engine.submit(by="u", intent="two", thread_id=one.thread_id, policy="queue")).state
        await engine.submit(by="u", intent="three", thread_id=one.thread_id, policy="merge_into_running")
        gate.open.set()
        await rig.end_of(two.id)
    said = [(a.interaction_id, a.params["said"]) for a in rig.runner.started]
    assert said == [(one.id, "one"), (one.id, "three"), (two.id, "two")]


async def test_8_a_wait_step_that_the_normalizer_recognised_is_completed_by_its_answer(
    rig: Rig, autojump_clock: MockClock
):
    async with rig.running() as engine:
        state = await rig.run({"id": "q", "action": "wait_user"}, step("b", depends_on=["q"]))
        assert state.runs["q"].node.kind == "wait_user"
        await engine.answer(state.id, None, "yes", "uid:0")
        assert (await rig.end_of(state.id)).state == "completed"


class Bad:
    """A planner whose every answer is wrong in another way."""

    replans = False

    async def propose(self, request: Request) -> Proposal:
        if request.intent == "raises":
            raise OSError("no route")
        return Proposal({"steps": "nonsense"} if request.intent == "shape" else {"steps": [step("a", "gone")]}, "bad")


@pytest.mark.parametrize("intent", ["raises", "shape", "unknown action"])
async def test_9_an_error_of_the_planner_ends_the_turn_in_words_and_leaves_the_thread_free(
    rig: Rig, autojump_clock: MockClock, intent: str
):
    rig.planner = Bad()
    async with rig.running() as engine:
        state = (await engine.submit(by="u", intent=intent)).state
        state = await rig.end_of(state.id)
        assert state.state == "failed" and state.answer
        graph = await engine.planning.accept({"steps": [step("a")]})
        again = await engine.submit(by="u", graph=graph, source="plan", thread_id=state.thread_id, policy="reject")
        assert (await rig.end_of(again.state.id)).state == "completed"


class SameNames:
    """A replacement that calls its steps as the finished ones are called, and means its own."""

    replans = True

    async def propose(self, request: Request) -> Proposal:
        if not request.failed_step:
            steps = [step("a", "other"), step("b", "once", depends_on=["a"])]
        else:
            steps = [step("a"), step("b", params={"x": "{{a.ok}}"}, io_bindings=[{"from": "a.ok", "to": "y"}])]
        return Proposal({"steps": steps}, "same")


async def test_10_a_replacement_that_reuses_ids_is_run_and_bound_to_its_own_steps(rig: Rig, autojump_clock: MockClock):
    rig.planner = SameNames()
    rig.script |= {"other": [Succeeded({"ok": "old"})], "once": [broken()], "work": [Succeeded({"ok": "new"})]}
    async with rig.running() as engine:
        state = await rig.end_of((await engine.submit(by="u", intent="do it")).state.id)
    assert state.state == "completed"
    assert [a.step_id for a in rig.runner.started] == ["a", "b", "r1_a", "r1_b"]
    assert rig.runner.started[-1].params == {"x": "new", "y": "new"}


async def test_11_ready_steps_start_in_plan_order_without_a_barrier_and_no_wait_holds_them_up(
    rig: Rig, autojump_clock: MockClock
):
    rig.limits = {"max_parallel_steps": 2}
    rig.script |= {"other": [busy(100)], "work": [busy(1)]}
    async with rig.running():
        state = await rig.submit(
            {"id": "q", "kind": "wait_event", "params": {"kind": "never"}},
            step("slow", "other"),
            *(step(f"s{i}") for i in range(5)),
        )
        await rig.end_of(state.id)
    assert rig.types("step.started") == [f"step.started {name}" for name in ("slow", "s0", "s1", "s2", "s3", "s4")]
    ends = [name.split()[1] for name in rig.types("step.succeeded")]
    assert ends == ["s0", "s1", "s2", "s3", "s4", "slow"]


async def test_12_equal_keys_of_parallel_steps_do_not_collide_and_nothing_is_evicted(
    rig: Rig, autojump_clock: MockClock
):
    rig.script |= {"other": [Succeeded({"n": "other"})], "work": [Succeeded({"n": "work"})]}
    many = [step(f"s{i}") for i in range(100)]
    async with rig.running():
        state = await rig.run(
            step("a", "other"), step("b"), *many, step("c", "once", params={"a": "{{a.n}}", "b": "{{b.n}}"})
        )
    assert [a.params for a in rig.runner.started if a.step_id == "c"] == [{"a": "other", "b": "work"}]
    assert all(state.runs[f"s{i}"].output == {"n": "work"} for i in range(100))


async def test_13_traces_do_not_push_the_dialogue_out_of_its_window(rig: Rig, autojump_clock: MockClock):
    heard: list[Request] = []

    class Listening(AnyIntent):
        async def propose(self, request: Request) -> Proposal:
            heard.append(request)
            return await super().propose(request)

    rig.planner = Listening()
    async with rig.running() as engine:
        first = (await engine.submit(by="u", intent="remember the blue door")).state
        await rig.end_of(first.id)
        graph = await engine.planning.accept({"goal": "noise", "steps": [step(f"s{i}") for i in range(100)]})
        for _ in range(4):
            noise = await engine.submit(by="u", graph=graph, source="plan", thread_id=first.thread_id)
            await rig.end_of(noise.state.id)
        await rig.end_of((await engine.submit(by="u", intent="which door?", thread_id=first.thread_id)).state.id)
    assert len(rig.events) > 800
    assert any("blue door" in message.text for message in heard[-1].dialogue)


async def test_14_an_approval_in_the_middle_goes_on_with_the_plan_and_playbooks_need_no_model(
    rig: Rig, autojump_clock: MockClock, tmp_path: Path
):
    (tmp_path / "book.yaml").write_text(
        "playbook: 1\nname: careful\nphrases: [be careful]\nplan:\n  goal: be careful\n  steps:\n"
        "    - {id: a, action: guarded}\n    - {id: w, kind: wait_event, params: {kind: done}, depends_on: [a]}\n"
        "    - {id: b, action: work, depends_on: [w]}\n"
    )
    rig.planner = playbooks = Playbooks([tmp_path])
    playbooks.reload()
    async with rig.running() as engine:
        state = (await engine.submit(by="u", intent="be careful")).state
        question = (await rig.end_of(state.id)).runs["a"].question
        assert question is not None
        payload = {"digest": question.digest, "decision": "approve"}
        await engine.answer(state.id, "a", payload, "uid:0", channel="decide")
        await wait_all_tasks_blocked()
        await engine.emit(kind="done", payload=None, by="u")
        await wait_all_tasks_blocked()
        state = await rig.end_of(state.id)
    assert state.state == "completed" and [run.state for run in state.by_node] == ["succeeded"] * 3


@pytest.mark.parametrize(
    "reply",
    [
        {},
        {"type": "error"},
        {"type": "succes"},
        {"foo": 1},
        {"exports": {}, "question": "?"},
        {"type": "success", "exports": 1},
    ],
)
def test_15_a_malformed_reply_is_never_a_success(reply: dict[str, Any]):
    with pytest.raises(Malformed):
        meaning(reply)


@pytest.mark.parametrize(("reply", "kind"), [({"question": "which?"}, Question), ({"message": "boom"}, Failure)])
def test_15_an_untagged_question_or_error_is_what_it_says(reply: dict[str, Any], kind: type):
    assert isinstance(meaning(reply), kind)


async def test_16_the_normalizer_knows_an_action_when_it_comes_and_forgets_it_when_it_goes(
    rig: Rig, autojump_clock: MockClock
):
    rig.script["fresh"] = [Succeeded({"ok": True})]
    async with rig.running():
        with pytest.raises(PlanError):
            await rig.run(step("a", "fresh"))
        rig.actions.specs["fresh"] = ActionSpec("fresh", retry=Retry(max=0))
        assert (await rig.run(step("a", "fresh"))).state == "completed"
        del rig.actions.specs["fresh"]
        with pytest.raises(PlanError) as refused:
            await rig.run(step("a", "fresh"))
    assert refused.value.data["problems"][0]["code"] == "unknown_action"
