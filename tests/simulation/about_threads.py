"""What must hold of threads: does each input get what its thread's policy says?

The journal tells who is unfinished in each thread, and how: `queued`, `active`, or `waiting`, which counts for the
limit alone. What had only just gone on (it was answered, or resumed) when an input was decided may not be held against
that decision: the two may have crossed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from orchestrald.core.events import Event
from simulation.history import FINAL, History
from simulation.life import MAX_IN_THREAD, MAX_QUEUED
from simulation.testimony import EPOCH_US


@dataclass
class Alive:
    """An unfinished interaction. `since` is when its present state was committed; `went_on`: out of a wait.

    `started` is when it was decided that it start (or be queued), `policy` what was asked then.
    """

    submitted: Event
    state: str
    since: float
    policy: str
    started: int
    went_on: bool = False


@dataclass
class Thread:
    """`policies`: all that it ever had, the one in force last."""

    policies: list[str]
    alive: dict[str, Alive] = field(default_factory=dict)

    def policy_for(self, submitted: Event) -> str:
        """The input's own, or the thread's: parallel also when that had only just been replaced."""
        forked = submitted.data["source"] == "fork"  # it has the labels of the original, and no policy of its own
        own = "" if forked else submitted.data.get("labels", {}).get("policy")
        return own or ("parallel" if "parallel" in self.policies[-2:] else self.policies[-1])

    def beside(self, interaction_id: str, state: str) -> list[str]:
        return [name for name, each in self.alive.items() if each.state == state and name != interaction_id]


def policies_are_kept(history: History) -> Iterator[str]:
    """Nothing starts beside what is active unless the policy is parallel, and nobody overtakes in a queue."""
    for event, thread, before in _walk(history):
        it = event.interaction_id
        queued = _queued_as(history, it) if event.type == "interaction.submitted" else {}
        if queued.get("policy") in {"reject", "parallel"}:
            yield f"{it} was queued, and the policy is {queued['policy']}"
        if queued.get("interrupts") and queued["policy"] != "interrupt_and_start_new":
            yield f"{it} interrupts others, and the policy is {queued['policy']}"
        if event.type == "interaction.submitted" and thread.alive[it].state == "active":
            yield from _beside(thread, event)
        elif before == "queued" and thread.alive[it].state == "active" and event.type != "interaction.cancelling":
            yield from _beside(thread, event)
            submitted = thread.alive[it].submitted.at
            for name in thread.beside(it, "queued"):
                if thread.alive[name].submitted.at < submitted:
                    yield f"{it} left its queue before {name}, which had come before it"


def _beside(thread: Thread, event: Event) -> Iterator[str]:
    this = thread.alive[event.interaction_id]
    for name in thread.beside(event.interaction_id, "active"):
        other = thread.alive[name]
        crossed = other.went_on and other.since >= (event.at - EPOCH_US) / 1e6
        if not crossed and not any(each.policy == "parallel" for each in _later(this, other)):
            yield f"{event.interaction_id} started ({event.type}, {event.seq}) while {name} was active in its thread"


def _later(one: Alive, other: Alive) -> list[Alive]:
    """Whose policy had to decide about the two: that of the one that was decided about last; of both, if at once."""
    if one.started == other.started:
        return [one, other]
    return [one if one.started > other.started else other]


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
                if name in history.interactions and name not in ended:
                    yield f"{it} started before {name}, which it interrupted, had ended"


def an_interrupted_one_begins_nothing_more(history: History) -> Iterator[str]:
    """From the moment that its interruption is durable, in this life and the next, as long as anybody waits for it."""
    for queued in (e for e in history.events if e.type == "interaction.queued"):
        waiting = history.interactions[queued.interaction_id]
        over = next((e.at for e in waiting if e.type in FINAL), queued.at)
        known = EPOCH_US + history.committed_at(queued) * 1e6
        for name in queued.data.get("interrupts", []):
            for event in history.interactions.get(name, []):
                if event.seq > queued.seq and event.type in FINAL:
                    break
                if event.type == "step.started" and known < event.at < over:
                    yield f"{name} began {event.step_id} when {queued.interaction_id} had interrupted it"


def no_thread_holds_more_than_it_may(history: History) -> Iterator[str]:
    """Neither unfinished interactions when another starts, nor inputs in the queue when another joins it."""
    for event, thread, _ in _walk(history):
        it = event.interaction_id
        if event.type != "interaction.submitted":
            continue
        queued = [name for name in thread.beside(it, "queued") if name < it]  # names are given in order of decision
        standing = sum(each.state != "queued" for name, each in thread.alive.items() if name <= it)
        if thread.alive[it].state == "active" and standing > MAX_IN_THREAD:
            yield f"{it} started as number {standing} of its thread"
        staying = set(queued) - set(_queued_as(history, it).get("interrupts", []))
        if thread.alive[it].state == "queued" and len(staying) > MAX_QUEUED:  # one of them may be on its way out
            yield f"{it} was queued behind {len(queued)} others"


def what_is_refused_is_recorded(history: History) -> Iterator[str]:
    """Whoever is told that an input was rejected finds it in the journal, and nothing started for it then."""
    for told in history.testimony.told:
        if told.code != "rejected" or told.method != "interaction.submit":
            continue
        intent = told.params["request_id"]
        recorded = (e for e in history.events if e.type == "input.rejected" and e.seq <= told.seq)
        if not any(e.data["intent"] == intent for e in recorded):
            yield f"{intent} was rejected, and the journal does not say so"


def _queued_as(history: History, interaction_id: str) -> dict[str, Any]:
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
            thread.alive[it] = Alive(event, state, history.committed_at(event), thread.policy_for(event), event.at)
            yield event, thread, ""
        elif event.type in FINAL:
            thread.alive.pop(it, None)
        elif event.type in _STATES:
            yield event, thread, _moved(history, thread, event)


def _moved(history: History, thread: Thread, event: Event) -> str:
    it, after, at = event.interaction_id, _STATES[event.type], history.committed_at(event)
    known = thread.alive.get(it)
    if known is None:  # it was over, and is tried again
        first = next(e for e in history.interactions[it] if e.type == "interaction.submitted")
        thread.alive[it] = Alive(first, after, at, thread.policy_for(first), event.at, went_on=True)
        return "over"
    before = known.state
    if before != after:
        known.state, known.since, known.went_on = after, at, before == "waiting" and after == "active"
    if before == "queued":
        known.started = event.at
    return before


INVARIANTS = (
    policies_are_kept,
    an_interrupted_one_is_gone_first,
    an_interrupted_one_begins_nothing_more,
    no_thread_holds_more_than_it_may,
    what_is_refused_is_recorded,
)
