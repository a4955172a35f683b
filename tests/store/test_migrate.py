"""Is an older store upgraded without a way to lose it, and a newer one left alone?"""

import sqlite3
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestrald.errors import InternalError, SchemaTooNew, StoreError
from orchestrald.store.migrate import BUNDLED, KEPT_BACKUPS, backups, migrate
from orchestrald.store.sqlite import open_store
from store.samples import batch


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The bundled migrations, and a place for more."""
    copy = tmp_path / "migrations"
    copy.mkdir()
    for script in BUNDLED.glob("*.sql"):
        (copy / script.name).write_text(script.read_text(encoding="utf-8"), encoding="utf-8")
    return copy


def add(folder: Path, sql: str) -> int:
    number = len(list(folder.glob("*.sql"))) + 1
    (folder / f"{number:04}_more.sql").write_text(sql, encoding="utf-8")
    return number


def upgrade(path: Path, folder: Path, stamp: str = "20260101T000000Z") -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        migrate(connection, path, stamp=stamp, folder=folder)
    finally:
        connection.close()


def ask(path: Path, sql: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


async def filled(path: Path) -> None:
    async with open_store(path) as store:
        await store.journal.append(batch(7))


def test_the_bundled_migrations_are_numbered_without_a_gap() -> None:
    numbers = [int(script.name[:4]) for script in sorted(BUNDLED.glob("*.sql"))]
    assert numbers == list(range(1, len(numbers) + 1))


async def test_a_new_store_gets_the_newest_schema_and_no_backup(path: Path) -> None:
    await filled(path)
    assert ask(path, "PRAGMA user_version") == [(len(list(BUNDLED.glob("*.sql"))),)]
    assert backups(path) == []


async def test_an_upgrade_keeps_the_data_and_a_private_copy_of_what_was_before(path: Path, folder: Path) -> None:
    await filled(path)
    version = add(folder, "ALTER TABLE threads ADD COLUMN colour TEXT; UPDATE events SET step_id = 'new';")
    upgrade(path, folder)
    assert ask(path, "PRAGMA user_version") == [(version,)]
    assert ask(path, "SELECT step_id FROM events") == [("new",)]
    (backup,) = backups(path)
    assert backup.path == path.parent / "backups" / f"pre-v{version}-20260101T000000Z.db"
    assert stat.S_IMODE(backup.path.stat().st_mode) == 0o600
    assert ask(backup.path, "PRAGMA user_version") == [(version - 1,)]
    assert ask(backup.path, "SELECT step_id, data FROM events") == [("", '{"n":7}')]
    assert [file.name for file in backup.path.parent.iterdir()] == [backup.path.name]


async def test_the_clock_of_the_edge_dates_the_backup(
    path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(path)
    add(folder, "SELECT 1;")
    monkeypatch.setattr("orchestrald.store.migrate.migrate.__kwdefaults__", {"folder": folder})
    async with open_store(path, clock=lambda: datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)) as store:
        assert [e.data for e in await store.reader.events()] == [{"n": 7}]
    assert [backup.stamp for backup in backups(path)] == ["20260203T040506Z"]


async def test_a_migration_that_fails_changes_nothing(path: Path, folder: Path) -> None:
    await filled(path)
    version = add(folder, "CREATE TABLE half (x); INSERT INTO nowhere VALUES (1);")
    connection = sqlite3.connect(path, isolation_level=None)
    with pytest.raises(sqlite3.Error, match="nowhere"):
        migrate(connection, path, stamp="20260101T000000Z", folder=folder)
    assert not connection.in_transaction
    connection.close()
    assert ask(path, "PRAGMA user_version") == [(version - 1,)]
    assert ask(path, "SELECT name FROM sqlite_master WHERE name = 'half'") == []
    await filled(path)


async def test_an_upgrade_that_cannot_be_backed_up_is_not_begun(path: Path, folder: Path) -> None:
    await filled(path)
    (path.parent / "backups").write_text("in the way", encoding="utf-8")
    version = add(folder, "SELECT 1;")
    with pytest.raises(OSError, match="backups"):
        upgrade(path, folder)
    assert ask(path, "PRAGMA user_version") == [(version - 1,)]


async def test_only_the_newest_backups_are_kept(path: Path, folder: Path) -> None:
    await filled(path)
    for day in range(1, 7):
        add(folder, "SELECT 1;")
        upgrade(path, folder, f"202601{day:02}T000000Z")
    assert [backup.stamp[6:8] for backup in backups(path)] == ["04", "05", "06"]
    assert KEPT_BACKUPS == 3


async def test_a_newer_store_is_refused_unchanged_and_the_usable_backup_is_named(path: Path, folder: Path) -> None:
    await filled(path)
    for day in (1, 2):
        add(folder, f"CREATE TABLE later_{day} (x);")
        upgrade(path, folder, f"2026010{day}T000000Z")
    content = path.read_bytes()
    newest = len(list(folder.glob("*.sql")))
    with pytest.raises(SchemaTooNew, match=f"has schema {newest}") as caught:
        async with open_store(path):
            pass
    assert str(backups(path)[0].path) in caught.value.advice, "the second backup is too new as well"
    assert path.read_bytes() == content
    assert isinstance(caught.value, StoreError)


async def test_a_newer_store_without_a_backup_says_so(path: Path) -> None:
    await filled(path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(SchemaTooNew) as caught:
        async with open_store(path):
            pass
    assert "no backup" in caught.value.advice


def test_a_gap_in_the_numbers_is_our_bug(path: Path, folder: Path) -> None:
    path.parent.mkdir()
    following = len(list(folder.glob("*.sql"))) + 1
    (folder / f"{following + 1:04}_too_far.sql").write_text("SELECT 1;", encoding="utf-8")
    with pytest.raises(InternalError, match=f"{following:04}"):
        upgrade(path, folder)
