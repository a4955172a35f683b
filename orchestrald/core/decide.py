"""What follows from what happened?

Rules of this file:

- `decide` turns one input into events and effects. It moves the state only through `evolve`, so what it saw is what a
  replay will see. The shell commits the events first and performs the effects afterwards.
- Every (state, input) pair is a transition or a refusal with a name. Refusing changes nothing.
- Ready steps start in plan order, at once, as far as the slots go: no batch, no barrier.
- Nothing here knows a clock or a random number: both arrive in the input.
"""

from collections.abc import Callable
from typing import Any

from orchestrald.core import inputs as i
from orchestrald.core import questions, rounds, steering
from orchestrald.core.approval import NO_RULES, Gate
from orchestrald.core.binding import parameters
from orchestrald.core.effects import Explain, SetTimer
from orchestrald.core.interaction import Interaction, Run
from orchestrald.core.model import Failure
from orchestrald.core.retry import delay_us, may_retry
from orchestrald.core.scheduling import start_ready
from orchestrald.core.slots import UNLIMITED, Slots
from orchestrald.core.states import InteractionState as I
from orchestrald.core.states import StepState as S
from orchestrald.core.turn import Decision, Turn


def decide(state: Interaction, happened: i.Input, slots: Slots = UNLIMITED, gate: Gate = NO_RULES) -> Decision:
    """The consequences of one input. `state` has already moved when this returns."""
    turn = Turn(state, happened.at, slots, gate)
    _INPUTS[type(happened)](turn, happened)
    if turn.refusal is None and not state.final:
        _go_on(turn)
    return Decision(turn.events, turn.effects, turn.refusal)


def _go_on(turn: Turn) -> None:
    """Start what can start, and notice when nothing is left to do."""
    state = turn.state
    if state.state is I.WAITING and state.next_ready() is not None:
        turn.emit("interaction.resumed", {})
    if state.state is I.EXECUTING:
        start_ready(turn)
    _conclude(turn)


def _conclude(turn: Turn) -> None:
    state = turn.state
    if state.running:
        return
    if state.state is I.CANCELLING:
        _cancel_rest(turn)
        _explain(turn, "cancelled")
    elif state.state in {I.EXECUTING, I.WAITING} and not state.unfinished:
        if not state.explaining and not rounds.another(turn):
            _explain(turn, rounds.status(state))
    elif state.state is I.EXECUTING and state.waiting and not state.retrying and not _may_still_start(state):
        questions_ = {name: run.question.prompt for name, run in state.waiting.items() if run.question}
        turn.emit("interaction.waiting", {"steps": questions_})


def _may_still_start(state: Interaction) -> bool:
    return state.next_ready() is not None or any(state.next_held(action) for action in list(state.held))


def _explain(turn: Turn, status: str) -> None:
    if not turn.state.explaining:
        turn.state.explaining = status
        turn.ask(Explain(status))


def _cancel_rest(turn: Turn) -> None:
    """Everything that is not finished and does not run is over; parents last, since their items end them."""
    open_runs = [run for run in turn.state.runs.values() if not run.finished and run.children is None]
    open_runs += [run for run in turn.state.runs.values() if not run.finished and run.children is not None]
    for run in open_runs:
        if run.children is not None or run.state is not S.RUNNING:
            turn.emit("step.cancelled", {}, run.id)


# --- inputs ---------------------------------------------------------------------------------------------------------


def _submitted(turn: Turn, it: i.Submitted) -> None:
    state = turn.state
    if state.id:
        turn.refuse("wrong_state", "this interaction was already submitted")
        return
    state.id, state.thread_id = it.interaction_id, it.thread_id  # so that the first event can name them
    if it.new_thread:
        turn.emit("thread.created", {"title": it.intent[:80]})
    data: dict[str, Any] = {"intent": it.intent, "source": it.source, "by": it.by}
    if it.workspace:
        data["workspace"] = it.workspace
    if it.labels:
        data["labels"] = it.labels
    if it.max_replans:
        data["max_replans"] = it.max_replans
    if it.unattended:
        data["unattended"] = True
    if it.forked_from:
        data["forked_from"] = it.forked_from
    if it.approved:
        data["approved"] = it.approved
    turn.emit("interaction.submitted", data)
    if it.queued:
        _enqueue(turn, it)
        return
    state.carried = it.carried
    steering.begin(turn, it.graph)


