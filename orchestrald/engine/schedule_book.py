"""What is durable about the schedules, and how does it change?

Rules of this file:

- A row here is one that is committed. Whoever changes one waits for the others, and is not cut short between the two.
- What happened to a schedule is an event in the commit that says so in its row.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import trio

from orchestrald.core.events import Event
from orchestrald.engine.clock import Clock
from orchestrald.engine.firing import Answer
from orchestrald.errors import Conflict
from orchestrald.store.base import Appender, Batch, RequestRow, ScheduleChange, ScheduleRow

Seen = Mapping[str, str | None]
"""Versions of files that were dealt with, by path; a missing one is a file that is gone."""

_NOTHING_SEEN: Seen = MappingProxyType({})


class Book:
    """`rows` are the schedules by id, oldest first. `problems` says why one cannot look or fire at present."""

    def __init__(self, journal: Appender, clock: Clock) -> None:
        self.rows: dict[str, ScheduleRow] = {}
        self.problems: dict[str, str] = {}
        self.clock = clock
        self._journal = journal
        self._changing = trio.Lock()

    def refuse_another(self, name: str) -> None:
        if any(row.name == name for row in self.rows.values()):
            raise Conflict(f"There is a schedule {name} already.", hint="Remove it first, or give another name.")

    async def add(self, row: ScheduleRow, seen: Seen, request: RequestRow | None) -> None:
        """Raises Conflict when another has its name."""
        about = {"trigger": row.trigger, "misfire": row.misfire, "by": row.by}
        async with self._changing:
            self.refuse_another(row.name)
            await self._append(row.schedule_id, row, [self._event("schedule.created", row, about)], seen, request)

    async def remove(self, row: ScheduleRow, by: str, request: RequestRow | None) -> None:
        async with self._changing:
            told = [self._event("schedule.deleted", row, {"by": by})]
            await self._append(row.schedule_id, None, told, _NOTHING_SEEN, request)

    async def change(
        self,
        schedule_id: str,
        change: Callable[[ScheduleRow], ScheduleRow],
        *events: tuple[str, Mapping[str, Any]],
        seen: Seen = _NOTHING_SEEN,
        request: RequestRow | None = None,
    ) -> ScheduleRow | None:
        """What `change` makes of the row as it is now, and events about it. Missing when the schedule is gone."""
        async with self._changing:
            row = self.rows.get(schedule_id)
            if row is None:
                return None
            after = change(row)
            told = [self._event(type_, row, about) for type_, about in events]
            await self._append(schedule_id, after, told, seen, request)
            return after

    async def fired(
        self,
        schedule_id: str,
        said: Answer,
        change: Callable[[ScheduleRow], ScheduleRow] = lambda row: row,
        *,
        missed: int = 0,
        seen: Seen = _NOTHING_SEEN,
    ) -> ScheduleRow | None:
        """Write down what became of one firing, and how many moments have none of their own."""

        def counted(row: ScheduleRow) -> ScheduleRow:
            return change(row)._replace(
                fired=row.fired + ("interaction_id" in said), last={"at": self.clock.now(), **said}
            )

        events: list[tuple[str, Mapping[str, Any]]] = [
            ("schedule.refused" if "error" in said else "schedule.fired", said)
        ]
        if missed:
            events.append(("schedule.missed", {"count": missed}))
        return await self.change(schedule_id, counted, *events, seen=seen)

    async def _append(
        self, schedule_id: str, row: ScheduleRow | None, events: list[Event], seen: Seen, request: RequestRow | None
    ) -> None:
        # A client that hangs up here would leave us with a row that is not the one on disk.
        with trio.CancelScope(shield=True):
            change = ScheduleChange(schedule_id, row, seen)
            await self._journal.append(Batch(events, request=request, schedule=change))
        if row is None:
            self.rows.pop(schedule_id, None)
            self.problems.pop(schedule_id, None)
        else:
            self.rows[schedule_id] = row

    def _event(self, type_: str, row: ScheduleRow, about: Mapping[str, Any]) -> Event:
        data = {"schedule": row.schedule_id, "name": row.name, **about}
        return Event(type_, data, row.thread_id, at=self.clock.now())
