"""What can be asked of the store?

Rules of this file:

- Every question is one SELECT: it sees one moment, and its read transaction is short, so the WAL cannot grow behind it.
- Rows become values in the connection's thread: a page of 500 events does not stop the loop.
- A connection here can neither write nor checkpoint.
"""

import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite
import trio

from orchestrald.core.events import Event
from orchestrald.errors import InvalidParams, StoreError
from orchestrald.store import schedules, waiting
from orchestrald.store.base import InteractionRow, MailRow, RequestRow, RestingRow, ScheduleRow, ThreadRow, WaitRow
from orchestrald.store.kept_reader import SqliteKept
from orchestrald.store.model_calls_reader import SqliteCalls
from orchestrald.store.rows import event_of, interaction_of, is_final, request_of, schedule_of, thread_of, wait_of
from orchestrald.store.trio_aiosqlite import call, connect

T = TypeVar("T")

CONNECTIONS = 2
"""So that one long question does not hold up every short one."""

_EVENT = """
SELECT e.type, e.data, t.name, i.name, e.step_id, e.at, e.seq, e.v
FROM events e LEFT JOIN names t ON t.id = e.thread LEFT JOIN names i ON i.id = e.interaction
"""

# CROSS JOIN fixes the order of the loops, whatever the planner guesses: from the few unfinished to their events.
_UNFINISHED = """
SELECT e.type, e.data, t.name, i.name, e.step_id, e.at, e.seq, e.v
FROM interactions u INDEXED BY interactions_awake
    CROSS JOIN events e INDEXED BY events_of_interaction ON e.interaction = u.id
    LEFT JOIN names t ON t.id = e.thread JOIN names i ON i.id = e.interaction
WHERE u.final = 0 AND u.resting = 0
ORDER BY u.created_at, u.id, e.seq
"""

_INTERACTION = """
SELECT n.name, t.name, i.state, i.intent, i.source, i.asked_by, i.workspace, i.created_at, i.updated_at, i.ended_at,
    i.answer, i.waiting, i.steps, i.finished, i.resting
FROM interactions i JOIN names n ON n.id = i.id JOIN names t ON t.id = i.thread
"""

_THREAD = """
SELECT n.name, t.title, t.created_at, t.metadata, t.policy, t.archived_at FROM threads t JOIN names n ON n.id = t.id
"""

# CROSS JOIN: from the messages to their events, never the other way round.
_DIALOGUE = """
SELECT e.type, e.data, t.name, i.name, e.step_id, e.at, e.seq, e.v
FROM messages m CROSS JOIN events e ON e.seq = m.seq
    LEFT JOIN names t ON t.id = e.thread LEFT JOIN names i ON i.id = e.interaction
WHERE m.thread = (SELECT id FROM names WHERE name = ?)
ORDER BY m.seq DESC LIMIT ?
"""

_NUMBER = "(SELECT id FROM names WHERE name = ?)"


