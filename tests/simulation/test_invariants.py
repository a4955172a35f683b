"""Can each invariant fail? One that always holds would let everything pass."""

from collections.abc import Callable
from typing import Any

import pytest

from orchestrald.core.events import Event
from simulation.history import History
from simulation.life import MAX_IN_THREAD
from simulation.operations import Answer, Cancel, Crash, Emit, Look, Submit
from simulation.scenario import Scenario
from simulation.testimony import Final, Told
from simulation.trial import INVARIANTS, enact

SCENARIO = Scenario(
    seed=1,
    slots=(2, 3),
    operations=(
        Submit(0.0, "s0", ({"id": "a", "action": "work", "params": {"does": ["flaky", "slow"]}},), again=0.5),
        Submit(0.0, "s1", ({"id": "g", "action": "guarded", "params": {"does": ["slow", "ok"]}},)),
        Answer(0.1, 0, "rightly"),
        Submit(0.2, "s2", ({"id": "w", "kind": "wait_until", "params": {"for": 2}},)),
        Look(1.5, 0),
        Crash(2.0, 0, lands=False),
        Submit(3.0, "s3", ({"id": "h", "action": "work", "params": {"does": ["hang"]}},)),
        Submit(3.0, "t1", ({"id": "a", "action": "work", "params": {"does": ["stubborn"]}},), thread="T"),
        Submit(3.2, "t2", ({"id": "a", "action": "work", "params": {"does": ["ok"]}},), thread="T"),
        Submit(3.4, "t3", ({"id": "a", "action": "work"},), thread="T", policy="reject"),
        Submit(3.5, "e", ({"id": "e", "kind": "wait_event", "params": {"kind": "news"}},)),
        Emit(4.0, "news"),
        Cancel(5.0, 3),
        Submit(6.0, "m", ({"id": "m", "action": "work"},), planner="looking"),
    ),
)
"""A little of everything that an invariant looks at."""


def _forget(history: History, type_: str) -> None:
    history.events = [event for event in history.events if event.type != type_]


def _first(history: History, type_: str, step_id: str = "") -> Event:
    return next(e for e in history.events if e.type == type_ and step_id in {"", e.step_id})


def _put(history: History, event: Event, type_: str, **data: Any) -> None:
    """One more event of the same interaction and step, right after it."""
    at = history.events.index(event)
    history.events.insert(at + 1, event._replace(type=type_, data=data))


def _serve_twice(history: History) -> None:
    submitted = _first(history, "interaction.submitted")
    history.events.append(submitted._replace(interaction_id="int_9999"))


def _show_what_is_not_durable(history: History) -> None:
    shown = next(told for told in history.testimony.told if told.method == "interaction.get")
    shown.answer["steps"][0]["state"] = "succeeded"


def _run_again(history: History) -> None:
    succeeded = _first(history, "step.succeeded", "a")
    seen = next(seen for seen in history.testimony.attempts if seen.key[1] == "a")
    seen.seq = succeeded.seq


def _repeat_unasked(history: History) -> None:
    history.events = [e for e in history.events if (e.type, e.step_id) != ("step.answered", "g")]


def _another_key(history: History) -> None:
    seen = next(seen for seen in history.testimony.attempts if seen.attempt.attempt == 2)
    seen.attempt = seen.attempt.__class__(**_fields(seen.attempt) | {"idempotency_key": "another"})


def _fields(attempt: Any) -> dict[str, Any]:
    return {name: getattr(attempt, name) for name in attempt.__slots__}


def _run_something_else(history: History) -> None:
    next(s for s in history.testimony.attempts if s.key[1] == "g").attempt.params["path"] = "/etc"


def _tell_both(history: History) -> None:
    decided = next(told for told in history.testimony.told if told.method == "approval.decide" and not told.code)
    history.testimony.told += [decided, decided]


def _crowd(history: History) -> None:
    history.testimony.attempts[0].beside = (3, 1, 3)


def _hurry(history: History) -> None:
    for seen in history.testimony.attempts:
        seen.at = 0.0


def _end_twice(history: History) -> None:
    _put(history, _first(history, "interaction.completed"), "interaction.completed")


def _run_on(history: History) -> None:
    history.testimony.finals.append(Final("int_0001", ("a",)))


