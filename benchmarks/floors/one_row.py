"""How long does one durable row take, and how many are there in a second?

The unit in which a chain and a round trip are counted: one transaction with one row, synchronous FULL, through the
driver that our store uses (aiosqlite under trio), one hop to its thread and back, one after the other.
"""

import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

import aiosqlite

from benchmarks.floors.group_commit import INSERT, open_journal
from orchestrald.store.trio_aiosqlite import call, connect

DATA = '{"output":{"text":"' + "x" * 180 + '","n":12,"list":[1,2,3]},"ms":12}'


@asynccontextmanager
async def one_row(folder: Path) -> AsyncIterator["OneRow"]:
    path = folder / "one_row.db"
    open_journal(path).close()
    async with connect(path, "rw") as connection:
        await call(connection, _full)
        yield OneRow(connection)


class OneRow:
    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self._seq = 0

    async def seconds(self, count: int) -> list[float]:
        """How long each of `count` commits took."""
        taken = []
        for _ in range(count):
            began = time.perf_counter()
            self._seq += 1
            await call(self._connection, _insert, self._seq)
            taken.append(time.perf_counter() - began)
        return taken

    async def rate(self, count: int) -> float:
        """Commits per second."""
        return count / sum(await self.seconds(count))

    async def p50(self, count: int) -> float:
        """Seconds."""
        return median(await self.seconds(count))


def _full(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA synchronous = FULL")


def _insert(connection: sqlite3.Connection, seq: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(INSERT, (seq, 1, 1, "step", "step.succeeded", 1_700_000_000_000_000, 1, DATA))
    connection.execute("COMMIT")
