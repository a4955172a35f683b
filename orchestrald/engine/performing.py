"""How is done what an interaction asks for: run and stop actions, ask the planner, wake it at a moment, log?

Effects come here after the events that caused them are durable; what they lead to goes back to the actor as an input.
"""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import trio

from orchestrald.actions import LoadedAction
from orchestrald.core.effects import Explain, Log, ProposePlan, RunAction, SetTimer, StopAction, StopAsking
from orchestrald.core.events import Event
from orchestrald.core.inputs import ActionFailed, ActionSucceeded, Input, TimerFired
from orchestrald.core.interaction import Interaction
from orchestrald.core.model import ActionSpec
from orchestrald.engine.actor import Actor
from orchestrald.engine.asking import Asking
from orchestrald.engine.attempts import Attempts
from orchestrald.engine.clock import Clock
from orchestrald.engine.host import Host
from orchestrald.engine.memory import WorkingSet
from orchestrald.engine.slots import DaemonSlots
from orchestrald.engine.timers import Timers
from orchestrald.engine.waits import Waits
from orchestrald.protocol.foreign_text import plain
from orchestrald.runner.base import Observer, Runner, Violation
from orchestrald.store.base import Appender, Batch, ReferenceStore

log = logging.getLogger("orchestrald.engine")


class Actions(Protocol):
    """The actions in force, one generation at a time."""

    @property
    def specs(self) -> Mapping[str, ActionSpec]: ...

    def get(self, name: str) -> LoadedAction | None: ...

    def groups(self, name: str) -> list[tuple[str, int]]:
        """The shared limits that the action counts against: (name, how many at once)."""
        ...


class Spectators(Protocol):
    """Where display-only news of running attempts goes."""

    def progress(
        self, interaction_id: str, step_id: str, done: float | None, total: float | None, message: str
    ) -> None: ...

    def log(self, interaction_id: str, step_id: str, level: str, message: str) -> None: ...

    def answer(self, interaction_id: str, piece: str) -> None: ...


class Performing:
    """`actor.Performer`."""

    def __init__(
        self,
        host: Host,
        *,
        journal: Appender,
        references: ReferenceStore,
        runner: Runner,
        actions: Actions,
        asking: Asking,
        spectators: Spectators,
        clock: Clock,
        timers: Timers,
        slots: DaemonSlots,
        waits: Waits,
        working_set: WorkingSet,
        inline_output_bytes: int,
        kept_until: Callable[[], int | None],
    ) -> None:
        self._host = host
        self._journal = journal
        self._actions = actions
        self.asking = asking
        self._spectators = spectators
        self._clock = clock
        self._timers = timers
        self._slots = slots
        self._waits = waits
        self._working_set = working_set
        self._attempts = Attempts(runner, references, clock, self, inline_output_bytes, kept_until)

    def run_action(self, actor: Actor, effect: RunAction, slots: list[str]) -> None:
        # The scope exists before the attempt begins, so that a cancellation which comes at once is not lost.
        scope = actor.scopes[effect.step_id] = trio.CancelScope()
        self._host.spawn(self._attempt, actor, effect, slots, scope)

    async def _attempt(self, actor: Actor, effect: RunAction, slots: list[str], scope: trio.CancelScope) -> None:
        try:
            happened = await self._attempts.run(actor, effect, self._actions.get(effect.action), scope)
            happened = await self._with_room(actor.state, happened)
        finally:
            actor.scopes.pop(effect.step_id, None)
            self._slots.give_back(slots)
        actor.tell(happened)

    async def _with_room(self, state: Interaction, happened: Input) -> Input:
        """What happened, unless the working set has no room for what the step is to remember."""
        if not isinstance(happened, ActionSucceeded):
            return happened
        run = state.runs.get(happened.step_id)
        failure = await self._working_set.no_room(state, run.node.remember) if run is not None else None
        return happened if failure is None else ActionFailed(happened.at, happened.step_id, failure)

    def stop_action(self, actor: Actor, effect: StopAction) -> None:
        if scope := actor.scopes.get(effect.step_id):
            scope.cancel()

    def propose_plan(self, actor: Actor, effect: ProposePlan) -> None:
        self.asking.propose_plan(actor, effect)

    def explain(self, actor: Actor, effect: Explain) -> None:
        self.asking.explain(actor, effect)

    def stop_asking(self, actor: Actor, effect: StopAsking) -> None:
        self.asking.stop(actor)

    def set_timer(self, actor: Actor, effect: SetTimer) -> None:
        self.wake_at(effect.due_at, actor.state.id, effect.step_id)

    def wake_at(self, due_at: int, interaction_id: str, step_id: str) -> None:
        fire = partial(self._time_has_come, due_at, interaction_id, step_id)
        self._timers.set(due_at, fire, key=(interaction_id, step_id))

    def _time_has_come(self, due_at: int, interaction_id: str, step_id: str) -> None:
        # The wall clock may have been set back since the timer looked at it, and nobody would come a second time.
        happened = TimerFired(max(self._clock.now(), due_at), step_id)
        if interaction_id in self._host.live or self._waits.waits(interaction_id, step_id):
            self._host.spawn(self._host.deliver, interaction_id, happened)

    def log(self, actor: Actor, effect: Log) -> None:
        log.log(logging.getLevelName(effect.level.upper()), "%s: %s", actor.state.id, effect.message)

    def observer(self, actor: Actor, step_id: str) -> Observer:
        return _Observer(self, self._spectators, actor, step_id)

    def record_violation(self, actor: Actor, step_id: str, data: dict[str, Any]) -> None:
        state = actor.state
        event = Event("step.violation", data, state.thread_id, state.id, step_id, self._clock.now())
        self._host.spawn(self._journal.append, Batch([event]))


class _Observer:
    """An attempt's link to whoever watches."""

    __slots__ = ("_actor", "_recorder", "_spectators", "_step_id")

    def __init__(self, recorder: Performing, spectators: Spectators, actor: Actor, step_id: str) -> None:
        self._recorder = recorder
        self._spectators = spectators
        self._actor = actor
        self._step_id = step_id

    def progress(self, done: float | None, total: float | None, message: str) -> None:
        self._spectators.progress(self._actor.state.id, self._step_id, done, total, message)

    def log(self, level: str, message: str) -> None:
        self._spectators.log(self._actor.state.id, self._step_id, level, message)

    def violation(self, seen: Violation) -> None:
        # Plain: evidence may quote a file name of the plugin's choice, which need not be text that can be stored.
        about = {name: plain(value) for name, value in seen._asdict().items() if isinstance(value, str) and value}
        data = {**about, "certain": seen.certain}
        self._recorder.record_violation(self._actor, self._step_id, data)
