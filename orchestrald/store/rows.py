"""How is a batch written as rows, and how are rows read back?

Rules of this file:

- A batch is encoded in its appender's own turn, so that what cannot be stored hurts nobody else.
- What cannot be read back is refused when it is written: NaN, lone surrogates, nesting and numbers past the parser.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from orchestrald.core.events import Event, upcast
from orchestrald.core.states import FINAL_INTERACTION
from orchestrald.errors import StoreError
from orchestrald.store import kept, model_calls, schedules, waiting
from orchestrald.store.base import Batch, InteractionRow, RequestRow, ScheduleRow, ThreadRow, WaitRow

_SURELY_READABLE_BYTES = 400
"""The parser stops at a depth of 200 (the serializer at 254) and at integers of 4,300 digits: this is short of both."""

_N, _I = b"NI"
"""Looking for a byte takes a tenth of looking for a word."""

_FINAL = frozenset(state.value for state in FINAL_INTERACTION)


class Prepared(NamedTuple):
    """A batch as parameters of statements. Names stand where the tables hold numbers: only the owner knows those."""

    events: Sequence[Event]
    data: list[str]
    interaction: tuple[Any, ...] | None
    thread: tuple[Any, ...] | None
    request: tuple[str, str, str, str, str, int] | None
    schedule: schedules.Prepared | None
    waiting: waiting.Prepared | None
    kept: list[kept.Change]
    calls: list[model_calls.Change]


def encode(value: Any) -> str:
    """JSON. Raises StoreError when `value` has no JSON that would be read back as the same value."""
    try:
        raw = to_json(value)
        if (_N in raw and b"NaN" in raw) or (_I in raw and b"Infinity" in raw) or len(raw) > _SURELY_READABLE_BYTES:
            # Only reading it can tell: the words may be text, the length innocent. To read back every event would
            # double the cost of encoding it.
            from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise StoreError(f"This data cannot be stored as JSON: {error}", hint="Nothing of it was stored.") from error
    return raw.decode()


def decode(text: str) -> Any:
    """Raises StoreError when the text is no JSON, which only a damaged store can hold."""
    try:
        return from_json(text)
    except ValueError as error:
        raise StoreError(f"The store holds a row that cannot be read: {error}") from error


def is_final(state: str) -> bool:
    return state in _FINAL


def prepare(batch: Batch) -> Prepared:
    """Raises StoreError when some of the batch cannot be stored as JSON."""
    interaction = request = None
    if (i := batch.interaction) is not None:
        named, final = encode(i.waiting), int(is_final(i.state))
        interaction = (*i._replace(waiting=named), final)  # type: ignore[arg-type]  # text in the column's place
    if (r := batch.request) is not None:
        request = (r.by, r.method, r.request_id, r.params_hash, encode(r.result), r.at)
    schedule = None if batch.schedule is None else schedules.prepare(batch.schedule, encode)
    thread = None if (t := batch.thread) is None else (*t[:3], encode(dict(t.metadata)), t.policy, t.archived_at)
    events = tuple(batch.events)
    data = [encode(event.data) for event in events]
    shown = (interaction, thread, request, schedule, waiting.prepare(batch, encode))
    return Prepared(events, data, *shown, kept.prepare(events, encode), model_calls.prepare(events))


def numbered(events: Iterable[Event], first: int) -> tuple[Event, ...]:
    """The events with `seq` counted from `first`."""
    return tuple(
        [
            Event(type_, data, thread_id, interaction_id, step_id, at, seq, v)
            for seq, (type_, data, thread_id, interaction_id, step_id, at, _, v) in enumerate(events, first)
        ]
    )


def event_of(row: tuple[Any, ...]) -> Event:
    """From the columns of `Event`, in its order, with `data` as text and absent ids as None or empty."""
    type_, data, thread_id, interaction_id, step_id, at, seq, v = row
    return upcast(Event(type_, decode(data), thread_id or "", interaction_id or "", step_id, at, seq, v))


def interaction_of(row: tuple[Any, ...]) -> InteractionRow:
    found = InteractionRow._make(row)
    return found._replace(waiting=tuple(decode(row[11])), resting=bool(row[14]))


def thread_of(row: tuple[Any, ...]) -> ThreadRow:
    found = ThreadRow._make(row)
    return found._replace(metadata=decode(row[3]))


def wait_of(row: tuple[Any, ...]) -> WaitRow:
    return waiting.wait_of(row, decode)


def request_of(row: tuple[Any, ...]) -> RequestRow:
    found = RequestRow._make(row)
    return found._replace(result=decode(row[4]))


def schedule_of(row: tuple[Any, ...]) -> ScheduleRow:
    return schedules.row_of(row, decode)
