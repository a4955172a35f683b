"""What must hold of steps, and of the attempts that really began?"""

from collections.abc import Iterator
from itertools import pairwise

from orchestrald.core.approval import digest
from orchestrald.core.events import Event
from simulation.about_clients import decider
from simulation.history import History
from simulation.plans import LIMITS
from simulation.testimony import EPOCH_US, Key, Seen


def no_succeeded_step_runs_again(history: History) -> Iterator[str]:
    """What has succeeded is begun again only when a person resets it: by the journal's word, and in truth."""
    for key, events in history.steps.items():
        moves = [e for e in events if e.type in {*_DONE, "step.started", "step.reset"}]
        for before, after in pairwise(moves):
            if before.type in _DONE and after.type != "step.reset":
                yield f"{key} has {after.type} at {after.seq} after it succeeded at {before.seq}"
    for seen in history.testimony.attempts:
        before = [e.type for e in history.of(seen.key) if e.seq <= seen.seq and e.type in {*_DONE, "step.reset"}]
        if before and before[-1] in _DONE:
            yield f"{seen.key} really began attempt {seen.attempt.attempt} when it had succeeded"


_DONE = ("step.succeeded", "step.carried")


def an_attempt_is_written_down_before_it_begins(history: History) -> Iterator[str]:
    """And each that is written down begins at most once."""
    begun = set()
    for seen in history.testimony.attempts:
        number, once = seen.attempt.attempt, (seen.attempt.idempotency_key, seen.attempt.attempt)
        started = (e for e in history.of(seen.key) if e.type == "step.started" and e.seq <= seen.seq)
        if not any(e.data["attempt"] == number for e in started):
            yield f"{seen.key} began attempt {number} when the journal, at {seen.seq}, did not say so"
        if once in begun:
            yield f"{seen.key} began attempt {number} twice"
        begun.add(once)


def nothing_unrepeatable_is_repeated_unasked(history: History) -> Iterator[str]:
    """After an interruption only a person may have it done again; else only its own report that it can be retried,
    or an answer to its own question."""
    for key, attempts in _by_step(history).items():
        for before, after in pairwise(attempts):
            between = [e for e in history.of(key) if before.seq < e.seq <= after.seq]
            interrupted = [e.seq for e in between if e.type == "step.interrupted"]
            asked = max(interrupted, default=0)
            if before.spec.idempotent:
                continue
            decided = {"step.answered", "step.reset"}
            if interrupted and not any(e.type in decided and e.seq > asked for e in between):
                yield f"{key} was interrupted at {asked} and nobody decided that it be repeated"
            if not any(e.type in {*decided, "step.retrying"} for e in between):
                yield f"{key} began attempt {after.attempt.attempt} after {before.attempt.attempt} with no reason"


def the_same_step_keeps_its_key(history: History) -> Iterator[str]:
    """The idempotency key of all attempts is one, in whichever life, and no other step's."""
    owners: dict[str, Key] = {}
    for seen in history.testimony.attempts:
        if owners.setdefault(seen.attempt.idempotency_key, seen.key) != seen.key:
            yield f"{seen.key} has the idempotency key of {owners[seen.attempt.idempotency_key]}"
    for key, attempts in _by_step(history).items():
        resets = sum(e.type == "step.reset" for e in history.of(key))
        if len({seen.attempt.idempotency_key for seen in attempts}) > 1 + resets:
            yield f"{key} has more idempotency keys than a person asked for"


def what_runs_was_approved(history: History) -> Iterator[str]:
    """What needs a yes has one, from a person, in the journal, for exactly this action with these parameters; and a new
    one when a person has it done again."""
    for seen in history.testimony.attempts:
        if seen.spec.approval != "always" and seen.attempt.approval is None:
            continue
        before = [e for e in history.of(seen.key) if e.seq <= seen.seq]
        reset = max((e.seq for e in before if e.type == "step.reset"), default=0)
        exact = [
            digest(seen.spec.name, seen.attempt.params, "", e.data["question"]["preview"])
            for e in before
            if _asks(e, "approval") and e.seq > reset
        ]
        yes = [e.data["answer"] for e in before if e.type == "step.answered" and e.seq > reset]
        said = [answer["digest"] for answer in yes if isinstance(answer, dict) and "digest" in answer]
        if not set(exact) & set(said) or (seen.attempt.approval or {}).get("digest") not in said:
            yield f"{seen.key} ran {seen.spec.name} with {seen.attempt.params}, which nobody had approved"


