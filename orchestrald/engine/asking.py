"""Who is being asked for something right now: a planner for a plan, an interpreter for words?

Rules of this file:

- One question of a round is asked once at a time: after a pause the answer that is still on its way will do. What has
  been answered of it by a model is in the journal, so asking again costs nothing twice.
- What nobody wants to know any more is stopped, and with it whatever it would have cost.
"""

import logging
from typing import Protocol

import trio

from orchestrald.core.effects import Explain, ProposePlan
from orchestrald.core.inputs import Explained
from orchestrald.core.interaction import Interaction
from orchestrald.engine.actor import Actor
from orchestrald.engine.clock import Clock
from orchestrald.engine.host import Host
from orchestrald.engine.model_calls import ModelCalls
from orchestrald.engine.planning import Planning
from orchestrald.interpreter.base import Interpreter

log = logging.getLogger("orchestrald.engine")


class Listeners(Protocol):
    """Where the pieces of an answer are shown: display only."""

    def answer(self, interaction_id: str, piece: str) -> None: ...


class Asking:
    def __init__(
        self,
        host: Host,
        planning: Planning,
        interpreter: Interpreter,
        model_calls: ModelCalls,
        listeners: Listeners,
        clock: Clock,
    ) -> None:
        self._host = host
        self._planning = planning
        self._interpreter = interpreter
        self._model_calls = model_calls
        self._listeners = listeners
        self._clock = clock
        self._asked: dict[tuple[str, str], trio.CancelScope] = {}

    def __bool__(self) -> bool:
        """Whether anybody is."""
        return bool(self._asked)

    def propose_plan(self, actor: Actor, effect: ProposePlan) -> None:
        key = actor.state.id, f"round {effect.round}"
        if key not in self._asked:
            self._asked[key] = trio.CancelScope()
            self._host.spawn(self._plan, actor, effect, key)

    async def _plan(self, actor: Actor, effect: ProposePlan, key: tuple[str, str]) -> None:
        with self._asked[key]:
            try:
                happened = await self._planning.propose(actor.state, effect)
            finally:
                del self._asked[key]
            await self._host.deliver(actor.state.id, happened)

    def explain(self, actor: Actor, effect: Explain) -> None:
        state = actor.state
        key = state.id, f"end {state.rounds}.{state.reopened}"
        if key not in self._asked:
            self._asked[key] = trio.CancelScope()
            self._host.spawn(self._explain, actor, effect, key)

    async def _explain(self, actor: Actor, effect: Explain, key: tuple[str, str]) -> None:
        with self._asked[key]:
            try:
                text = await self._words(actor.state, effect.status, key[1])
            finally:
                del self._asked[key]
            await self._host.deliver(actor.state.id, Explained(self._clock.now(), effect.status, text))

    async def _words(self, state: Interaction, status: str, part: str) -> str:
        calls = self._model_calls.of(state.thread_id, state.id, part)

        def hear(piece: str) -> None:
            self._listeners.answer(state.id, piece)

        try:
            return await self._interpreter.narrate(state, status, calls, hear)
        except Exception as error:  # noqa: BLE001  promise 3: the facts are told in any case, in plainer words
            log.warning("%s is explained by rules: %s", state.id, error)
            return self._interpreter.explain(state, status)

    def stop(self, actor: Actor) -> None:
        for (interaction_id, _), scope in list(self._asked.items()):
            if interaction_id == actor.state.id:
                scope.cancel()
