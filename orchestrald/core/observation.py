"""What may a planner see of what has been done so far?

Facts, step by step, in the order of the plan. Outputs are whole here: who writes a prompt of them cuts them to size.
"""

from typing import Any, NamedTuple

from orchestrald.core.interaction import Interaction, Run
from orchestrald.core.states import StepState


class Seen(NamedTuple):
    """One step. `does` is its action, or its kind if it waits. `output` missing: it left none.

    `stored` is the size in bytes of an output that is not at hand. `failure` has `code` and `message`. `done` and `of`
    count the items of a `for_each`; 0 of 0 for any other step. `replaced`: other steps stand in its place since.
    """

    id: str
    does: str
    state: str
    output: Any = None
    stored: int = 0
    failure: dict[str, Any] | None = None
    reason: str = ""
    done: int = 0
    of: int = 0
    replaced: bool = False


class Observed(NamedTuple):
    """`goal` is the plan's own word for what it was for. `round` counts plans and parts of plans, from 1: the number of
    the one that is asked for now. `left` is how many may follow it. `first` is what the interaction began with, where
    another intent is asked about now. `joined` are intents that came in since, and are to be dealt with as well.
    """

    steps: tuple[Seen, ...]
    goal: str = ""
    round: int = 1
    left: int = 0
    first: str = ""
    joined: tuple[str, ...] = ()


def seen(run: Run) -> Seen:
    children = run.children or ()
    return Seen(
        id=run.id,
        does=run.node.action or run.node.kind,
        state=run.state.value,
        output=run.output,
        stored=run.stored.size if run.stored is not None and run.output is None else 0,
        failure=run.failure.to_json() if run.failure and run.state is not StepState.SUCCEEDED else None,
        reason=run.reason,
        done=sum(child.state is StepState.SUCCEEDED for child in children),
        of=len(children),
        replaced=run.state is StepState.SUPERSEDED,
    )


def steps(state: Interaction) -> tuple[Seen, ...]:
    """The steps in force, then those that were replaced; items of a `for_each` are within their step."""
    replaced = [run for run in state.runs.values() if run.state is StepState.SUPERSEDED and run.parent is None]
    return tuple(seen(run) for run in (*state.by_node, *replaced))
