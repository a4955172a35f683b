"""Is the store on disk private, durable as asked, written by one connection only, and small?"""

import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import orchestrald
from orchestrald.errors import InvalidParams, StoreError
from orchestrald.store.base import Batch
from orchestrald.store.reader import _UNFINISHED
from orchestrald.store.sqlite import Durability, Store, open_store
from orchestrald.store.trio_aiosqlite import call, connect
from store.samples import batch, event, interaction, thread

ROOT = Path(orchestrald.__file__).parents[1]


_DEFINITION = "SELECT sql FROM sqlite_master WHERE name = 'interactions_unfinished'"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_only_the_owner_can_read_the_files(store: Store, path: Path) -> None:
    await store.journal.append(batch())
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == ["store.db", "store.db-shm", "store.db-wal"]
    assert {mode(file) for file in files} == {0o600}
    assert mode(path.parent) == 0o700


async def test_a_store_that_others_could_read_is_made_private(path: Path) -> None:
    path.parent.mkdir()
    path.touch(mode=0o644)
    async with open_store(path):
        assert mode(path) == 0o600


@pytest.mark.parametrize(("durability", "synchronous"), [("power_loss", 2), ("process_crash", 1)])
async def test_durability_decides_what_a_commit_waits_for(path: Path, durability: Durability, synchronous: int) -> None:
    async with open_store(path, durability=durability) as store:
        ask = [await call(store.journal._connection, _pragma, name) for name in ("synchronous", "journal_mode")]
    assert ask == [synchronous, "wal"]


async def test_what_was_appended_is_there_when_the_store_is_opened_again(path: Path) -> None:
    async with open_store(path) as store:
        await store.journal.append(Batch([event(1)], interaction=interaction(), thread=thread()))
        epoch = await store.reader.epoch()
    async with open_store(path) as store:
        (appended,) = await store.journal.append(batch(2))
        assert appended.seq == 2
        assert [e.data["n"] for e in await store.reader.events()] == [1, 2]
        assert await store.reader.epoch() == epoch


async def test_closing_leaves_one_file(path: Path) -> None:
    async with open_store(path) as store:
        await store.journal.append(batch())
        await store.reader.events()
    assert [file.name for file in path.parent.iterdir()] == ["store.db"]


@pytest.mark.parametrize("content", [b"not a database, but long enough to be taken for one" * 100, b"\x00" * 5_000])
async def test_a_file_that_is_no_store_is_refused_and_left_as_it_is(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(StoreError, match="cannot be opened"):
        async with open_store(path):
            pass
    assert path.read_bytes() == content


async def test_a_folder_in_the_way_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        async with open_store(tmp_path):
            pass


async def test_a_reader_can_neither_write_nor_checkpoint(store: Store, path: Path) -> None:
    for n in range(50):
        await store.journal.append(batch(n))
    log, before = path.with_name("store.db-wal"), path.read_bytes()
    size = log.stat().st_size
    for connection in store.reader._free:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await call(connection, lambda raw: raw.execute("DELETE FROM events"))
        with pytest.raises(sqlite3.OperationalError, match=r"disk I/O"):  # it tries, on a file it may only read
            await call(connection, lambda raw: raw.execute("PRAGMA wal_checkpoint(TRUNCATE)"))
    async with connect(path, "ro") as connection:  # also without query_only
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await call(connection, lambda raw: raw.execute("DELETE FROM events"))
    assert (log.stat().st_size, path.read_bytes()) == (size, before)


def test_only_one_connection_of_the_process_can_write(path: Path) -> None:
    code = """
import sys, trio
from pathlib import Path
from orchestrald.core.events import Event
from orchestrald.store.base import Batch
from orchestrald.store.sqlite import open_store

opened = []
sys.addaudithook(lambda name, args: opened.append(str(args[0])) if name == "sqlite3.connect" else None)

async def use():
    async with open_store(Path(sys.argv[1])) as store:
        for n in range(50):
            await store.journal.append(Batch([Event("step.started", {}, "t")]))
            await store.reader.events()

trio.run(use)
print(len([uri for uri in opened if not uri.endswith("?mode=ro")]), len(opened))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, timeout=20, cwd=ROOT, check=True
    )
    assert done.stdout == b"1 3\n", done.stderr


async def test_recovery_starts_from_an_index_and_reads_nothing_else(store: Store) -> None:
    (connection, *_) = store.reader._free
    plan = await call(connection, lambda raw: raw.execute(f"EXPLAIN QUERY PLAN {_UNFINISHED}").fetchall())
    said = [detail for *_, detail in plan]
    assert said[0] == "SCAN u USING INDEX interactions_awake"
    assert "SEARCH e USING INDEX events_of_interaction (interaction=?)" in said
    assert not any(detail.startswith("SCAN") for detail in said[1:])
    (definition,) = await call(connection, lambda raw: raw.execute(_DEFINITION).fetchone())
    assert definition.endswith("WHERE final = 0"), "what has ended takes no room in it"


async def test_a_step_takes_less_than_a_kilobyte(path: Path) -> None:
    steps = 2_000
    async with open_store(path, durability="process_crash") as store:
        for n in range(steps):
            interaction_id = f"int_{n // 10:024}"
            names = {"thread_id": "thr_" + "0" * 24, "interaction_id": interaction_id, "step_id": f"step_{n}"}
            row = interaction(interaction_id, thread_id=names["thread_id"], created_at=n // 10)
            started = event(type="step.started", data={"attempt": 1}, at=1_700_000_000_000_000, **names)
            succeeded = event(data={"output": {"echo": "x" * 40}, "ms": 12}, at=1_700_000_000_000_000, **names)
            await store.journal.append(Batch([started], interaction=row))
            await store.journal.append(Batch([succeeded], interaction=row))
    assert path.stat().st_size / steps < 512


@pytest.mark.parametrize("query", [{"after_seq": 2**70}, {"interaction_id": "\ud800"}])
async def test_a_question_about_what_no_row_can_hold_is_the_client_s_fault(
    store: Store, query: dict[str, object]
) -> None:
    with pytest.raises(InvalidParams):
        await store.reader.events(**query)  # type: ignore[arg-type]


async def test_a_damaged_store_is_a_store_error_for_a_reader(store: Store) -> None:
    await store.journal.append(batch())
    await call(store.journal._connection, lambda raw: raw.execute("""UPDATE events SET data = '{"a":'"""))
    with pytest.raises(StoreError, match="cannot be read"):
        await store.reader.events()


def _pragma(connection: sqlite3.Connection, name: str) -> object:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]