def _start_late(history: History) -> None:
    (interrupted,) = _first(history, "interaction.queued").data["interrupts"]
    about = [(e.interaction_id, e.type) for e in history.events]
    history.events.append(history.events.pop(about.index((interrupted, "interaction.cancelled"))))


def _begin_more(history: History) -> None:
    queued = _first(history, "interaction.queued")
    (interrupted,) = queued.data["interrupts"]
    more = queued._replace(type="step.started", interaction_id=interrupted, step_id="b", at=queued.at + 1, data={})
    history.events.insert(history.events.index(queued) + 1, more)


def _crowd_the_thread(history: History) -> None:
    submitted = _first(history, "interaction.submitted")
    at = history.events.index(submitted)
    history.events[at:at] = [submitted._replace(interaction_id=f"int_0000{i}") for i in range(MAX_IN_THREAD)]


def _give_twice(history: History) -> None:
    given = [e for e in history.events if e.step_id == "e" and e.type in {"step.waiting", "step.succeeded"}]
    history.events += [event._replace(step_id="f") for event in given]


def _misplace(history: History) -> None:
    row = next(iter(history.rows.values()))
    history.rows[row.interaction_id] = row._replace(state="executing")


def _tell_of_a_bug(history: History) -> None:
    history.testimony.told.append(Told(1, "uid:1", "interaction.get", {}, {}, "internal_error"))


def _spend(history: History) -> None:
    _first(history, "model.asked").data["tokens"] = 1_000


def _look_on(history: History) -> None:
    planning = next(e for e in history.events if e.data.get("reason") == "observed")
    history.events += [planning] * 3


BREAKAGES: dict[str, Callable[[History], None]] = {
    "nothing_acknowledged_is_lost": lambda h: _forget(h, "interaction.cancelling"),
    "a_request_is_served_once": _serve_twice,
    "what_is_shown_is_what_happened": _show_what_is_not_durable,
    "nobody_meets_a_bug": _tell_of_a_bug,
    "nobody_waits_for_ever": lambda h: h.testimony.complaints.append("somebody waited for ever"),
    "no_succeeded_step_runs_again": _run_again,
    "an_attempt_is_written_down_before_it_begins": lambda h: _forget(h, "step.started"),
    "nothing_unrepeatable_is_repeated_unasked": _repeat_unasked,
    "the_same_step_keeps_its_key": _another_key,
    "what_runs_was_approved": _run_something_else,
    "one_decides": _tell_both,
    "no_more_runs_than_may": _crowd,
    "nothing_happens_before_its_time": _hurry,
    "an_event_is_given_to_one_step": _give_twice,
    "policies_are_kept": lambda h: _forget(h, "interaction.queued"),
    "an_interrupted_one_is_gone_first": _start_late,
    "an_interrupted_one_begins_nothing_more": _begin_more,
    "no_thread_holds_more_than_it_may": _crowd_the_thread,
    "what_is_refused_is_recorded": lambda h: _forget(h, "input.rejected"),
    "every_interaction_ends": lambda h: _forget(h, "interaction.completed"),
    "it_ends_once_and_says_so": _end_twice,
    "what_has_ended_does_not_run": _run_on,
    "the_journal_can_be_followed": lambda h: _forget(h, "step.started"),
    "the_list_says_what_the_journal_says": _misplace,
    "the_journal_has_no_gap": lambda h: _forget(h, "assistant.output"),
    "no_call_is_paid_twice": lambda h: h.events.append(_first(h, "model.asked")),
    "an_answer_belongs_to_a_question": lambda h: _forget(h, "model.asked"),
    "budgets_are_kept": _spend,
    "rounds_are_bounded": _look_on,
}
"""For each invariant, what would make a history one that it must complain of."""


@pytest.mark.parametrize("holds", INVARIANTS, ids=lambda holds: holds.__name__)
def test_each_holds_of_what_happened_and_complains_of_what_must_not(holds: Any):
    history = enact(SCENARIO)
    assert list(holds(history)) == []
    BREAKAGES[holds.__name__](history)
    history.forget()
    assert list(holds(history)) != []


def test_no_breakage_is_of_an_invariant_that_is_gone():
    assert BREAKAGES.keys() == {holds.__name__ for holds in INVARIANTS}
