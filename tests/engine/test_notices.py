"""Is a person told once of each question, and does telling hurt nobody?"""

import logging

import pytest
import trio
from trio.testing import MockClock

from orchestrald.engine.notices import AT_ONCE, TIME_LIMIT_S, WAITING
from orchestrald.hookspecs import Notice
from support.rig import Gate, Rig, step

ASK = {"id": "ask", "kind": "wait_user", "params": {"prompt": "Which one?"}}


class Told:
    """A notifier that writes down what it is told."""

    def __init__(self, rig: Rig) -> None:
        self.notices: list[Notice] = []
        rig.notifiers.append(self)

    async def __call__(self, notice: Notice) -> None:
        self.notices.append(notice)

    @property
    def steps(self) -> list[str]:
        return [notice.step_id for notice in self.notices]


@pytest.fixture
def told(rig: Rig) -> Told:
    return Told(rig)


async def settled() -> None:
    """Whatever can happen by itself has happened."""
    await trio.testing.wait_all_tasks_blocked()


async def test_a_question_is_told_with_what_it_is_about(rig: Rig, told: Told, autojump_clock: MockClock):
    async with rig.running():
        state = await rig.run(ASK)
        await settled()
    assert told.notices == [Notice(state.id, state.thread_id, "ask", "input", "Which one?", "test")]


async def test_an_approval_is_told_without_what_would_run(rig: Rig, told: Told, autojump_clock: MockClock):
    async with rig.running():
        await rig.run(step("a", "guarded", params={"password": "secret"}))
        await settled()
    [notice] = told.notices
    assert (notice.step_id, notice.kind) == ("a", "approval")
    assert "secret" not in str(notice)


async def test_what_waits_for_the_world_or_the_clock_is_nobodys_business(
    rig: Rig, told: Told, autojump_clock: MockClock
):
    async with rig.running():
        await rig.submit(
            {"id": "event", "kind": "wait_event", "params": {"kind": "door"}},
            {"id": "moment", "kind": "wait_until", "params": {"for": "1h"}},
            ASK,
        )
        await settled()
    assert told.steps == ["ask"]


async def test_a_restart_tells_nothing_again_but_what_is_new(rig: Rig, told: Told, autojump_clock: MockClock):
    gate = Gate()
    rig.script["once"] = [gate]
    async with rig.running():
        asking = await rig.run(ASK, {**ASK, "id": "again"})
        state = await rig.submit(step("a", "once"))
        await gate.begun.wait()
        await settled()
    async with rig.running() as engine:
        await rig.end_of(state.id)
        await engine.answer(asking.id, "ask", "this one", "uid:0")  # wakes it, with a question that was told before
        await settled()
    assert sorted(told.steps) == ["a", "again", "ask"]
    assert told.notices[-1].kind == "interrupted"


async def test_nobody_is_told_of_a_question_that_is_not_durable(rig: Rig, told: Told, autojump_clock: MockClock):
    seen: list[bool] = []

    async def look(notice: Notice) -> None:
        seen.append(any(event.type == "step.waiting" for event in rig.events))

    rig.notifiers.append(look)
    async with rig.running():
        await rig.run(ASK)
        await settled()
    assert seen == [True]


async def test_one_that_fails_and_one_that_hangs_hurt_nobody(
    rig: Rig, told: Told, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
):
    async def fail(notice: Notice) -> None:
        raise RuntimeError("no bus")

    async def hang(notice: Notice) -> None:
        await trio.sleep_forever()

    rig.notifiers[:0] = [fail, hang]
    with caplog.at_level(logging.WARNING, "orchestrald.notices"):
        async with rig.running() as engine:
            state = await rig.run(*({**ASK, "id": f"ask{n}"} for n in range(2 * AT_ONCE)))
            await trio.sleep(3 * TIME_LIMIT_S)
            assert len(told.steps) == 2 * AT_ONCE
            for name in told.steps:
                await engine.answer(state.id, name, "x", "uid:0")
            assert (await rig.end_of(state.id)).state == "completed"
    said = [record.message for record in caplog.records]
    assert sum("no bus" in line for line in said) == 2 * AT_ONCE
    assert sum("was stopped" in line for line in said) == 2 * AT_ONCE


async def test_never_more_than_a_few_are_told_at_once(rig: Rig, autojump_clock: MockClock):
    running = most = count = 0

    async def busy(notice: Notice) -> None:
        nonlocal running, most, count
        running, count = running + 1, count + 1
        most = max(most, running)
        await trio.sleep(1)
        running -= 1

    rig.notifiers.append(busy)
    async with rig.running():
        await rig.run(*({**ASK, "id": f"ask{n}"} for n in range(30)))
        await trio.sleep(60)
    assert (count, most) == (30, AT_ONCE)


async def test_of_a_flood_what_does_not_fit_is_not_told_and_the_log_says_so(
    rig: Rig, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
):
    async def hang(notice: Notice) -> None:
        await trio.sleep_forever()

    rig.notifiers.append(hang)
    async with rig.running():
        for _ in range(
            WAITING // 100 + 1
        ):  # a plan that is much larger is checked in a thread, while the clock jumps on
            state = await rig.run(*({**ASK, "id": f"ask{n}"} for n in range(100)))
            await settled()
        assert len(state.waiting) == 100
    assert f"{100 - AT_ONCE} notices of {state.id} are not told" in caplog.text


async def test_one_question_after_the_other_is_told(rig: Rig, told: Told, autojump_clock: MockClock):
    async with rig.running():
        for _ in range(3 * AT_ONCE):
            await rig.run(ASK)
            await settled()
    assert len(told.notices) == 3 * AT_ONCE
