"""What does a turn commit besides its events: the row that lists show, what waits, what was taken?

The store's tables beside the journal follow from the events; this knows what they say of one interaction, so that only
what changes is written.
"""

from collections.abc import Iterable

from orchestrald.core.events import Event
from orchestrald.core.interaction import Interaction
from orchestrald.engine.snapshot import row, wait_row
from orchestrald.store.base import Batch, RequestRow, ThreadRow, WaitsChange


class Listing:
    """`listed` are the steps that the store knows to wait. `unsure`: it may have rows of a version that knew less, or
    none, so the next commit writes all of them."""

    def __init__(self, listed: Iterable[str], rested: bool) -> None:
        self.unsure = False
        self._listed = set(listed)
        self._rested = rested

    def batch(self, state: Interaction, events: list[Event], request: RequestRow | None) -> Batch:
        waits = self._waits(state, events)
        stale = waits is not None or self._rested != state.resting or any(event.type in _SHOWN for event in events)
        shown = row(state) if stale or self.unsure else None
        self._rested, self.unsure = state.resting, False
        thread = next((_thread(event) for event in events if event.type == "thread.created"), None)
        taken = [event.data["event"] for event in events if event.type in _TAKING and "event" in event.data]
        return Batch(events, shown, thread, request, waits, taken=taken)

    def _waits(self, state: Interaction, events: list[Event]) -> WaitsChange | None:
        waiting = state.waiting
        touched = dict.fromkeys(event.step_id for event in events if event.step_id)
        asked = {event.step_id for event in events if event.type == "step.waiting"}
        if self.unsure:
            touched |= dict.fromkeys((*sorted(self._listed), *waiting))
        began = [name for name in touched if name in waiting and (name in asked or name not in self._listed)]
        ended = [name for name in touched if name in self._listed and name not in waiting]
        if not began and not ended:
            return None
        self._listed = (self._listed | set(began)) - set(ended)
        return WaitsChange([wait_row(state, waiting[name]) for name in began], ended)


def _thread(event: Event) -> ThreadRow:
    return ThreadRow(event.thread_id, event.data.get("title", ""), event.at)


_TAKING = frozenset({"step.succeeded", "step.failed"})

_SHOWN = frozenset(
    {
        "interaction.submitted",
        "interaction.queued",
        "interaction.planning",
        "interaction.waiting",
        "interaction.paused",
        "interaction.resumed",
        "interaction.reopened",
        "interaction.cancelling",
        "interaction.completed",
        "interaction.failed",
        "interaction.cancelled",
        "plan.adopted",
        "plan.patched",
        "step.waiting",
        "step.answered",
    }
)
"""Events after which the listed row of the interaction is written again; others would not change what a list shows."""
