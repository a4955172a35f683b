"""Which steps wait, and for what? An index in memory of the store's table, a few hundred bytes for each.

An interaction that only waits is not in memory itself: its questions, its plan and its outputs are in the journal, and
are read again when an answer, an event or a moment comes.
"""

from collections.abc import Collection, Iterator
from typing import Any

from orchestrald.store.base import WaitRow, WaitsChange

_NOT_HERE: dict[str, Any] = {}
"""The questions themselves stay in the store."""

_NONE: dict[str, WaitRow] = {}

ANY = "*"
"""The kind of a step that takes an event of any kind."""


class Waits:
    def __init__(self) -> None:
        self._of: dict[str, dict[str, WaitRow]] = {}
        self._events: dict[str, dict[tuple[str, str], WaitRow]] = {}

    def change(self, interaction_id: str, change: WaitsChange) -> None:
        rows = self._of.setdefault(interaction_id, {})
        for step_id in list(rows) if change.over else change.ended:
            self._forget(rows.pop(step_id, None))
        for row in change.began:
            self._forget(rows.pop(row.step_id, None))
            rows[row.step_id] = kept = row._replace(question=_NOT_HERE)
            if row.event_kind is not None:
                self._events.setdefault(row.event_kind.casefold(), {})[interaction_id, row.step_id] = kept
        if not rows:
            del self._of[interaction_id]

    def _forget(self, row: WaitRow | None) -> None:
        if row is not None and row.event_kind is not None:
            kind = row.event_kind.casefold()
            self._events[kind].pop((row.interaction_id, row.step_id), None)
            if not self._events[kind]:
                del self._events[kind]

    def of(self, interaction_id: str) -> Collection[WaitRow]:
        return self._of.get(interaction_id, _NONE).values()

    def waits(self, interaction_id: str, step_id: str) -> bool:
        return step_id in self._of.get(interaction_id, _NONE)

    def for_event(self, kind: str) -> Iterator[WaitRow]:
        """The steps that take an event of this kind, those that wait longest first."""
        found = [*self._events.get(kind.casefold(), {}).values(), *self._events.get(ANY, {}).values()]
        yield from sorted(found, key=lambda row: (row.asked_at, row.interaction_id, row.step_id))
