"""How is a store on disk opened and closed?

Rules of this file:

- The journal's connection is the only one that writes or checkpoints; it is opened first and closed last.
- What cannot be opened raises StoreError with the path; the store is then as it was.
"""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

import trio

from orchestrald.errors import StoreError
from orchestrald.store import durable
from orchestrald.store.migrate import migrate
from orchestrald.store.reader import SqliteReader, open_reader
from orchestrald.store.transaction import Ledger
from orchestrald.store.trio_aiosqlite import call, connect
from orchestrald.store.writer import SqliteJournal

Durability = Literal["power_loss", "process_crash"]
"""What an acknowledged event survives. Both survive `kill -9`; only the first one waits for the disk."""

_OLDEST_SQLITE = (3, 38, 0)

_SYNCHRONOUS: dict[Durability, str] = {"power_loss": "FULL", "process_crash": "NORMAL"}


class Store(NamedTuple):
    journal: SqliteJournal
    reader: SqliteReader


@asynccontextmanager
async def open_store(
    path: Path, *, durability: Durability = "power_loss", clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> AsyncIterator[Store]:
    """The store at `path`, made or brought to today's schema if need be. `clock` dates the backup before an upgrade.

    Leaving commits all that was appended, also when the scope is cancelled. Raises SchemaTooNew and StoreError.
    """
    try:
        durable.make_folder(path.parent)
        durable.make_file(path)
    except OSError as error:
        raise StoreError(f"The store {path} cannot be opened: {error}") from error
    async with connect(path, "rw") as connection:
        try:
            ledger = await call(connection, _prepare, path, durability, clock().strftime("%Y%m%dT%H%M%SZ"))
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"The store {path} cannot be opened: {error}") from error
        async with open_reader(path) as reader:
            journal = SqliteJournal(connection, ledger)
            try:
                yield Store(journal, reader)
            finally:
                with trio.CancelScope(shield=True):
                    await journal.aclose()


def _prepare(connection: sqlite3.Connection, path: Path, durability: Durability, stamp: str) -> Ledger:
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise StoreError(f"SQLite {sqlite3.sqlite_version} is too old: 3.38 is needed.", hint="Use a newer Python.")
    for setting in (
        "busy_timeout = 5000",
        f"synchronous = {_SYNCHRONOUS[durability]}",
        "fullfsync = ON",  # macOS: there an ordinary fsync leaves the data in the drive's cache
        "checkpoint_fullfsync = ON",
        "foreign_keys = ON",
        "journal_size_limit = 67108864",  # a WAL that one long reader made large does not stay large
    ):
        connection.execute(f"PRAGMA {setting}")
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StoreError(f"The store {path} cannot use a write-ahead log here.", hint="Keep it on a local disk.")
    migrate(connection, path, stamp=stamp)
    (last_seq,) = connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()
    return Ledger(connection, last_seq)
