"""Which ready steps start now, and what does starting one mean?

A step that asks for no slot (a wait, a `when` that does not hold, a `for_each` that becomes its items) is settled at
once. An action needs a slot: `Slots` says whether the daemon, this interaction and this action have one to give.
A step that its own action holds back does not hold back a sibling of another action.
"""

from orchestrald.core import questions
from orchestrald.core.binding import items, lookup, oversize, parameters
from orchestrald.core.conditions import holds
from orchestrald.core.effects import RunAction
from orchestrald.core.interaction import Run
from orchestrald.core.model import Failure
from orchestrald.core.references import MissingValue, resolve
from orchestrald.core.turn import Turn


def start_ready(turn: Turn) -> None:
    """Start ready steps in plan order until none is left or no slot is."""
    state = turn.state
    if state.held:
        _start_held(turn)
    while (run := state.next_ready()) is not None:
        if run.attempt == 0 and run.node.kind != "action":
            state.pop_ready()
            _begin_wait(turn, run)
        elif run.parent is None and run.attempt == 0 and (run.node.when is not None or run.node.for_each is not None):
            state.pop_ready()
            if _decide_when(turn, run):
                _expand(turn, run)
        elif not turn.slots.has_room(state.running):
            return
        else:
            state.pop_ready()
            if not _start(turn, run):
                state.hold(run)


def _start_held(turn: Turn) -> None:
    """Give the actions that were at their own limit another try, one step at a time."""
    state = turn.state
    for action in list(state.held):
        while (run := state.next_held(action)) is not None and turn.slots.has_room(state.running):
            if not _start(turn, run):
                break


def _start(turn: Turn, run: Run) -> bool:
    """Start one attempt of an action. False, and nothing happened, when the action is at its limit."""
    node = run.node
    try:
        params = parameters(turn.state, run)
    except MissingValue as error:
        turn.fail_step(run, Failure("missing_value", str(error)))
        return True
    if problem := oversize(run, params):
        turn.fail_step(run, Failure("params_too_large", problem))
        return True
    verdict = turn.gate.verdict(node.action, node.approval, node.effects, params)
    if questions.needs_yes(turn, run, verdict, params):
        return True
    if not turn.slots.take(node.action):
        return False
    attempt = run.attempt + 1
    turn.emit("step.started", {"attempt": attempt}, run.id)
    state = run.question.state if run.question else None
    asked = (run.id, node.action, params, attempt, run.revision, node.timeout)
    approval = questions.approval_of(run, verdict, params)
    turn.ask(RunAction(*asked, run.answer, approval, state, node.sandbox))
    return True


def _begin_wait(turn: Turn, run: Run) -> None:
    if run.node.when is not None and not _decide_when(turn, run):
        return
    try:
        turn.wait(run, questions.of_wait_step(run, resolve(run.node.params, lookup(turn.state, run)), turn.at))
    except (MissingValue, ValueError, OverflowError) as error:
        turn.fail_step(run, Failure("missing_value", str(error)))


def _decide_when(turn: Turn, run: Run) -> bool:
    """Whether the step is to be run; when not, it is settled here."""
    if run.node.when is None:
        return True
    try:
        if holds(run.node.when, lookup(turn.state, run)):
            return True
        turn.emit("step.skipped", {"reason": "when"}, run.id)
    except (MissingValue, TypeError) as error:
        turn.fail_step(run, Failure("bad_condition", f"when could not be decided: {error}"))
    return False


def _expand(turn: Turn, run: Run) -> None:
    node = run.node
    if node.for_each is None:
        # Only `when` made us look at it; it starts like any other step, in its turn.
        if not turn.slots.has_room(turn.state.running) or not _start(turn, run):
            turn.state.hold(run)
        return
    try:
        count = len(items(turn.state, run))
    except MissingValue as error:
        turn.fail_step(run, Failure("missing_value", str(error)))
    except TypeError as error:
        turn.fail_step(run, Failure("not_a_list", str(error)))
    else:
        turn.emit("step.expanded", {"count": count}, run.id)
        turn.gather(run)
