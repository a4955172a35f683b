"""What must hold of interactions, and of the journal as a whole?"""

from collections.abc import Iterator

from orchestrald.core.events import Event
from orchestrald.core.states import FINISHED, IllegalMove, StepState
from simulation.history import FINAL, History


def moves(events: list[Event]) -> list[str]:
    """What moved an interaction, without what may be said of one that is over: traces, and what is kept of it."""
    moving = ("interaction.", "plan.", "step.", "assistant.")
    return [e.type for e in events if e.type.startswith(moving) and e.type != "step.violation"]


def every_interaction_ends(history: History) -> Iterator[str]:
    """When all questions are answered and nothing hangs, nothing is left open; and whatever waits says for what."""
    for interaction_id, events in history.interactions.items():
        if moves(events)[-1] not in FINAL:
            yield f"{interaction_id} never ended; its last event is {events[-1].type}"
        for event in events:
            if event.type == "interaction.waiting" and not event.data["steps"]:
                yield f"{interaction_id} waits for nothing that has a name"


def it_ends_once_and_says_so(history: History) -> Iterator[str]:
    """An end has an answer in words right before it, and nothing after it, unless a person has it tried again."""
    for interaction_id, events in history.interactions.items():
        types = moves(events)
        for before, end, after in zip(types, types[1:], [*types[2:], ""], strict=False):
            if end not in FINAL:
                continue
            if before != "assistant.output":
                yield f"{interaction_id} ended without a word"
            if after not in {"", "interaction.reopened"}:
                yield f"{interaction_id} went on after its end with {after}"


def what_has_ended_does_not_run(history: History) -> Iterator[str]:
    """When the end is committed, no attempt of the interaction runs any more; and none begins afterwards."""
    for interaction_id, running in history.testimony.finals:
        if running:
            yield f"{interaction_id} was over while {', '.join(running)} still ran"
    for seen in history.testimony.attempts:
        turned = {*FINAL, "interaction.reopened"}
        before = [e.type for e in history.interactions[seen.key[0]] if e.seq <= seen.seq and e.type in turned]
        if before and before[-1] in FINAL:
            yield f"{seen.key} began when its interaction was over"


def the_journal_can_be_followed(history: History) -> Iterator[str]:
    """Every event is a legal move after those before it; at the end no step is open, and the end fits the steps."""
    for interaction_id, events in history.interactions.items():
        try:
            state = history.state(interaction_id)
        except IllegalMove as error:
            yield f"{interaction_id} cannot be followed: {error}"
            continue
        still = [run.id for run in state.runs.values() if run.state not in FINISHED]
        failed = [run.id for run in state.by_node if run.state is StepState.FAILED]
        word = state.conclusion is not None  # of a planner that has seen what failed
        if (
            events[-1].type != "interaction.failed"
            and state.final
            and state.state == "completed"
            and failed
            and not word
        ):
            yield f"{interaction_id} is completed, and {', '.join(failed)} failed"
        if state.final and still and not _fell(history, interaction_id):
            yield f"{interaction_id} is {state.state}, and {', '.join(still)} are open"


def _fell(history: History, interaction_id: str) -> bool:
    """Whether it failed as a whole, by its planning: then there need not be an end of each step."""
    error = history.state(interaction_id).failure
    return error is not None and error.code == "lost_output"


def the_list_says_what_the_journal_says(history: History) -> Iterator[str]:
    """The row that lists show is the fold of the events."""
    for interaction_id in history.interactions:
        state, row = history.state(interaction_id), history.rows.get(interaction_id)
        if row is None:
            yield f"{interaction_id} is not listed"
            continue
        said = (row.state, row.intent, row.answer, row.ended_at, row.waiting, row.resting)
        true = (state.state, state.intent, state.answer, state.ended_at, tuple(state.waiting), state.resting)
        if said != true:
            yield f"{interaction_id} is listed as {said}, and is {true}"
        if sorted(history.waits.get(interaction_id, [])) != sorted(state.waiting):
            yield f"{interaction_id} waits for {list(state.waiting)}, and the table says {history.waits}"


def the_journal_has_no_gap(history: History) -> Iterator[str]:
    """`seq` counts every event once, from 1, and subscribers hear of all, in order."""
    seqs = [event.seq for event in history.events]
    if seqs != list(range(1, len(seqs) + 1)):
        yield f"the journal counts {seqs}"
    if history.testimony.published != seqs:
        yield f"{history.testimony.published} were published, of {seqs}"


INVARIANTS = (
    every_interaction_ends,
    it_ends_once_and_says_so,
    what_has_ended_does_not_run,
    the_journal_can_be_followed,
    the_list_says_what_the_journal_says,
    the_journal_has_no_gap,
)
