"""What is the smallest scenario that fails in the same way?

Takes things away, or makes them plain, for as long as the same invariant does not hold. What is left is not minimal by
proof, only by patience.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

from simulation.operations import Submit
from simulation.plans import Step
from simulation.scenario import Scenario

TRIALS = 3_000
"""After so many we show what we have: about ten seconds."""


def shrink(scenario: Scenario, fails: Callable[[Scenario], bool], trials: int = TRIALS) -> Scenario:
    """The smallest scenario found for which `fails` is true, as it is for the one given."""
    left = trials
    shrunk = True
    while shrunk and left > 0:
        shrunk = False
        for smaller in _smaller(scenario):
            left -= 1
            if fails(smaller):
                scenario, shrunk = smaller, True
                break
            if left <= 0:
                break
    return scenario


def _smaller(scenario: Scenario) -> Iterator[Scenario]:
    """Scenarios a little simpler than this one, the boldest first."""
    for operations in _without(scenario.operations):
        yield replace(scenario, operations=operations)
    for i, operation in enumerate(scenario.operations):
        for simpler in _simpler(operation):
            yield replace(scenario, operations=(*scenario.operations[:i], simpler, *scenario.operations[i + 1 :]))
    if scenario.slots != (4, 8):
        yield replace(scenario, slots=(4, 8))


def _without(whole: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """Halves, quarters, and so on down to one missing: delta debugging."""
    size = len(whole) // 2
    while size:
        for start in range(0, len(whole), size):
            yield (*whole[:start], *whole[start + size :])
        size //= 2
    if len(whole) == 1:
        yield ()


def _simpler(operation: Any) -> Iterator[Any]:
    if isinstance(operation, Submit):
        for steps in _plainer_plans(operation.steps):
            if steps:
                yield replace(operation, steps=steps)
        for steps in _plainer_plans(operation.replacement or ()):
            yield replace(operation, replacement=steps or None)
    for field in fields(operation):
        value = getattr(operation, field.name)
        if field.name in _PLAIN and value != _PLAIN[field.name]:
            yield replace(operation, **{field.name: _PLAIN[field.name]})
        elif field.name in {"instants", "once_more"} and value:
            yield replace(operation, **{field.name: value // 2})
            yield replace(operation, **{field.name: value - 1})


_PLAIN: dict[str, Any] = {
    "planner": "",
    "policy": None,
    "unattended": False,
    "correlation": None,
    "thread": "",
    "again": None,
    "once_more": 0,
    "patience": None,
    "at": 0.0,
    "pick": 0,
    "how": "rightly",
    "lands": False,
    "rest": 0.5,
    "drain": 0.0,
    "seconds": 1.0,
}
"""What a reader need not think about."""


def _plainer_plans(steps: tuple[Step, ...]) -> Iterator[tuple[Step, ...]]:
    for kept in _without(steps):
        names = {step["id"] for step in kept}
        yield tuple(_detached(step, names) for step in kept)
    for i, step in enumerate(steps):
        for plainer in _plainer_steps(step):
            yield (*steps[:i], plainer, *steps[i + 1 :])


def _detached(step: Step, names: set[str]) -> Step:
    """The step without the dependencies that are gone."""
    if "depends_on" not in step:
        return step
    return {**step, "depends_on": [name for name in step["depends_on"] if name in names]}


def _plainer_steps(step: Step) -> Iterator[Step]:
    for key in ("timeout", "when", "for_each", "depends_on", "remember"):
        if key in step:
            yield {name: value for name, value in step.items() if name != key}
    params = step.get("params", {})
    for key in ("from", "known"):
        if key in params:
            yield {**step, "params": {name: value for name, value in params.items() if name != key}}
    does = params.get("does", ["ok"])
    if len(does) > 1:
        yield {**step, "params": {**params, "does": does[:1]}}
    if does != ["ok"]:
        yield {**step, "params": {**params, "does": ["ok"]}}
    if step.get("action", "work") != "work":
        yield {**step, "action": "work"}
