"""What can be done with schedules: make, list, stop and start, fire now, remove; and let them live.

A schedule is a trigger and what to submit when it goes off. What it asks for is judged when it is made, so that a fault
is told to whoever makes it and not to a log at night; and again at each firing, since actions come and go.
"""

import logging
from collections.abc import Mapping
from itertools import islice
from typing import Any

import trio

from orchestrald.core import triggers
from orchestrald.core.calendar import following, next_after
from orchestrald.core.trigger_text import example, of_file, of_moment, plan_for
from orchestrald.core.triggers import Folder, Trigger
from orchestrald.engine.background import Background
from orchestrald.engine.engine import Engine
from orchestrald.engine.firing import Answer, MakeRow, submit
from orchestrald.engine.folder_look import Look
from orchestrald.engine.schedule_book import Book, Seen
from orchestrald.engine.schedule_folders import ScheduleFolders, changes, looked
from orchestrald.engine.schedule_moments import ScheduleMoments
from orchestrald.errors import InvalidParams, NotFound, WrongState
from orchestrald.store.base import ScheduleRow

log = logging.getLogger("orchestrald.engine")

MOST = 1_000
SHOWN_MOMENTS = 3


class Schedules:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._background = Background()
        self._book = Book(engine.journal, engine.clock)
        self._moments = ScheduleMoments(engine, self._book, self._background)
        self._folders = ScheduleFolders(engine, self._book, self._background)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled. Start it when the engine runs: what was missed fires at once."""
        async with self._background.open():
            for row in await self._engine.reader.schedules():
                self._book.rows[row.schedule_id] = row
                if row.state == "active":
                    self._live(row)
            task_status.started()
            await self._folders.run()

    def _live(self, row: ScheduleRow, seen: Seen | None = None) -> None:
        """Wait for its moments, or its files; without `seen` those that are durable."""
        try:
            trigger = triggers.kept(row.trigger)
        except InvalidParams as error:  # its time zone may be gone from this machine
            self._book.problems[row.schedule_id] = error.message
            log.error("schedule %s cannot fire: %s", row.name, error.message)
            return
        if not isinstance(trigger, Folder):
            self._moments.arm(row)
        elif seen is None:
            self._background.start(self._folders.resume, row, trigger)
        else:
            self._folders.watch(row, trigger, {path: version for path, version in seen.items() if version is not None})

    # --- what clients ask for -----------------------------------------------------------------------------------

    def all(self) -> list[ScheduleRow]:
        """Oldest first."""
        return list(self._book.rows.values())

    def named(self, word: str) -> ScheduleRow:
        """By id or name. Raises NotFound."""
        found = self._book.rows.get(word) or next((row for row in self.all() if row.name == word), None)
        if found is None:
            raise NotFound(f"There is no schedule {word}.", hint="`orchestral schedule` lists them.")
        return found

    async def create(
        self,
        *,
        by: str,
        trigger: Mapping[str, Any],
        name: str = "",
        intent: str = "",
        plan: Any = None,
        thread_id: str = "",
        workspace: str = "",
        labels: Mapping[str, str],
        misfire: str | None = None,
        remember: MakeRow = None,
    ) -> Answer:
        """Raises InvalidParams, PlanError, NotFound (its thread), Conflict (its name) and WrongState (too many)."""
        now = self._engine.clock.now()
        made = triggers.read(trigger, now)
        schedule_id = self._engine.clock.identifier("sch_")
        row = ScheduleRow(
            schedule_id=schedule_id,
            name=name or schedule_id,
            state="active",
            trigger=made.model_dump(),
            misfire=_misfire(made, misfire),
            intent=intent,
            plan=plan,
            thread_id=thread_id,
            workspace=workspace,
            labels=dict(labels),
            by=by,
            created_at=now,
            next_at=None if isinstance(made, Folder) else next_after(made, now),
            fired=0,
            last=None,
        )
        await self._check(row, made)
        there = await _there(made) if isinstance(made, Folder) else Look({})
        seen = {} if isinstance(made, Folder) and made.existing else there.files
        await self._book.add(row, seen, None if remember is None else remember(self.show(row)))
        self._live(row, seen)
        return self.show(row)

    async def _check(self, row: ScheduleRow, trigger: Trigger) -> None:
        if (row.plan is None) == (not row.intent.strip()):
            raise InvalidParams("Give either an intent or a plan.")
        if row.plan is not None:
            await self._engine.planning.accept(plan_for(row.plan, example(trigger, row.created_at)))
        if row.thread_id and await self._engine.reader.thread(row.thread_id) is None:
            raise NotFound(f"There is no thread {row.thread_id}.")
        if len(self._book.rows) >= MOST:
            raise WrongState(f"There are {MOST:,} schedules, and no more are kept.", hint="Remove some.")
        self._book.refuse_another(row.name)

    async def pause(self, word: str, by: str, remember: MakeRow = None) -> Answer:
        """What goes by while it is paused is not missed, and never fires. Raises WrongState."""
        row = _in_state(self.named(word), "active")
        after = row._replace(state="paused", next_at=None)
        return await self._settle(row, after, ("schedule.paused", by), {}, remember)

    async def resume(self, word: str, by: str, remember: MakeRow = None) -> Answer:
        """Count from now on. Raises WrongState."""
        row = _in_state(self.named(word), "paused")
        trigger = triggers.kept(row.trigger)
        if isinstance(trigger, Folder):
            before = await self._engine.reader.seen_files(row.schedule_id)
            news = changes(before, await _there(trigger))
            return await self._settle(row, row._replace(state="active"), ("schedule.resumed", by), news, remember)
        upcoming = next_after(trigger, self._engine.clock.now())
        state = "active" if upcoming is not None else "ended"
        after = row._replace(state=state, next_at=upcoming)
        return await self._settle(row, after, ("schedule.resumed", by), {}, remember)

    async def _settle(
        self, row: ScheduleRow, after: ScheduleRow, said: tuple[str, str], seen: Seen, remember: MakeRow
    ) -> Answer:
        """Between a look at the row and its change somebody else may have come: then it is as they left it."""
        request = None if remember is None else remember(self.show(after))

        def change(now: ScheduleRow) -> ScheduleRow:
            return now._replace(state=_in_state(now, row.state) and after.state, next_at=after.next_at)

        self._folders.forget(row.schedule_id)
        done = await self._book.change(row.schedule_id, change, (said[0], {"by": said[1]}), seen=seen, request=request)
        if done is None:
            raise NotFound(f"There is no schedule {row.name}.")
        if done.state == "active":
            self._live(done)
        return self.show(done)

    async def delete(self, word: str, by: str, remember: MakeRow = None) -> Answer:
        """What it has started goes on."""
        row = self.named(word)
        answer = {"schedule_id": row.schedule_id, "name": row.name}
        self._folders.forget(row.schedule_id)
        await self._book.remove(row, by, None if remember is None else remember(answer))
        return answer

    async def run_now(self, word: str, by: str, path: str = "", remember: MakeRow = None) -> Answer:
        """Fire once more, whatever its state, without moving its next moment. Raises what a submission raises."""
        row = self.named(word)
        now = self._engine.clock.now()
        is_folder = "folder" in row.trigger
        if is_folder != bool(path):
            says = "Name the file, as it would be found in the folder." if is_folder else "It has no folder: no path."
            raise InvalidParams(f"path: {says}")
        data = of_file(path, now) if is_folder else of_moment(now)
        about = {"schedule_id": row.schedule_id}
        make: MakeRow = None if remember is None else lambda answer: remember(about | answer)
        answer = await submit(self._engine, row, data, by, make)
        said = {name: answer[name] for name in ("interaction_id", "thread_id", "disposition")} | {"by": by}
        await self._book.fired(row.schedule_id, said | ({"path": path} if is_folder else {}))
        return about | answer

    def show(self, row: ScheduleRow, *, whole: bool = True) -> Answer:
        """As PROTOCOL.md describes it. Nothing without a value is in it; `next` is empty when no moment is known.

        Not `whole`: without its plan, and with one moment at most.
        """
        shown = row._asdict() | {
            "next": self._next(row, SHOWN_MOMENTS if whole else 1),
            "problem": self._book.problems.get(row.schedule_id),
        }
        if not whole:
            shown["plan"] = None
        return {name: value for name, value in shown.items() if value not in (None, "") and name != "next_at"}

    def _next(self, row: ScheduleRow, count: int) -> list[int]:
        if row.next_at is None or row.schedule_id in self._book.problems:
            return []
        trigger = triggers.kept(row.trigger)
        assert not isinstance(trigger, Folder)
        return [row.next_at, *islice(following(trigger, row.next_at), count - 1)]


async def _there(trigger: Folder) -> Look:
    """What counts as dealt with when watching begins. Raises InvalidParams for a folder that cannot be watched."""
    try:
        found = await looked(trigger)
    except OSError as error:
        raise InvalidParams(f"trigger.folder: {trigger.folder} cannot be looked at: {error.strerror}.") from None
    if not found.whole:
        raise InvalidParams(f"trigger.folder: {trigger.folder} holds too much to be watched.", hint="Narrow the glob.")
    return found


def _misfire(trigger: Trigger, asked: str | None) -> str:
    if isinstance(trigger, Folder):
        if asked == "once":
            raise InvalidParams("misfire: for a folder it is all (each file fires) or skip (none that came meanwhile).")
        return asked or "all"
    return asked or "once"


def _in_state(row: ScheduleRow, state: str) -> ScheduleRow:
    if row.state != state:
        hint = "It has no moment left: make a new one." if row.state == "ended" else ""
        raise WrongState(f"The schedule {row.name} is {row.state}.", hint=hint)
    return row