def _enqueue(turn: Turn, it: i.Submitted) -> None:
    data: dict[str, Any] = {"policy": it.queued, "behind": list(it.behind)}
    if it.interrupts:
        data["interrupts"] = list(it.interrupts)
    if it.graph is not None:
        turn.state.proposed = it.graph
        data |= it.graph.to_json()
    if it.carried:
        data["carried"] = it.carried
    turn.emit("interaction.queued", data)


def _proposed(turn: Turn, it: i.PlanProposed) -> None:
    if not rounds.is_asked(turn.state, it.round) or _patching(turn.state):
        turn.refuse("stale", "nobody waits for a plan any more")
        return
    steering.begin(turn, it.graph, it)


def _patching(state: Interaction) -> bool:
    return bool(state.replanning or state.merging or state.observing)


def _patched(turn: Turn, it: i.PlanPatched) -> None:
    state = turn.state
    if not rounds.is_asked(state, it.round) or not _patching(state):
        turn.refuse("stale", "nobody waits for a replacement any more")
        return
    for name in it.superseded:
        if state.runs[name].state is not S.SUPERSEDED:
            turn.emit("step.superseded", {}, name)
    state.proposed = it.graph
    turn.emit(
        "plan.patched", {**it.graph.to_json(), "planner": it.planner, **(steering.wishes(it) if state.merging else {})}
    )
    for run in list(state.by_node):  # what is new may hang on what has failed meanwhile, or was cancelled before
        if run.finished and not run.satisfied:
            turn.skip_downstream(run)


def _planning_failed(turn: Turn, it: i.PlanningFailed) -> None:
    if not rounds.is_asked(turn.state, it.round):
        turn.refuse("stale", "nobody waits for a plan any more")
        return
    if turn.state.observing:
        turn.emit("plan.unobserved", {"error": it.failure.to_json()})
        return
    if turn.state.replanning:
        turn.skip_downstream(turn.state.runs[turn.state.replanning])
        turn.emit("interaction.resumed", {"reason": it.failure.message})
        return
    if turn.state.merging:
        unplanned = {"unplanned": turn.state.merging, "error": it.failure.to_json()}
        turn.emit("interaction.resumed", {"reason": it.failure.message, **unplanned})
        return
    turn.state.planning_failure = it.failure
    _explain(turn, "failed")


def _running(turn: Turn, step_id: str) -> Run | None:
    run = turn.state.runs.get(step_id)
    if run is None or run.state is not S.RUNNING or run.children is not None:
        turn.refuse("stale", f"step {step_id} does not run any more")
        return None
    return run


def _succeeded(turn: Turn, it: i.ActionSucceeded) -> None:
    run = _running(turn, it.step_id)
    if run is None:
        return
    missing = [name for name in run.node.exports if _absent(it.output, name)]
    if missing:
        turn.fail_step(run, Failure("missing_exports", f"the action did not return {', '.join(missing)}"))
        return
    result = {"output": it.output}
    if it.digest:
        turn.state.loaded[it.digest] = it.output
        result = {"stored": {"digest": it.digest, "size": it.size}}
    turn.succeed(run, {**result, "ms": it.ms}, it.output, it.artifacts)


def _absent(output: Any, name: str) -> bool:
    return not isinstance(output, dict) or output.get(name) is None


def _failed(turn: Turn, it: i.ActionFailed) -> None:
    run = _running(turn, it.step_id)
    if run is None:
        return
    failures = run.retries + 1  # not `attempt`: one that the daemon did not survive says nothing about the action
    if turn.state.state is not I.CANCELLING and may_retry(run.node.retry, failures, it.failure):
        due_at = it.at + delay_us(run.node.retry, failures, it.failure, it.jitter)
        error = it.failure.to_json()
        turn.emit("step.retrying", {"error": error, "attempt": run.attempt, "due_at": due_at}, run.id)
        turn.ask(SetTimer(run.id, due_at))
        return
    turn.fail_step(run, it.failure)


def _asked(turn: Turn, it: i.ActionAsked) -> None:
    run = _running(turn, it.step_id)
    if run is None:
        return
    if it.question.kind == "approval":
        questions.ask_approval(turn, run, it.question, parameters(turn.state, run))
    else:
        turn.wait(run, it.question)


def _stopped(turn: Turn, it: i.ActionStopped) -> None:
    run = _running(turn, it.step_id)
    if run is not None:
        turn.emit("step.cancelled", {}, run.id)


