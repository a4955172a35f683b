"""Does the one writer group, survive its appenders, and refuse only what must be refused?

A rival connection that holds SQLite's write lock, and writes nothing, stands for a slow disk: commits wait for it.
"""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

import orchestrald
from orchestrald.errors import StoreError
from orchestrald.store.base import Batch
from orchestrald.store.sqlite import Store, open_store
from orchestrald.store.trio_aiosqlite import call
from orchestrald.store.writer import MAX_QUEUED, MAX_ROWS
from store.samples import batch, event, interaction, request

ROOT = Path(orchestrald.__file__).parents[1]


@contextmanager
def slow_disk(path: Path) -> Iterator[sqlite3.Connection]:
    rival = sqlite3.connect(path, isolation_level=None)
    try:
        rival.execute("BEGIN IMMEDIATE")
        yield rival
    finally:
        rival.close()


async def append_all(store: Store, batches: list[Batch], rival: sqlite3.Connection) -> list[Any]:
    """Each batch's events, or its error. All of them queue before the first is committed."""
    results: list[Any] = [None] * len(batches)

    async def append(n: int) -> None:
        try:
            results[n] = await store.journal.append(batches[n])
        except StoreError as error:
            results[n] = error

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            for n in range(len(batches)):
                nursery.start_soon(append, n)
            await trio.testing.wait_all_tasks_blocked()
            rival.execute("ROLLBACK")
    return results


async def test_all_that_waits_becomes_one_transaction(store: Store, path: Path) -> None:
    with slow_disk(path) as rival:
        results = await append_all(store, [batch(n) for n in range(200)], rival)
    assert sorted(e.seq for (e,) in results) == list(range(1, 201))
    assert store.journal.transactions <= 2, "one for what came before the thread woke, one for the rest"


async def test_a_transaction_is_bounded(store: Store, path: Path) -> None:
    with slow_disk(path) as rival:
        await append_all(store, [Batch([event(n) for n in range(MAX_ROWS)]) for _ in range(4)], rival)
    assert store.journal.transactions == 4


async def test_the_queue_is_bounded_and_those_who_wait_for_room_get_it(store: Store, path: Path) -> None:
    highest = 0

    def note(_events: Any) -> None:
        nonlocal highest
        highest = max(highest, store.journal.queued)

    store.journal.on_commit = note
    count = MAX_QUEUED + MAX_ROWS + 300
    with slow_disk(path) as rival:
        results = await append_all(store, [batch(n) for n in range(count)], rival)
    assert sorted(e.seq for (e,) in results) == list(range(1, count + 1))
    assert 0 < highest <= MAX_QUEUED
    assert store.journal.queued == 0


async def test_a_poison_batch_is_refused_alone_and_leaves_no_gap(store: Store, path: Path) -> None:
    await store.journal.append(Batch(request=request("used")))
    batches = [
        Batch([event(0)], interaction=interaction("fresh", thread_id="fresh thread")),
        Batch([event(1, interaction_id="only in poison")], request=request("used")),
        batch(2, at=2**70),
        batch(3, step_id="\ud800"),
        batch(4, type=None),
        batch(5, interaction_id="only in poison"),
    ]
    with slow_disk(path) as rival:
        results = await append_all(store, batches, rival)
    assert [isinstance(result, StoreError) for result in results] == [False, True, True, True, True, False]
    assert store.journal.failed == ""
    stored = await store.reader.events()
    assert [(e.seq, e.data["n"], e.interaction_id) for e in stored] in (
        [(1, 0, "i1"), (2, 5, "only in poison")],
        [(1, 5, "only in poison"), (2, 0, "i1")],
    )
    assert await store.reader.interaction("fresh") is not None


async def test_a_cancelled_append_is_committed_exactly_once_and_holds_nobody_up(path: Path) -> None:
    published: list[Any] = []
    with trio.fail_after(10):
        async with open_store(path) as store:
            store.journal.on_commit = published.extend
            with slow_disk(path) as rival:
                with trio.CancelScope() as scope:
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(store.journal.append, batch(1))
                        nursery.start_soon(store.journal.append, batch(2))
                        await trio.testing.wait_all_tasks_blocked()
                        scope.cancel()
                assert scope.cancelled_caught
                assert published == [], "the commit was still waiting when its callers were already free"
                rival.execute("ROLLBACK")
            (last,) = await store.journal.append(batch(3))
            assert last.seq == 3
            stored = await store.reader.events()
    assert sorted(e.data["n"] for e in stored) == [1, 2, 3]
    assert published == stored


async def test_leaving_the_store_commits_what_was_cancelled_in_flight(path: Path) -> None:
    count = MAX_QUEUED  # of which one transaction takes a part only
    with trio.fail_after(10):
        with trio.CancelScope() as scope:
            async with open_store(path) as store, trio.open_nursery() as nursery:
                with slow_disk(path):
                    for n in range(count):
                        nursery.start_soon(store.journal.append, batch(n))
                    await trio.testing.wait_all_tasks_blocked()
                scope.cancel()
        assert scope.cancelled_caught
        async with open_store(path) as again:
            stored = await again.reader.events(limit=2 * count)
    assert sorted(e.data["n"] for e in stored) == list(range(count))


def test_a_crash_elsewhere_does_not_hang_the_writer(path: Path) -> None:
    code = """
import sys, trio
from pathlib import Path
from orchestrald.core.events import Event
from orchestrald.store.base import Batch
from orchestrald.store.sqlite import open_store

async def crash(idle):
    async with open_store(Path(sys.argv[1])) as store:
        async with trio.open_nursery() as nursery:
            await store.journal.append(Batch([Event("step.started", {}, "t")]))
            if not idle:
                for _ in range(50):
                    nursery.start_soon(store.journal.append, Batch([Event("step.started", {}, "t")]))
                await trio.lowlevel.checkpoint()
            raise RuntimeError("elsewhere")

for idle in (True, False):
    try:
        trio.run(crash, idle)
    except* RuntimeError:
        print("crashed")
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, timeout=20, cwd=ROOT, check=True
    )
    assert done.stdout == b"crashed\ncrashed\n", done.stderr


async def test_a_full_disk_ends_the_writing_and_not_the_reading(store: Store) -> None:
    await store.journal.append(batch(0, data={"kept": True}))
    connection = store.journal._connection
    (pages,) = await call(connection, lambda raw: raw.execute("PRAGMA page_count").fetchone())
    await call(connection, lambda raw: raw.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    big = batch(1, data={"x": "y" * 100_000})
    with pytest.raises(StoreError, match="database or disk is full"):
        await store.journal.append(big)
    assert "full" in store.journal.failed
    await call(connection, lambda raw: raw.execute("PRAGMA max_page_count = 100000").fetchone())
    with pytest.raises(StoreError, match="full"):
        await store.journal.append(batch(2))
    assert [e.data for e in await store.reader.events()] == [{"kept": True}]
    assert await store.reader.interactions() == []


async def test_all_who_wait_learn_that_the_disk_is_full(store: Store, path: Path) -> None:
    connection = store.journal._connection
    (pages,) = await call(connection, lambda raw: raw.execute("PRAGMA page_count").fetchone())
    await call(connection, lambda raw: raw.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    with slow_disk(path) as rival:
        batches = [Batch([event(n, data={"x": "y" * 1_000})] * 5) for n in range(300)]
        results = await append_all(store, batches, rival)
    assert all(isinstance(result, StoreError) and "full" in result.message for result in results)


async def test_a_closed_store_refuses(path: Path) -> None:
    async with open_store(path) as store:
        pass
    with pytest.raises(StoreError, match="closed"):
        await store.journal.append(batch())