class SqliteReader:
    """`base.Reader` on read-only connections. It goes on when the writer has failed."""

    def __init__(self, connections: Sequence[aiosqlite.Connection]) -> None:
        self._free = list(connections)
        self._limit = trio.CapacityLimiter(len(connections))
        self.kept = SqliteKept(self._all)
        self.calls = SqliteCalls(self._all)

    async def events(
        self,
        *,
        after_seq: int = 0,
        limit: int = 500,
        interaction_id: str | None = None,
        types: Sequence[str] | None = None,
    ) -> list[Event]:
        """As `base.Reader`. Empty `types` match nothing."""
        where = ["e.seq > ?"]
        values: list[Any] = [after_seq]
        if interaction_id is not None:
            where.append(f"e.interaction = {_NUMBER}")
            values.append(interaction_id)
        if types is not None:
            where.append(f"e.type IN ({_marks(types)})")
            values.extend(types)
        return await self._all(
            event_of, f"{_EVENT} WHERE {' AND '.join(where)} ORDER BY e.seq LIMIT ?", *values, max(limit, 0)
        )

    async def last_seq(self) -> int:
        return await self._value(int, "SELECT coalesce(max(seq), 0) FROM events")

    async def oldest_seq(self) -> int:
        """The oldest `seq` that is still kept; 0 when there is no event."""
        return await self._value(int, "SELECT coalesce(min(seq), 0) FROM events")

    async def epoch(self) -> str:
        """Made when the store was: under another epoch a cursor means nothing."""
        return await self._value(str, "SELECT value FROM meta WHERE key = 'db_epoch'")

    async def interaction(self, interaction_id: str) -> InteractionRow | None:
        return await self._one(interaction_of, f"{_INTERACTION} WHERE i.id = {_NUMBER}", interaction_id)

    async def interactions(
        self,
        *,
        thread_id: str | None = None,
        states: Sequence[str] | None = None,
        limit: int = 50,
        before: tuple[int, str] | None = None,
    ) -> list[InteractionRow]:
        """As `base.Reader`. Empty `states` match nothing."""
        where = ["TRUE"]
        values: list[Any] = []
        if thread_id is not None:
            where.append(f"i.thread = {_NUMBER}")
            values.append(thread_id)
        if states is not None:
            where.append(f"i.state IN ({_marks(states)})")
            values.extend(states)
            if not any(map(is_final, states)):
                where.append("i.final = 0")  # says nothing new, but opens the index of the unfinished
        if before is not None:
            where.append("i.created_at <= ? AND (i.created_at < ? OR n.name < ?)")
            values.extend((before[0], *before))
        return await self._all(
            interaction_of,
            f"{_INTERACTION} WHERE {' AND '.join(where)} ORDER BY i.created_at DESC, n.name DESC LIMIT ?",
            *values,
            max(limit, 0),  # SQLite takes a negative limit for none
        )

    async def unfinished(self) -> dict[str, list[Event]]:
        """As `base.Reader`, the oldest interaction first."""
        found: dict[str, list[Event]] = {}
        for event in await self._all(event_of, _UNFINISHED):
            found.setdefault(event.interaction_id, []).append(event)
        return found

    async def resting(self) -> list[RestingRow]:
        return await self._all(waiting.resting_of, waiting.RESTING)

    async def waits(
        self, *, kinds: Sequence[str] | None = None, thread_id: str | None = None, interaction_id: str | None = None
    ) -> list[WaitRow]:
        where = ["TRUE"]
        values: list[Any] = []
        if kinds is not None:
            where.append(f"w.kind IN ({_marks(kinds)})")
            values.extend(kinds)
        for column, name in (("thread", thread_id), ("interaction", interaction_id)):
            if name is not None:
                where.append(f"w.{column} = {_NUMBER}")
                values.append(name)
        sql = f"{waiting.WAITS} WHERE {' AND '.join(where)} ORDER BY w.asked_at, n.name, w.step_id"
        return await self._all(wait_of, sql, *values)

    async def mail(self) -> list[MailRow]:
        return await self._all(waiting.mail_of, waiting.MAIL)

    async def request(self, by: str, method: str, request_id: str) -> RequestRow | None:
        sql = """
        SELECT asked_by, method, request_id, params_hash, result, at FROM requests
        WHERE asked_by = ? AND method = ? AND request_id = ?
        """
        return await self._one(request_of, sql, by, method, request_id)

    async def thread(self, thread_id: str) -> ThreadRow | None:
        return await self._one(thread_of, f"{_THREAD} WHERE t.id = {_NUMBER}", thread_id)

    async def threads(self, *, limit: int = 50, archived: bool = False) -> list[ThreadRow]:
        """Newest first by (created_at, thread_id)."""
        where = "TRUE" if archived else "t.archived_at IS NULL"
        sql = f"{_THREAD} WHERE {where} ORDER BY t.created_at DESC, n.name DESC LIMIT ?"
        return await self._all(thread_of, sql, max(limit, 0))

    async def dialogue(self, thread_id: str, *, limit: int = 20) -> list[Event]:
        said = await self._all(event_of, _DIALOGUE, thread_id, max(limit, 0))
        return said[::-1]

    async def schedules(self) -> list[ScheduleRow]:
        return await self._all(schedule_of, schedules.SELECT)

    async def seen_files(self, schedule_id: str) -> dict[str, str]:
        return dict(await self._all(lambda row: (row[0], row[1]), schedules.SELECT_FILES, schedule_id))

    async def _value(self, make: Callable[[Any], T], sql: str) -> T:
        (found,) = await self._all(lambda row: make(row[0]), sql)
        return found

    async def _one(self, make: Callable[[tuple[Any, ...]], T], sql: str, *values: Any) -> T | None:
        found = await self._all(make, sql, *values)
        return found[0] if found else None

    async def _all(self, make: Callable[[tuple[Any, ...]], T], sql: str, *values: Any) -> list[T]:
        async with self._limit:
            connection = self._free.pop()
            try:
                return await call(connection, _select, make, sql, values)
            except sqlite3.Error as error:
                raise StoreError(f"The store cannot be read: {error}") from error
            except (OverflowError, UnicodeError) as error:
                raise InvalidParams(f"No row can hold such a value: {error}") from error
            finally:
                self._free.append(connection)


@asynccontextmanager
async def open_reader(path: Path) -> AsyncIterator[SqliteReader]:
    """Open it after the writer, and close it before: only the last connection to go may checkpoint."""
    async with AsyncExitStack() as stack:
        connections = []
        for _ in range(CONNECTIONS):
            connection = await stack.enter_async_context(connect(path, "ro"))
            await call(connection, _forbid_writing)
            connections.append(connection)
        yield SqliteReader(connections)


def _select(
    connection: sqlite3.Connection, make: Callable[[tuple[Any, ...]], T], sql: str, values: Sequence[Any]
) -> list[T]:
    return [make(row) for row in connection.execute(sql, values).fetchall()]


def _forbid_writing(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA query_only = ON")  # as mode=ro does; two locks, since breaking this one costs the store
    connection.execute("PRAGMA busy_timeout = 5000")


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))
