"""What must hold of threads: does each input get what its thread's policy says?

The journal tells who is unfinished in each thread, and how: `queued`, `active`, or `waiting`, which counts for the limit
alone. What had only just gone on (it was answered, or resumed) when an input was decided may not be held against that
decision: the two may have crossed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from orchestrald.core.events import Event
from simulation.history import FINAL, History
from simulation.life import MAX_IN_THREAD, MAX_QUEUED


@dataclass
class Alive:
    """An unfinished interaction. `since` is when its present state was committed; `went_on`: out of a wait."""

    submitted: Event
    state: str
    since: float
    went_on: bool = False


@dataclass
class Thread:
    """`policies`: the one in force, and the one before it, which an input may have met."""

    policies: list[str]
    alive: dict[str, Alive] = field(default_factory=dict)

    def beside(self, interaction_id: str, state: str) -> list[str]:
        return [name for name, each in self.alive.items() if each.state == state and name != interaction_id]


def policies_are_kept(history: History) -> Iterator[str]:
    """Nothing starts beside what is active unless the policy is parallel, and nobody overtakes in a queue."""
    for event, thread, before in _walk(history):
        it = event.interaction_id
        if event.type == "interaction.submitted" and thread.alive[it].state == "active":
            yield from _beside(history, thread, event)
        elif before == "queued" and thread.alive[it].state == "active" and event.type != "interaction.cancelling":
            yield from _beside(history, thread, event)
            submitted = thread.alive[it].submitted.at
            for name in thread.beside(it, "queued"):
                if thread.alive[name].submitted.at < submitted:
                    yield f"{it} left its queue before {name}, which had come before it"


def _beside(history: History, thread: Thread, event: Event) -> Iterator[str]:
    override = thread.alive[event.interaction_id].submitted.data.get("labels", {}).get("policy")
    if override == "parallel" or (not override and "parallel" in thread.policies[-2:]):
        return
    for name in thread.beside(event.interaction_id, "active"):
        other = thread.alive[name]
        crossed = other.went_on and other.since >= (event.at - 1e15) / 1e6
        if not crossed:
            yield f"{event.interaction_id} started ({event.type}, {event.seq}) while {name} was active in its thread"


def an_interrupted_one_is_gone_first(history: History) -> Iterator[str]:
    """What starts by interrupting starts when what it interrupted has ended."""
    ended: set[str] = set()
    interrupts: dict[str, list[str]] = {}
    for event in history.events:
        it = event.interaction_id
        if event.type in FINAL:
            ended.add(it)
        elif event.type == "interaction.queued":
            interrupts[it] = event.data.get("interrupts", [])
        elif event.type in {"interaction.planning", "plan.adopted"}:
            for name in interrupts.pop(it, []):
                if name not in ended:
                    yield f"{it} started before {name}, which it interrupted, had ended"


def no_thread_holds_more_than_it_may(history: History) -> Iterator[str]:
    """Neither unfinished interactions when another starts, nor inputs in the queue when another joins it."""
    for event, thread, _ in _walk(history):
        it = event.interaction_id
        if event.type != "interaction.submitted":
            continue
        queued = thread.beside(it, "queued")
        if thread.alive[it].state == "active" and len(thread.alive) - len(queued) > MAX_IN_THREAD:
            yield f"{it} started as number {len(thread.alive) - len(queued)} of its thread"
        leaving = _queued_as(history, it).get("interrupts", [])
        if thread.alive[it].state == "queued" and len(set(queued) - set(leaving)) >= MAX_QUEUED:
            yield f"{it} was queued behind {len(queued)} others"


def what_is_refused_is_recorded(history: History) -> Iterator[str]:
    """Whoever is told that an input was rejected finds it in the journal, and nothing started for it then."""
    for told in history.testimony.told:
        if told.code != "rejected" or told.method != "interaction.submit":
            continue
        intent = told.params["request_id"]
        if not any(
            e.type == "input.rejected" and e.data["intent"] == intent and e.seq <= told.seq for e in history.events
        ):
            yield f"{intent} was rejected, and the journal does not say so"


def _queued_as(history: History, interaction_id: str) -> dict[str, list[str]]:
    """The data of the event that queued it; empty when it was not queued."""
    return next((e.data for e in history.interactions[interaction_id] if e.type == "interaction.queued"), {})


_STATES = {
    "interaction.waiting": "waiting",
    "interaction.paused": "waiting",
    "interaction.resumed": "active",
    "interaction.planning": "active",
    "interaction.cancelling": "active",
    "interaction.reopened": "active",
    "plan.adopted": "active",
}


def _walk(history: History) -> Iterator[tuple[Event, Thread, str]]:
    """Each event that moves something in a thread, the thread after it, and the interaction's state before it."""
    threads: dict[str, Thread] = {}
    for event in history.events:
        thread = threads.setdefault(event.thread_id, Thread([history.policy]))
        it = event.interaction_id
        if event.type in {"thread.created", "thread.changed"} and "policy" in event.data:
            thread.policies.append(event.data["policy"] or history.policy)
        elif event.type == "interaction.submitted":
            state = "queued" if _queued_as(history, it) else "active"
            thread.alive[it] = Alive(event, state, history.committed_at(event))
            yield event, thread, ""
        elif event.type in FINAL:
            thread.alive.pop(it, None)
        elif event.type in _STATES:
            yield event, thread, _moved(history, thread, event)


def _moved(history: History, thread: Thread, event: Event) -> str:
    it, after = event.interaction_id, _STATES[event.type]
    if it not in thread.alive:  # it was over, and is tried again
        thread.alive[it] = Alive(history.interactions[it][0], after, history.committed_at(event), went_on=True)
        return "over"
    before = thread.alive[it]
    if before.state != after:
        went_on = before.state == "waiting" and after == "active"
        thread.alive[it] = Alive(before.submitted, after, history.committed_at(event), went_on)
    return before.state


INVARIANTS = (
    policies_are_kept,
    an_interrupted_one_is_gone_first,
    no_thread_holds_more_than_it_may,
    what_is_refused_is_recorded,
)
