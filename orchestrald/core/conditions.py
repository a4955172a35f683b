"""When does a step's `when` hold?

A condition is a template whose value is taken as true or false, or an object with one operator:
`{"not": c}`, `{"all": [c...]}`, `{"any": [c...]}`, `{"exists": "{{ref}}"}`,
`{"eq"|"ne"|"lt"|"le"|"gt"|"ge"|"in": [a, b]}`.
False are: false, null, 0, "", "false", [] and {}. `exists` is false, not an error, when the value is missing.
"""

import operator
from collections.abc import Callable
from typing import Any

from orchestrald.core.references import Lookup, MissingValue, resolve

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "in": lambda a, b: a in b,
}
OPERATORS = frozenset({"not", "all", "any", "exists", *_COMPARE})


def holds(condition: Any, lookup: Lookup) -> bool:
    """Raises MissingValue for a missing reference, TypeError for values that cannot be compared."""
    if isinstance(condition, dict) and len(condition) == 1:
        name, argument = next(iter(condition.items()))
        if name == "not":
            return not holds(argument, lookup)
        if name == "all":
            return all(holds(part, lookup) for part in argument)
        if name == "any":
            return any(holds(part, lookup) for part in argument)
        if name == "exists":
            return _exists(argument, lookup)
        if name in _COMPARE:
            left, right = (resolve(side, lookup) for side in argument)
            return bool(_COMPARE[name](left, right))
    return _truth(resolve(condition, lookup))


def faults(condition: Any, path: str) -> list[tuple[str, str]]:
    """What is wrong with a condition before it is ever evaluated, as (path, message); empty means nothing."""
    if not isinstance(condition, dict):
        return []
    if len(condition) != 1 or not OPERATORS.issuperset(condition):
        return [(path, f"a condition has exactly one operator of {', '.join(sorted(OPERATORS))}")]
    name, argument = next(iter(condition.items()))
    if name == "not":
        return faults(argument, f"{path}.not")
    if name in {"all", "any"}:
        if not isinstance(argument, list):
            return [(f"{path}.{name}", "takes a list of conditions")]
        return [fault for i, part in enumerate(argument) for fault in faults(part, f"{path}.{name}[{i}]")]
    if name in _COMPARE and not (isinstance(argument, list) and len(argument) == 2):
        return [(f"{path}.{name}", "takes a list of two values")]
    return []


def _exists(argument: Any, lookup: Lookup) -> bool:
    try:
        return resolve(argument, lookup) is not None
    except MissingValue:
        return False


def _truth(value: Any) -> bool:
    return bool(value) and value != "false"
