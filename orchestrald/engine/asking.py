"""Who is being asked for something right now: a planner for a plan, an interpreter for words?

Rules of this file:

- One question of a round is asked once at a time: after a pause the answer that is still on its way will do. What has
  been answered of it by a model is in the journal, so asking again costs nothing twice.
- What nobody wants to know any more is stopped, and with it whatever it would have cost.
"""

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

import trio

from orchestrald.core.effects import Explain, ProposePlan
from orchestrald.core.inputs import Explained, Input
from orchestrald.core.interaction import Interaction
from orchestrald.engine.actor import Actor
from orchestrald.engine.clock import Clock
from orchestrald.engine.host import Host
from orchestrald.engine.model_calls import ModelCalls
from orchestrald.engine.planning import Planning
from orchestrald.interpreter.base import Interpreter

log = logging.getLogger("orchestrald.engine")

PATIENCE_S = 120.0
"""For words about an outcome: everything is done by then, and the thread's queue stands behind it."""


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
        self._ask(actor, f"round {effect.round}", partial(self._planning.propose, actor.state, effect))

    def explain(self, actor: Actor, effect: Explain) -> None:
        part = f"end {actor.state.rounds}.{actor.state.reopened}"
        self._ask(actor, part, partial(self._explained, actor.state, effect.status, part))

    def _ask(self, actor: Actor, part: str, find: Callable[[], Awaitable[Input]]) -> None:
        key = actor.state.id, part
        if key not in self._asked:
            self._asked[key] = trio.CancelScope()
            self._host.spawn(self._find, key, find)

    async def _find(self, key: tuple[str, str], find: Callable[[], Awaitable[Input]]) -> None:
        with self._asked[key]:
            try:
                happened = await find()
            finally:
                del self._asked[key]
            await self._host.deliver(key[0], happened)

    async def _explained(self, state: Interaction, status: str, part: str) -> Input:
        text = await self._narrated(state, status, part) or self._interpreter.explain(state, status)
        return Explained(self._clock.now(), status, text)

    async def _narrated(self, state: Interaction, status: str, part: str) -> str:
        """Empty when it came to nothing, or took too long: the facts are told in any case, in plainer words."""
        calls = self._model_calls.of(state.thread_id, state.id, part)

        def hear(piece: str) -> None:
            self._listeners.answer(state.id, piece)

        try:
            with trio.move_on_after(PATIENCE_S):
                return await self._interpreter.narrate(state, status, calls, hear)
            log.warning("%s is explained by rules: no words came within %g s", state.id, PATIENCE_S)
        except Exception as error:  # noqa: BLE001  promise 3
            log.warning("%s is explained by rules: %s", state.id, error)
        return ""

    def stop(self, actor: Actor) -> None:
        for (interaction_id, _), scope in list(self._asked.items()):
            if interaction_id == actor.state.id:
                scope.cancel()
