"""What happens when a file comes to a watched folder?

One coroutine looks at all folders, each in a thread of its own for as long as the look takes: a share that hangs holds
up itself and nobody else.
"""

import logging
from collections.abc import Mapping

import trio

from orchestrald.core.trigger_text import of_file
from orchestrald.core.triggers import Folder
from orchestrald.engine.background import Background
from orchestrald.engine.engine import Engine
from orchestrald.engine.firing import Answer, Occasion, fire
from orchestrald.engine.folder_look import Look, look
from orchestrald.engine.folder_watch import Watch
from orchestrald.engine.schedule_book import Book, Seen
from orchestrald.store.base import ScheduleRow

log = logging.getLogger("orchestrald.engine")

POLL = 1.0
_REST = 50
"""A folder that took t seconds to look through is left alone for 50 t: at most 2 % of a core, however large it is."""


class ScheduleFolders:
    def __init__(self, engine: Engine, book: Book, background: Background) -> None:
        self._engine = engine
        self._book = book
        self._background = background
        self._watches: dict[str, Watch] = {}
        self._rests_until: dict[str, float] = {}

    async def run(self) -> None:
        while True:
            stopped = self._engine.draining or self._engine.failure is not None
            for schedule_id in () if stopped else list(self._watches):
                if self._rests_until.get(schedule_id, 0.0) <= trio.current_time():
                    self._rests_until[schedule_id] = float("inf")  # until this look is over
                    self._background.start(self._look, schedule_id)
            await trio.sleep(POLL)

    def watch(self, row: ScheduleRow, trigger: Folder, seen: Mapping[str, str]) -> None:
        self._watches[row.schedule_id] = Watch(trigger, seen)
        self._rests_until[row.schedule_id] = 0.0

    def forget(self, schedule_id: str) -> None:
        self._watches.pop(schedule_id, None)
        self._rests_until.pop(schedule_id, None)

    async def resume(self, row: ScheduleRow, trigger: Folder) -> None:
        """Go on after a start. Under the rule `skip` what came meanwhile is noted as missed before anything fires."""
        seen = await self._engine.reader.seen_files(row.schedule_id)
        if row.misfire == "skip" and (found := await self._looked(row, trigger)) is not None:
            news = changes(seen, found)
            missed = sum(version is not None for version in news.values())
            told = [("schedule.missed", {"count": missed})] if missed else []
            if news:
                await self._book.change(row.schedule_id, lambda now: now, *told, seen=news)
            seen = found.files
        if row.schedule_id in self._book.rows and self._book.rows[row.schedule_id].state == "active":
            self.watch(row, trigger, seen)

    async def _look(self, schedule_id: str) -> None:
        rest = 0.0
        try:
            watch, row = self._watches.get(schedule_id), self._book.rows.get(schedule_id)
            if watch is not None and row is not None and (found := await self._looked(row, watch.trigger)) is not None:
                rest = _REST * found.took - POLL
                await self._fire(row, watch, found)
        finally:
            if schedule_id in self._watches:
                self._rests_until[schedule_id] = trio.current_time() + rest

    async def _fire(self, row: ScheduleRow, watch: Watch, found: Look) -> None:
        judged = watch.judge(found, trio.current_time())
        for path, version in judged.ready:
            if self._watches.get(row.schedule_id) is not watch:
                return  # paused or removed meanwhile
            occasion = Occasion(version, of_file(path, self._engine.clock.now()))
            said: Answer = {"path": path} | await fire(self._engine, row, occasion)
            await self._note(row, watch, {path: version}, said)
        if judged.settled:
            await self._note(row, watch, judged.settled, None)

    async def _note(self, row: ScheduleRow, watch: Watch, seen: Seen, said: Answer | None) -> None:
        if said is not None:
            await self._book.fired(row.schedule_id, said, seen=seen)
        else:
            await self._book.change(row.schedule_id, lambda now: now, seen=seen)
        watch.note(seen)

    async def _looked(self, row: ScheduleRow, trigger: Folder) -> Look | None:
        """Missing when the folder cannot be looked at: then nothing of it is known to be gone."""
        problem, found = "", None
        try:
            found = await looked(trigger)
            if not found.whole:
                problem = f"{trigger.folder} holds too much: only the first {len(found.files):,} files are watched"
        except OSError as error:
            problem = f"{trigger.folder} cannot be looked at: {error.strerror}"
        if problem and self._book.problems.get(row.schedule_id) != problem:
            log.warning("schedule %s: %s", row.name, problem)
        if problem:
            self._book.problems[row.schedule_id] = problem
        else:
            self._book.problems.pop(row.schedule_id, None)
        return found


async def looked(trigger: Folder) -> Look:
    """Raises OSError."""
    # Abandoned when the daemon stops: a share that hangs must not keep it from doing so.
    return await trio.to_thread.run_sync(look, trigger.folder, trigger.glob, trigger.depth, abandon_on_cancel=True)


def changes(seen: Mapping[str, str], found: Look) -> Seen:
    """What to note so that everything in the look counts as dealt with."""
    gone: dict[str, str | None] = dict.fromkeys(seen.keys() - found.files.keys()) if found.whole else {}
    return gone | {path: version for path, version in found.files.items() if seen.get(path) != version}
