"""Who may write, and when does an appender go on?

Whatever queued while one transaction was being committed becomes the next one: group commit without a timer. There is
no task: the connection's thread takes the group, and its result arrives in the trio thread as a callback. So there is
no idle wait that could hold up a crash elsewhere, and nothing to cancel but the appenders.

Rules of this file:

- An appender that is cancelled stops waiting. Its rows are still committed, exactly once.
- `on_commit` runs in seq order, before the appenders of those events are woken.
- After a failure nothing is written any more: what was acknowledged is on disk, all else is up to the next start.
"""

from collections import deque
from collections.abc import Callable, Sequence

import aiosqlite
import outcome
import trio

from orchestrald.core.events import Event
from orchestrald.errors import InternalError, StoreError
from orchestrald.store.base import Batch
from orchestrald.store.rows import Prepared, numbered, prepare
from orchestrald.store.transaction import Ledger
from orchestrald.store.trio_aiosqlite import post

MAX_QUEUED = 1_024
"""Batches. More appenders than this wait for room, in the order in which they came."""
MAX_ROWS = 512
"""Events in one transaction, unless a single batch has more; and batches, which may be empty of events."""


class _Entry:
    """A batch in the queue, and the appender that waits for it, if it still does."""

    __slots__ = ("prepared", "task")

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared
        self.task: trio.lowlevel.Task | None = trio.lowlevel.current_task()

    def forget(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self.task = None
        return trio.lowlevel.Abort.SUCCEEDED

    def wake(self, result: outcome.Outcome[Sequence[Event]]) -> None:
        if self.task is not None:
            trio.lowlevel.reschedule(self.task, result)
            self.task = None


_Group = tuple[list[_Entry], list[int | StoreError]]


class SqliteJournal:
    """`base.Journal` on the one writing connection."""

    def __init__(self, connection: aiosqlite.Connection, ledger: Ledger) -> None:
        self.on_commit: Callable[[Sequence[Event]], None] = lambda _events: None
        self.failed = ""
        """Why nothing is written any more; empty while all is well."""
        self._connection = connection
        self._ledger = ledger
        self._queue: deque[_Entry] = deque()
        self._waiting_for_room = trio.lowlevel.ParkingLot()
        self._busy = False
        self._drained = trio.Event()
        self._closed = False

    @property
    def transactions(self) -> int:
        """How many were committed since the store was opened."""
        return self._ledger.transactions

    @property
    def queued(self) -> int:
        """How many batches wait for the next transaction."""
        return len(self._queue)

    async def append(self, batch: Batch) -> Sequence[Event]:
        """As `base.Journal`. A StoreError while `failed` is empty concerns this batch alone."""
        entry = _Entry(prepare(batch))
        await trio.lowlevel.checkpoint_if_cancelled()
        self._refuse()
        if self._waiting_for_room or len(self._queue) >= MAX_QUEUED:
            await self._waiting_for_room.park()
            self._refuse()
        self._queue.append(entry)
        if not self._busy:
            self._busy = True
            post(self._connection, self._commit_group, self._committed)
        result: Sequence[Event] = await trio.lowlevel.wait_task_rescheduled(entry.forget)
        return result

    async def aclose(self) -> None:
        """Takes no more, and returns when all that was taken is committed. Call it shielded."""
        self._closed = True
        if self._busy:
            await self._drained.wait()

    def _refuse(self) -> None:
        if self.failed:
            raise StoreError(self.failed)
        if self._closed:
            raise StoreError("The store is closed.", hint="")

    def _commit_group(self) -> _Group:
        """In the connection's thread. The group is taken here, not by whoever posted, so that it is the larger."""
        entries: list[_Entry] = []
        rows = 0
        while self._queue and rows < MAX_ROWS and len(entries) < MAX_ROWS:
            entry = self._queue.popleft()
            rows += len(entry.prepared.data)
            entries.append(entry)
        return entries, self._ledger.commit([entry.prepared for entry in entries])

    def _committed(self, result: outcome.Outcome[_Group]) -> None:
        """In the trio thread, as a callback: an exception that left it would end trio itself."""
        entries, firsts = result.unwrap()
        self.failed = self.failed or self._ledger.failed
        answers: list[tuple[Event, ...] | StoreError] = [
            first if isinstance(first, StoreError) else numbered(entry.prepared.events, first)
            for entry, first in zip(entries, firsts, strict=True)
        ]
        told = self._publish([event for answer in answers if isinstance(answer, tuple) for event in answer])
        for entry, answer in zip(entries, answers, strict=True):
            if isinstance(answer, StoreError):
                entry.wake(outcome.Error(answer))
            elif told:
                entry.wake(outcome.Value(answer))
            else:
                entry.wake(outcome.Error(InternalError(self.failed)))
        self._waiting_for_room.unpark(count=max(MAX_QUEUED - len(self._queue), 0))
        if self._queue:
            post(self._connection, self._commit_group, self._committed)
            return
        self._busy = False
        if self._closed:
            self._drained.set()

    def _publish(self, events: Sequence[Event]) -> bool:
        if events:
            try:
                self.on_commit(events)
            except Exception as error:  # noqa: BLE001  # they are stored, but nobody may go on as if all had been told
                self.failed = f"The events could not be published: {error!r}"
                return False
        return True
