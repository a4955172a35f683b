"""Which steps wait, and for what? An index in memory of the store's table, a few hundred bytes for each.

An interaction that only waits is not in memory itself: its questions, its plan and its outputs are in the journal, and
are read again when an answer, an event or a moment comes.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from orchestrald.store.base import WaitRow

_NOT_HERE: dict[str, Any] = {}
"""The questions themselves stay in the store."""

ANY = "*"
"""The kind of a step that takes an event of any kind."""


class Waits:
    def __init__(self) -> None:
        self._of: dict[str, tuple[WaitRow, ...]] = {}
        self._events: dict[str, dict[tuple[str, str], WaitRow]] = {}

    def put(self, interaction_id: str, rows: Iterable[WaitRow]) -> list[WaitRow]:
        """All waits of an interaction from now on; those that are new are returned."""
        before = self._of.pop(interaction_id, ())
        now = tuple(row._replace(question=_NOT_HERE) for row in rows)
        for row in before:
            if row not in now:
                self._forget(row)
        new = [row for row in now if row not in before]
        for row in new:
            if row.event_kind is not None:
                self._events.setdefault(row.event_kind.casefold(), {})[row.interaction_id, row.step_id] = row
        if now:
            self._of[interaction_id] = now
        return new

    def _forget(self, row: WaitRow) -> None:
        if row.event_kind is not None:
            kind = row.event_kind.casefold()
            self._events[kind].pop((row.interaction_id, row.step_id), None)
            if not self._events[kind]:
                del self._events[kind]

    def of(self, interaction_id: str) -> Sequence[WaitRow]:
        return self._of.get(interaction_id, ())

    def waits(self, interaction_id: str, step_id: str) -> bool:
        return any(row.step_id == step_id for row in self.of(interaction_id))

    def for_event(self, kind: str) -> Iterator[WaitRow]:
        """The steps that take an event of this kind, those that wait longest first."""
        found = [*self._events.get(kind.casefold(), {}).values(), *self._events.get(ANY, {}).values()]
        yield from sorted(found, key=lambda row: (row.asked_at, row.interaction_id, row.step_id))