def _timer(turn: Turn, it: i.TimerFired) -> None:
    run = turn.state.runs.get(it.step_id)
    if run is None or run.due_at is None or run.due_at > it.at:
        turn.refuse("stale", f"step {it.step_id} waits for no such moment")
    elif run.state is S.RETRYING:
        turn.state.push(run)
    elif run.state is S.WAITING and run.question is not None and run.question.kind == "until":
        turn.succeed(run, {"output": {"at": it.at}}, {"at": it.at})
    elif run.state is S.WAITING and run.question is not None and run.question.kind == "approval":
        turn.fail_step(run, Failure("denied", "the question expired before anybody approved it"))
    elif run.state is S.WAITING:
        turn.fail_step(run, Failure("timeout", "nobody answered in time"))
    else:
        turn.refuse("stale", f"step {it.step_id} waits for no moment")


def _slots_freed(turn: Turn, it: i.SlotsFreed) -> None:
    """Nothing happened to the interaction itself: `_go_on` does the rest."""


def _answered(turn: Turn, it: i.Answered) -> None:
    run = turn.state.runs.get(it.step_id)
    if run is None:
        turn.refuse("not_found", f"there is no step {it.step_id}")
    elif run.state is not S.WAITING or run.question is None:
        turn.refuse("wrong_state", f"step {it.step_id} waits for no answer: it is {run.state}")
    elif turn.state.state is I.CANCELLING:
        turn.refuse("wrong_state", "the interaction is being cancelled")
    else:
        refusal = questions.answer(turn, run, run.question, it)
        if refusal:
            turn.refuse(*refusal)


def _event_arrived(turn: Turn, it: i.EventArrived) -> None:
    run = turn.state.runs.get(it.step_id)
    waits = run is not None and run.state is S.WAITING and run.question is not None and run.question.kind == "event"
    if run is None or not waits or turn.state.state is I.CANCELLING:  # what is doomed leaves it to another
        turn.refuse("stale", f"step {it.step_id} waits for no event")
        return
    output = {"kind": it.kind, "payload": it.payload}
    turn.succeed(run, {"output": output, "event": it.seq}, output)


def _recovered(turn: Turn, it: i.Recovered) -> None:
    """Re-issue what was asked and not answered, and never silently what may not be done twice.

    A commit is atomic, so a state has all consequences of its last input. We derive them again all the same: it costs
    one pass, and makes every prefix of a journal, however it was cut, one that ends.
    """
    state = turn.state
    if state.observes and state.state in {I.PLANNING, I.EXECUTING}:
        turn.emit("interaction.absent", {"us": max(turn.at - state.updated_at, 0)})
    if state.state is I.QUEUED and not state.queued:
        turn.emit("interaction.planning", {"reason": "recovered"})
    if state.state is I.PLANNING:
        failed = state.runs.get(state.replanning)
        if state.merging or state.observing:
            turn.plan(state.matter, joins=True)
        else:
            turn.plan(state.matter, state.replanning, failed.failure if failed else None)
    for run in list(state.runs.values()):
        steering.take_up(turn, run)
        if run.state is S.FAILED and run.parent is None and run.id != state.replanning:
            if steering.holds_back(state, run):
                turn.after_failure(run)
        elif run.children is not None:
            turn.gather(run)


def _explained(turn: Turn, it: i.Explained) -> None:
    state = turn.state
    status = state.explaining
    if not status or status != it.status:
        turn.refuse("stale", "this outcome is not the one that waits for words")
        return
    state.explaining = ""
    turn.emit("assistant.output", {"text": it.text, "status": status})
    data: dict[str, Any] = {}
    if status == "failed":
        data["error"] = rounds.first_failure(state).to_json()
    turn.emit(f"interaction.{status}", data)


_INPUTS: dict[type[Any], Callable[[Turn, Any], None]] = {
    i.Submitted: _submitted,
    i.PlanProposed: _proposed,
    i.PlanPatched: _patched,
    i.PlanConcluded: rounds.concluded,
    i.PlanningFailed: _planning_failed,
    i.ActionSucceeded: _succeeded,
    i.ActionFailed: _failed,
    i.ActionAsked: _asked,
    i.ActionStopped: _stopped,
    i.TimerFired: _timer,
    i.SlotsFreed: _slots_freed,
    i.Answered: _answered,
    i.EventArrived: _event_arrived,
    i.CancelRequested: steering.cancel,
    i.PauseRequested: steering.pause,
    i.ResumeRequested: steering.resume,
    i.SkipRequested: steering.skip,
    i.RetryRequested: steering.retry,
    i.Admitted: steering.admitted,
    i.Merged: steering.merged,
    i.Recovered: _recovered,
    i.Explained: _explained,
}
