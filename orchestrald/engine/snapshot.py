"""What does an interaction look like from outside? States and rows as the socket's answers show them."""

from collections import Counter
from itertools import islice
from typing import Any

from orchestrald.core.graph import Node
from orchestrald.core.interaction import Interaction, Run
from orchestrald.core.model import Question
from orchestrald.core.states import FINISHED, StepState
from orchestrald.store.base import InteractionRow, WaitRow

MOST_WAITING = 100
"""Steps that a listed row names as waiting: a `for_each` of ten thousand that all ask would write all of them again."""


def snapshot(state: Interaction, *, outputs: bool, last_seq: int) -> dict[str, Any]:
    """The whole interaction: PROTOCOL.md names the keys. Keys without a value are left out."""
    data: dict[str, Any] = {
        "interaction_id": state.id,
        "thread_id": state.thread_id,
        "state": state.state.value,
        "intent": state.intent,
        "source": state.source,
        "by": state.by,
        "workspace": state.workspace,
        "created_at": state.created_at,
        "updated_at": state.updated_at,
        "steps": [_step(state, run, outputs) for run in ordered(state)],
        "counts": counts(state),
        "last_seq": last_seq,
    }
    if state.graph is not None and state.graph.plan.goal:
        data["goal"] = state.graph.plan.goal
    for name in ("ended_at", "answer", "planner", "forked_from"):
        if value := getattr(state, name):
            data[name] = value
    return data


def counts(state: Interaction) -> dict[str, int]:
    """Steps by state, each item of a `for_each` counted as a step, and `total`."""
    found = Counter(run.state.value for run in state.runs.values())
    return {"total": len(state.runs)} | {name.value: found.get(name.value, 0) for name in StepState}


def ordered(state: Interaction) -> list[Run]:
    """Plan order, the items of a `for_each` right behind their step; then what a replan has replaced, and why."""
    in_force = [row for run in state.by_node for row in (run, *(run.children or ()))]
    replaced = [run for run in state.runs.values() if run.state is StepState.SUPERSEDED]
    return [*in_force, *replaced]


def row(state: Interaction) -> InteractionRow:
    """The interaction as the store lists it."""
    return InteractionRow(
        interaction_id=state.id,
        thread_id=state.thread_id,
        state=state.state.value,
        intent=state.intent,
        source=state.source,
        by=state.by,
        workspace=state.workspace,
        created_at=state.created_at,
        updated_at=state.updated_at,
        ended_at=state.ended_at,
        answer=state.answer,
        waiting=tuple(islice(state.waiting, MOST_WAITING)),
        steps=len(state.runs),
        finished=len(state.runs) - state.unfinished,
        resting=state.resting,
    )


def wait_row(state: Interaction, run: Run) -> WaitRow:
    """A step that waits, as the store indexes it."""
    question = run.question
    assert question is not None
    return WaitRow(
        interaction_id=state.id,
        thread_id=state.thread_id,
        step_id=run.id,
        kind=question.kind,
        event_kind=question.event_kind,
        correlation=question.correlation,
        asked_at=run.asked_at or 0,
        due_at=run.due_at,
        action=run.node.action,
        question=shown_question(question),
    )


def shown_question(question: Question) -> dict[str, Any]:
    """Without the plugin's own opaque state, which is nobody else's business."""
    shown = question.to_json()
    shown.pop("state", None)
    return shown


def row_to_wire(listed: InteractionRow) -> dict[str, Any]:
    wire = listed._asdict() | {"waiting": list(listed.waiting)}
    del wire["resting"]
    return {name: value for name, value in wire.items() if value is not None}


def graph(state: Interaction) -> dict[str, Any]:
    """Nodes and edges, with the states; the items of a `for_each` are folded into their step's label."""
    nodes = [{**_node(run.node), "state": run.state.value, "label": _label(run)} for run in state.by_node]
    edges = [[state.by_node[s].id, run.id] for run in state.by_node for s in run.node.sources]
    return {"nodes": nodes, "edges": edges}


def plan_graph(nodes: tuple[Node, ...]) -> dict[str, Any]:
    """The same for a plan that does not run."""
    shown = [_node(node) | {"label": _name(node) + (" ×n" if node.for_each is not None else "")} for node in nodes]
    return {"nodes": shown, "edges": [[nodes[s].id, node.id] for node in nodes for s in node.sources]}


def _node(node: Node) -> dict[str, Any]:
    return {"id": node.id, "kind": node.kind, "action": node.action}


def _name(node: Node) -> str:
    return f"{node.id}: {node.action or node.kind}" if node.action != node.id else node.id


def _label(run: Run) -> str:
    if run.children is None:
        return _name(run.node)
    done = sum(child.state in FINISHED for child in run.children)
    return f"{_name(run.node)} [{done}/{len(run.children)}]"


def _sources(state: Interaction, run: Run) -> list[str]:
    """Empty for what was replaced: what it hung on has another place in the plan that is in force."""
    return [] if run.state is StepState.SUPERSEDED else [state.by_node[source].id for source in run.node.sources]


def _step(state: Interaction, run: Run, outputs: bool) -> dict[str, Any]:
    data: dict[str, Any] = {
        "step_id": run.id,
        "kind": run.node.kind,
        "action": run.node.action,
        "state": run.state.value,
        "attempt": run.attempt,
        "depends_on": _sources(state, run),
    }
    if run.parent is not None:
        data["parent"] = run.parent.id
    if run.revision > 1:
        data["revision"] = run.revision
    for name in ("started_at", "ended_at", "ms", "due_at", "reason"):
        if (value := getattr(run, name)) not in (None, ""):
            data[name] = value
    if run.failure is not None and run.state is not StepState.SUCCEEDED:
        data["error"] = run.failure.to_json()
    if run.question is not None and run.state is StepState.WAITING:
        data["question"] = shown_question(run.question)
    if run.stored is not None:
        data["stored"] = run.stored.to_json() | ({} if run.stored.digest in state.loaded else {"pruned": True})
    elif outputs and run.output is not None and run.children is None:
        data["output"] = run.output
    return data
