"""Is the outcome put into better words where somebody can, once, and into plain ones in any case?"""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from orchestrald.core.interaction import Interaction
from orchestrald.errors import ModelUnavailable
from orchestrald.interpreter.rules import RulesInterpreter
from orchestrald.models.base import Calls, Hear, Message, Prompt
from support.rig import Rig, broken, step
from support.scripted_model import ScriptedModel

PROMPT = Prompt((Message("user", "what came of it?"),))


class Narrator(RulesInterpreter):
    """Says what the model says, when the gate is open."""

    def __init__(self, *answers: str | ModelUnavailable) -> None:
        self.model = ScriptedModel(list(answers))
        self.gate = trio.Event()
        self.gate.set()

    def wants_to_narrate(self, state: Interaction, status: str) -> bool:
        return status != "cancelled"

    async def narrate(self, state: Interaction, status: str, calls: Calls, hear: Hear) -> str:
        reply = await calls.ask("explain", self.model, PROMPT, hear)
        await self.gate.wait()
        return f"{status}: {reply.text}"


async def test_the_words_of_a_model_are_the_answer_and_are_shown_as_they_come(rig: Rig, autojump_clock: MockClock):
    rig.interpreter = Narrator("in better words")
    async with rig.running():
        state = await rig.run(step("a"))
    assert (state.state, state.answer) == ("completed", "completed: in better words")
    assert rig.spectators.pieces == [(state.id, "in better words")]
    assert rig.types()[-3:] == ["model.answered", "assistant.output", "interaction.completed"]


async def test_what_failed_is_narrated_too(rig: Rig, autojump_clock: MockClock):
    rig.script["once"] = [broken()]
    rig.interpreter = Narrator("it did not work")
    async with rig.running():
        state = await rig.run(step("a", "once"))
    assert (state.state, state.answer) == ("failed", "failed: it did not work")


@pytest.mark.parametrize("fault", [ModelUnavailable("away"), None], ids=["an error", "a bug"])
async def test_whatever_goes_wrong_the_rules_say_it(
    rig: Rig, autojump_clock: MockClock, fault: ModelUnavailable | None
):
    narrator = rig.interpreter = Narrator(*([fault] if fault else []))
    async with rig.running() as engine:
        state = await rig.run(step("a"))
        assert engine.failure is None
    assert (state.state, state.answer) == ("completed", narrator.explain(state, "completed"))


async def test_words_that_do_not_come_are_not_waited_for(rig: Rig, autojump_clock: MockClock):
    narrator = rig.interpreter = Narrator("too late")
    narrator.gate = trio.Event()
    async with rig.running():
        state = await rig.run(step("a"))
    assert (state.state, state.answer) == ("completed", narrator.explain(state, "completed"))


async def test_a_crash_after_the_model_has_answered_pays_it_once(rig: Rig, autojump_clock: MockClock):
    narrator = rig.interpreter = Narrator("well done")
    narrator.gate = trio.Event()
    async with rig.running():
        submitted = await rig.submit(step("a"))
        await wait_all_tasks_blocked()
    narrator.gate.set()
    async with rig.running():
        state = await rig.end_of(submitted.id)
    assert (state.state, state.answer) == ("completed", "completed: well done")
    assert len(narrator.model.prompts) == 1
    assert rig.attempts == [], "and the step is not run again"


async def test_what_is_being_narrated_can_be_cancelled(rig: Rig, autojump_clock: MockClock):
    narrator = rig.interpreter = Narrator("well done")
    narrator.gate = trio.Event()
    async with rig.running() as engine:
        submitted = await rig.submit(step("a"))
        await wait_all_tasks_blocked()
        await engine.cancel(submitted.id, "uid:0", "")
        state = await rig.end_of(submitted.id)
        await wait_all_tasks_blocked()
        assert not engine.performing.asking
    assert state.state == "cancelled"
    assert rig.types("assistant.") == ["assistant.output"]


async def test_an_interaction_that_is_retried_is_narrated_anew(rig: Rig, autojump_clock: MockClock):
    rig.script["once"] = [broken(), *rig.script["once"]]
    rig.interpreter = Narrator("not yet", "now")
    async with rig.running() as engine:
        state = await rig.run(step("a", "once"))
        assert state.answer == "failed: not yet"
        await engine.retry(state.id, None, "uid:0")
        assert (await rig.end_of(state.id)).answer == "completed: now"


async def test_nobody_is_told_that_it_has_ended_before_it_has_its_words(rig: Rig, autojump_clock: MockClock):
    narrator = rig.interpreter = Narrator("well done")
    narrator.gate = trio.Event()
    async with rig.running() as engine:
        submitted = await rig.submit(step("a"))
        assert not await engine.wait(submitted.id, 10)
        narrator.gate.set()
        assert (await rig.end_of(submitted.id)).answer == "completed: well done"
