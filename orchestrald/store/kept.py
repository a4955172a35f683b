"""How do events become the working set, the rows of references, and the list of messages?

Rules of this file:

- These tables are projections: only events change them, in the event's own transaction, and in the order of `seq`.
- Shared by both stores: the one on disk runs the statements, the fake keeps what they would have been given.
- Events of other types pay for one look into a set.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from orchestrald.core.dialogue import MESSAGES
from orchestrald.core.events import TYPES, Event
from orchestrald.core.working_set import owner
from orchestrald.store.base_kept import KeyRow, ReferenceRow, ValueRow

_MESSAGES = frozenset(name for name, about in TYPES.items() if about.kind in MESSAGES)
_PROJECTED = _MESSAGES | {"memory.set", "memory.deleted", "artifact.stored", "artifact.deleted"}

_SET = """
INSERT INTO working_set (scope, owner, key, value, made_by, at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (scope, owner, key) DO UPDATE SET value = excluded.value, made_by = excluded.made_by, at = excluded.at
"""
_DELETE = "DELETE FROM working_set WHERE scope = ? AND owner = ? AND key = ?"
_STORED = """
INSERT INTO artifacts
    (seq, digest, type, media_type, name, size, metadata, thread, interaction, step_id, made_by, created_at, until)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_GONE = "DELETE FROM artifacts WHERE seq = ?"
_MESSAGE = "INSERT INTO messages (thread, seq) VALUES (?, ?)"


class Change(NamedTuple):
    """One event's, `nth` in its batch. `text` is the JSON of a value or of metadata."""

    nth: int
    event: Event
    text: str = ""


def prepare(events: Sequence[Event], encode: Callable[[Any], str]) -> list[Change]:
    """Empty for most batches."""
    changes = []
    for nth, event in enumerate(events):
        if event.type in _PROJECTED:
            if event.type == "memory.set":
                changes.append(Change(nth, event, encode(event.data["value"])))
            elif event.type == "artifact.stored":
                changes.append(Change(nth, event, encode(event.data.get("metadata", {}))))
            else:
                changes.append(Change(nth, event))
    return changes


def write(cursor: Any, changes: Sequence[Change], first: int, number: Callable[[str], int]) -> None:
    """`first` is the seq of the batch's first event, `number` the number of a name."""
    for nth, event, text in changes:
        if event.type == "memory.set":
            cursor.execute(_SET, (*_place(event, number), text, event.data["by"], event.at))
        elif event.type == "memory.deleted":
            cursor.execute(_DELETE, _place(event, number))
        elif event.type == "artifact.stored":
            row = stored(first + nth, event, text)
            thread, interaction = (number(name) if name else None for name in (row.thread_id, row.interaction_id))
            cursor.execute(_STORED, (*row[:7], thread, interaction, *row[9:]))
        elif event.type == "artifact.deleted":
            cursor.executemany(_GONE, [(seq,) for seq in event.data["rows"]])
        elif event.thread_id:
            cursor.execute(_MESSAGE, (number(event.thread_id), first + nth))


def _place(event: Event, number: Callable[[str], int]) -> tuple[str, int, str]:
    scope, whose = event.data["scope"], owner(event.data["scope"], event.thread_id, event.interaction_id)
    return scope, number(whose) if whose else 0, event.data["key"]


def stored(seq: int, event: Event, metadata: Any) -> ReferenceRow:
    """What an `artifact.stored` says, with its metadata in whichever form."""
    data = event.data
    return ReferenceRow(
        seq=seq,
        digest=data["digest"],
        type=data["type"],
        media_type=data["media_type"],
        name=data["name"],
        size=data["size"],
        metadata=metadata,
        thread_id=event.thread_id,
        interaction_id=event.interaction_id,
        step_id=event.step_id,
        by=data.get("by", ""),
        created_at=event.at,
        until=data.get("until"),
    )


class Remembered:
    """What the fake store keeps in place of the tables; messages it finds among its events."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str, str], tuple[str, str, int]] = {}
        self.references: dict[int, ReferenceRow] = {}

    def write(self, changes: Sequence[Change], first: int, decode: Callable[[str], Any]) -> None:
        for nth, event, text in changes:
            data = event.data
            if event.type in {"memory.set", "memory.deleted"}:
                spot = (data["scope"], owner(data["scope"], event.thread_id, event.interaction_id), data["key"])
                self.values.pop(spot, None)
                if event.type == "memory.set":
                    self.values[spot] = (text, data["by"], event.at)
            elif event.type == "artifact.stored":
                self.references[first + nth] = stored(first + nth, event, decode(text))
            elif event.type == "artifact.deleted":
                for seq in data["rows"]:
                    self.references.pop(seq, None)

    def value_rows(self, scope: str, whose: str, decode: Callable[[str], Any]) -> list[ValueRow]:
        found = [(spot, held) for spot, held in self.values.items() if spot[:2] == (scope, whose)]
        return [ValueRow(*spot, decode(text), by, at) for spot, (text, by, at) in found]

    def key_rows(self, scope: str, whose: str) -> list[KeyRow]:
        found = sorted((spot[2], held) for spot, held in self.values.items() if spot[:2] == (scope, whose))
        return [KeyRow(key, len(text.encode()), by, at) for key, (text, by, at) in found]
