"""What would a plan do, as far as it can be told before it is run?

Who must agree depends on parameters; where those are known only when the step starts, the answer is not `certain`. What
a plugin itself will ask for nobody can tell in advance.
"""

from typing import NamedTuple

from orchestrald.core.approval import Gate
from orchestrald.core.graph import Graph


class Foreseen(NamedTuple):
    """One action of a plan. `word` is `allow`, `ask` or `deny`; `reason` is empty when nobody said anything."""

    step_id: str
    action: str
    effects: str
    idempotent: bool
    word: str
    reason: str
    certain: bool


def foresee(graph: Graph, gate: Gate) -> list[Foreseen]:
    """The actions of the plan, in its order; waits do nothing."""
    found = []
    for node in graph.nodes:
        if node.kind == "action":
            verdict = gate.verdict(node.action, node.approval, node.effects, node.params)
            dynamic = node.dynamic or bool(node.optional) or node.for_each is not None
            about = (node.id, node.action, node.effects, node.idempotent)
            found.append(Foreseen(*about, verdict.word, verdict.reason, not dynamic))
    return found
