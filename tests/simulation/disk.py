"""What does the store do while the power, and the space, may end?

Rules of this file:

- What is kept is what was committed, in order. At the cut what is in the writer's hands is committed or is not, as the
  accident says; what queues behind it is not. It is never half.
- Whoever hears of a commit can act on it: there is an instant for the power to go between the two.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import trio

from orchestrald.core.events import Event
from orchestrald.errors import StoreError
from orchestrald.store.base import Batch
from orchestrald.store.memory import MemoryReferences

if TYPE_CHECKING:
    from simulation.life import Life

FULL = "No space left on the device."


class Disk:
    """`store.base.Journal` for one life of the daemon, on what is kept from one life to the next."""

    def __init__(self, life: "Life") -> None:
        self.on_commit: Callable[[Sequence[Event]], None] = lambda _events: None
        self.failed = ""
        self._life = life
        self._kept = life.world.kept.journal
        self._kept.on_commit = self._committed
        self._writer = trio.StrictFIFOLock()
        self._holds: trio.CancelScope | None = None

    async def append(self, batch: Batch) -> Sequence[Event]:
        await self._life.instant("append")
        self._refuse()
        if self._life.world.weather.commit_seconds or self._writer.locked():
            events = await self._take_time(batch)
        else:
            events = await self._kept.append(batch)
        await self._life.instant("committed")
        return events

    async def _take_time(self, batch: Batch) -> Sequence[Event]:
        with trio.CancelScope(shield=True) as taken:  # what is taken is written, whoever still waits for it
            self._life.until_the_cut(taken, self._in_hand)
            async with self._writer:
                self._holds = taken
                await trio.sleep(self._life.world.weather.commit_seconds)
                self._refuse()
                return await self._kept.append(batch)
        raise StoreError("The power is gone.")

    def _in_hand(self, taken: trio.CancelScope) -> bool:
        """Whether this one survives the cut: it has been given to the device, and the device had the time."""
        return taken is self._holds and self._life.world.weather.last_write_lands

    def _refuse(self) -> None:
        if self._life.world.weather.full:
            self.failed = FULL
        if self.failed:
            raise StoreError(self.failed)

    def _committed(self, events: Sequence[Event]) -> None:
        self._life.world.testimony.committed(events)
        self.on_commit(events)


class References:
    """`store.base.ReferenceStore` on the same disk."""

    def __init__(self, life: "Life", kept: MemoryReferences) -> None:
        self._life = life
        self._kept = kept

    async def put(self, content: bytes) -> str:
        await self._life.instant("put")
        if self._life.world.weather.full:
            raise StoreError(FULL)
        return await self._kept.put(content)

    async def get(self, digest: str) -> bytes:
        return await self._kept.get(digest)

    async def remove(self, digest: str) -> bool:
        await self._life.instant("remove")
        return await self._kept.remove(digest)

    async def digests(self, since: int) -> list[str]:
        return await self._kept.digests(since)
