"""How does an event change the state?

Rules of this file:

- `evolve` is the only code that changes an `Interaction`, live and in replay alike, so both give the same state.
- It decides nothing and asks for nothing: an event is a fact, and every transition it makes stands in `states`.
- Its cost does not grow with the plan: a finished step touches its dependents, nobody else.
"""

from collections.abc import Callable, Iterable
from typing import Any

from orchestrald.core.binding import items
from orchestrald.core.events import Event
from orchestrald.core.graph import Graph, Node
from orchestrald.core.interaction import Conclusion, Interaction, Matter, Run
from orchestrald.core.model import Failure, Question, Stored
from orchestrald.core.states import IllegalMove, InteractionState, StepState, move_interaction, move_step

Data = dict[str, Any]


def evolve(state: Interaction, event: Event) -> None:
    """Apply one event. Raises IllegalMove when the event cannot follow what came before."""
    if event.type.startswith("step."):
        step = _STEP.get(event.type)
        if step is None:
            return  # a trace such as step.violation, which changes nothing
        try:
            run = state.runs[event.step_id]
        except KeyError:
            raise IllegalMove(f"{event.type} names the unknown step {event.step_id!r}") from None
        if event.type == "step.reset":
            _withdraw(state, run)
        _move(state, run, event.type)
        step(state, run, event.data, event.at)
    else:
        handler = _INTERACTION.get(event.type)
        if handler is not None:
            handler(state, event)
    state.updated_at = event.at


def fold(events: Iterable[Event], loaded: dict[str, Any] | None = None) -> Interaction:
    """The state after these events. `loaded` holds the stored outputs by digest; one that is missing reads as null."""
    state = Interaction(loaded=loaded or {})
    for event in events:
        evolve(state, event)
    return state


# --- the interaction ------------------------------------------------------------------------------------------------


def _submitted(state: Interaction, event: Event) -> None:
    data = event.data
    state.id = event.interaction_id
    state.thread_id = event.thread_id
    state.intent = state.matter = data.get("intent", "")
    state.source = data.get("source", "intent")
    state.by = data.get("by", "")
    state.workspace = data.get("workspace", "")
    state.labels = data.get("labels", {})
    state.max_replans = data.get("max_replans", 0)
    state.unattended = data.get("unattended", False)
    state.forked_from = data.get("forked_from", "")
    state.approved = data.get("approved", "")
    state.created_at = event.at


def _queued(state: Interaction, event: Event) -> None:
    _moved(state, event)
    state.queued = event.data["policy"]
    state.interrupts = tuple(event.data.get("interrupts", ()))
    state.carried = event.data.get("carried", {})
    if "plan" in event.data:
        state.graph = state.proposed or Graph.from_json(event.data)
        state.proposed = None


def _merged(state: Interaction, event: Event) -> None:
    state.merged.append(event.data["intent"])


def _moved(state: Interaction, event: Event) -> None:
    state.state = move_interaction(state.state, event.type)
    if state.state in _IDLE:
        state.idle_since = event.at if state.idle_since is None else state.idle_since
    elif state.idle_since is not None:
        state.idle += event.at - state.idle_since
        state.idle_since = None


def _planning(state: Interaction, event: Event) -> None:
    _moved(state, event)
    data = event.data
    again = data.get("again", False)
    state.replanning = data.get("failed", "")
    state.observing = data["reason"] == "observed"
    state.conclusion = state.unobserved = None
    state.merging = data["intent"] if data["reason"] == "merged" else ""
    if again:
        return
    state.rounds += 1
    state.replans += bool(state.replanning)
    state.asked += 1
    if settled := data.get("settled"):
        state.settled.append(Matter(state.matter, settled["text"], settled["achieved"]))
    if state.merging:
        state.matter = state.merged.pop(0)
        state.added = []
    if joined := data.get("joined"):
        state.joining = list(joined)
        state.merged = state.merged[len(joined) :]
    if state.merging or joined:
        state.asked, state.idle = 1, event.at - state.created_at


def _absent(state: Interaction, event: Event) -> None:
    state.idle += event.data["us"]


def _resumed(state: Interaction, event: Event) -> None:
    _moved(state, event)
    if unplanned := event.data.get("unplanned"):
        state.unplanned.append((unplanned, _failure(event.data["error"])))
    state.replanning = state.merging = ""
    state.observing = False


def _concluded(state: Interaction, event: Event) -> None:
    _moved(state, event)
    state.replanning = state.merging = ""
    state.observing = False
    _joined(state)
    state.conclusion = Conclusion(event.data["text"], event.data["achieved"])
    state.planner = event.data["planner"]


def _unobserved(state: Interaction, event: Event) -> None:
    _moved(state, event)
    state.observing = False
    state.unobserved = _failure(event.data["error"])
    state.unplanned += [(intent, state.unobserved) for intent in state.joining]
    state.joining = []


def _joined(state: Interaction) -> None:
    """The planner has dealt with what it was told of."""
    state.added += state.joining
    state.joining = []


