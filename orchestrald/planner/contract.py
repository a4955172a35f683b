"""Which shape must a model's answer have?

A JSON Schema, built from the actions that are offered: one object, `type` first, so that a constrained decoder decides
what it says before it says it. Where it stays small, each action is a branch with its own parameters; else the names
alone are listed. It guides; what comes back is read (`answer`) and checked (the engine) in any case.
"""

from collections.abc import Sequence
from typing import Any

from orchestrald.core.model import ActionSpec
from orchestrald.planner.data import written
from orchestrald.planner.loose_schema import TEXT, loosened

MAX_BYTES = 24_000
"""Beyond it endpoints are slow to make a grammar of it, and it eats the window of those that put it into the prompt."""

_TEXTS: dict[str, Any] = {"type": "array", "items": TEXT}


def contract(
    actions: Sequence[ActionSpec],
    skills: Sequence[str],
    most: int = MAX_BYTES,
    *,
    refers: bool = True,
    asks: bool = True,
) -> dict[str, Any]:
    """The answer's schema, of at most `most` bytes where naming the actions alone does not take more.

    `skills` are those that may be asked for; none: SKILL is no answer. Not `refers`: there are no results yet that a
    single action could refer to. Not `asks`: nobody is there who could answer a question.
    """
    loose = [_branch(spec, refers=True) for spec in actions]
    rich = _answer(loose if refers else [_branch(spec, refers=False) for spec in actions], loose, skills, asks)
    if not actions or len(written(rich).encode()) <= most:
        return rich
    names = {"action": {"enum": [spec.name for spec in actions]}, "params": {"type": "object"}}
    return _answer([names], [names], skills, asks)


def selection(names: Sequence[str]) -> dict[str, Any]:
    """The shape of a choice among actions."""
    return _object({"actions": {"type": "array", "items": {"enum": list(names)}}}, ["actions"])


def _branch(spec: ActionSpec, *, refers: bool) -> dict[str, Any]:
    return {"action": {"const": spec.name}, "params": loosened(spec.input_schema, refers=refers)}


def _answer(
    single: list[dict[str, Any]], calls: list[dict[str, Any]], skills: Sequence[str], asks: bool
) -> dict[str, Any]:
    """`single` are the calls that stand alone, `calls` those of steps in a plan."""
    done = _typed("DONE", {"message": TEXT, "achieved": {"type": "boolean"}}, ["message"])
    ask = [_typed("NEED_INPUT", {"question": TEXT, "choices": _TEXTS}, ["question"])] if asks else []
    one = [_typed("SINGLE_ACTION", {**call, "why": TEXT}, ["action", "params"]) for call in single]
    steps = {"type": "array", "items": {"anyOf": [*map(_step, calls), *_waits(asks)]}}
    words = {"on_complete": TEXT, "on_failure": TEXT}
    plan = _typed("MINI_PLAN", {"goal": TEXT, "steps": steps, **words}, ["goal", "steps"])
    skill = [_typed("SKILL", {"name": {"enum": list(skills)}}, ["name"])] if skills else []
    return {"anyOf": [done, *ask, *one, plan, *skill]}


def _typed(name: str, properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return _object({"type": {"const": name}, **properties}, ["type", *required])


def _step(call: dict[str, Any]) -> dict[str, Any]:
    repeated = _object({"items": {"anyOf": [TEXT, {"type": "array"}]}, "max_parallel": {"type": "integer"}}, ["items"])
    rest = {"depends_on": _TEXTS, "for_each": {"anyOf": [TEXT, {"type": "array"}, repeated]}, **_ANY_STEP}
    return _object({"id": TEXT, "kind": {"const": "action"}, **call, **rest}, ["id", "action", "params"])


def _waits(asks: bool) -> list[dict[str, Any]]:
    params = {
        "wait_user": _object({"prompt": TEXT, "schema": {"type": "object"}}, ["prompt"]),
        "wait_event": _object({"kind": TEXT, "correlation": TEXT}, ["kind"]),
        "wait_until": {"anyOf": [_object({"for": TEXT}, ["for"]), _object({"at": TEXT}, ["at"])]},
    }
    return [
        _object(
            {"id": TEXT, "kind": {"const": kind}, "params": shape, "depends_on": _TEXTS, **_ANY_STEP},
            ["id", "kind", "params"],
        )
        for kind, shape in params.items()
        if asks or kind != "wait_user"
    ]


_ANY_STEP: dict[str, Any] = {
    "when": {"type": ["string", "boolean", "object"]},
    "timeout": {"type": ["string", "number"]},
}


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
