"""What does it mean to pause, resume, skip, retry or cancel, and to join or leave a queue?

All by events, on interactions that run, wait or are over: nothing is edited, and a replay sees what a person did.
Retrying is deliberate: the steps get a new revision, so a plugin sees another idempotency key than before.
"""

from typing import Any

from orchestrald.core import inputs as i
from orchestrald.core import questions
from orchestrald.core.effects import Log, SetTimer, StopAction, StopAsking
from orchestrald.core.graph import Graph
from orchestrald.core.interaction import Interaction, Run
from orchestrald.core.states import InteractionState as I
from orchestrald.core.states import StepState as S
from orchestrald.core.turn import Turn

_PAUSABLE = frozenset({I.PLANNING, I.EXECUTING, I.WAITING})
_MERGEABLE = frozenset({I.PLANNING, I.EXECUTING, I.WAITING, I.PAUSED})
_SKIPPABLE = frozenset({S.PENDING, S.WAITING, S.RETRYING})
_BUSY = frozenset({S.RUNNING, S.RETRYING, S.WAITING, S.INTERRUPTED})


def begin(turn: Turn, graph: Graph | None, proposed: i.PlanProposed | None = None) -> None:
    """Plan, or run what is planned; `proposed` missing: by whoever handed it in."""
    if graph is None:
        turn.emit("interaction.planning", {"reason": "intent"})
        turn.plan(turn.state.intent)
        return
    turn.state.proposed = graph
    data = {**graph.to_json(), "planner": proposed.planner if proposed else "caller"}
    turn.emit("plan.adopted", data if proposed is None else data | wishes(proposed))
    for step_id, result in turn.state.carried.items():
        if "artifact" in result:
            turn.emit("artifact.stored", result["artifact"], step_id)
        turn.emit("step.carried", {key: value for key, value in result.items() if key != "artifact"}, step_id)
    turn.state.carried = {}


def wishes(proposed: i.PlanProposed | i.PlanPatched) -> dict[str, Any]:
    """What the planner wants to do besides, as it stands in the event; empty when nothing."""
    wants: dict[str, Any] = {}
    if proposed.max_replans is not None:
        wants["max_replans"] = proposed.max_replans
    if proposed.observes:
        wants |= {"observes": proposed.observes, "seconds": proposed.seconds}
    return wants


def admitted(turn: Turn, it: i.Admitted) -> None:
    state = turn.state
    if state.state is not I.QUEUED or not state.id:
        turn.refuse("stale", "the interaction does not wait for its turn any more")
        return
    graph = state.graph
    begin(turn, graph if graph is None or it.memory is None else graph.seeing(it.memory))


def merged(turn: Turn, it: i.Merged) -> None:
    if turn.state.state not in _MERGEABLE or turn.state.explaining or turn.state.graph is None:
        # Without a plan of its own it may fail before it looks at anything else.
        turn.refuse("wrong_state", f"the interaction is {turn.state.state}: nothing can join it")
        return
    turn.emit("interaction.merged", {"intent": it.intent, "by": it.by})


def cancel(turn: Turn, it: i.CancelRequested) -> None:
    state = turn.state
    if state.final or state.state is I.CANCELLING:
        turn.refuse("wrong_state", f"the interaction is already {state.state}")
        return
    turn.ask(StopAsking())
    state.explaining = ""  # an outcome that was about to be explained is not the outcome any more
    turn.emit("interaction.cancelling", {"by": it.by, "reason": it.reason})
    for run in state.runs.values():
        if run.state is S.RUNNING and run.children is None:
            turn.ask(StopAction(run.id))


def pause(turn: Turn, it: i.PauseRequested) -> None:
    """Start nothing any more. What runs comes to its end, and its result is kept; waits can be answered."""
    state = turn.state
    if state.state not in _PAUSABLE or state.explaining:
        turn.refuse("wrong_state", f"an interaction that is {state.state} cannot be paused")
        return
    turn.emit("interaction.paused", {"by": it.by})


def resume(turn: Turn, it: i.ResumeRequested) -> None:
    state = turn.state
    if state.state is not I.PAUSED:
        turn.refuse("wrong_state", f"the interaction is {state.state}, not paused")
        return
    failed, joining, observing = state.replanning, state.merging, state.observing
    turn.emit("interaction.resumed", {"by": it.by})
    if failed:
        turn.emit("interaction.planning", {"reason": "replan", "failed": failed, "again": True})
        turn.plan(state.matter, failed, state.runs[failed].failure)
    elif joining:
        turn.emit("interaction.planning", {"reason": "merged", "intent": joining, "again": True})
        turn.plan(joining, joins=True)
    elif observing:
        turn.emit("interaction.planning", {"reason": "observed", "again": True})
        turn.plan(state.matter, joins=True)
    elif state.graph is None:
        turn.emit("interaction.planning", {"reason": "intent", "again": True})
        turn.plan(state.intent)
    else:
        for run in list(state.by_node):
            if run.state is S.FAILED and holds_back(state, run):
                turn.after_failure(run)