def _reopened(state: Interaction, event: Event) -> None:
    _moved(state, event)
    state.ended_at, state.answer, state.failure, state.planning_failure = None, None, None, None
    # What it was in the middle of when it was cancelled is asked for anew, and not half remembered.
    given_up = [state.merging] if state.merging else state.joining
    state.merged = [*given_up, *state.merged, *(intent for intent, _ in state.unplanned)]
    state.joining = []
    state.unplanned, state.replanning, state.merging, state.observing = [], "", "", False
    state.conclusion, state.unobserved = None, None
    state.asked, state.idle = 0, event.at - state.created_at  # a person wants it: it has its rounds and time again
    state.reopened += 1


def _adopted(state: Interaction, event: Event) -> None:
    _moved(state, event)
    # Building the graph of a large plan costs far more than this event; `decide` has it already, replay has not.
    state.graph = graph = state.proposed or Graph.from_json(event.data)
    state.proposed = None
    state.planner = event.data.get("planner", "")
    state.max_replans = event.data.get("max_replans", state.max_replans)
    state.observes, state.seconds = event.data.get("observes", 0), event.data.get("seconds", 0.0)
    state.runs, state.by_node = {}, []
    for node in graph.nodes:
        _add(state, node, len(node.sources))


def _patched(state: Interaction, event: Event) -> None:
    """Put the new graph under the runs that stay; what was superseded stays in `runs` alone, for history."""
    _moved(state, event)
    state.graph = graph = state.proposed or Graph.from_json(event.data)
    if state.merging:
        state.planner = event.data["planner"]
        state.observes, state.seconds = event.data.get("observes", 0), event.data.get("seconds", 0.0)
        state.max_replans = state.replans + event.data.get("max_replans", state.max_replans - state.replans)
    state.proposed, state.replanning, state.merging, state.observing = None, "", "", False
    _joined(state)
    state.by_node, state.ready, state.held = [], [], {}
    for node in graph.nodes:
        kept = state.runs.get(node.id)
        if kept is None:
            _add(state, node, sum(not _satisfied(state, graph.nodes[i]) for i in node.sources))
        else:
            _keep(state, kept, node)


def _keep(state: Interaction, run: Run, node: Node) -> None:
    state.by_node.append(run)
    for i, part in enumerate((run, *(run.children or ()))):
        part.node, part.order = node, (node.index, i - 1)
        if part.queued:
            part.queued = 0  # its place was in the old order
            state.push(part)


def _satisfied(state: Interaction, node: Node) -> bool:
    run = state.runs.get(node.id)  # missing: it is new as well, and stands further down in the plan
    return run is not None and run.satisfied


def _ended(state: Interaction, event: Event) -> None:
    _moved(state, event)
    state.ended_at = event.at
    if error := event.data.get("error"):
        state.failure = _failure(error)


def _failure(error: Data, *, retryable: bool = False) -> Failure:
    return Failure(error["code"], error["message"], retryable, details=error.get("details"))


def _answered_in_words(state: Interaction, event: Event) -> None:
    state.answer = event.data["text"]


_IDLE = frozenset({InteractionState.WAITING, InteractionState.PAUSED, InteractionState.QUEUED})

_INTERACTION: dict[str, Callable[[Interaction, Event], None]] = {
    "interaction.submitted": _submitted,
    "interaction.queued": _queued,
    "interaction.merged": _merged,
    "interaction.planning": _planning,
    "interaction.absent": _absent,
    "interaction.waiting": _moved,
    "interaction.resumed": _resumed,
    "interaction.paused": _moved,
    "interaction.reopened": _reopened,
    "interaction.cancelling": _moved,
    "interaction.completed": _ended,
    "interaction.failed": _ended,
    "interaction.cancelled": _ended,
    "plan.adopted": _adopted,
    "plan.patched": _patched,
    "plan.concluded": _concluded,
    "plan.unobserved": _unobserved,
    "assistant.output": _answered_in_words,
}


# --- a step ---------------------------------------------------------------------------------------------------------


def _started(state: Interaction, run: Run, data: Data, at: int) -> None:
    run.attempt = data["attempt"]
    run.started_at = at if run.started_at is None else run.started_at
    run.due_at = None


def _expanded(state: Interaction, run: Run, data: Data, at: int) -> None:
    run.started_at = at
    run.open_children = data["count"]
    run.children = []
    for i, item in enumerate(items(state, run)):
        child = Run(f"{run.id}[{i}]", run.node, (run.node.index, i), 0, revision=run.revision, parent=run, item=item)
        run.children.append(child)
        state.runs[child.id] = child
    state.unfinished += run.open_children
    for child in run.children[: run.node.max_parallel]:
        run.let_in += 1
        state.push(child)


def _succeeded(state: Interaction, run: Run, data: Data, at: int) -> None:
    if run.children is not None:
        run.output = [child.output for child in run.children]
    else:
        _take_output(state, run, data)
    run.ms = data.get("ms")
    _satisfy(state, run, at)