def one_decides(history: History) -> Iterator[str]:
    """Of all who answer one question, one is told that it was taken; and an answer ends a question that was asked."""
    taken: dict[Key, int] = {}
    for told in history.testimony.told:
        if told.method in {"approval.decide", "interaction.respond"} and not told.code:
            key = told.params["interaction_id"], told.params["step_id"]
            taken[key] = taken.get(key, 0) + 1
    for key, events in history.steps.items():
        asked = sum(e.type == "step.waiting" for e in events)
        if taken.get(key, 0) > asked:
            yield f"{key} asked {asked} questions, and {taken[key]} were told that they had answered"
        for before, event in pairwise(events):
            if decider(event) and before.type != "step.waiting" and event.type != "step.skipped":
                yield f"{key} was answered at {event.seq} when it had asked nothing"


def an_event_is_given_to_one_step(history: History) -> Iterator[str]:
    """What happened outside is taken once, by a step that asked for just this and waited for it, or would wait."""
    emitted = {e.seq: e.data for e in history.events if e.type == "external.event"}
    taken: dict[int, Key] = {}
    for key, events in history.steps.items():
        for asked, event in pairwise(events):
            seq = event.data.get("event") if event.type == "step.succeeded" else None
            if seq is None:
                continue
            if seq in taken:
                yield f"the event {seq} was given to {taken[seq]} and to {key}"
            taken[seq] = key
            question, came = asked.data.get("question", {}), emitted[seq]
            wanted = question.get("event_kind") in {"*", came["kind"]}
            if not wanted or question.get("correlation") not in {None, came.get("correlation")}:
                yield f"{key} asked for {question}, and was given {came}"


def no_more_runs_than_may(history: History) -> Iterator[str]:
    """At no moment do more attempts run than the limits say: of an interaction, of an action, altogether."""
    for seen in history.testimony.attempts:
        siblings, likes, everybody = seen.beside
        limit = min((most for _, most in LIMITS.get(seen.spec.name, [])), default=likes)
        if siblings > history.slots[0] or everybody > history.slots[1] or likes > limit:
            yield f"{seen.key} began as number {siblings} of its interaction, {likes} of its action, {everybody} of all"


def nothing_happens_before_its_time(history: History) -> Iterator[str]:
    """A retry does not begin before its backoff is over, and a moment that is waited for does not come early."""
    for seen in history.testimony.attempts:
        before = [e for e in history.of(seen.key) if e.seq <= seen.seq and e.type in {"step.retrying", "step.reset"}]
        due_at = before[-1].data.get("due_at", 0) if before else 0
        if EPOCH_US + seen.at * 1e6 < due_at - 1:
            yield f"{seen.key} began attempt {seen.attempt.attempt} before its backoff was over"
    for key, events in history.steps.items():
        for asked, came in pairwise(events):
            if _asks(asked, "until") and came.type == "step.succeeded" and came.at < asked.data["question"]["due_at"]:
                yield f"{key} waited for a moment that had not come"


def _asks(event: Event, kind: str) -> bool:
    return event.type == "step.waiting" and event.data["question"]["kind"] == kind


def _by_step(history: History) -> dict[Key, list[Seen]]:
    found: dict[Key, list[Seen]] = {}
    for seen in history.testimony.attempts:
        found.setdefault(seen.key, []).append(seen)
    return found


INVARIANTS = (
    no_succeeded_step_runs_again,
    an_attempt_is_written_down_before_it_begins,
    nothing_unrepeatable_is_repeated_unasked,
    the_same_step_keeps_its_key,
    what_runs_was_approved,
    one_decides,
    an_event_is_given_to_one_step,
    no_more_runs_than_may,
    nothing_happens_before_its_time,
)
