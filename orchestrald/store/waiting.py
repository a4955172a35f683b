"""How is what waits stored: steps that wait, and external events that wait for a step?

Both are small tables beside the journal, written in the transaction of the events that they follow from, so that a
start reads an index where it would otherwise fold every interaction that rests.
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from orchestrald.errors import StoreError
from orchestrald.store.base import Batch, MailRow, RestingRow, WaitRow, WaitsChange

WAITS = """
SELECT n.name, t.name, w.step_id, w.kind, w.event_kind, w.correlation, w.asked_at, w.due_at, w.action, w.question
FROM waits w JOIN names n ON n.id = w.interaction JOIN names t ON t.id = w.thread
"""
MAIL = """
SELECT m.seq, coalesce(t.name, ''), m.kind, m.correlation, m.until
FROM mailbox m LEFT JOIN names t ON t.id = m.thread ORDER BY m.seq
"""
RESTING = """
SELECT n.name, t.name, i.state, i.created_at
FROM interactions i JOIN names n ON n.id = i.id JOIN names t ON t.id = i.thread
WHERE i.final = 0 AND i.resting = 1
ORDER BY i.created_at, i.id
"""

_FORGET_WAITS = "DELETE FROM waits WHERE interaction = ?"
_FORGET_WAIT = "DELETE FROM waits WHERE interaction = ? AND step_id = ?"
_INSERT_WAIT = """
INSERT OR REPLACE INTO waits
    (interaction, thread, step_id, kind, event_kind, correlation, asked_at, due_at, action, question)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_INSERT_MAIL = "INSERT INTO mailbox (seq, thread, kind, correlation, until) VALUES (?, ?, ?, ?, ?)"
_TAKE_MAIL = "DELETE FROM mailbox WHERE seq = ?"


class Prepared(NamedTuple):
    """`interaction_id` missing when the waits are as before."""

    interaction_id: str | None
    began: Sequence[tuple[Any, ...]]
    ended: Sequence[str]
    over: bool
    mail: MailRow | None
    taken: Sequence[int]


def prepare(batch: Batch, encode: Callable[[Any], str]) -> Prepared | None:
    if batch.waits is None and batch.mail is None and not batch.taken:
        return None
    about = batch.interaction.interaction_id if batch.waits is not None and batch.interaction is not None else None
    change = batch.waits or WaitsChange()
    began = [(*wait[:-1], encode(wait.question)) for wait in change.began]
    if any(wait.due_at is not None and not 0 <= wait.due_at < 1 << 63 for wait in change.began):
        raise StoreError("This moment cannot be stored: it has more than 63 bits.", hint="Nothing of it was stored.")
    return Prepared(about, began, change.ended, change.over, batch.mail, batch.taken)


def write(cursor: sqlite3.Cursor, prepared: Prepared, first_seq: int, number: Callable[[str], int]) -> None:
    """Inside of the transaction that appends the batch's events, the first of which is `first_seq`."""
    if prepared.interaction_id is not None:
        interaction = number(prepared.interaction_id)
        if prepared.over:
            cursor.execute(_FORGET_WAITS, (interaction,))
        cursor.executemany(_FORGET_WAIT, [(interaction, step_id) for step_id in prepared.ended])
        for _, thread_id, *rest in prepared.began:
            cursor.execute(_INSERT_WAIT, (interaction, number(thread_id), *rest))
    if prepared.mail is not None:
        seq, thread_id, kind, correlation, until = prepared.mail
        thread = number(thread_id) if thread_id else None
        cursor.execute(_INSERT_MAIL, (seq or first_seq, thread, kind, correlation, until))
    for seq in prepared.taken:
        cursor.execute(_TAKE_MAIL, (seq,))


def wait_of(row: tuple[Any, ...], decode: Callable[[str], Any]) -> WaitRow:
    found = WaitRow._make(row)
    return found._replace(question=decode(row[-1]))


def mail_of(row: tuple[Any, ...]) -> MailRow:
    return MailRow._make(row)


def resting_of(row: tuple[Any, ...]) -> RestingRow:
    return RestingRow._make(row)


class Remembered:
    """The same without a disk, for the store in memory."""

    def __init__(self) -> None:
        self.waits: dict[tuple[str, str], tuple[Any, ...]] = {}
        self.mail: dict[int, MailRow] = {}

    def write(self, prepared: Prepared, first_seq: int) -> None:
        if prepared.interaction_id is not None:
            about = prepared.interaction_id
            ended = [key for key in self.waits if key[0] == about and (prepared.over or key[1] in prepared.ended)]
            for key in ended:
                del self.waits[key]
            self.waits |= {(about, row[2]): row for row in prepared.began}
        if prepared.mail is not None:
            seq = prepared.mail.seq or first_seq
            self.mail[seq] = prepared.mail._replace(seq=seq)
        for seq in prepared.taken:
            self.mail.pop(seq, None)