def _take_output(state: Interaction, run: Run, data: Data) -> None:
    if "stored" in data:
        stored = data["stored"]
        run.stored = Stored(stored["digest"], stored["size"])
        run.output = state.loaded.get(stored["digest"])
    else:
        run.output = data["output"]


def _carried(state: Interaction, run: Run, data: Data, at: int) -> None:
    _take_output(state, run, data)
    _satisfy(state, run, at)


def _withdraw(state: Interaction, run: Run) -> None:
    """The opposite of `_satisfy`: what depends on the step waits for it again."""
    if run.satisfied:
        for index in run.node.dependents:
            dependent = state.by_node[index]
            dependent.unmet += 1
            dependent.queued = 0


def _reset(state: Interaction, run: Run, data: Data, at: int) -> None:
    """As it was before it first began, but for its revision: what it does now, it does on purpose a second time."""
    for child in run.children or ():
        del state.runs[child.id]
    run.begin_again()
    state.unfinished += 1
    if run.unmet == 0:
        state.push(run)


def _failed(state: Interaction, run: Run, data: Data, at: int) -> None:
    run.failure = _failure(data["error"])
    _finish(state, run, at)


def _retrying(state: Interaction, run: Run, data: Data, at: int) -> None:
    run.failure = _failure(data["error"], retryable=True)
    run.due_at = data["due_at"]
    run.retries += 1


def _waiting(state: Interaction, run: Run, data: Data, at: int) -> None:
    run.question = Question(**data["question"])
    run.due_at = run.question.due_at
    run.asked_at = at
    run.started_at = at if run.started_at is None else run.started_at


def _answered(state: Interaction, run: Run, data: Data, at: int) -> None:
    question = run.question
    if question is not None and question.kind == "approval":
        run.approval, run.consent = data["answer"], question
    elif question is not None and question.kind == "clarification":
        run.answer = data["answer"]
    run.due_at = None
    state.push(run)


def _skipped(state: Interaction, run: Run, data: Data, at: int) -> None:
    run.reason = data["reason"]
    run.output = data.get("value")
    if run.reason == "dependency":
        _finish(state, run, at)
    else:
        _satisfy(state, run, at)


def _stopped(state: Interaction, run: Run, data: Data, at: int) -> None:
    _finish(state, run, at)


def _superseded(state: Interaction, run: Run, data: Data, at: int) -> None:
    if run.ended_at is None:
        _finish(state, run, at)


def _interrupted(state: Interaction, run: Run, data: Data, at: int) -> None:
    if run.node.idempotent:
        state.push(run)


_STEP: dict[str, Callable[[Interaction, Run, Data, int], None]] = {
    "step.started": _started,
    "step.expanded": _expanded,
    "step.succeeded": _succeeded,
    "step.failed": _failed,
    "step.retrying": _retrying,
    "step.waiting": _waiting,
    "step.answered": _answered,
    "step.skipped": _skipped,
    "step.carried": _carried,
    "step.reset": _reset,
    "step.cancelled": _stopped,
    "step.superseded": _superseded,
    "step.interrupted": _interrupted,
}


def _add(state: Interaction, node: Node, unmet: int) -> None:
    run = Run(node.id, node, (node.index, -1), unmet)
    state.runs[node.id] = run
    state.by_node.append(run)
    state.unfinished += 1
    if unmet == 0:
        state.push(run)


def _move(state: Interaction, run: Run, event: str) -> None:
    """Change the step's state by the table, and keep the counters that depend on it."""
    before = run.state
    after = run.state = move_step(before, event)
    run.queued = 0
    if before is StepState.RUNNING:
        state.running -= run.children is None
    elif before is StepState.WAITING:
        del state.waiting[run.id]
    elif before is StepState.RETRYING:
        del state.retrying[run.id]
    if after is StepState.RUNNING:
        state.running += event != "step.expanded"
    elif after is StepState.WAITING:
        state.waiting[run.id] = run
    elif after is StepState.RETRYING:
        state.retrying[run.id] = run


def _finish(state: Interaction, run: Run, at: int) -> None:
    run.ended_at = at
    run.due_at = None
    run.question = None
    run.item = None
    state.unfinished -= 1
    parent = run.parent
    if parent is None:
        return
    parent.open_children -= 1
    children = parent.children or []
    # A finished item that had been let in makes room for the next one; one that was skipped before it was, makes none.
    if parent.state is StepState.RUNNING and run.order[1] < parent.let_in:
        while parent.let_in < len(children):
            following = children[parent.let_in]
            parent.let_in += 1
            if not following.finished:
                state.push(following)
                break


def _satisfy(state: Interaction, run: Run, at: int) -> None:
    """The step ended well enough for what depends on it."""
    _finish(state, run, at)
    if run.parent is not None:
        return
    for index in run.node.dependents:
        dependent = state.by_node[index]
        dependent.unmet -= 1
        if dependent.unmet == 0 and dependent.state is StepState.PENDING:
            state.push(dependent)
