"""What happens when a schedule's moment comes, or is found to have passed?

No coroutine sleeps for a schedule: its next moment is one of the engine's timers. A firing comes first and the row
after it; between the two a crash is harmless, since `firing` claims the moment.
"""

from functools import partial

from orchestrald.core.calendar import Due, due
from orchestrald.core.trigger_text import of_moment
from orchestrald.core.triggers import Folder, Misfire, kept
from orchestrald.engine.background import Background
from orchestrald.engine.engine import Engine
from orchestrald.engine.firing import Occasion, fire
from orchestrald.engine.schedule_book import Book
from orchestrald.store.base import ScheduleRow


class ScheduleMoments:
    def __init__(self, engine: Engine, book: Book, background: Background) -> None:
        self._engine = engine
        self._book = book
        self._background = background
        self._busy: set[str] = set()

    def arm(self, row: ScheduleRow) -> None:
        if row.next_at is not None:
            schedule_id, next_at = row.schedule_id, row.next_at
            self._engine.timers.set(next_at, lambda: self._came(schedule_id, next_at))

    def _came(self, schedule_id: str, next_at: int) -> None:
        row = self._book.rows.get(schedule_id)
        # Else it was paused, resumed or removed meanwhile. Pausing leaves its timer, and resuming sets another one for
        # the same moment: the second of the two finds the first at work.
        if row is not None and row.next_at == next_at and schedule_id not in self._busy:
            self._busy.add(schedule_id)
            self._background.start(self._deal_with, row)

    async def _deal_with(self, row: ScheduleRow) -> None:
        try:
            await self._fire_or_pass_over(row)
        finally:
            self._busy.discard(row.schedule_id)

    async def _fire_or_pass_over(self, row: ScheduleRow) -> None:
        trigger = kept(row.trigger)
        if isinstance(trigger, Folder) or row.next_at is None:
            return
        misfire: Misfire = row.misfire  # type: ignore[assignment]  # `create` has checked it
        # The wall clock may have been set back since the timer looked at it, and nobody would come a second time.
        todo = due(trigger, row.next_at, max(self._engine.clock.now(), row.next_at), misfire)
        after = await (self._fire(row, todo) if todo.firings else self._pass_over(row, todo))
        if after is not None and after.state == "active":
            self.arm(after)

    async def _fire(self, row: ScheduleRow, todo: Due) -> ScheduleRow | None:
        """Missing when the schedule was changed meanwhile: it has other plans now."""
        after: ScheduleRow | None = row
        for number, moment in enumerate(todo.firings, 1):
            before, last = after, number == len(todo.firings)
            assert before is not None
            said = {"moment": moment} | await fire(self._engine, row, Occasion(str(moment), of_moment(moment)))
            upcoming = todo.next_at if last else todo.firings[number]
            change = partial(_moved_on, expected=before.next_at, upcoming=upcoming)
            after = await self._book.fired(row.schedule_id, said, change, missed=todo.missed if last else 0)
            if after is None or after.next_at != upcoming:
                return None
        return after

    async def _pass_over(self, row: ScheduleRow, todo: Due) -> ScheduleRow | None:
        change = partial(_moved_on, expected=row.next_at, upcoming=todo.next_at)
        after = await self._book.change(row.schedule_id, change, ("schedule.missed", {"count": todo.missed}))
        return after if after is not None and after.next_at == todo.next_at else None


def _moved_on(row: ScheduleRow, expected: int | None, upcoming: int | None) -> ScheduleRow:
    """The row past a moment; as it is, when somebody changed it meanwhile."""
    if row.state != "active" or row.next_at != expected:
        return row
    return row._replace(next_at=upcoming, state="active" if upcoming is not None else "ended")
