"""How fast could events be appended at all? Plain sqlite3 in a thread of its own, with group commit.

The floor that our journal is held against: the same table and index, and nothing of ours above it. No numbering of
names, no check that what is written can be read back, no projection, no publishing. Whatever queued while one
transaction was committed becomes the next one.
"""

import queue
import sqlite3
import threading
from pathlib import Path
from typing import Any

import trio

MOST_ROWS = 512
Row = tuple[Any, ...]


class PlainJournal:
    """`close` ends the thread; appends that wait then would wait for ever."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._queue: queue.SimpleQueue[tuple[Row, trio.lowlevel.Task] | None] = queue.SimpleQueue()
        self._token = trio.lowlevel.current_trio_token()
        self._thread = threading.Thread(target=self._commit_groups, daemon=True)
        self._thread.start()

    async def append(self, row: Row) -> None:
        """Returns when the row is on disk. Not to be cancelled."""
        self._queue.put((row, trio.lowlevel.current_task()))
        await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.FAILED)

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def _commit_groups(self) -> None:
        connection = open_journal(self._path)
        seq = 0
        while True:
            group = [self._queue.get()]
            while len(group) < MOST_ROWS:
                try:
                    group.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            rows = [(seq := seq + 1, *entry[0]) for entry in group if entry is not None]
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(INSERT, rows)
            connection.execute("COMMIT")
            if None in group:
                connection.close()
                return
            self._token.run_sync_soon(_wake, [entry[1] for entry in group if entry is not None])


INSERT = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)"

SCHEMA = """
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    thread INTEGER,
    interaction INTEGER,
    step_id TEXT NOT NULL,
    type TEXT NOT NULL,
    at INTEGER NOT NULL,
    v INTEGER NOT NULL,
    data TEXT NOT NULL
) STRICT;
CREATE INDEX events_of_interaction ON events (interaction) WHERE interaction IS NOT NULL;
"""


def open_journal(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.executescript(SCHEMA)
    return connection


def _wake(tasks: list[trio.lowlevel.Task]) -> None:
    for task in tasks:
        trio.lowlevel.reschedule(task)
