"""Does aiosqlite, as pinned, still run under trio through the facade?"""

import asyncio
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import aiosqlite
import pytest
import trio

import orchestrald
from orchestrald.store.trio_aiosqlite import call, connect, install

ROOT = Path(orchestrald.__file__).parents[1]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "a #1 ?.db"  # characters that mean something in a URI
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    return path


def slow_insert(connection: sqlite3.Connection, started: threading.Event, go_on: threading.Event) -> None:
    started.set()
    assert go_on.wait(5)
    connection.execute("INSERT INTO t VALUES (1)")


async def test_statements_run_in_another_thread_and_give_their_result(database: Path) -> None:
    async with connect(database, "rw") as connection:
        assert await call(connection, lambda _raw: threading.get_ident()) != threading.get_ident()
        assert await call(connection, lambda raw, x: raw.execute("SELECT ?", (x,)).fetchall(), 7) == [(7,)]


async def test_aiosqlite_s_own_methods_work(database: Path) -> None:
    async with connect(database, "rw") as connection:
        await connection.execute("INSERT INTO t VALUES (1)")
        async with connection.execute("SELECT x FROM t") as cursor:
            assert await cursor.fetchall() == [(1,)]


async def test_an_error_reaches_the_caller_as_it_is(database: Path) -> None:
    async with connect(database, "rw") as connection:
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            await connection.execute("SELECT * FROM nowhere")


async def test_a_missing_file_is_an_error_and_leaves_no_thread(tmp_path: Path) -> None:
    before = threading.active_count()
    with pytest.raises(sqlite3.OperationalError):
        async with connect(tmp_path / "missing.db", "rw"):
            pass
    with trio.fail_after(5):
        while threading.active_count() > before:
            await trio.lowlevel.checkpoint()


async def test_a_cancelled_caller_is_free_at_once_and_its_statement_still_runs(database: Path) -> None:
    started, go_on = threading.Event(), threading.Event()
    with trio.fail_after(5):
        async with connect(database, "rw") as connection:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(call, connection, slow_insert, started, go_on)
                await trio.to_thread.run_sync(started.wait, 5)
                nursery.cancel_scope.cancel()
            go_on.set()
            assert await call(connection, lambda raw: raw.execute("SELECT x FROM t").fetchall()) == [(1,)]


async def test_closing_in_a_cancelled_scope_still_waits_for_what_runs(database: Path) -> None:
    started, go_on = threading.Event(), threading.Event()
    with trio.fail_after(5):
        with trio.CancelScope() as scope:
            async with connect(database, "rw") as connection, trio.open_nursery() as nursery:
                nursery.start_soon(call, connection, slow_insert, started, go_on)
                await trio.to_thread.run_sync(started.wait, 5)
                threading.Timer(0.05, go_on.set).start()
                scope.cancel()
    assert scope.cancelled_caught
    assert go_on.is_set(), "it was left while its thread was still at work"
    connection._thread.join(5)
    assert not connection._thread.is_alive()


def test_a_result_that_comes_after_trio_has_ended_is_dropped(database: Path) -> None:
    started, go_on = threading.Event(), threading.Event()
    kept = []

    async def leave() -> None:
        install()
        connection = aiosqlite.connect(database)
        connection._thread.daemon = True
        await connection
        kept.append(connection)
        with trio.move_on_after(0):
            await call(connection, slow_insert, started, go_on)

    trio.run(leave)
    go_on.set()
    connection = kept.pop()
    connection.stop()
    connection._thread.join(5)
    assert not connection._thread.is_alive()


def test_asyncio_users_of_aiosqlite_in_the_same_process_still_work(database: Path) -> None:
    async def use() -> list[tuple[int]]:
        async with aiosqlite.connect(database) as connection, connection.execute("SELECT 1") as cursor:
            return [tuple(row) for row in await cursor.fetchall()]

    install()
    assert asyncio.run(use()) == [(1,)]


def test_a_leaked_connection_does_not_hang_the_exit(database: Path) -> None:
    code = """
import sys, trio
from pathlib import Path
from orchestrald.store.trio_aiosqlite import connect

async def leak():
    global context, connection
    context = connect(Path(sys.argv[1]), "rw")
    connection = await context.__aenter__()
    trio.lowlevel.current_trio_token().run_sync_soon(lambda: 1 / 0)  # trio itself crashes, and tidies nothing up
    await trio.sleep_forever()

try:
    trio.run(leak)
except trio.TrioInternalError:
    print("leaving", connection._thread.is_alive())
"""
    command = [sys.executable, "-c", code, str(database)]
    done = subprocess.run(command, capture_output=True, timeout=20, cwd=ROOT, check=True)
    assert done.stdout == b"leaving True\n", done.stderr
