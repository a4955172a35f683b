"""The core, driven by hand: a screenplay of inputs, and the outside world as a list of what was asked for."""

from collections.abc import Callable
from typing import Any

from orchestrald.core.decide import decide
from orchestrald.core.effects import Effect, Explain, ProposePlan, RunAction, SetTimer, StopAction
from orchestrald.core.events import Event
from orchestrald.core.evolve import fold
from orchestrald.core.graph import Graph
from orchestrald.core.inputs import (
    ActionFailed,
    ActionStopped,
    ActionSucceeded,
    Answered,
    CancelRequested,
    Explained,
    Input,
    Recovered,
    Submitted,
    TimerFired,
)
from orchestrald.core.interaction import Interaction
from orchestrald.core.model import Failure
from orchestrald.core.slots import UNLIMITED, Slots
from orchestrald.core.turn import Refusal


class World:
    """One interaction and what it asked of the outside. Time moves by one microsecond per input."""

    def __init__(self, slots: Slots = UNLIMITED) -> None:
        self.state = Interaction()
        self.slots = slots
        self.events: list[Event] = []
        self.asked: list[Effect] = []
        self.loaded: dict[str, Any] = {}
        self.now = 1_000_000

    def say(self, happened: Input) -> Refusal | None:
        decision = decide(self.state, happened, self.slots)
        self.events += decision.events
        self.asked += decision.effects
        return decision.refusal

    def tick(self, by: int = 1) -> int:
        self.now += by
        return self.now

    def submit(self, graph: Graph | None, intent: str = "test") -> None:
        self.say(Submitted(self.tick(), "int_1", "thr_1", intent, "uid:0", graph=graph, new_thread=True))

    def crash(self) -> None:
        """Forget everything but the events, and recover."""
        self.state = fold(self.events, self.loaded)
        self.asked = []
        self.say(Recovered(self.tick()))

    # What is asked for.

    def running(self) -> list[str]:
        return [run.id for run in self.state.runs.values() if run.state == "running" and run.children is None]

    def take(self, kind: type[Effect]) -> list[Any]:
        taken = [effect for effect in self.asked if isinstance(effect, kind)]
        self.asked = [effect for effect in self.asked if not isinstance(effect, kind)]
        return taken

    # What the outside does.

    def succeed(self, step_id: str, **output: Any) -> Refusal | None:
        return self.say(ActionSucceeded(self.tick(), step_id, output))

    def fail(self, step_id: str, *, retryable: bool = False, code: str = "error") -> Refusal | None:
        return self.say(ActionFailed(self.tick(), step_id, Failure(code, "it broke", retryable), 0.5))

    def cancel(self) -> Refusal | None:
        return self.say(CancelRequested(self.tick(), "uid:0", "enough"))

    def answer(self, step_id: str, payload: Any, channel: str = "respond") -> Refusal | None:
        return self.say(Answered(self.tick(), step_id, payload, "uid:0", channel))

    def explain(self) -> None:
        for effect in self.take(Explain):
            self.say(Explained(self.tick(), effect.status, "in words"))

    def settle(self, outcome: Callable[[RunAction], Input | None] | None = None) -> None:
        """Answer every effect until nothing more is asked for."""
        while self.asked:
            effect = self.asked.pop(0)
            if isinstance(effect, RunAction):
                happened = outcome(effect) if outcome else None
                self.say(happened or ActionSucceeded(self.tick(), effect.step_id, {"ok": True}))
            elif isinstance(effect, StopAction):
                self.say(ActionStopped(self.tick(), effect.step_id))
            elif isinstance(effect, SetTimer):
                self.now = max(self.now, effect.due_at)
                self.say(TimerFired(self.now, effect.step_id))
            elif isinstance(effect, Explain):
                self.say(Explained(self.tick(), effect.status, "in words"))
            elif isinstance(effect, ProposePlan):
                raise AssertionError("a plan was asked for")

    def types(self, *prefixes: str) -> list[str]:
        shown = [e.type + (f" {e.step_id}" if e.step_id else "") for e in self.events]
        return [line for line in shown if not prefixes or line.startswith(prefixes)]

    def states(self) -> dict[str, str]:
        return {name: run.state.value for name, run in self.state.runs.items()}
