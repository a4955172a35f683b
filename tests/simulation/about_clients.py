"""What must hold of what clients were told?"""

from collections.abc import Iterator
from typing import Any

from orchestrald.core.events import Event
from orchestrald.engine import snapshot
from simulation.history import History
from simulation.testimony import Told


def nothing_acknowledged_is_lost(history: History) -> Iterator[str]:
    """Whoever got an answer finds its consequence in the journal, committed before the answer was given."""
    for told in history.testimony.told:
        if told.answer and not told.code and not any(_is_consequence(event, told) for event in history.events):
            yield f"{told.method} was answered with {told.answer} at {told.seq}, and nothing came of it"


def _is_consequence(event: Event, told: Told) -> bool:
    if event.seq > told.seq:
        return False
    answer, params = told.answer, told.params
    match told.method:
        case "interaction.submit" | "interaction.fork":
            return event.interaction_id == answer["interaction_id"] and _is_disposition(event, told)
        case "interaction.respond" | "approval.decide":
            about = params["interaction_id"], params["step_id"]
            return (event.interaction_id, event.step_id) == about and decider(event) == told.by
        case "event.emit":
            return event.type == "external.event" and event.data["event_id"] == answer["event_id"]
        case "thread.create":
            return event.type == "thread.created" and event.thread_id == answer["thread_id"]
        case "thread.set_policy" | "thread.archive":
            return event.type == "thread.changed" and event.thread_id == params["thread_id"]
    if told.method in _STEERED:
        return event.interaction_id == params["interaction_id"] and event.type in _STEERED[told.method]
    return True  # it changes nothing


_STEERED = {
    "interaction.cancel": {"interaction.cancelling"},
    "interaction.pause": {"interaction.paused"},
    "interaction.resume": {"interaction.resumed"},
    "interaction.retry": {"interaction.reopened", "step.reset"},
    "interaction.skip": {"step.skipped"},
}


def _is_disposition(event: Event, told: Told) -> bool:
    match told.answer["disposition"]:
        case "answered":
            return event.step_id == told.answer["step_id"] and decider(event) == told.by
        case "merged":
            return event.type == "interaction.merged" and event.data["intent"] == told.params["intent"]
        case "queued":
            return event.type == "interaction.queued"
    return event.type == "interaction.submitted"


def decider(event: Event) -> str | None:
    """Who answered the question that this event ends; missing when nobody did."""
    data: Any = event.data
    match event.type:
        case "step.answered" | "step.skipped":
            found = data.get("by")
        case "step.succeeded":
            output = data.get("output")
            found = output.get("by") if isinstance(output, dict) else None
        case "step.failed":
            found = (data["error"].get("details") or {}).get("by")
        case _:
            found = None
    return found if isinstance(found, str) else None


def a_request_is_served_once(history: History) -> Iterator[str]:
    """The same request_id starts one interaction, and is answered alike whenever it comes, in whichever life."""
    first: dict[str, Told] = {}
    for told in history.testimony.told:
        name = told.params.get("request_id")
        if name is None or told.code:
            continue
        before = first.setdefault(name, told)
        if {**before.answer, "replayed": True} != {**told.answer, "replayed": True}:
            yield f"{name} was answered with {before.answer}, then with {told.answer}"
    asked = ("interaction.submitted", "interaction.merged")
    submitted = [e.data["intent"] for e in history.events if e.type in asked and e.data.get("source") != "fork"]
    for name in sorted({name for name in submitted if submitted.count(name) > 1}):
        yield f"{name} was asked for once and started {submitted.count(name)} times"


def what_is_shown_is_what_happened(history: History) -> Iterator[str]:
    """A client is shown what the journal says up to the `last_seq` that it is told, and nothing that is not durable."""
    for told in history.testimony.told:
        if told.method != "interaction.get" or told.code:
            continue
        last_seq = told.answer["last_seq"]
        if last_seq > told.seq:
            yield f"{told.answer['interaction_id']} was shown with {last_seq} when {told.seq} was the newest event"
        state = history.state(told.answer["interaction_id"], last_seq)
        said = snapshot.snapshot(state, outputs=True, last_seq=last_seq)
        shown = {name: value for name, value in told.answer.items() if name != "spent"}  # that is of this very moment
        if said != shown:
            yield f"{state.id} was shown as {told.answer}, and the journal says {said}"


def nobody_meets_a_bug(history: History) -> Iterator[str]:
    """Whatever befalls the daemon, what clients are told is not that we did not foresee it."""
    for told in history.testimony.told:
        if told.code == "internal_error":
            yield f"{told.method} {told.params} was answered with an internal error {told.answer}"


def nobody_waits_for_ever(history: History) -> Iterator[str]:
    """Every request is answered, and every interaction that does not wait for anything goes on."""
    yield from history.testimony.complaints


INVARIANTS = (
    nothing_acknowledged_is_lost,
    a_request_is_served_once,
    what_is_shown_is_what_happened,
    nobody_meets_a_bug,
    nobody_waits_for_ever,
)
