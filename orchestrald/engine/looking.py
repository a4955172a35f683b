"""What do clients see of an interaction, and when has it come to rest?

An interaction is in memory, or in the journal alone; who looks need not know. Nobody is shown what is not durable.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import trio

from orchestrald.core.events import Event
from orchestrald.core.interaction import Interaction
from orchestrald.core.states import FINAL_INTERACTION, InteractionState
from orchestrald.engine.host import Host
from orchestrald.engine.recovery import hydrate
from orchestrald.engine.waits import Waits
from orchestrald.errors import InternalError, NotFound
from orchestrald.store.base import InteractionRow, Reader, ReferenceStore

T = TypeVar("T")


@dataclass(slots=True)
class Stirring:
    """Who waits for an interaction that is not in memory to be there again, or to be over."""

    event: trio.Event = field(default_factory=trio.Event)
    waiters: int = 0


class Looking:
    def __init__(self, host: Host, reader: Reader, references: ReferenceStore, waits: Waits) -> None:
        self._host = host
        self._reader = reader
        self._references = references
        self._waits = waits
        self._stirring: dict[str, Stirring] = {}

    def stir(self, interaction_id: str) -> None:
        """It is in memory again, or over: whoever waits for it looks again."""
        stirring = self._stirring.pop(interaction_id, None)
        if stirring is not None:
            stirring.event.set()

    def stir_all(self) -> None:
        for interaction_id in list(self._stirring):
            self.stir(interaction_id)

    async def wait(self, interaction_id: str, seconds: float) -> bool:
        """Wait until the interaction is final or waits for somebody; False when the time was over first.

        Raises StoreError or Draining when neither can happen any more.
        """
        with trio.move_on_after(seconds):
            while not await self._settled(interaction_id):
                pass
            return True
        return False

    async def _settled(self, interaction_id: str) -> bool:
        """True once it is final or waits for somebody; False after it has stirred, and must be looked at again."""
        if (actor := self._host.live.get(interaction_id)) is not None:
            await actor.settled.wait()
            if actor.lost:
                raise InternalError() if actor.broken else self._host.ended()
            return actor.state.final or actor.waits_for_somebody
        stirring = self._stirring.setdefault(interaction_id, Stirring())  # before we look: it may stir meanwhile
        stirring.waiters += 1
        try:
            return await self._rests_for_good(interaction_id, stirring)
        finally:
            stirring.waiters -= 1
            if not stirring.waiters and self._stirring.get(interaction_id) is stirring:
                del self._stirring[interaction_id]

    async def _rests_for_good(self, interaction_id: str, stirring: Stirring) -> bool:
        await self.refuse_if_stopped(interaction_id)
        known = await self._reader.interaction(interaction_id)
        if interaction_id in self._host.live or stirring.event.is_set():
            return False
        if known is None or not self._stirs_by_itself(known):
            return True
        await stirring.event.wait()
        return False

    def _stirs_by_itself(self, known: InteractionRow) -> bool:
        """It waits for its turn, or for nothing but a moment."""
        if known.state == InteractionState.WAITING:
            return all(wait.kind == "until" for wait in self._waits.of(known.interaction_id))
        return known.state == InteractionState.QUEUED

    async def refuse_if_stopped(self, interaction_id: str) -> None:
        if self._host.stopped:
            known = await self._reader.interaction(interaction_id)
            if known is not None and known.state not in FINAL_INTERACTION:
                raise self._host.ended()

    async def view(self, interaction_id: str, show: Callable[[Interaction, int], T]) -> T:
        """What `show` makes of the interaction, live or folded from the journal, and the newest `seq` that it includes.

        Nobody is shown what is not durable: `show` is called at a moment when all of the state is. Raises NotFound.
        """
        actor = self._host.live.get(interaction_id)
        if actor is not None and actor.last_seq:
            shown = await actor.view(show)
            if shown is not None:
                return shown
        events = await self.events_of(interaction_id)
        if not events:
            raise NotFound(f"There is no interaction {interaction_id}.")
        return show(await hydrate(events, self._references, to_show=True), events[-1].seq)

    async def events_of(self, interaction_id: str) -> list[Event]:
        events: list[Event] = []
        while True:
            after = events[-1].seq if events else 0
            page = await self._reader.events(after_seq=after, interaction_id=interaction_id, limit=5000)
            events += page
            if len(page) < 5000:
                return events