def skip(turn: Turn, it: i.SkipRequested) -> None:
    run = turn.state.runs.get(it.step_id)
    if run is None:
        turn.refuse("not_found", f"there is no step {it.step_id}")
    elif run.state not in _SKIPPABLE or turn.state.state is I.CANCELLING:
        turn.refuse("wrong_state", f"step {it.step_id} is {run.state}: only what has not begun or waits can be skipped")
    else:
        turn.emit("step.skipped", {"reason": "decision", "value": it.value, "by": it.by}, run.id)
        if run.parent is not None:
            turn.gather(run.parent)


def retry(turn: Turn, it: i.RetryRequested) -> None:
    """Run again what did not end well, or one step and everything downstream of it; the rest keeps its results."""
    state = turn.state
    if state.state in {I.QUEUED, I.PLANNING, I.CANCELLING} or state.explaining:
        turn.refuse("wrong_state", f"an interaction that is {state.state} cannot be retried")
        return
    if state.graph is None or not state.by_node:
        _retry_from_the_start(turn, it)
        return
    if it.from_step and it.from_step not in state.graph.index:
        item = it.from_step in state.runs
        what = "an item of a step: name the step" if item else "not a step of the plan"
        turn.refuse("not_found", f"{it.from_step} is {what}")
        return
    again = _again(state, it.from_step)
    busy = "" if state.final else next((run.id for run in again if run.state in _BUSY), "")
    if busy:
        turn.refuse("wrong_state", f"step {busy} is {state.runs[busy].state}: wait for it, answer it, or cancel")
        return
    given_up = state.final and state.unfinished
    if it.from_step and not given_up and not any(run.finished for run in again):
        turn.refuse("wrong_state", f"step {it.from_step} has not run yet")
        return
    missed = state.final and (_was_planning(state) or (state.conclusion is not None and not state.conclusion.achieved))
    if not again and not state.unplanned and not given_up and not missed:
        turn.refuse("wrong_state", "nothing has failed: name the step to retry from")
        return
    _reopen(turn, it)
    for run in again:
        if run.finished:
            turn.emit("step.reset", {}, run.id)


def _was_planning(state: Interaction) -> bool:
    """Whether it ended before its planner had said all that there was to say."""
    return state.observing or bool(state.merging or state.merged) or state.unobserved is not None


def _retry_from_the_start(turn: Turn, it: i.RetryRequested) -> None:
    """Of an interaction that never came to run a plan: nobody could make one, or it was cancelled in the queue."""
    state = turn.state
    if it.from_step:
        turn.refuse("not_found", f"step {it.from_step} was never begun: retry the whole interaction")
    elif not state.final:
        turn.refuse("wrong_state", f"the interaction is {state.state}: resume it")
    else:
        _reopen(turn, it)
        begin(turn, state.graph)


def _reopen(turn: Turn, it: i.RetryRequested) -> None:
    if turn.state.final:
        turn.emit("interaction.reopened", {"by": it.by, **({"from": it.from_step} if it.from_step else {})})
        for run in list(turn.state.runs.values()):  # it may have been given up in the middle, by a bug of ours
            take_up(turn, run)


def take_up(turn: Turn, run: Run) -> None:
    """Nobody is behind the step any more: run it again if that may be done unasked, else ask; set its timer again."""
    if run.state is S.RUNNING and run.children is None:
        turn.emit("step.interrupted", {"attempt": run.attempt}, run.id)
    if run.state is S.INTERRUPTED:
        _after_interruption(turn, run)
    elif run.state in {S.RETRYING, S.WAITING} and run.due_at is not None:
        turn.ask(SetTimer(run.id, run.due_at))


def _after_interruption(turn: Turn, run: Run) -> None:
    if turn.state.state is I.CANCELLING:
        turn.emit("step.cancelled", {}, run.id)
    elif not run.node.idempotent:
        turn.wait(run, questions.about_interruption(run))
        turn.ask(Log("warning", f"{run.id} was interrupted and may not be repeated: it waits for a decision"))


def _again(state: Interaction, from_step: str) -> list[Run]:
    """The steps that a retry resets, in plan order. Those that are pending anyway are among them.

    Whatever one of them depends on and that did not end well is retried too: it could never start otherwise.
    """
    graph = state.graph
    assert graph is not None
    bad = {run.node.index for run in state.by_node if run.finished and not run.satisfied}
    pending = [graph.index[from_step]] if from_step else list(bad)
    again: set[int] = set()
    while pending:
        for index in (first := pending.pop(), *graph.descendants(first)):
            if index not in again:
                again.add(index)
                pending += bad.intersection(graph.nodes[index].sources) - again
    return [state.by_node[index] for index in sorted(again)]


def holds_back(state: Interaction, run: Run) -> bool:
    """Whether a failure has not had its consequences: something still waits for what will never come."""
    assert state.graph is not None
    return any(state.by_node[i].state is S.PENDING for i in state.graph.descendants(run.node.index))
