"""How does a store of an older version become today's, without a way to lose it?

Rules of this file:

- `migrations/NNNN_name.sql`, numbered from 0001 without a gap; a file that was released is never edited.
- Each runs in one transaction together with its `PRAGMA user_version`: a crash leaves the version before or after.
- A store with content is copied into `backups/` before its first pending migration. The newest three copies stay.
"""

import re
import sqlite3
from pathlib import Path
from typing import NamedTuple

from orchestrald.errors import InternalError, SchemaTooNew
from orchestrald.store import durable

BUNDLED = Path(__file__).parent / "migrations"
KEPT_BACKUPS = 3

_FILE = re.compile(r"(\d{4})_\w+\.sql")
_BACKUP = re.compile(r"pre-v(\d+)-(\w+)\.db")


class Backup(NamedTuple):
    """Sorted by age. `version` is the schema that the copy still has: the one before `pre-v`."""

    stamp: str
    version: int
    path: Path


def migrate(connection: sqlite3.Connection, store: Path, *, stamp: str, folder: Path = BUNDLED) -> None:
    """Bring the open store at path `store` to the newest version in `folder`.

    `stamp` (UTC, sortable, letters and digits) names the backup. Raises SchemaTooNew before anything is changed, and
    sqlite3.Error or OSError when a step fails; then the store is as it was before that step.
    """
    scripts = _scripts(folder)
    (current,) = connection.execute("PRAGMA user_version").fetchone()
    if current > len(scripts):
        raise SchemaTooNew(
            f"The store {store} has schema {current}, and this orchestrald knows no more than {len(scripts)}.",
            hint=_way_back(store, len(scripts)),
        )
    if 0 < current < len(scripts):
        _back_up(connection, store, f"pre-v{current + 1}-{stamp}.db")
    for version in range(current + 1, len(scripts) + 1):
        _apply(connection, scripts[version - 1].read_text(encoding="utf-8"), version)


def backups(store: Path) -> list[Backup]:
    """The copies beside the store, oldest first; empty when there is none."""
    folder = store.parent / "backups"
    matches = [(_BACKUP.fullmatch(path.name), path) for path in folder.glob("pre-v*.db")]
    return sorted(Backup(match[2], int(match[1]) - 1, path) for match, path in matches if match)


def _scripts(folder: Path) -> list[Path]:
    scripts = sorted(folder.glob("*.sql"))
    for number, script in enumerate(scripts, 1):
        match = _FILE.fullmatch(script.name)
        if match is None or int(match[1]) != number:
            raise InternalError(f"{script} should be migration {number:04}_<name>.sql.")
    return scripts


def _apply(connection: sqlite3.Connection, sql: str, version: int) -> None:
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{sql}\n;PRAGMA user_version = {version};\nCOMMIT;")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _back_up(connection: sqlite3.Connection, store: Path, name: str) -> None:
    folder = store.parent / "backups"
    durable.make_folder(folder)
    partial = folder / "unfinished.partial"
    partial.unlink(missing_ok=True)
    durable.make_file(partial)  # VACUUM INTO would make the file itself, readable for others; it accepts an empty one
    connection.execute("VACUUM INTO ?", (str(partial),))
    durable.publish(partial, folder / name)
    for old in backups(store)[:-KEPT_BACKUPS]:
        old.path.unlink()


def _way_back(store: Path, known: int) -> str:
    usable = [backup.path for backup in backups(store) if backup.version <= known]
    if not usable:
        return "Upgrade orchestrald; there is no backup of an older schema beside the store."
    return f"Upgrade orchestrald, or stop it and put the newest usable backup in the store's place: {usable[-1]}"
