"""What is the outcome of one input so far?

A `Turn` collects the events and effects of one input. `emit` is the only way to add an event, and it moves the state at
once through `evolve`: a decision sees the consequences of what it has already decided.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from orchestrald.core.approval import NO_RULES, Gate
from orchestrald.core.effects import Effect, ProposePlan, SetTimer
from orchestrald.core.events import Event
from orchestrald.core.evolve import evolve
from orchestrald.core.interaction import Interaction, Run
from orchestrald.core.model import Failure, Question
from orchestrald.core.slots import Slots
from orchestrald.core.states import InteractionState, StepState
from orchestrald.core.working_set import kept

_MAY_REPLAN = frozenset({InteractionState.EXECUTING, InteractionState.WAITING})


class Refusal(NamedTuple):
    """Why an input changed nothing. `stale` ones are reports about something that is over, and harmless."""

    code: str
    message: str


class Decision(NamedTuple):
    events: list[Event]
    effects: list[Effect]
    refusal: Refusal | None = None


class Turn:
    """One input being decided: the events and effects so far, and the only way to add to them."""

    __slots__ = ("at", "effects", "events", "gate", "refusal", "slots", "state")

    def __init__(self, state: Interaction, at: int, slots: Slots, gate: Gate = NO_RULES) -> None:
        self.state = state
        self.at = at
        self.slots = slots
        self.gate = gate
        self.events: list[Event] = []
        self.effects: list[Effect] = []
        self.refusal: Refusal | None = None

    def emit(self, type_: str, data: dict[str, Any], step_id: str = "") -> None:
        state = self.state
        event = Event(type_, data, state.thread_id, state.id, step_id, self.at)
        evolve(state, event)
        self.events.append(event)

    def ask(self, effect: Effect) -> None:
        self.effects.append(effect)

    def refuse(self, code: str, message: str) -> None:
        self.refusal = Refusal(code, message)

    # What several inputs lead to.

    def plan(self, intent: str, failed: str = "", failure: Failure | None = None, *, joins: bool = False) -> None:
        """Ask the planner; the event that says so has been emitted."""
        self.ask(ProposePlan(intent, failed, failure, joins, self.state.rounds))

    def succeed(self, run: Run, data: dict[str, Any], output: Any, artifacts: Iterable[dict[str, Any]] = ()) -> None:
        """End a step well, with what it stored and what it remembers; or badly, if that cannot be remembered."""
        written = kept(run.node.remember, output) if run.node.remember and run.parent is None else []
        if isinstance(written, Failure):
            self.fail_step(run, written, event=data.get("event"))
            return
        for about in artifacts:
            self.emit("artifact.stored", about, run.id)
        self.emit("step.succeeded", data, run.id)
        for each in written:
            self.emit("memory.set", {**each, "by": f"{self.state.id}/{run.id}"}, run.id)
        if run.parent is not None:
            self.gather(run.parent)

    def fail_step(self, run: Run, failure: Failure, *, event: int | None = None) -> None:
        """End a step badly, and see to everything downstream of it: it can never get what it waits for.

        `event` is the external event that it has taken all the same.
        """
        data = {"error": failure.to_json(), "attempt": run.attempt}
        self.emit("step.failed", data if event is None else {**data, "event": event}, run.id)
        if run.parent is None:
            self.after_failure(run)
        else:
            self.gather(run.parent)

    def after_failure(self, run: Run) -> None:
        """Ask for a replacement of the failed subgraph if one may still be asked for; else nothing of it can run.

        While it is paused neither: `resume` comes back to every failure that has not had its consequences.
        """
        state = self.state
        if state.state is InteractionState.PAUSED:
            return
        if state.state in _MAY_REPLAN and state.replans < state.max_replans:
            self.emit("interaction.planning", {"reason": "replan", "failed": run.id})
            self.plan(state.matter, run.id, run.failure)
        else:
            self.skip_downstream(run)

    def gather(self, parent: Run) -> None:
        """End a `for_each` step when its last item has ended."""
        if (
            parent.open_children
            or parent.state is not StepState.RUNNING
            or self.state.state is InteractionState.CANCELLING
        ):
            return
        bad = [child for child in parent.children or () if child.state is StepState.FAILED]
        if not bad:
            outputs = [child.output for child in parent.children or ()]
            self.succeed(parent, {"items": len(outputs)}, outputs)
            return
        first = bad[0].failure or Failure("error", "")
        message = f"{len(bad)} of {len(parent.children or ())} items failed; the first, {bad[0].id}: {first.message}"
        self.emit("step.failed", {"error": {"code": "items_failed", "message": message}, "attempt": 0}, parent.id)
        self.after_failure(parent)

    def skip_downstream(self, run: Run) -> None:
        """Skip what can never get what it waits for."""
        graph = self.state.graph
        assert graph is not None
        for index in graph.descendants(run.node.index):
            dependent = self.state.by_node[index]
            if dependent.state is StepState.PENDING:
                self.emit("step.skipped", {"reason": "dependency", "failed": run.id}, dependent.id)

    def wait(self, run: Run, question: Question) -> None:
        self.emit("step.waiting", {"question": question.to_json()}, run.id)
        if question.due_at is not None:
            self.ask(SetTimer(run.id, question.due_at))
