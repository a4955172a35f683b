"""Do an attempt's parameters, its output and its approval fit the action?

Empty schemas accept anything and cost nothing: a plan of ten thousand small steps would notice.
"""

from typing import Any

from orchestrald.core import schema
from orchestrald.core.approval import digest
from orchestrald.core.model import ActionSpec, Failure
from orchestrald.runner.base import Attempt, Failed

_SHOWN = 5


def input_for(spec: ActionSpec, params: dict[str, Any]) -> dict[str, Any] | Failed:
    """A copy of `params` with the schema's defaults applied, or why they do not fit. The attempt's stay untouched."""
    copied: dict[str, Any] = _copy(params)
    if not spec.input_schema:
        return copied
    filled: dict[str, Any] = schema.with_defaults(spec.input_schema, copied)
    problems = _problems(spec.input_schema, filled)
    return Failed(Failure("invalid_params", f"{spec.name} does not take that: {problems}")) if problems else filled


def output_failure(spec: ActionSpec, output: dict[str, Any]) -> Failed | None:
    if not spec.output_schema:
        return None
    problems = _problems(spec.output_schema, output)
    if not problems:
        return None
    return Failed(Failure("invalid_output", f"{spec.name} returned what its own schema forbids: {problems}"))


def approval_of(spec: ActionSpec, attempt: Attempt) -> Any:
    """The attempt's approval if it is for this very action and these parameters; else none, whoever passed it on."""
    said = attempt.approval
    fits = isinstance(said, dict) and said.get("bound") == digest(spec.name, attempt.params)
    return said if fits else None


def _problems(schema_: dict[str, Any], value: Any) -> str:
    faults = list(schema.errors(schema_, value))
    told = "; ".join(_told(fault.path, fault.message) for fault in faults[:_SHOWN])
    return told if len(faults) <= _SHOWN else f"{told}; and {len(faults) - _SHOWN} more"


def _told(path: Any, message: str) -> str:
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
    return f"{where}: {message}" if where else message


def _copy(value: Any) -> Any:
    # An action owns what it is given, and what it is given came from the core's state. copy.deepcopy takes 10 µs here.
    if type(value) is dict:
        return {key: _copy(inner) for key, inner in value.items()}
    if type(value) is list:
        return [_copy(inner) for inner in value]
    return value
