"""Is what one interaction keeps there for the next one, and never by accident?"""

from collections.abc import Sequence
from typing import Any

import pytest
from trio.testing import MockClock

from orchestrald.core.events import Event
from orchestrald.core.interaction import Interaction
from orchestrald.core.working_set import MAX_KEYS, MAX_VALUE
from orchestrald.errors import InvalidParams, NotFound, PlanError, WrongState
from orchestrald.runner.base import Attempt, Observer, Outcome, Succeeded
from orchestrald.runner.fake import Scripted
from orchestrald.store.base import Batch
from support.rig import Gate, Rig, busy, step


async def submit(rig: Rig, *steps: dict[str, Any], thread_id: str | None = None, **plan: Any) -> Interaction:
    graph = await rig.engine.planning.accept({"goal": "test", "steps": list(steps), **plan})
    found = await rig.engine.submit(by="uid:0", intent="test", graph=graph, source="plan", thread_id=thread_id)
    return found.state


async def run(rig: Rig, *steps: dict[str, Any], thread_id: str | None = None, **plan: Any) -> Interaction:
    return await rig.end_of((await submit(rig, *steps, thread_id=thread_id, **plan)).id)


def says(**output: Any) -> Sequence[Scripted]:
    return [Succeeded(output)]


async def echo(attempt: Attempt, _observer: Observer) -> Outcome:
    return Succeeded(dict(attempt.params))


def echoing(rig: Rig) -> Rig:
    rig.script["work"] = [echo]
    return rig


async def fill(rig: Rig, thread_id: str, count: int) -> None:
    data = [{"scope": "thread", "key": f"k{n}", "value": n, "by": "uid:0"} for n in range(count)]
    await rig.store.journal.append(Batch([Event("memory.set", each, thread_id) for each in data]))


async def test_what_a_step_remembers_is_there_for_the_next_interaction_of_the_thread(
    rig: Rig, autojump_clock: MockClock
) -> None:
    rig.script["other"] = says(report={"total": [7]})
    async with echoing(rig).running() as engine:
        first = await run(
            rig,
            step(
                "a", "other", remember={"thread.total": "report.total[0]", "global.all": "", "interaction.x": "report"}
            ),
        )
    async with rig.running() as engine:  # and after a crash
        second = await run(
            rig,
            step("b", params={"n": "{{memory.thread.total}}", "text": "it is {{memory.global.all.report.total}}"}),
            thread_id=first.thread_id,
        )
        kept = await engine.working_set.get("interaction", first.id, "x")
    assert second.runs["b"].output == {"n": 7, "text": "it is [7]"}
    assert (kept.value, kept.by) == ({"total": [7]}, f"{first.id}/a")


async def test_a_success_and_what_it_remembers_are_one_commit(rig: Rig, autojump_clock: MockClock) -> None:
    commits: list[list[str]] = []
    async with rig.running():
        rig.store.journal.on_commit = lambda events: commits.append([event.type for event in events])
        await run(rig, step("a", remember={"thread.k": "ok"}))
    (together,) = [types for types in commits if "memory.set" in types]
    assert together[:2] == ["step.succeeded", "memory.set"]


async def test_another_thread_sees_nothing_of_it_and_its_step_fails_in_words(
    rig: Rig, autojump_clock: MockClock
) -> None:
    async with echoing(rig).running():
        await run(rig, step("a", "other", remember={"thread.k": ""}))
        ended = await run(rig, step("b", params={"x": "{{memory.thread.k}}"}))
        guarded = await run(rig, step("c", params={"x": 1}, when={"exists": "{{memory.thread.k}}"}))
    failure = ended.runs["b"].failure
    assert failure is not None
    assert (failure.code, "memory.thread has no key 'k'" in failure.message) == ("missing_value", True)
    assert guarded.runs["c"].state == "skipped"


async def test_a_plan_sees_what_was_kept_when_it_was_adopted_whatever_is_written_meanwhile(
    rig: Rig, autojump_clock: MockClock
) -> None:
    gate = Gate()
    rig.script["other"] = [gate]
    async with echoing(rig).running() as engine:
        await engine.working_set.set("global", "", "k", "before", "uid:0", None)
        state = await submit(rig, step("a", "other"), step("b", params={"x": "{{memory.global.k}}"}, depends_on=["a"]))
        await gate.begun.wait()
        await engine.working_set.set("global", "", "k", "after", "uid:0", None)
    gate.open.set()
    async with rig.running():  # and a replay of it needs no store
        ended = await rig.end_of(state.id)
    assert ended.runs["b"].output == {"x": "before"}


async def test_what_waited_in_a_queue_sees_what_the_one_before_it_left(rig: Rig, autojump_clock: MockClock) -> None:
    rig.script["other"] = [busy(60, word="fresh")]
    async with echoing(rig).running() as engine:
        first = await submit(rig, step("a", "other", remember={"thread.k": "word"}))
        graph = await engine.planning.accept({"goal": "g", "steps": [step("b", params={"x": "{{memory.thread.k}}"})]})
        found = await engine.submit(by="uid:0", graph=graph, source="plan", thread_id=first.thread_id, policy="queue")
        assert found.disposition == "queued"
        ended = await rig.end_of(found.state.id)
    assert ended.runs["b"].output == {"x": "fresh"}


