"""What do the models of a simulated world do, and the planner and the interpreter that ask them?

As in `performance`, what they do follows from what they are asked: a question that is repeated after a crash gets the
answer that it would have got before.
"""

from typing import TYPE_CHECKING

import trio

from orchestrald.core.interaction import Interaction
from orchestrald.engine.model_calls import Budget, Budgets
from orchestrald.errors import ModelUnavailable, NoPlaybook
from orchestrald.interpreter.rules import RulesInterpreter
from orchestrald.models.base import Calls, Hear, Message, Prompt, Reply, Tokens
from orchestrald.planner.base import Done, Proposal, Request
from simulation.operations import Submit

if TYPE_CHECKING:
    from simulation.life import Life

TAKES, MOST = 10, 20
"""Tokens of one call, and the most that it may take."""

BUDGETS = Budgets(interaction=Budget(tokens=75))
"""So small that a wordy interaction comes to its end."""

ROUNDS = 3


class Brain:
    """`models.base.Model`. It thinks for as long as the question has letters behind its last colon, in seconds; a
    question that ends in `!` it does not answer."""

    name = "sim/brain"
    window = 1000

    def __init__(self, life: "Life") -> None:
        self._life = life

    def most(self, prompt: Prompt) -> tuple[int, int | None]:
        return MOST, None

    async def ask(self, prompt: Prompt, hear: Hear | None = None) -> Reply:
        await self._life.instant("ask")
        text = prompt.messages[-1].text
        await trio.sleep(len(text.rpartition(":")[2]) % 4)
        await self._life.instant("answer")
        if text.endswith("!"):
            raise ModelUnavailable("It does not answer.")
        return Reply(f"{text} is answered", Tokens(TAKES - 1, 0, 1), backend="sim", model="brain")


async def look_and_plan(life: "Life", request: Request, told: Submit) -> Proposal | Done:
    """A planner that asks twice in each round, sees what came of its plan, adds something, and is content."""
    assert request.calls is not None
    seen = request.observed
    number = seen.round if seen is not None else 1
    question = f"{request.intent}:{'x' * number}"
    for each in (question, f"{question}y"):
        said = await request.calls.ask("plan", Brain(life), Prompt((Message("user", each),)))
        assert said.text == f"{each} is answered", "another question's answer"
    if seen is None:
        return Proposal({"steps": list(told.steps), "on_complete": None}, "llm:sim", replans=True, rounds=ROUNDS)
    if request.failed_step or number == 2:
        if told.replacement is None and request.failed_step:
            raise NoPlaybook("Nothing replaces it.")
        if told.replacement is not None:
            return Proposal({"steps": list(told.replacement), "on_complete": None}, "llm:sim", rounds=ROUNDS)
    return Done(f"round {number} was the last", "llm:sim", achieved=bool(number % 2))


class Narrator(RulesInterpreter):
    """Asks a model about what was planned with one; of what failed it gets no answer, and the rules tell it."""

    def __init__(self, life: "Life") -> None:
        self._life = life

    def wants_to_narrate(self, state: Interaction, status: str) -> bool:
        return status != "cancelled" and state.planner.startswith("llm:") and state.conclusion is None

    async def narrate(self, state: Interaction, status: str, calls: Calls, hear: Hear) -> str:
        question = f"{state.id}:x{'!' if status == 'failed' else ''}"
        return (await calls.ask("explain", Brain(self._life), Prompt((Message("user", question),)), hear)).text
