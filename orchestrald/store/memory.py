"""How does the store behave, without a disk?

The fake that the engine's tests run on, held to the contract test of the real one. What is appended is encoded and
decoded as there, so that nothing can be shared with a caller by accident, and what the disk would refuse is refused.
"""

import hashlib
from collections.abc import Callable, Sequence

import trio

from orchestrald.core.events import Event
from orchestrald.errors import InternalError, NotFound, StoreError
from orchestrald.store.base import Batch, InteractionRow, RequestRow, ThreadRow
from orchestrald.store.rows import decode, encode, is_final, numbered, prepare


class MemoryStore:
    """A journal and a reader over the same lists."""

    def __init__(self) -> None:
        self.journal = MemoryJournal()
        self.reader = MemoryReader(self.journal)


class MemoryJournal:
    """`base.Journal`. Set `failed` to a reason, and every further append is refused with it, as on a full disk."""

    def __init__(self) -> None:
        self.on_commit: Callable[[Sequence[Event]], None] = lambda _events: None
        self.failed = ""
        self.transactions = 0
        self.stored: list[tuple[Event, str]] = []
        self.interactions: dict[str, InteractionRow] = {}
        self.threads: dict[str, ThreadRow] = {}
        self.requests: dict[tuple[str, str, str], tuple[RequestRow, str]] = {}

    async def append(self, batch: Batch) -> Sequence[Event]:
        prepared = prepare(batch)
        await trio.lowlevel.checkpoint()
        if self.failed:
            raise StoreError(self.failed)
        if batch.request is not None:
            if batch.request[:3] in self.requests:
                raise StoreError("The store refused this batch: this request was already answered.")
            self.requests[batch.request[:3]] = (batch.request, encode(batch.request.result))
        if batch.thread is not None:
            self.threads.setdefault(batch.thread.thread_id, batch.thread)
        if batch.interaction is not None:
            self.interactions[batch.interaction.interaction_id] = batch.interaction
        events = numbered(prepared.events, len(self.stored) + 1)
        self.stored.extend(zip(events, prepared.data, strict=True))
        self.transactions += 1
        self._publish(events)
        return events

    def _publish(self, events: Sequence[Event]) -> None:
        if not events:
            return
        try:
            self.on_commit(events)
        except Exception as error:
            self.failed = f"The events could not be published: {error!r}"
            raise InternalError(self.failed) from error


class MemoryReader:
    """`base.Reader`."""

    def __init__(self, journal: MemoryJournal) -> None:
        self._journal = journal

    async def events(
        self,
        *,
        after_seq: int = 0,
        limit: int = 500,
        interaction_id: str | None = None,
        types: Sequence[str] | None = None,
    ) -> list[Event]:
        await trio.lowlevel.checkpoint()
        found = [
            row
            for row in self._journal.stored[max(after_seq, 0) :]
            if (interaction_id is None or (row[0].interaction_id == interaction_id != ""))
            and (types is None or row[0].type in types)
        ]
        return [_copy(row) for row in found[: max(limit, 0)]]

    async def last_seq(self) -> int:
        await trio.lowlevel.checkpoint()
        return len(self._journal.stored)

    async def oldest_seq(self) -> int:
        await trio.lowlevel.checkpoint()
        return min(len(self._journal.stored), 1)

    async def epoch(self) -> str:
        await trio.lowlevel.checkpoint()
        return f"{id(self._journal):016x}"

    async def interaction(self, interaction_id: str) -> InteractionRow | None:
        await trio.lowlevel.checkpoint()
        return self._journal.interactions.get(interaction_id)

    async def interactions(
        self,
        *,
        thread_id: str | None = None,
        states: Sequence[str] | None = None,
        limit: int = 50,
        before: tuple[int, str] | None = None,
    ) -> list[InteractionRow]:
        await trio.lowlevel.checkpoint()
        found = [
            row
            for row in self._journal.interactions.values()
            if (thread_id is None or row.thread_id == thread_id)
            and (states is None or row.state in states)
            and (before is None or (row.created_at, row.interaction_id) < before)
        ]
        found.sort(key=lambda row: (row.created_at, row.interaction_id), reverse=True)
        return found[: max(limit, 0)]

    async def unfinished(self) -> dict[str, list[Event]]:
        await trio.lowlevel.checkpoint()
        alive = sorted(
            (row for row in self._journal.interactions.values() if not is_final(row.state)),
            key=lambda row: row.created_at,
        )
        found: dict[str, list[Event]] = {row.interaction_id: [] for row in alive}
        for row in self._journal.stored:
            if row[0].interaction_id in found:
                found[row[0].interaction_id].append(_copy(row))
        return {interaction_id: events for interaction_id, events in found.items() if events}

    async def request(self, by: str, method: str, request_id: str) -> RequestRow | None:
        await trio.lowlevel.checkpoint()
        found = self._journal.requests.get((by, method, request_id))
        return found and found[0]._replace(result=decode(found[1]))

    async def thread(self, thread_id: str) -> ThreadRow | None:
        await trio.lowlevel.checkpoint()
        return self._journal.threads.get(thread_id)

    async def threads(self, *, limit: int = 50) -> list[ThreadRow]:
        await trio.lowlevel.checkpoint()
        newest = sorted(self._journal.threads.values(), key=lambda row: (row.created_at, row.thread_id), reverse=True)
        return newest[: max(limit, 0)]


class MemoryReferences:
    """`base.ReferenceStore`."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}

    async def put(self, content: bytes) -> str:
        await trio.lowlevel.checkpoint()
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.contents[digest] = content
        return digest

    async def get(self, digest: str) -> bytes:
        await trio.lowlevel.checkpoint()
        try:
            content = self.contents[digest]
        except KeyError:
            raise NotFound(f"There is no reference {digest}.") from None
        if f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
            raise StoreError(f"The reference {digest} was damaged.")
        return content


def _copy(row: tuple[Event, str]) -> Event:
    return row[0]._replace(data=decode(row[1]))
