"""How does the store behave, without a disk?

The fake that the engine's tests run on, held to the contract test of the real one. What is appended is encoded and
decoded as there, so that nothing can be shared with a caller by accident, and what the disk would refuse is refused.
"""

import hashlib
from collections.abc import Callable, Sequence

import trio

from orchestrald.core.dialogue import is_message
from orchestrald.core.events import Event
from orchestrald.errors import DamagedReference, InternalError, NotFound, StoreError
from orchestrald.store import kept, model_calls, schedules, waiting
from orchestrald.store.base import (
    Batch,
    InteractionRow,
    MailRow,
    RequestRow,
    RestingRow,
    ScheduleRow,
    ThreadRow,
    WaitRow,
)
from orchestrald.store.kept_reader import MemoryKept
from orchestrald.store.model_calls_reader import MemoryCalls
from orchestrald.store.references import JUST_NOW_S
from orchestrald.store.rows import decode, encode, is_final, numbered, prepare, wait_of


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
        self.waiting = waiting.Remembered()
        self.schedules = schedules.Remembered()
        self.kept = kept.Remembered()
        self.calls = model_calls.Remembered()

    async def append(self, batch: Batch) -> Sequence[Event]:
        prepared = prepare(batch)
        await trio.lowlevel.checkpoint()
        if self.failed:
            raise StoreError(self.failed)
        if prepared.schedule is not None and self.schedules.refuses(prepared.schedule):
            raise StoreError("The store refused this batch: another schedule has this name.")
        if batch.request is not None:
            if batch.request[:3] in self.requests:
                raise StoreError("The store refused this batch: this request was already answered.")
            self.requests[batch.request[:3]] = (batch.request, encode(batch.request.result))
        if prepared.schedule is not None:
            self.schedules.write(prepared.schedule)
        if batch.thread is not None:
            before = self.threads.get(batch.thread.thread_id, batch.thread)
            self.threads[batch.thread.thread_id] = batch.thread._replace(created_at=before.created_at)
        if batch.interaction is not None:
            self.interactions[batch.interaction.interaction_id] = batch.interaction
        if prepared.waiting is not None:
            self.waiting.write(prepared.waiting, len(self.stored) + 1)
        events = numbered(prepared.events, len(self.stored) + 1)
        self.kept.write(prepared.kept, len(self.stored) + 1, decode)
        self.calls.write(prepared.calls, len(self.stored) + 1)
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
        self.kept = MemoryKept(journal)
        self.calls = MemoryCalls(journal)

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
            (row for row in self._journal.interactions.values() if not is_final(row.state) and not row.resting),
            key=lambda row: row.created_at,
        )
        found: dict[str, list[Event]] = {row.interaction_id: [] for row in alive}
        for row in self._journal.stored:
            if row[0].interaction_id in found:
                found[row[0].interaction_id].append(_copy(row))
        return {interaction_id: events for interaction_id, events in found.items() if events}

    async def resting(self) -> list[RestingRow]:
        await trio.lowlevel.checkpoint()
        rows = (row for row in self._journal.interactions.values() if not is_final(row.state) and row.resting)
        found = [RestingRow(row.interaction_id, row.thread_id, row.state, row.created_at) for row in rows]
        return sorted(found, key=lambda row: (row.created_at, row.interaction_id))

    async def waits(
        self, *, kinds: Sequence[str] | None = None, thread_id: str | None = None, interaction_id: str | None = None
    ) -> list[WaitRow]:
        await trio.lowlevel.checkpoint()
        rows = [wait_of(row) for row in self._journal.waiting.waits.values()]
        found = [
            row
            for row in rows
            if (kinds is None or row.kind in kinds)
            and (thread_id is None or row.thread_id == thread_id)
            and (interaction_id is None or row.interaction_id == interaction_id)
        ]
        return sorted(found, key=lambda row: (row.asked_at, row.interaction_id, row.step_id))

    async def mail(self) -> list[MailRow]:
        await trio.lowlevel.checkpoint()
        return [self._journal.waiting.mail[seq] for seq in sorted(self._journal.waiting.mail)]

    async def request(self, by: str, method: str, request_id: str) -> RequestRow | None:
        await trio.lowlevel.checkpoint()
        found = self._journal.requests.get((by, method, request_id))
        return found and found[0]._replace(result=decode(found[1]))

    async def thread(self, thread_id: str) -> ThreadRow | None:
        await trio.lowlevel.checkpoint()
        return self._journal.threads.get(thread_id)

    async def threads(self, *, limit: int = 50, archived: bool = False) -> list[ThreadRow]:
        await trio.lowlevel.checkpoint()
        shown = (row for row in self._journal.threads.values() if archived or row.archived_at is None)
        newest = sorted(shown, key=lambda row: (row.created_at, row.thread_id), reverse=True)
        return newest[: max(limit, 0)]

    async def dialogue(self, thread_id: str, *, limit: int = 20) -> list[Event]:
        await trio.lowlevel.checkpoint()
        said = [row for row in self._journal.stored if row[0].thread_id == thread_id != "" and is_message(row[0])]
        return [_copy(row) for row in said[max(len(said) - max(limit, 0), 0) :]]

    async def schedules(self) -> list[ScheduleRow]:
        await trio.lowlevel.checkpoint()
        return self._journal.schedules.listed(decode)

    async def seen_files(self, schedule_id: str) -> dict[str, str]:
        await trio.lowlevel.checkpoint()
        return dict(self._journal.schedules.files.get(schedule_id, {}))


class MemoryReferences:
    """`base.ReferenceStore`."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.put_at: dict[str, float] = {}

    async def put(self, content: bytes) -> str:
        await trio.lowlevel.checkpoint()
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.contents[digest] = content
        self.put_at[digest] = trio.current_time()
        return digest

    async def get(self, digest: str) -> bytes:
        await trio.lowlevel.checkpoint()
        try:
            content = self.contents[digest]
        except KeyError:
            raise NotFound(f"There is no reference {digest}.") from None
        if f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
            raise DamagedReference(f"The reference {digest} was damaged.")
        return content

    async def remove(self, digest: str) -> bool:
        await trio.lowlevel.checkpoint()
        if self.put_at.get(digest, -JUST_NOW_S) + JUST_NOW_S > trio.current_time():
            return False
        self.contents.pop(digest, None)
        return True

    async def digests(self, since: int) -> list[str]:
        """All of them: it has no clock."""
        await trio.lowlevel.checkpoint()
        return list(self.contents)


def _copy(row: tuple[Event, str]) -> Event:
    return row[0]._replace(data=decode(row[1]))
