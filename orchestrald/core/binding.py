"""What do a step's references mean, here and now?

`evolve` needs it as well as the scheduler: the items of a `for_each` are not written into its event, because they
follow from the state, and would repeat a payload that the journal already holds.
"""

from typing import Any

from orchestrald.core.interaction import Interaction, Run
from orchestrald.core.references import Lookup, MissingValue, follow, parse_reference, resolve


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


def lookup(state: Interaction, run: Run) -> Lookup:
    """What names mean to this step: outputs of earlier steps, and its item if it has one."""

    def find(name: str) -> Any:
        if run.parent is not None:
            if name == "item":
                return run.item
            if name == "index":
                return run.order[1]
        return state.runs[name].output

    return find


def items(state: Interaction, run: Run) -> list[Any]:
    """The items of a `for_each` step; null counts as none. Raises MissingValue, or TypeError when it is not a list."""
    found = resolve(run.node.for_each, lookup(state, run))
    if found is None:
        return []
    if not isinstance(found, list):
        raise TypeError(f"for_each needs a list, and got {type(found).__name__}")
    return found
