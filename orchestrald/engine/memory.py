"""Who reads and writes the working set?

Rules of this file:

- Every write is an event; the rows are its projection (`store.kept`), so there is one history and no second truth.
- A plan sees what was kept when it was adopted: `freeze` puts it into the graph, and so into the event of the adoption.
- Nothing is evicted: an owner that is full refuses a new key, in words. Clients are counted one at a time, actions when
  they end; those that end at the same moment, and waits, may pass the limit by as many keys as they are.
"""

from collections.abc import Callable
from typing import Any

import trio

from orchestrald.core.events import Event
from orchestrald.core.graph import Graph
from orchestrald.core.interaction import Interaction
from orchestrald.core.model import Failure
from orchestrald.core.references import MissingValue, Reference, follow
from orchestrald.core.working_set import (
    MAX_KEYS,
    SCOPES,
    BadPlace,
    Place,
    Target,
    full,
    oversize,
    owner,
    place,
    too_much,
)
from orchestrald.engine.clock import Clock
from orchestrald.errors import InvalidParams, NotFound, PlanError, WrongState
from orchestrald.store.base import Appender, Batch, Reader, RequestRow
from orchestrald.store.base_kept import KeyRow, ValueRow

Row = Callable[[dict[str, Any]], RequestRow] | None
"""Makes the durable answer of a request; missing when it has no id."""


class WorkingSet:
    def __init__(self, journal: Appender, reader: Reader, clock: Clock) -> None:
        self._journal = journal
        self._reader = reader
        self._clock = clock
        self._one_at_a_time = trio.Lock()

    # --- for plans --------------------------------------------------------------------------------------------------

    async def freeze(self, graph: Graph, thread_id: str, interaction_id: str) -> Graph:
        """The graph with what the places that it reads hold now. Raises PlanError when that is too much."""
        if not graph.reads:
            return graph
        memory = {}
        for scope in SCOPES:
            keys = sorted(place.key for place in graph.reads if place.scope == scope)
            if keys:
                rows = await self._reader.kept.values(scope, owner(scope, thread_id, interaction_id), keys)
                memory[scope] = {row.key: row.value for row in sorted(rows, key=lambda row: row.key)}
        if problem := too_much(memory):
            fault = {"path": "", "code": "memory_too_large", "message": problem}
            raise PlanError("The plan cannot be run.", data={"problems": [fault]})
        return graph.seeing(memory)

    async def no_room(self, state: Interaction, targets: tuple[Target, ...]) -> Failure | None:
        """Why a step's success cannot keep what it wants to."""
        for spot, _ in targets:
            if await self._is_full(spot, owner(spot.scope, state.thread_id, state.id)):
                return Failure("memory_full", full(spot))
        return None

    async def _is_full(self, spot: Place, whose: str) -> bool:
        keys = {row.key for row in await self._reader.kept.keys(spot.scope, whose)}
        return spot.key not in keys and len(keys) >= MAX_KEYS

    # --- for clients ------------------------------------------------------------------------------------------------

    async def get(self, scope: str, whose: str, key: str) -> ValueRow:
        """Raises NotFound, and InvalidParams for a place that there cannot be."""
        spot, _, _ = await self._place(scope, whose, key)
        found = await self._reader.kept.values(scope, whose, [spot.key])
        if not found:
            raise NotFound(f"Nothing is kept as {spot}.", hint="`orchestral memory list` shows what is.")
        return found[0]

    async def keys(self, scope: str, whose: str) -> list[KeyRow]:
        await self._place(scope, whose, "any")
        return await self._reader.kept.keys(scope, whose)

    async def set(self, scope: str, whose: str, key: str, value: Any, by: str, row: Row) -> dict[str, Any]:
        """Returns the answer once it is durable. Raises WrongState when the owner is full."""
        spot, thread_id, interaction_id = await self._place(scope, whose, key)
        if problem := oversize(value):
            raise InvalidParams(f"{spot} is not kept: {problem}.", hint="Put it into the reference store instead.")
        async with self._one_at_a_time:
            if await self._is_full(spot, whose):
                raise WrongState(f"{full(spot)}.", hint="Delete a key first: orchestral memory delete.")
            at = self._clock.now()
            answer = {"scope": scope, "owner": whose, "key": key, "at": at}
            data = {"scope": scope, "key": key, "value": value, "by": by}
            event = Event("memory.set", data, thread_id, interaction_id, at=at)
            await self._journal.append(Batch([event], request=row(answer) if row else None))
        return answer

    async def delete(self, scope: str, whose: str, key: str, by: str, row: Row) -> dict[str, Any]:
        """Returns the answer once it is durable. Raises NotFound when nothing is kept there."""
        spot, thread_id, interaction_id = await self._place(scope, whose, key)
        await self.get(scope, whose, key)
        answer = {"scope": scope, "owner": whose, "key": key}
        data = {"scope": scope, "key": spot.key, "by": by}
        event = Event("memory.deleted", data, thread_id, interaction_id, at=self._clock.now())
        await self._journal.append(Batch([event], request=row(answer) if row else None))
        return answer

    async def _place(self, scope: str, whose: str, key: str) -> tuple[Place, str, str]:
        """The place, and the thread and interaction that its events are about. Raises NotFound and InvalidParams."""
        try:
            spot = place(scope, key)
        except BadPlace as error:
            raise InvalidParams(f"{str(error)[:1].upper()}{str(error)[1:]}.", hint=error.hint) from None
        if (scope == "global") != (not whose):
            raise InvalidParams("owner: is the id of an interaction or a thread; the scope global has none.")
        if scope == "global":
            return spot, "", ""
        if scope == "thread":
            if await self._reader.thread(whose) is None:
                raise NotFound(f"There is no thread {whose}.")
            return spot, whose, ""
        known = await self._reader.interaction(whose)
        if known is None:
            raise NotFound(f"There is no interaction {whose}.")
        return spot, known.thread_id, whose


def output_of_step(state: Interaction, step_id: str, key: str | None) -> Any:
    """A step's own scope: its output, or one key of it. Raises NotFound."""
    run = state.runs.get(step_id)
    if run is None:
        raise NotFound(f"There is no step {step_id} in {state.id}.")
    if key is None:
        return run.output
    try:
        if run.output is None:
            raise NotFound(f"Step {step_id} has no output: it is {run.state}.")
        return follow(run.output, Reference(step_id, (key,)))
    except MissingValue as error:
        raise NotFound(f"{error}.") from None
