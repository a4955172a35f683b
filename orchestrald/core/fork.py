"""What is the plan of a fork, and which results does it bring along?

A fork is another interaction: the old one stays as it is. What depends on the step that it forks at is run again; what
does not keeps its result, so the patch may touch nothing else: a result would not be that of its step any more.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from orchestrald.core.interaction import Interaction, Run
from orchestrald.core.states import StepState
from orchestrald.errors import InvalidParams


class Fork(NamedTuple):
    """`plan` is untrusted and goes through `normalize`. `carried` is the data of step.carried, by step."""

    plan: dict[str, Any]
    carried: dict[str, dict[str, Any]]


def fork(state: Interaction, at_step: str, patch: Any) -> Fork:
    """`patch` holds a JSON merge patch (RFC 7396) per step id: null removes the step, an unknown id adds one.

    Raises InvalidParams for a patch that is no object, or that touches a step whose result is brought along.
    """
    graph = state.graph
    assert graph is not None
    first = graph.index[at_step]
    open_ = {graph.nodes[i].id for i in (first, *graph.descendants(first))}
    if not isinstance(patch, Mapping):
        raise InvalidParams("patch: must be an object of step ids, each with what changes in it.")
    kept = [run for run in state.by_node if run.id not in open_ and _has_result(run)]
    fixed = sorted(set(patch) & {run.id for run in kept})
    if fixed:
        raise InvalidParams(f"patch: {', '.join(fixed)} cannot change, as the fork at {at_step} keeps the result.")
    plan = graph.to_json()["plan"]
    steps = [merged for step in plan["steps"] if (merged := _patched(step, patch)) is not None]
    known = {step["id"] for step in plan["steps"]}
    steps += [{"id": name, **step} for name, step in patch.items() if name not in known and isinstance(step, Mapping)]
    carried = {run.id: _result(run.id, run, state.id) for run in kept}
    return Fork({**plan, "steps": steps}, carried)


def _has_result(run: Run) -> bool:
    """It succeeded, or a person gave it a value; a `when` that did not hold is asked again."""
    return run.state is StepState.SUCCEEDED or (run.state is StepState.SKIPPED and run.reason == "decision")


def _patched(step: dict[str, Any], patch: Mapping[str, Any]) -> Any:
    return _merge(step, patch[step["id"]]) if step["id"] in patch else step


def _merge(target: Any, patch: Any) -> Any:
    """RFC 7396: objects are merged, null removes, everything else replaces."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value)
    return merged


def _result(step_id: str, run: Run, interaction_id: str) -> dict[str, Any]:
    origin = {"interaction_id": interaction_id, "step_id": step_id}
    if run.stored is not None:
        return {"stored": run.stored.to_json(), "from": origin}
    return {"output": run.output, "from": origin}
