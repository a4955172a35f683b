"""Can this plan be run, and if not, what is wrong with it: all of it, at once?

Rules of this file:

- The plan is untrusted: a person's YAML, a model's JSON. It comes out as a `Graph`, or as every problem it has.
- A problem carries a path into the plan as it was handed over, a stable code, a sentence, and a hint. Its reader is
  often a model that must repair the plan in one go, so we never stop at the first.
- What a plan leaves out is derived (dependencies from references, exports from bindings); what it says is never
  widened: a plan may declare less than an action allows, not more.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from orchestrald.core import conditions, schema
from orchestrald.core.cycles import find_cycle
from orchestrald.core.graph import Graph, for_each_parts, freeze
from orchestrald.core.model import RESERVED_IDS, STEP_ID, ActionSpec, Plan, Step
from orchestrald.core.plan_shape import (
    PlanLimits,
    Problem,
    append,
    from_original,
    join,
    natural,
    nearest,
    oversize,
    read_shape,
    sound_steps,
    step_ids,
)
from orchestrald.core.references import BadReference, Path, Reference, parse, parse_reference, references, templates
from orchestrald.core.working_set import ROOT, BadPlace, Place, seen, target


def normalize(raw: Any, catalog: Mapping[str, ActionSpec], limits: PlanLimits = PlanLimits()) -> Graph | list[Problem]:
    """A graph that the executor can run, or every problem, ordered by path. Never raises for what a plan says."""
    problems = oversize(raw, limits)
    if problems:
        return problems
    raw = from_original(raw)
    plan, problems = read_shape(raw)
    if plan is None:
        # Shapes are broken somewhere, but the steps that are sound still deserve the rest of the checks, so that
        # one round of repair suffices.
        sound = sound_steps(raw)
        plan = Plan.model_construct(goal="", steps=tuple(sound.values()), on_complete=None, on_failure=None)
        positions, complete = list(sound), False
    else:
        positions, complete = list(range(len(plan.steps))), True
    checker = _Checker(plan, positions, step_ids(raw), catalog)
    found, steps = checker.run()
    problems += found
    if not problems and complete:
        plan = plan.model_copy(update={"steps": tuple(steps)})
        used = {step.action for step in steps if step.kind == "action"}
        return Graph.build(plan, {name: freeze(catalog[name]) for name in sorted(used)}, frozenset(checker.reads))
    return sorted(set(problems), key=lambda p: (natural(p.path), p.code))


class _Checker:
    """One walk over the steps, collecting problems and the steps as they will be run."""

    def __init__(self, plan: Plan, positions: list[int], ids: set[str], catalog: Mapping[str, ActionSpec]) -> None:
        self.plan = plan
        self.positions = positions
        self.ids = ids
        self.catalog = catalog
        self.by_id = {step.id: step for step in plan.steps}
        self.problems: list[Problem] = []
        self.reads: set[Place] = set()

    def run(self) -> tuple[list[Problem], list[Step]]:
        seen: set[str] = set()
        steps: list[Step] = []
        for position, step in zip(self.positions, self.plan.steps, strict=True):
            path = f"steps[{position}]"
            self._identity(step, path, seen)
            seen.add(step.id)
            self._action(step, path)
            steps.append(self._connect(step, path))
        for name, template in (("on_complete", self.plan.on_complete), ("on_failure", self.plan.on_failure)):
            if template is not None:
                self._references(template, name, allowed=frozenset({"error", "intent"}))
        self._cycles(steps)
        return self.problems, steps

    def _add(self, path: str, code: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(path, code, message, hint))

    def _identity(self, step: Step, path: str, seen: set[str]) -> None:
        if STEP_ID.fullmatch(step.id) is None:
            hint = "Use letters, digits, _ and -, starting with a letter, at most 64."
            self._add(f"{path}.id", "bad_id", f"{step.id!r} cannot be a step id", hint)
        elif step.id in RESERVED_IDS:
            self._add(
                f"{path}.id", "reserved_id", f"{step.id!r} means something else in references", "Rename the step."
            )
        if step.id in seen:
            self._add(
                f"{path}.id", "duplicate_id", f"another step is already called {step.id!r}", "Rename one of them."
            )

    def _action(self, step: Step, path: str) -> None:
        if step.kind != "action":
            self._wait(step, path)
            return
        spec = self.catalog.get(step.action)
        if spec is None:
            message = f"there is no action {step.action!r}" if step.action else "the step names no action"
            self._add(f"{path}.action", "unknown_action", message, nearest(step.action, self.catalog))
            return
        self._params(step, spec.input_schema, path)

    def _wait(self, step: Step, path: str) -> None:
        if step.for_each is not None:
            self._add(f"{path}.for_each", "wait_for_each", "a wait step cannot be repeated")
        if step.kind == "wait_until" and not {"at", "for"} & step.params.keys():
            hint = 'Give params {"at": "2026-01-31T09:00:00Z"} or {"for": "10m"}.'
            self._add(f"{path}.params", "missing_moment", "a wait_until step needs a moment", hint)
        if (answer := step.params.get("schema")) is not None:
            for problem in schema.check(answer):
                self._add(f"{path}.params.schema", "bad_schema", problem)

    def _params(self, step: Step, input_schema: dict[str, Any], path: str) -> None:
        """Literal parameters are checked now; what a reference will bring can only be checked when it is there."""
        if not input_schema:
            return
        bound = {binding.to for binding in step.io_bindings}
        params = {**step.params, **dict.fromkeys(bound, "")}
        try:
            unknown: set[Path] = {where for where, _ in references(step.params)} | {(name,) for name in bound}
        except BadReference:
            return
        for fault in schema.errors(input_schema, params):
            if fault.keyword in _STRUCTURAL or not any(_touches(fault.path, where) for where in unknown):
                where = join(("params", *fault.path))
                hint = _property_hint(fault.message, input_schema) if fault.keyword == "additionalProperties" else ""
                self._add(f"{path}.{where}", "invalid_params", fault.message, hint)

    def _connect(self, step: Step, path: str) -> Step:
        """The step with required bindings turned into references, and dependencies derived from all of them."""
        params = dict(step.params)
        sources: dict[str, None] = {}
        for i, binding in enumerate(step.io_bindings):
            where = f"{path}.io_bindings[{i}]"
            reference = self._binding(binding.source, where)
            if reference is None:
                continue
            if binding.to in step.params:
                self._add(f"{where}.to", "bound_twice", f"{binding.to!r} is also given in params", "Keep one of them.")
            sources[reference.root] = None
            if binding.required:
                params[binding.to] = f"{{{{{reference}}}}}"
        item = frozenset({"item", "index"}) if step.for_each is not None else frozenset[str]()
        for name, value, allowed in (
            ("params", step.params, item),
            ("when", step.when, item if step.for_each is None else frozenset[str]()),
            ("for_each", step.for_each, frozenset[str]()),
        ):
            sources.update(dict.fromkeys(self._references(value, f"{path}.{name}", allowed)))
        for message in conditions.faults(step.when, f"{path}.when"):
            self._add(message[0], "bad_condition", message[1], f"Operators: {', '.join(sorted(conditions.OPERATORS))}.")
        self._for_each(step, path)
        for i, name in enumerate(step.depends_on):
            self._known(name, f"{path}.depends_on[{i}]")
        self._remember(step, path)
        sources.pop("", None)
        sources.pop(ROOT, None)  # it is there from the beginning
        depends_on = tuple(dict.fromkeys((*step.depends_on, *sources)))
        return step.model_copy(
            update={
                "params": params,
                "depends_on": depends_on,
                "io_bindings": tuple(b for b in step.io_bindings if not b.required),
            }
        )

    def _binding(self, source: str, path: str) -> Reference | None:
        try:
            reference = parse_reference(source)
        except BadReference as error:
            self._add(f"{path}.from", "bad_reference", str(error))
            return None
        return reference if self._reference(reference, f"{path}.from") else None

    def _for_each(self, step: Step, path: str) -> None:
        if step.for_each is None:
            return
        items, max_parallel = for_each_parts(step.for_each)
        if isinstance(step.for_each, dict) and not {"items"} <= step.for_each.keys() <= {"items", "max_parallel"}:
            self._add(f"{path}.for_each", "bad_for_each", "for_each takes items and, if you like, max_parallel")
        elif not isinstance(items, str | list) or (isinstance(items, str) and "{{" not in items):
            hint = 'For example "{{list.files}}" or ["a", "b"].'
            self._add(f"{path}.for_each", "bad_for_each", "for_each takes a list or a reference to one", hint)
        if max_parallel is not None and (not isinstance(max_parallel, int) or max_parallel < 1):
            self._add(f"{path}.for_each.max_parallel", "bad_for_each", "max_parallel is a whole number above 0")

    def _references(self, value: Any, path: str, allowed: frozenset[str]) -> Iterable[str]:
        """The step ids that a value refers to, each reference checked."""
        roots: dict[str, None] = {}
        for where, text in templates(value):
            try:
                parts = parse(text)
            except BadReference as error:
                self._add(append(path, where), "bad_reference", str(error))
                continue
            for part in parts:
                if not isinstance(part, Reference) or part.root in allowed:
                    continue
                if self._reference(part, append(path, where)):
                    roots[part.root] = None
        return roots

    def _remember(self, step: Step, path: str) -> None:
        """Places that can be written, and parts that the output promises to have."""
        for where, part in step.remember.items():
            spot = f"{path}.remember.{where}"
            try:
                _, source = target(step.id, where, part)
            except BadPlace as error:
                self._add(spot, "bad_place", str(error), error.hint)
            except BadReference:
                hint = "For example report.total or [0].path; an empty text is the whole output."
                self._add(spot, "bad_reference", f"{part!r} is not a place in the step's output", hint)
            else:
                self._key(source, step, spot)

    def _reference(self, reference: Reference, path: str) -> bool:
        if reference.root == ROOT:
            try:
                self.reads.add(seen(reference))
            except BadPlace as error:
                self._add(path, "bad_place", str(error), error.hint)
            return True
        if reference.root in {"item", "index"}:
            self._add(path, "item_outside_for_each", f"{{{{{reference}}}}} only means something in a for_each step")
            return False
        if not self._known(reference.root, path):
            return False
        source = self.by_id.get(reference.root)
        if source is not None:
            self._key(reference, source, path)
        return True

    def _key(self, reference: Reference, source: Step, path: str) -> None:
        spec = self.catalog.get(source.action) if source.kind == "action" else None
        if not reference.path or source.for_each is not None or (spec is None and source.kind == "action"):
            return
        key = str(reference.path[0])
        promised: Iterable[str] = source.exports
        if not promised and spec is not None:
            shape = spec.output_schema
            if shape.get("additionalProperties", False) is not False or "properties" not in shape:
                return
            promised = shape["properties"]
        elif not promised:
            promised = WAIT_OUTPUTS[source.kind]
        if key not in promised:
            message = f"{source.id} ({source.action or source.kind}) does not return {key!r}"
            self._add(path, "unknown_output", message, nearest(key, promised))

    def _known(self, step_id: str, path: str) -> bool:
        if step_id in self.ids:
            return True
        self._add(path, "unknown_step", f"there is no step {step_id!r}", nearest(step_id, self.ids))
        return False

    def _cycles(self, steps: list[Step]) -> None:
        cycle = find_cycle({step.id: step.depends_on for step in steps})
        if cycle:
            position = self.positions[[step.id for step in steps].index(cycle[0])]
            round_trip = " → ".join((*cycle, cycle[0]))
            message = f"these steps wait for each other: {round_trip}"
            self._add(f"steps[{position}].depends_on", "cycle", message, "Remove one of these dependencies.")


WAIT_OUTPUTS: dict[str, tuple[str, ...]] = {
    "wait_user": ("answer", "by"),
    "wait_event": ("kind", "payload"),
    "wait_until": ("at",),
}
"""What a wait step leaves behind."""

_STRUCTURAL = frozenset({"required", "additionalProperties", "minProperties", "maxProperties", "dependentRequired"})
"""Keywords that look at an object's keys, which are known even where values are references."""


def _touches(fault: Path, reference: Path) -> bool:
    """Whether a fault could vanish once the reference has its value: one lies on the way to the other."""
    shorter = min(len(fault), len(reference))
    return fault[:shorter] == reference[:shorter]


def _property_hint(message: str, input_schema: dict[str, Any]) -> str:
    properties = ", ".join(sorted(input_schema.get("properties", {})))
    return f"The action takes: {properties}." if properties else "The action takes no parameters."
