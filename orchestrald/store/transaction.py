"""How does a group of batches become one transaction?

Rules of this file:

- All of it runs in the writing connection's thread, and nothing else ever writes or checkpoints: SQLite before 3.51.3
  can corrupt a WAL database when two connections do.
- `seq` is counted here, so that it is gap-free in the order of commit also after a batch was refused.
- A batch's own fault refuses that batch; anything else means that the disk cannot be trusted, and ends the writing.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

from orchestrald.errors import StoreError
from orchestrald.store import kept, model_calls, schedules, waiting
from orchestrald.store.rows import Prepared

_REMEMBERED_NAMES = 8_192

_OWN_FAULT = (
    sqlite3.IntegrityError,
    sqlite3.DataError,  # too big
    sqlite3.InterfaceError,  # a value that SQLite has no type for, up to Python 3.11
    sqlite3.ProgrammingError,  # the same, later
    OverflowError,  # an integer past 64 bits
    ValueError,  # a lone surrogate
    TypeError,
)

_INSERT_EVENT = (
    "INSERT INTO events (seq, thread, interaction, step_id, type, at, v, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)

_UPSERT_THREAD = """
INSERT INTO threads (id, title, created_at, metadata, policy, archived_at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    title = excluded.title, metadata = excluded.metadata, policy = excluded.policy, archived_at = excluded.archived_at
"""

# thread and created_at never change, and leaving them out spares two indexes at every step.
_UPSERT_INTERACTION = """
INSERT INTO interactions
    (id, thread, state, intent, source, asked_by, workspace, created_at, updated_at, ended_at, answer, waiting, steps,
     finished, resting, final)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    state = excluded.state, intent = excluded.intent, source = excluded.source, asked_by = excluded.asked_by,
    workspace = excluded.workspace, updated_at = excluded.updated_at, ended_at = excluded.ended_at,
    answer = excluded.answer, waiting = excluded.waiting, steps = excluded.steps, finished = excluded.finished,
    resting = excluded.resting, final = excluded.final
"""

_INSERT_REQUEST = """
INSERT INTO requests (asked_by, method, request_id, params_hash, result, at) VALUES (?, ?, ?, ?, ?, ?)
"""


class Ledger:
    """The writing side of one connection. `failed` says why it writes no more; empty while it does."""

    def __init__(self, connection: sqlite3.Connection, last_seq: int) -> None:
        self.failed = ""
        self.transactions = 0
        self._cursor = connection.cursor()
        self._connection = connection
        self._last_seq = last_seq
        self._numbers: dict[str, int] = {}

    def commit(self, group: Sequence[Prepared]) -> list[int | StoreError]:
        """For each batch the `seq` of its first event, or why nothing of it is stored. Never raises."""
        if self.failed:
            return [StoreError(self.failed) for _ in group]
        try:
            return list(self._transaction(group))
        except _OWN_FAULT as error:
            self._roll_back()
            if len(group) == 1:
                return [_refusal(error)]
            return [result for batch in group for result in self.commit([batch])]
        except BaseException as error:  # noqa: BLE001  # this thread answers for every appender, whatever happened
            self._roll_back()
            self.failed = f"The store cannot be written: {error or type(error).__name__}"
            return [StoreError(self.failed) for _ in group]

    def _transaction(self, group: Sequence[Prepared]) -> list[int]:
        execute, executemany = self._cursor.execute, self._cursor.executemany
        execute("BEGIN IMMEDIATE")
        seq = self._last_seq
        firsts: list[int] = []
        events: list[tuple[Any, ...]] = []
        interactions: dict[str, tuple[Any, ...]] = {}
        for batch in group:
            firsts.append(seq + 1)
            events.extend(self._rows(batch, seq))
            seq += len(batch.data)
            if batch.thread is not None:
                thread_id, *rest = batch.thread
                execute(_UPSERT_THREAD, (self._number(thread_id), *rest))
            if batch.interaction is not None:  # of several rows in one transaction only the last would remain
                interaction_id, thread_id, *rest = batch.interaction
                interactions[interaction_id] = (self._number(interaction_id), self._number(thread_id), *rest)
            if batch.request is not None:
                execute(_INSERT_REQUEST, batch.request)
            if batch.waiting is not None:
                waiting.write(self._cursor, batch.waiting, firsts[-1], self._number)
            if batch.kept:
                kept.write(self._cursor, batch.kept, firsts[-1], self._number)
            if batch.calls:
                model_calls.write(self._cursor, batch.calls, firsts[-1], self._number)
            if batch.schedule is not None:
                schedules.write(self._cursor, batch.schedule)
        executemany(_INSERT_EVENT, events)
        if interactions:
            executemany(_UPSERT_INTERACTION, interactions.values())
        execute("COMMIT")
        self._last_seq = seq
        self.transactions += 1
        return firsts

    def _rows(self, batch: Prepared, seq: int) -> Iterator[tuple[Any, ...]]:
        known = self._numbers.get
        for (type_, _, thread_id, interaction_id, step_id, at, _, v), data in zip(
            batch.events, batch.data, strict=True
        ):
            seq += 1
            thread, interaction = known(thread_id), known(interaction_id)
            if thread is None and thread_id:
                thread = self._number(thread_id)
            if interaction is None and interaction_id:
                interaction = self._number(interaction_id)
            yield seq, thread, interaction, step_id, type_, at, v, data

    def _number(self, name: str) -> int:
        number = self._numbers.get(name)
        if number is None:
            if len(self._numbers) >= _REMEMBERED_NAMES:
                self._numbers.clear()
            row = self._cursor.execute("SELECT id FROM names WHERE name = ?", (name,)).fetchone()
            if row is None:
                row = self._cursor.execute("INSERT INTO names (name) VALUES (?) RETURNING id", (name,)).fetchone()
            (number,) = row
            self._numbers[name] = number
        return number

    def _roll_back(self) -> None:
        self._numbers.clear()  # it may hold numbers that the rollback takes away
        try:
            if self._connection.in_transaction:  # SQLite has rolled back by itself after some disk errors
                self._connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            self.failed = f"The store cannot be written: {error}"


def _refusal(error: Exception) -> StoreError:
    return StoreError(f"The store refused this batch: {error}", hint="Nothing of this batch was stored.")
