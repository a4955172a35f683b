"""Is a model's answer paid for once, written down before anybody acts on it, and never beyond the budget?"""

from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from orchestrald.core.interaction import Interaction
from orchestrald.engine.model_calls import Budget, Budgets
from orchestrald.errors import BudgetExhausted, ModelUnavailable
from orchestrald.models.base import Hear, Message, Prompt, Reply, Tokens
from orchestrald.planner.base import Done, Proposal, Request
from support.rig import Rig, step

PROMPT = Prompt((Message("user", "x"),))
DOLLAR = 1_000_000


class Meter:
    """A model that takes 100 tokens and ten cents each time, of which it may take twice as much."""

    name = "b/m"
    window = 10_000

    def __init__(self, price: int | None = DOLLAR // 10) -> None:
        self.price = price
        self.asked: list[Prompt] = []
        self.ready = trio.Event()
        self.ready.set()
        self.error: Exception | None = None

    def most(self, prompt: Prompt) -> tuple[int, int | None]:
        return 200, None if self.price is None else 2 * self.price

    async def ask(self, prompt: Prompt, hear: Hear | None = None) -> Reply:
        self.asked.append(prompt)
        await self.ready.wait()
        if self.error is not None:
            raise self.error
        return Reply(f"answer {len(self.asked)}", Tokens(90, 0, 10), backend="b", model="m", cost=self.price, ms=5)


class Asker:
    """A planner that asks the model before each of its answers, so many times."""

    replans = False

    def __init__(self, model: Meter, times: int = 1, ends: Callable[[Request, list[str]], Any] | None = None) -> None:
        self.model = model
        self.times = times
        self.heard: list[list[str]] = []
        self._ends = ends or (lambda request, said: Done(", ".join(said), "llm:b/m"))

    async def propose(self, request: Request) -> Proposal | Done:
        assert request.calls is not None
        said: list[str] = []
        self.heard.append(said)
        while len(said) < self.times:
            said.append((await request.calls.ask("plan", self.model, PROMPT)).text)
        return self._ends(request, said)  # type: ignore[no-any-return]


async def ask(rig: Rig) -> Interaction:
    return await rig.end_of((await rig.engine.submit(by="uid:0", intent="do it")).state.id)


async def test_each_call_is_written_down_before_and_after(rig: Rig, autojump_clock: MockClock):
    rig.planner = Asker(Meter(), times=2)
    async with rig.running():
        state = await ask(rig)
    assert (state.state, state.answer) == ("completed", "answer 1, answer 2")
    assert rig.types("model.") == ["model.asked", "model.answered"] * 2
    said = [event for event in rig.events if event.type == "model.answered"]
    assert [(event.data["number"], event.data["text"], event.data["cost"]) for event in said] == [
        (1, "answer 1", DOLLAR // 10),
        (2, "answer 2", DOLLAR // 10),
    ]


async def test_after_a_crash_no_answer_is_paid_a_second_time(rig: Rig, autojump_clock: MockClock):
    model = Meter()
    rig.planner = planner = Asker(model, times=3)

    class Slow(Asker):
        async def propose(self, request: Request) -> Proposal | Done:
            assert request.calls is not None
            await request.calls.ask("plan", model, PROMPT)
            await request.calls.ask("plan", model, PROMPT)
            await trio.sleep_forever()
            raise AssertionError

    rig.planner = Slow(model)
    async with rig.running() as engine:
        state = (await engine.submit(by="uid:0", intent="do it")).state
        await wait_all_tasks_blocked()
    assert len(model.asked) == 2
    rig.planner = planner
    async with rig.running():
        ended = await rig.end_of(state.id)
    assert ended.answer == "answer 1, answer 2, answer 3"
    assert len(model.asked) == 3


async def test_a_call_that_a_crash_overtook_is_made_again_and_counts_with_the_most_that_it_may_take(
    rig: Rig, autojump_clock: MockClock
):
    model = Meter()
    model.ready = trio.Event()
    rig.planner = Asker(model)
    async with rig.running() as engine:
        state = (await engine.submit(by="uid:0", intent="do it")).state
        await wait_all_tasks_blocked()
    model.ready.set()
    async with rig.running():
        assert (await rig.end_of(state.id)).state == "completed"
    spent = await rig.store.reader.calls.spent(interaction_id=state.id)
    assert (spent.calls, spent.tokens, spent.cost) == (2, 200 + 100, 3 * DOLLAR // 10)


async def test_each_round_has_calls_of_its_own(rig: Rig, autojump_clock: MockClock):
    def ends(request: Request, said: list[str]) -> Proposal | Done:
        if request.observed is None:
            return Proposal({"steps": [step("a")], "on_complete": None}, "llm:b/m", rounds=3)
        return Done(", ".join(said), "llm:b/m")

    rig.planner = planner = Asker(Meter(), ends=ends)
    async with rig.running():
        state = await ask(rig)
    assert state.answer == "answer 2"
    assert planner.heard == [["answer 1"], ["answer 2"]]


@pytest.mark.parametrize("budget", [Budget(tokens=350), Budget(cost=DOLLAR * 35 // 100)], ids=["tokens", "money"])
@pytest.mark.parametrize("whose", ["interaction", "day"])
async def test_a_budget_is_looked_at_before_each_call(rig: Rig, autojump_clock: MockClock, whose: str, budget: Budget):
    """100 tokens are spent by each, 200 must be free: the third is not made at 350."""
    model = Meter()
    rig.planner = Asker(model, times=5)
    rig.limits = {"budgets": lambda: Budgets(**{whose: budget})}
    async with rig.running():
        state = await ask(rig)
    assert (state.state, state.failure and state.failure.code) == ("failed", "budget_exhausted")
    assert len(model.asked) == 2
    assert "does not allow for another call" in (state.answer or "")


async def test_the_budget_of_a_day_is_that_of_everybody_and_comes_back_after_it(rig: Rig, autojump_clock: MockClock):
    rig.planner = Asker(Meter())
    rig.limits = {"budgets": lambda: Budgets(day=Budget(tokens=250))}
    async with rig.running() as engine:
        assert [(await ask(rig)).state for _ in range(3)] == ["completed", "failed", "failed"]
        with pytest.raises(BudgetExhausted):
            await engine.planning.preview("what would it be?", "")
        autojump_clock.jump(86_401)
        assert (await ask(rig)).state == "completed"


async def test_an_interaction_has_its_budget_whatever_others_spent(rig: Rig, autojump_clock: MockClock):
    rig.planner = Asker(Meter())
    rig.limits = {"budgets": lambda: Budgets(interaction=Budget(tokens=250))}
    async with rig.running():
        assert [(await ask(rig)).state for _ in range(3)] == ["completed"] * 3


async def test_two_that_ask_at_once_cannot_both_spend_the_last_of_it(rig: Rig, autojump_clock: MockClock):
    model = Meter()
    model.ready = trio.Event()
    rig.planner = Asker(model)
    rig.limits = {"budgets": lambda: Budgets(day=Budget(tokens=399))}
    async with rig.running() as engine:
        both = [(await engine.submit(by="uid:0", intent="do it")).state.id for _ in range(2)]
        await wait_all_tasks_blocked()
        assert len(model.asked) == 1
        model.ready.set()
        assert {(await rig.end_of(each)).state for each in both} == {"completed", "failed"}


async def test_a_budget_in_money_lets_nobody_ask_what_has_no_price(rig: Rig, autojump_clock: MockClock):
    model = Meter(price=None)
    rig.planner = Asker(model)
    rig.limits = {"budgets": lambda: Budgets(day=Budget(cost=DOLLAR))}
    async with rig.running():
        state = await ask(rig)
    assert (state.state, model.asked) == ("failed", [])
    assert "no price" in (state.answer or "")


async def test_a_call_that_fails_is_written_down_and_costs_nothing(rig: Rig, autojump_clock: MockClock):
    model = Meter()
    model.error = ModelUnavailable("The model is away.")
    rig.planner = Asker(model)
    async with rig.running():
        state = await ask(rig)
    assert state.state == "failed"
    assert (state.answer or "").startswith("The model is away.\nTry again later")
    assert rig.types("model.") == ["model.asked", "model.failed"]
    assert (await rig.store.reader.calls.spent()).tokens == 0


async def test_what_a_failed_call_may_have_taken_counts(rig: Rig, autojump_clock: MockClock):
    model = Meter()
    model.error = ModelUnavailable("It broke off.", data={"spent": {"tokens": 70, "cost": 3}})
    rig.planner = Asker(model)
    rig.limits = {"budgets": lambda: Budgets(day=Budget(tokens=260))}
    async with rig.running():
        states = [(await ask(rig)).failure for _ in range(2)]
    assert [failure and failure.code for failure in states] == ["model_unavailable", "budget_exhausted"]
    spent = await rig.store.reader.calls.spent()
    assert (spent.tokens, spent.cost) == (70, 3)


@pytest.mark.parametrize("fault", [ModelUnavailable("half a pair: \ud800"), KeyError("a bug")], ids=["odd", "bug"])
async def test_whatever_a_call_fails_of_is_written_down(rig: Rig, autojump_clock: MockClock, fault: Exception):
    model = Meter()
    model.error = fault
    rig.planner = Asker(model)
    async with rig.running() as engine:
        state = await ask(rig)
        assert engine.failure is None
    assert state.state == "failed"
    assert rig.types("model.") == ["model.asked", "model.failed"]
    assert (await rig.store.reader.calls.spent()).tokens == 0, "nothing is reserved any more"


async def test_an_answer_to_another_purpose_is_not_taken_for_it(rig: Rig, autojump_clock: MockClock):
    """After a restart there may be more actions than before, or fewer: then another question comes first."""
    model = Meter()

    class Slow(Asker):
        async def propose(self, request: Request) -> Proposal | Done:
            assert request.calls is not None
            await request.calls.ask("plan", model, PROMPT)
            await trio.sleep_forever()
            raise AssertionError

    class Choosing(Asker):
        async def propose(self, request: Request) -> Proposal | Done:
            assert request.calls is not None
            said = [(await request.calls.ask(purpose, model, PROMPT)).text for purpose in ("select", "plan")]
            return Done(", ".join(said), "llm:b/m")

    rig.planner = Slow(model)
    async with rig.running() as engine:
        state = (await engine.submit(by="uid:0", intent="do it")).state
        await wait_all_tasks_blocked()
    rig.planner = Choosing(model)
    async with rig.running():
        assert (await rig.end_of(state.id)).answer == "answer 2, answer 1"


async def test_a_preview_has_the_budget_of_an_interaction(rig: Rig, autojump_clock: MockClock):
    rig.planner = Asker(Meter(), times=3)
    rig.limits = {"budgets": lambda: Budgets(interaction=Budget(tokens=350))}
    async with rig.running() as engine:
        with pytest.raises(BudgetExhausted):
            await engine.planning.preview("what would it be?", "")


async def test_an_answer_that_cannot_be_stored_as_text_is_stored_all_the_same(rig: Rig, autojump_clock: MockClock):
    class Odd(Meter):
        async def ask(self, prompt: Prompt, hear: Hear | None = None) -> Reply:
            return (await super().ask(prompt))._replace(text="half a pair: \ud800")

    rig.planner = Asker(Odd())
    async with rig.running() as engine:
        assert (await ask(rig)).state == "completed"
        assert engine.failure is None


async def test_cancelling_gives_up_a_call_that_is_on_its_way(rig: Rig, autojump_clock: MockClock):
    model = Meter()
    model.ready = trio.Event()
    rig.planner = Asker(model)
    async with rig.running() as engine:
        state = (await engine.submit(by="uid:0", intent="do it")).state
        await wait_all_tasks_blocked()
        await engine.cancel(state.id, "uid:0", "")
        assert (await rig.end_of(state.id)).state == "cancelled"
        await wait_all_tasks_blocked()
        assert not engine.performing.asking
    assert rig.types("model.") == ["model.asked"]


async def test_a_preview_is_counted_for_nobody(rig: Rig, autojump_clock: MockClock):
    rig.planner = Asker(Meter())
    async with rig.running() as engine:
        said, spent = await engine.planning.preview("what would it be?", "")
        assert said == Done("answer 1", "llm:b/m")
        assert (spent.calls, spent.tokens, spent.cost) == (1, 100, DOLLAR // 10)
    (row,) = await rig.store.reader.calls.usage("interaction")
    assert (row.key, row.input, row.output) == ("", 90, 10)


async def test_a_daemon_that_stops_waits_for_an_answer_that_is_paid_for(rig: Rig, autojump_clock: MockClock):
    model = Meter()
    model.ready = trio.Event()
    rig.planner = Asker(model)
    async with rig.running() as engine:
        await engine.submit(by="uid:0", intent="do it")
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(engine.drain, 30)
            await wait_all_tasks_blocked()
            model.ready.set()
    assert "model.answered" in rig.types("model.")
