"""What does an accepted plan look like to the executor?

A `Graph` is a plan that `normalize` has passed: nodes in plan order, edges both ways as indices, and for each node what
the executor needs to know of its action, frozen at the time of acceptance, so that a plugin reloaded later cannot
change how a running plan retries.
"""

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrald.core.model import ActionSpec, Plan, Retry, Step, StepKind, StepSandbox
from orchestrald.core.references import is_dynamic
from orchestrald.core.working_set import Place, Target, target


@dataclass(frozen=True, slots=True)
class Node:
    """One step, ready to be run. `sources` are the nodes that it depends on, `dependents` those that wait for it."""

    index: int
    id: str
    kind: StepKind
    action: str
    params: dict[str, Any]
    dynamic: bool
    optional: tuple[tuple[str, str], ...]
    when: Any
    for_each: Any
    max_parallel: int | None
    exports: tuple[str, ...]
    timeout: float | None
    retry: Retry
    idempotent: bool
    approval: str
    effects: str
    sandbox: StepSandbox | None
    sources: tuple[int, ...]
    dependents: list[int] = field(default_factory=list)
    remember: tuple[Target, ...] = ()


@dataclass(frozen=True, slots=True)
class Graph:
    """A plan that can be run. `specs` holds what is frozen of each action, by name.

    `reads` are the places in the working set that the plan names, `memory` what they held when it was adopted, by scope
    and key; a place that held nothing is missing.
    """

    plan: Plan
    specs: dict[str, dict[str, Any]]
    nodes: tuple[Node, ...]
    index: dict[str, int]
    reads: frozenset[Place] = frozenset()
    memory: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def build(cls, plan: Plan, specs: dict[str, dict[str, Any]], reads: frozenset[Place] = frozenset()) -> "Graph":
        """Connect a plan whose ids and dependencies are already known to be sound."""
        index = {step.id: i for i, step in enumerate(plan.steps)}
        nodes = tuple(_node(i, step, specs.get(step.action, {}), index) for i, step in enumerate(plan.steps))
        for node in nodes:
            for source in node.sources:
                nodes[source].dependents.append(node.index)
        return cls(plan, specs, nodes, index, reads)

    def to_json(self) -> dict[str, Any]:
        """The data of `plan.adopted`: enough to build the same graph again, without asking any plugin."""
        plan = self.plan.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        data = {"plan": plan, "specs": self.specs}
        return data | ({"reads": sorted(map(str, self.reads)), "memory": self.memory} if self.reads else {})

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Graph":
        reads = frozenset(Place(*spot.split(".")) for spot in data.get("reads", ()))
        return cls.build(Plan.model_validate(data["plan"]), data["specs"], reads).seeing(data.get("memory", {}))

    def digest(self, workspace: str) -> str:
        """Of what a person agrees to: the plan, what is frozen of its actions (another plugin of the same name makes
        another digest), and the folder that it would be run on."""
        plan = self.plan.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        what = {"plan": plan, "specs": self.specs, "workspace": workspace}
        canonical = json.dumps(what, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"

    def seeing(self, memory: dict[str, dict[str, Any]]) -> "Graph":
        """The same plan, with what the working set holds for it."""
        return replace(self, memory=memory) if self.reads else self

    def descendants(self, index: int) -> list[int]:
        """Every node downstream of `index`, in plan order, without itself."""
        seen: set[int] = set()
        pending = list(self.nodes[index].dependents)
        while pending:
            i = pending.pop()
            if i not in seen:
                seen.add(i)
                pending.extend(self.nodes[i].dependents)
        return sorted(seen)


def freeze(spec: ActionSpec) -> dict[str, Any]:
    """What a plan keeps of an action: how it retries, whether it may run twice, and which plugin it came from."""
    frozen: dict[str, Any] = {"idempotent": spec.idempotent, "effects": spec.effects}
    if spec.retry != Retry():
        frozen["retry"] = spec.retry.model_dump()
    for name in ("timeout", "plugin", "version", "digest"):
        if value := getattr(spec, name):
            frozen[name] = value
    if spec.approval != "auto":
        frozen["approval"] = spec.approval
    return frozen


def _node(index: int, step: Step, spec: dict[str, Any], ids: dict[str, int]) -> Node:
    items, max_parallel = for_each_parts(step.for_each)
    retry = step.retry or (Retry(**spec["retry"]) if "retry" in spec else Retry())
    return Node(
        index=index,
        id=step.id,
        kind=step.kind,
        action=step.action,
        params=step.params,
        dynamic=is_dynamic(step.params),
        optional=tuple((b.to, b.source) for b in step.io_bindings if not b.required),
        when=step.when,
        for_each=items,
        max_parallel=max_parallel,
        exports=step.exports,
        timeout=step.timeout if step.timeout is not None else spec.get("timeout"),
        retry=retry,
        # A plan may declare a step less repeatable than its action, never more: the action's author knows.
        idempotent=spec.get("idempotent", False) and step.idempotent is not False,
        approval=spec.get("approval", "auto"),
        effects=spec.get("effects", "destructive"),
        sandbox=step.sandbox,
        sources=tuple(ids[name] for name in dict.fromkeys(step.depends_on)),
        remember=tuple(target(step.id, where, path) for where, path in step.remember.items()),
    )


def for_each_parts(value: Any) -> tuple[Any, int | None]:
    """The items (a list, or a template of one) and the limit of a `for_each`; missing means the runtime's limit."""
    if isinstance(value, dict):
        return value.get("items"), value.get("max_parallel")
    return value, None