async def test_the_items_of_a_step_are_read_from_memory_also_when_it_is_replayed(
    rig: Rig, autojump_clock: MockClock
) -> None:
    gate = Gate()
    rig.script["other"] = [gate]
    async with echoing(rig).running() as engine:
        await engine.working_set.set("global", "", "names", ["x", "y"], "uid:0", None)
        each = step(
            "a", for_each="{{memory.global.names}}", params={"n": "{{item}}"}, remember={"global.last": "[1].n"}
        )
        state = await submit(rig, each, step("b", "other", depends_on=["a"]))
        await gate.begun.wait()
        await engine.working_set.set("global", "", "names", [], "uid:0", None)
    gate.open.set()
    async with rig.running() as engine:
        ended = await rig.end_of(state.id)
        assert (await engine.working_set.get("global", "", "last")).value == "y"
    assert ended.runs["a"].output == [{"n": "x"}, {"n": "y"}]
    assert [e.data["key"] for e in rig.events if e.type == "memory.set" and e.step_id] == ["last"]


async def test_what_a_person_answers_can_be_remembered(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.running() as engine:
        state = await run(rig, {"id": "ask", "kind": "wait_user", "remember": {"thread.name": "answer"}})
        await engine.answer(state.id, None, "Ada", "uid:0")
        await rig.end_of(state.id)
        assert (await engine.working_set.get("thread", state.thread_id, "name")).value == "Ada"


@pytest.mark.parametrize(
    ("output", "path", "code"),
    [({"x": "y" * MAX_VALUE}, "x", "memory_too_large"), ({"x": 1}, "y", "missing_value")],
)
async def test_what_cannot_be_remembered_fails_the_step_and_keeps_nothing(
    rig: Rig, autojump_clock: MockClock, output: dict[str, Any], path: str, code: str
) -> None:
    rig.script["once"] = says(**output)
    async with rig.running() as engine:
        ended = await run(rig, step("a", "once", remember={"global.first": "x", "global.k": path}))
        assert ended.state == "failed"
        assert ended.runs["a"].failure is not None
        assert ended.runs["a"].failure.code == code
        assert await engine.working_set.keys("global", "") == []


async def test_a_full_owner_takes_no_new_key_and_loses_none(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.running() as engine:
        thread_id = (await run(rig, step("a"))).thread_id
        await fill(rig, thread_id, MAX_KEYS)
        with pytest.raises(WrongState, match="1000 keys already"):
            await engine.working_set.set("thread", thread_id, "new", 1, "uid:0", None)
        await engine.working_set.set("thread", thread_id, "k7", "other", "uid:0", None)
        ended = await run(rig, step("b", remember={"thread.new": "ok"}), thread_id=thread_id)
        assert ended.runs["b"].failure is not None
        assert ended.runs["b"].failure.code == "memory_full"
        assert (await run(rig, step("c", remember={"thread.k8": "ok"}), thread_id=thread_id)).state == "completed"
        assert len(await engine.working_set.keys("thread", thread_id)) == MAX_KEYS
        await engine.working_set.delete("thread", thread_id, "k9", "uid:0", None)
        await engine.working_set.set("thread", thread_id, "new", 1, "uid:0", None)


async def test_a_plan_that_reads_too_much_is_refused_before_anything_is_run(
    rig: Rig, autojump_clock: MockClock
) -> None:
    async with rig.running() as engine:
        for n in range(17):
            await engine.working_set.set("global", "", f"k{n}", "x" * (MAX_VALUE - 2), "uid:0", None)
        with pytest.raises(PlanError) as caught:
            await submit(rig, step("a", params={f"p{n}": f"{{{{memory.global.k{n}}}}}" for n in range(17)}))
        assert caught.value.data["problems"][0]["code"] == "memory_too_large"
    assert rig.types("interaction.") == []


async def test_places_that_there_cannot_be_are_refused_with_what_to_do(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.running() as engine:
        kept = engine.working_set
        for scope, owner, key in (("global", "thr_1", "k"), ("thread", "", "k"), ("global", "", "a.b"), ("x", "", "k")):
            with pytest.raises(InvalidParams):
                await kept.set(scope, owner, key, 1, "uid:0", None)
        for scope in ("thread", "interaction"):
            with pytest.raises(NotFound, match=f"no {scope}"):
                await kept.set(scope, "nobody", "k", 1, "uid:0", None)
        with pytest.raises(NotFound, match=r"global\.k"):
            await kept.get("global", "", "k")
        with pytest.raises(NotFound):
            await kept.delete("global", "", "k", "uid:0", None)
        with pytest.raises(InvalidParams, match="65536"):
            await kept.set("global", "", "k", "x" * MAX_VALUE, "uid:0", None)
    assert rig.types("memory.") == []
