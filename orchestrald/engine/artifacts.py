"""What becomes of stored content: who may delete it, and when does it go by itself?

Rules of this file:

- Every occasion on which content was stored is a row; the file goes after the last of its rows, never before.
- A row goes when its moment has come and no unfinished interaction names its content.
- What a crash left without a row goes at the next start, as far as it was stored since rows are kept of everything.
- Content that was stored a moment ago stays: whoever stored it may be about to name it (`ReferenceStore.remove`).
"""

import logging
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import Any, Protocol

from orchestrald.core.events import Event
from orchestrald.engine.clock import Clock
from orchestrald.engine.timers import Timers
from orchestrald.errors import NotFound, OrchestralError, WrongState
from orchestrald.store.base import Appender, Batch, Reader, ReferenceStore, RequestRow
from orchestrald.store.base_kept import ReferenceRow

log = logging.getLogger("orchestrald.engine")

DAY = 86_400_000_000
AGAIN = 120_000_000
"""Microseconds after which we look again at content that was too new to go."""

_PAGE = 500

Row = Callable[[dict[str, Any]], RequestRow] | None


class Host(Protocol):
    def spawn(self, function: Any, *arguments: Any) -> None: ...


class Artifacts:
    """`retention` in seconds is how long what steps store is kept; missing: for ever."""

    def __init__(
        self,
        host: Host,
        journal: Appender,
        reader: Reader,
        references: ReferenceStore,
        clock: Clock,
        timers: Timers,
        retention: float | None,
    ) -> None:
        self._host = host
        self._journal = journal
        self._reader = reader
        self._references = references
        self._clock = clock
        self._timers = timers
        self._retention = retention
        self._leaving: set[str] = set()

    def until(self) -> int | None:
        """When what is stored now may go, if nobody says otherwise."""
        return None if self._retention is None else self._clock.now() + int(self._retention * 1_000_000)

    # --- for clients ------------------------------------------------------------------------------------------------

    async def put(self, content: bytes, about: dict[str, Any], thread_id: str, row: Row) -> dict[str, Any]:
        """Store content; `about` is the data of its event without digest and size. Returns the answer once durable."""
        if thread_id and await self._reader.thread(thread_id) is None:
            raise NotFound(f"There is no thread {thread_id}.")
        digest = await self._references.put(content)
        data = {"digest": digest, "size": len(content), **about}
        at = self._clock.now()
        answer = {**data, "created_at": at} | ({"thread_id": thread_id} if thread_id else {})
        event = Event("artifact.stored", data, thread_id, at=at)
        await self._journal.append(Batch([event], request=row(answer) if row else None))
        return answer

    async def delete(self, digest: str, by: str, row: Row) -> dict[str, Any]:
        """Every row of the content, and then the content. Raises NotFound, and WrongState while it is needed."""
        rows = await self._rows_of(digest)
        if not rows:
            raise NotFound(f"There is no reference {digest}.")
        if digest in await self._reader.kept.needed():
            raise WrongState(f"An unfinished interaction needs {digest}.", hint="Let it end, or cancel it.")
        answer = {"digest": digest, "rows": len(rows)}
        data = {"digest": digest, "rows": [each.seq for each in rows], "reason": "asked", "by": by}
        event = Event("artifact.deleted", data, "", at=self._clock.now())
        await self._journal.append(Batch([event], request=row(answer) if row else None))
        await self._remove({digest})
        return answer

    async def get(self, digest: str) -> tuple[bytes, ReferenceRow | None]:
        """Content and its newest row; files of earlier versions have none. Raises NotFound and DamagedReference."""
        rows = await self._reader.kept.references(digest=digest, limit=1)
        if not rows and digest in self._leaving:
            raise NotFound(f"There is no reference {digest}.")
        return await self._references.get(digest), rows[0] if rows else None

    async def _rows_of(self, digest: str) -> list[ReferenceRow]:
        rows: list[ReferenceRow] = []
        while True:
            before = rows[-1].seq if rows else None
            page = await self._reader.kept.references(digest=digest, before=before, limit=_PAGE)
            rows += page
            if len(page) < _PAGE:
                return rows

    # --- by itself --------------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """At the start of the daemon, beside its work: what no row names, and then as every day."""
        await self._cautiously(self._orphans)
        await self.sweep()

    async def sweep(self) -> None:
        """What is past its moment. Comes again in a day."""
        await self._cautiously(self._expire)
        self._timers.set(self._clock.now() + DAY, lambda: self._host.spawn(self.sweep))

    async def _cautiously(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except OrchestralError as error:  # content that stays too long harms nobody; the next look finds it again
            if self._journal.failed:
                raise
            log.error("old references were not removed: %s", error)

    async def _expire(self) -> None:
        now, needed, after = self._clock.now(), await self._reader.kept.needed(), (0, 0)
        while due := await self._reader.kept.due(now, after=after, limit=_PAGE):
            after = (due[-1].until or 0, due[-1].seq)
            gone: dict[str, list[int]] = {}
            for each in due:
                if each.digest not in needed:
                    gone.setdefault(each.digest, []).append(each.seq)
            if gone:
                data = [{"digest": digest, "rows": rows, "reason": "expired"} for digest, rows in gone.items()]
                await self._journal.append(Batch([Event("artifact.deleted", each, "", at=now) for each in data]))
                await self._remove(gone)
                log.info("references that went, as their time was over: %d", len(gone))

    async def _orphans(self) -> None:
        stored = await self._references.digests(await self._reader.kept.since())
        if stored:
            await self._remove(set(stored) - await self._reader.kept.needed())

    async def _remove(self, digests: Collection[str]) -> None:
        """The content of those that no row names any more."""
        for digest in sorted(set(digests) - await self._reader.kept.named(digests)):
            self._leaving.discard(digest)
            if not await self._references.remove(digest):
                self._leaving.add(digest)
                self._timers.set(self._clock.now() + AGAIN, partial(self._look_again, digest))

    def _look_again(self, digest: str) -> None:
        self._host.spawn(self._cautiously, partial(self._remove_unneeded, digest))

    async def _remove_unneeded(self, digest: str) -> None:
        await self._remove({digest} - await self._reader.kept.needed())
