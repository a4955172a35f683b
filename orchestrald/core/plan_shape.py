"""Is this a plan at all, and of a size that we are willing to look at?

The first half of `normalize`: everything that can be said without knowing what an action or a reference is.
"""

import difflib
import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from orchestrald.core.model import Plan, Step
from orchestrald.core.references import Path
from orchestrald.errors import PlanError


class Problem(NamedTuple):
    """One fault of a plan. `path` is empty when the plan as a whole is at fault; `hint` may be empty."""

    path: str
    code: str
    message: str
    hint: str = ""

    def to_json(self) -> dict[str, str]:
        return {k: v for k, v in self._asdict().items() if v}


def counted(problems: Sequence[Problem]) -> str:
    """`one fault`, `3 faults`."""
    return "one fault" if len(problems) == 1 else f"{len(problems)} faults"


def faulty(problems: Sequence[Problem]) -> PlanError:
    """The error of a plan that has these, all of them in `data["problems"]`."""
    return PlanError(f"The plan has {counted(problems)}.", data={"problems": [each.to_json() for each in problems]})


class PlanLimits(NamedTuple):
    """How large a plan may be. The items of a `for_each` are limited where they become known, in `binding`."""

    steps: int = 20_000
    depth: int = 32
    size: int = 8 * 1024 * 1024


def oversize(raw: Any, limits: PlanLimits) -> list[Problem]:
    if not isinstance(raw, dict):
        return [Problem("", "not_an_object", "a plan is an object with a list of steps")]
    if _deeper_than(raw, limits.depth):
        return [Problem("", "too_deep", f"the plan is nested deeper than {limits.depth} levels")]
    try:
        size = len(json.dumps(raw, allow_nan=False))
    except (TypeError, ValueError) as error:
        return [Problem("", "not_json", f"the plan holds a value that JSON cannot carry: {error}")]
    if size > limits.size:
        return [Problem("", "too_large", f"the plan has {size} characters; the limit is {limits.size}")]
    steps = raw.get("steps")
    if isinstance(steps, list) and len(steps) > limits.steps:
        return [Problem("steps", "too_many_steps", f"the plan has {len(steps)} steps; the limit is {limits.steps}")]
    if isinstance(steps, list) and not steps:
        return [Problem("steps", "empty_plan", "the plan has no steps", "Give it at least one step.")]
    return []


def _deeper_than(value: Any, limit: int) -> bool:
    level: list[Any] = [value]
    for _ in range(limit):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return False
    return True


def from_original(raw: dict[str, Any]) -> dict[str, Any]:
    """The original's `imports` says nothing that references do not say; plans written for it still carry it."""
    steps = raw.get("steps")
    if not isinstance(steps, list):
        return raw
    return {**raw, "steps": [_original_step(step) if isinstance(step, dict) else step for step in steps]}


def _original_step(step: dict[str, Any]) -> dict[str, Any]:
    step = {key: value for key, value in step.items() if key != "imports"}
    if step.get("params", ...) is None:
        del step["params"]
    if "kind" not in step and step.get("action") in ("wait_user", "wait_event", "wait_until"):
        step["kind"] = step["action"]
    return step


def read_shape(raw: dict[str, Any]) -> tuple[Plan | None, list[Problem]]:
    try:
        return Plan.model_validate(raw), []
    except ValidationError as error:
        return None, [_shape_problem(item) for item in error.errors(include_url=False, include_input=False)]


def _shape_problem(item: Any) -> Problem:
    path = join(item["loc"])
    if item["type"] == "extra_forbidden":
        key = str(item["loc"][-1])
        known = Step.model_fields if len(item["loc"]) > 1 else Plan.model_fields
        return Problem(path, "unknown_key", f"there is no key {key!r} here", nearest(key, known))
    if item["type"] == "missing":
        return Problem(path, "missing_key", f"{item['loc'][-1]} is missing")
    return Problem(path, "wrong_shape", item["msg"].removeprefix("Value error, "))


def sound_steps(raw: dict[str, Any]) -> dict[int, Step]:
    sound: dict[int, Step] = {}
    for position, step in enumerate(raw["steps"] if isinstance(raw.get("steps"), list) else []):
        try:
            sound[position] = Step.model_validate(step)
        except ValidationError:
            continue
    return sound


def step_ids(raw: dict[str, Any]) -> set[str]:
    steps = raw.get("steps")
    return {s["id"] for s in steps if isinstance(s, dict) and isinstance(s.get("id"), str)} if steps else set()


def nearest(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    if close:
        return f"Did you mean {' or '.join(close)}?"
    if not names:
        return ""
    return f"Known here: {', '.join(names[:12])}{', …' if len(names) > 12 else ''}."


def join(parts: Iterable[str | int]) -> str:
    return append("", tuple(parts)).removeprefix(".")


def append(path: str, parts: Path) -> str:
    return path + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in parts)


def natural(path: str) -> list[tuple[int, int, str]]:
    """Sort key that puts steps[2] before steps[10]."""
    pieces = path.replace("]", "").replace("[", ".").split(".")
    return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in pieces]
