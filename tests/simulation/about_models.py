"""What must hold of the calls of models, and of the rounds of a planner that sees what comes of its plans?"""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from orchestrald.core.events import Event
from simulation.history import History
from simulation.models import BUDGETS, ROUNDS

RESULTS = frozenset({"model.answered", "model.failed"})


class Call(NamedTuple):
    interaction_id: str
    part: str
    purpose: str
    number: int


def _call(event: Event) -> Call:
    return Call(event.interaction_id, event.data["part"], event.data["purpose"], event.data["number"])


def no_call_is_paid_twice(history: History) -> Iterator[str]:
    """What was answered durably is not asked again, however often the daemon dies."""
    answered: set[Call] = set()
    for event in history.events:
        if event.type == "model.asked" and _call(event) in answered:
            yield f"{_call(event)} was asked again"
        elif event.type == "model.answered":
            answered.add(_call(event))


def an_answer_belongs_to_a_question(history: History) -> Iterator[str]:
    """Each was written down before it was sent, and has one result at most."""
    asked: dict[int, Call] = {}
    for event in history.events:
        if event.type == "model.asked":
            asked[event.seq] = _call(event)
        elif event.type in RESULTS and asked.pop(event.data["asked"], None) != _call(event):
            yield f"{event.type} {event.seq} answers nothing that was asked"


def budgets_are_kept(history: History) -> Iterator[str]:
    """Whatever is on its way, or was lost on it, counts with the most that it may take."""
    limit = BUDGETS.interaction.tokens or 0
    for interaction_id, events in history.interactions.items():
        taken: dict[int, int] = {}
        for event in events:
            if event.type == "model.asked":
                taken[event.seq] = event.data["tokens"]
                if sum(taken.values()) > limit:
                    yield f"{interaction_id} may take {limit} tokens, and was let to take {sum(taken.values())}"
            elif event.type in RESULTS:
                tokens = event.data.get("tokens", 0)
                taken[event.data["asked"]] = tokens["input"] + tokens["output"] if isinstance(tokens, dict) else tokens


def rounds_are_bounded(history: History) -> Iterator[str]:
    """For one intent a planner is asked to look so often at most; a person who retries begins to count again."""
    for interaction_id, events in history.interactions.items():
        counted: Counter[str] = Counter()
        for event in events:
            if event.type == "interaction.reopened" or event.data.get("reason") == "merged":
                counted.clear()
            elif event.type == "interaction.planning" and not event.data.get("again"):
                counted[event.data["reason"]] += 1
        if counted["observed"] >= ROUNDS:
            yield f"{interaction_id} was looked at {counted['observed']} times"


INVARIANTS = (
    no_call_is_paid_twice,
    an_answer_belongs_to_a_question,
    budgets_are_kept,
    rounds_are_bounded,
)
