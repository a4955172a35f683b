"""How are schedules, and the files that they have dealt with, written as rows and read back?

Shared by both stores: the one on disk runs the statements, the fake keeps what they would have been given.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from orchestrald.store.base import ScheduleChange, ScheduleRow

_COLUMNS = (
    "schedule_id, name, state, trigger_said, misfire, intent, plan, thread_id, workspace, labels, made_by, created_at, "
    "next_at, fired, last"
)
SELECT = f"SELECT {_COLUMNS} FROM schedules ORDER BY created_at, schedule_id"  # noqa: S608  the names above
SELECT_FILES = "SELECT path, version FROM schedule_files WHERE schedule_id = ?"

_JSON = [ScheduleRow._fields.index(name) for name in ("trigger", "plan", "labels", "last")]

# Not INSERT OR REPLACE: a name that is taken must refuse the batch, not remove the schedule that has it.
_UPSERT = f"""
INSERT INTO schedules ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (schedule_id) DO UPDATE SET
    name = excluded.name, state = excluded.state, trigger_said = excluded.trigger_said, misfire = excluded.misfire,
    intent = excluded.intent, plan = excluded.plan, thread_id = excluded.thread_id, workspace = excluded.workspace,
    labels = excluded.labels, next_at = excluded.next_at, fired = excluded.fired, last = excluded.last
"""  # noqa: S608  the columns above
_SEEN = """
INSERT INTO schedule_files (schedule_id, path, version) VALUES (?, ?, ?)
ON CONFLICT (schedule_id, path) DO UPDATE SET version = excluded.version
"""
_GONE = "DELETE FROM schedules WHERE schedule_id = ?"
_FORGET = "DELETE FROM schedule_files WHERE schedule_id = ? AND path = ?"
_FORGET_ALL = "DELETE FROM schedule_files WHERE schedule_id = ?"


class Prepared(NamedTuple):
    """A change as parameters of statements."""

    schedule_id: str
    values: tuple[Any, ...] | None
    seen: Mapping[str, str | None]


def prepare(change: ScheduleChange, encode: Callable[[Any], str]) -> Prepared:
    """Raises StoreError, from `encode`, when some of it has no JSON."""
    if change.row is None:
        return Prepared(change.schedule_id, None, {})
    values = [encode(value) if i in _JSON else value for i, value in enumerate(change.row)]
    encode(list(change.seen))  # a path is text that a stranger chose: one that cannot be stored hurts nobody else
    return Prepared(change.schedule_id, tuple(values), dict(change.seen))


def write(cursor: Any, change: Prepared) -> None:
    if change.values is None:
        cursor.execute(_FORGET_ALL, (change.schedule_id,))
        cursor.execute(_GONE, (change.schedule_id,))
        return
    cursor.execute(_UPSERT, change.values)
    about = change.schedule_id
    cursor.executemany(_SEEN, [(about, path, version) for path, version in change.seen.items() if version is not None])
    cursor.executemany(_FORGET, [(about, path) for path, version in change.seen.items() if version is None])


def row_of(values: Sequence[Any], decode: Callable[[str], Any]) -> ScheduleRow:
    return ScheduleRow._make(decode(value) if i in _JSON else value for i, value in enumerate(values))


class Remembered:
    """What the fake store keeps in place of the two tables."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[Any, ...]] = {}
        self.files: dict[str, dict[str, str]] = {}

    def refuses(self, change: Prepared) -> bool:
        """Whether the name is another schedule's."""
        name = ScheduleRow._fields.index("name")
        return change.values is not None and any(
            row[name] == change.values[name] for about, row in self.rows.items() if about != change.schedule_id
        )

    def write(self, change: Prepared) -> None:
        if change.values is None:
            self.rows.pop(change.schedule_id, None)
            self.files.pop(change.schedule_id, None)
            return
        self.rows[change.schedule_id] = change.values
        files = {**self.files.get(change.schedule_id, {}), **change.seen}
        self.files[change.schedule_id] = {path: version for path, version in files.items() if version is not None}

    def listed(self, decode: Callable[[str], Any]) -> list[ScheduleRow]:
        rows = [row_of(values, decode) for values in self.rows.values()]
        return sorted(rows, key=lambda row: (row.created_at, row.schedule_id))
