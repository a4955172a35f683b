"""What is different in a fork, as it is said on the command line?

A JSON merge patch (RFC 7396) by step id: null removes, objects are merged, everything else replaces.
"""

from __future__ import annotations

from orchestrald.cli.call import json_value
from orchestrald.cli.command import BadInput
from orchestrald.cli.text import safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def patch_of(given: list[str]) -> dict[str, Any]:
    """All of it as one patch; what is said later wins. Raises BadInput."""
    patch: dict[str, Any] = {}
    for each in given:
        _lay_over(patch, _read(each))
    return patch


def _read(given: str) -> dict[str, Any]:
    if given.startswith("@"):
        from orchestrald.cli.plan_file import read_plan

        return _by_step(read_plan(given[1:]), given[1:])
    if given.lstrip().startswith("{"):
        return _by_step(json_value(given, "--patch"), "--patch")
    path, equals, value = given.partition("=")
    is_json = path.endswith(":")
    keys = path.removesuffix(":").split(".")
    if not equals or not all(keys) or (len(keys) == 1 and not is_json):
        raise BadInput(
            f"A change is STEP.KEY=TEXT or STEP.KEY:=JSON, not {safe(given)}.",
            "STEP:=null removes a step; an object in JSON, or @FILE, changes several at once.",
        )
    found: Any = json_value(value, path) if is_json else value
    for key in reversed(keys):
        found = {key: found}
    return _by_step(found, "--patch")


def _by_step(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(each is None or isinstance(each, dict) for each in value.values()):
        raise BadInput(f"{safe(name)} must be a JSON object of step ids, each with what changes in it, or null.")
    return value


def _lay_over(below: dict[str, Any], above: dict[str, Any]) -> None:
    """Two patches as one. A null stays: it is for the plan that they will be applied to."""
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(below.get(key), dict):
            _lay_over(below[key], value)
        else:
            below[key] = value
