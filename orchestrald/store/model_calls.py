"""How do `model.*` events become rows?

A row is made by `model.asked`, with the most that the call may take, and has its true figures from `model.answered` or
`model.failed`, which costs what it says, if anything. Only events change it, in their own transaction.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from orchestrald.core.events import Event

_PROJECTED = frozenset({"model.asked", "model.answered", "model.failed"})

_ASKED = """
INSERT INTO model_calls (seq, interaction, at, state, model, tokens, input, cached, output, cost, ms)
VALUES (?, ?, ?, 'asked', ?, ?, 0, 0, 0, ?, 0)
"""
_SETTLED = """
UPDATE model_calls SET
    state = ?, model = coalesce(?, model), tokens = ?, input = ?, cached = ?, output = ?, cost = ?, ms = ?
WHERE seq = ?
"""


class Change(NamedTuple):
    """One event's, `nth` in its batch."""

    nth: int
    event: Event


def prepare(events: Sequence[Event]) -> list[Change]:
    """Empty for most batches."""
    return [Change(nth, event) for nth, event in enumerate(events) if event.type in _PROJECTED]


class Settled(NamedTuple):
    """The columns that an answer or an error changes."""

    state: str
    model: str | None
    tokens: int
    input: int
    cached: int
    output: int
    cost: int | None
    ms: int


def _settled(event: Event) -> Settled:
    data = event.data
    if event.type == "model.failed":
        tokens = data.get("tokens", 0)  # that it may have taken all the same
        return Settled("failed", None, tokens, tokens, 0, 0, data.get("cost", 0), data["ms"])
    taken = data["tokens"]
    used = (taken["input"], taken["cached"], taken["output"])
    who = f"{data['backend']}/{data['model']}"
    return Settled("answered", who, taken["input"] + taken["output"], *used, data.get("cost"), data["ms"])


def write(cursor: Any, changes: Sequence[Change], first: int, number: Callable[[str], int]) -> None:
    """`first` is the seq of the batch's first event, `number` the number of a name."""
    for nth, event in changes:
        if event.type == "model.asked":
            whose = number(event.interaction_id) if event.interaction_id else None
            data = event.data
            cursor.execute(_ASKED, (first + nth, whose, event.at, data["model"], data["tokens"], data.get("cost")))
        else:
            cursor.execute(_SETTLED, (*_settled(event), event.data["asked"]))


class Row(NamedTuple):
    interaction_id: str
    at: int
    said: Settled


class Remembered:
    """What the fake store keeps in place of the table."""

    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}

    def write(self, changes: Sequence[Change], first: int) -> None:
        for nth, event in changes:
            data = event.data
            if event.type == "model.asked":
                said = Settled("asked", data["model"], data["tokens"], 0, 0, 0, data.get("cost"), 0)
                self.rows[first + nth] = Row(event.interaction_id, event.at, said)
            elif (row := self.rows.get(data["asked"])) is not None:
                said = _settled(event)
                self.rows[data["asked"]] = row._replace(said=said._replace(model=said.model or row.said.model))
