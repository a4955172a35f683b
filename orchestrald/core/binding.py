"""What do a step's references mean, here and now?

`evolve` needs it as well as the scheduler: the items of a `for_each` are not written into its event, because they
follow from the state, and would repeat a payload that the journal already holds.
"""

from typing import Any

from pydantic_core import to_json

from orchestrald.core.interaction import Interaction, Run
from orchestrald.core.references import Lookup, MissingValue, follow, parse_reference, resolve
from orchestrald.core.working_set import ROOT, SCOPES

MAX_PARAMS = 16 * 1024 * 1024
"""Bytes of JSON that a step's parameters may come to."""

MAX_ITEMS = 20_000
"""Items of one `for_each`: as many as a plan may have steps."""


def parameters(state: Interaction, run: Run) -> dict[str, Any]:
    """The step's parameters with every reference replaced. Raises MissingValue."""
    node = run.node
    if not node.dynamic and not node.optional:
        return node.params
    find = lookup(state, run)
    params: dict[str, Any] = resolve(node.params, find)
    for name, source in node.optional:
        reference = parse_reference(source)
        try:
            params[name] = follow(find(reference.root), reference)
        except MissingValue:
            continue
    return params


def oversize(run: Run, params: dict[str, Any]) -> str:
    """Why resolved parameters are too large to be handed on; empty when they are not.

    References multiply what they name: five steps that each say `{{before.x}}` twenty times make 300 MB of 100 bytes.
    """
    if not run.node.dynamic:
        return ""
    size = len(to_json(params))
    return f"its parameters come to {size} bytes of JSON, and {MAX_PARAMS} are allowed" if size > MAX_PARAMS else ""


def lookup(state: Interaction, run: Run) -> Lookup:
    """What names mean to this step: outputs of earlier steps, the working set, and its item if it has one."""

    def find(name: str) -> Any:
        if run.parent is not None:
            if name == "item":
                return run.item
            if name == "index":
                return run.order[1]
        if name == ROOT:
            return remembered(state)
        return state.runs[name].output

    return find


def remembered(state: Interaction) -> dict[str, dict[str, Any]]:
    """What the plan sees of the working set, by scope and key. A scope of which it sees nothing is empty."""
    seen = state.graph.memory if state.graph else {}
    return {scope: seen.get(scope, {}) for scope in SCOPES}


def items(state: Interaction, run: Run) -> list[Any]:
    """The items of a `for_each` step; null counts as none. Raises MissingValue, TypeError when it is no such list."""
    found = resolve(run.node.for_each, lookup(state, run))
    if found is None:
        return []
    if not isinstance(found, list):
        raise TypeError(f"for_each needs a list, and got {type(found).__name__}")
    if len(found) > MAX_ITEMS:
        raise TypeError(f"for_each takes at most {MAX_ITEMS} items, and got {len(found)}")
    return found
