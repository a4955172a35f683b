"""What was said in a thread, as a planner may read it?

A message is what a person asked for, what was answered, or what came from outside. Traces are none, so a bounded window
of messages reaches equally far back however much work there was in between.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from orchestrald.core.events import Event, Kind
from orchestrald.core.references import render

MESSAGES: frozenset[Kind] = frozenset({"user_input", "assistant_output", "external_event"})
"""Kinds of events that are messages."""

Role = Literal["user", "assistant", "event"]

_ROLES: dict[Kind, Role] = {"user_input": "user", "assistant_output": "assistant"}


class Message(NamedTuple):
    """One message. `interaction_id` empty means that it belongs to none. `text` is data, whoever wrote it."""

    seq: int
    at: int
    role: Role
    text: str
    interaction_id: str = ""


def is_message(event: Event) -> bool:
    return event.kind in MESSAGES


def messages(events: Iterable[Event]) -> tuple[Message, ...]:
    """The messages among the events, in their order."""
    return tuple(
        Message(event.seq, event.at, _ROLES.get(event.kind, "event"), _text(event), event.interaction_id)
        for event in events
        if is_message(event)
    )


def _text(event: Event) -> str:
    data = event.data
    if event.kind == "external_event":
        payload = render(data.get("payload"))
        return f"{data.get('kind', 'event')}: {payload}" if payload else str(data.get("kind", "event"))
    return str(data.get("text" if event.kind == "assistant_output" else "intent", ""))
