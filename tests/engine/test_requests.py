"""Does the same request, sent twice, start one thing?"""

from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from orchestrald.core.interaction import Interaction
from orchestrald.engine.engine import Engine
from orchestrald.errors import Conflict, NotFound
from orchestrald.store.base import RequestRow
from support.rig import Rig, SlowJournal, step

MakeRow = Callable[[dict[str, Any]], RequestRow] | None


async def submit(engine: Engine, request_id: str | None, goal: str = "test", by: str = "uid:0") -> dict[str, Any]:
    """As the socket's handler does it."""
    graph = await engine.planning.accept({"goal": goal, "steps": [step("a")]})

    def answer(state: Interaction) -> dict[str, Any]:
        return {"interaction_id": state.id}

    async def serve(row: MakeRow) -> dict[str, Any]:
        remember = None if row is None else lambda state, *_: row(answer(state))
        return answer((await engine.submit(by=by, graph=graph, source="plan", remember=remember)).state)

    return await engine.requests.once(by, "interaction.submit", request_id, {"goal": goal}, serve)


def submissions(rig: Rig) -> int:
    return rig.types().count("interaction.submitted")


async def test_a_repeated_request_gets_the_first_answer_and_starts_nothing(rig: Rig, autojump_clock: MockClock):
    async with rig.running() as engine:
        first = await submit(engine, "r1")
        again = await submit(engine, "r1")
    assert "replayed" not in first
    assert again == {**first, "replayed": True}
    assert submissions(rig) == 1


async def test_a_request_is_still_known_after_a_crash(rig: Rig, autojump_clock: MockClock):
    async with rig.running() as engine:
        first = await submit(engine, "r1")
    async with rig.running() as engine:
        assert (await submit(engine, "r1"))["interaction_id"] == first["interaction_id"]
    assert submissions(rig) == 1


async def test_the_same_request_twice_at_once_starts_one_interaction(rig: Rig, autojump_clock: MockClock):
    answers: list[dict[str, Any]] = []
    async with rig.running() as engine:

        async def ask() -> None:
            answers.append(await submit(engine, "r1"))

        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(ask)
    assert len({answer["interaction_id"] for answer in answers}) == 1
    assert sum("replayed" in answer for answer in answers) == 9
    assert submissions(rig) == 1


async def test_a_request_id_used_for_something_else_is_a_conflict(rig: Rig, autojump_clock: MockClock):
    async with rig.running() as engine:
        await submit(engine, "r1")
        with pytest.raises(Conflict):
            await submit(engine, "r1", goal="another")
    assert submissions(rig) == 1


async def test_request_ids_of_two_users_do_not_meet(rig: Rig, autojump_clock: MockClock):
    async with rig.running() as engine:
        first = await submit(engine, "r1", by="uid:1")
        second = await submit(engine, "r1", by="uid:2")
    assert first["interaction_id"] != second["interaction_id"]


async def test_without_a_request_id_every_request_is_a_new_one(rig: Rig, autojump_clock: MockClock):
    async with rig.running() as engine:
        await submit(engine, None)
        await submit(engine, None)
    assert submissions(rig) == 2


async def test_a_client_that_hangs_up_during_the_commit_and_repeats_itself_starts_one_interaction(
    rig: Rig, autojump_clock: MockClock
):
    journal = SlowJournal()
    rig.use(journal)
    async with rig.running() as engine:
        journal.hold()
        answers = []
        async with trio.open_nursery() as connections:
            first = trio.CancelScope()

            async def hang_up_later() -> None:
                with first:
                    await submit(engine, "r1")

            async def again() -> None:
                answers.append(await submit(engine, "r1"))

            connections.start_soon(hang_up_later)
            await wait_all_tasks_blocked()
            first.cancel()
            connections.start_soon(again)
            await wait_all_tasks_blocked()
            journal.go_on()
        assert engine.failure is None
        assert answers[0]["replayed"]
    assert submissions(rig) == 1


async def test_a_refused_request_is_not_remembered(rig: Rig, autojump_clock: MockClock):
    async with rig.running() as engine:
        for _ in range(2):

            async def serve(_row: MakeRow) -> dict[str, Any]:
                raise NotFound

            with pytest.raises(NotFound):
                await engine.requests.once("uid:0", "interaction.cancel", "r1", {}, serve)
        assert "interaction_id" in await submit(engine, "r1")
