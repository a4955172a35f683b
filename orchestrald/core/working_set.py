"""What may be kept for later, under which names, and what does a plan see of it?

Rules of this file:

- A place is a scope and a key, `thread.report`. Nothing is kept without being asked for by name, and nothing that is
  kept makes room for something else: what does not fit is refused, in words.
- A plan reads `{{memory.thread.report}}`. What it sees is fixed when it is adopted (`Graph.memory`), so that a replay
  needs no store; a step that must see what another one keeps refers to that step's output instead.
- A step keeps parts of its output by `remember: {"thread.report": "path.to[0].value"}`; an empty path is all of it.
  The outputs themselves are the fourth scope, `step`: `{{step.key}}`, which nobody else writes.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pydantic_core import to_json

from orchestrald.core.model import Failure
from orchestrald.core.references import MissingValue, Reference, follow, parse_reference

SCOPES = ("interaction", "thread", "global")
"""Scopes that are written: of one interaction, of all that happens in a thread, and everybody's."""

ROOT = "memory"
"""The name that references to it begin with."""

MAX_KEYS = 1_000
"""Of one owner: an interaction, a thread, the daemon."""

MAX_VALUE = 64 * 1024
"""Bytes of JSON of one value."""

MAX_SEEN = 1024 * 1024
"""Bytes of JSON that one plan may see: they are repeated in the event of its adoption."""

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")


class Place(NamedTuple):
    scope: str
    key: str

    def __str__(self) -> str:
        return f"{self.scope}.{self.key}"


class BadPlace(ValueError):
    """The text names no place. `hint` says how one is named."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


Target = tuple[Place, Reference]
"""Where a part of a step's output is kept, and which part."""


def place(scope: str, key: str) -> Place:
    """Raises BadPlace."""
    if scope not in SCOPES:
        own = "A step's own outputs are {{step.key}}. " if scope == "step" else ""
        raise BadPlace(f"there is no scope {scope!r} to keep anything in", f"{own}Scopes: {', '.join(SCOPES)}.")
    if _KEY.fullmatch(key) is None:
        hint = "Use letters, digits, _ and -, starting with a letter or _, at most 64."
        raise BadPlace(f"{key[:80]!r} cannot be a key", hint)
    return Place(scope, key)


def seen(reference: Reference) -> Place:
    """The place that `{{memory.thread.report.total}}` looks into. Raises BadPlace."""
    if len(reference.path) < 2:
        raise BadPlace(f"{{{{{reference}}}}} names no key", "Write {{memory.thread.key}}, with the scope and the key.")
    return place(str(reference.path[0]), str(reference.path[1]))


def target(step_id: str, where: str, path: str) -> Target:
    """One entry of a step's `remember`. Raises BadPlace or BadReference."""
    scope, dot, key = where.partition(".")
    if not dot:
        raise BadPlace(f"{where[:80]!r} names no place", "Write scope.key, for example thread.report.")
    return place(scope, key), parse_reference(step_id + ("." if path and not path.startswith("[") else "") + path)


def kept(targets: Iterable[Target], output: Any) -> list[dict[str, Any]] | Failure:
    """What a step's success writes, as the data of `memory.set`; or why the step fails of it."""
    written: list[dict[str, Any]] = []
    for (scope, key), part in targets:
        try:
            value = follow(output, part)
        except MissingValue as error:
            return Failure("missing_value", f"nothing to remember as {scope}.{key}: {error}")
        if problem := oversize(value):
            return Failure("memory_too_large", f"{scope}.{key} cannot be remembered: {problem}")
        written.append({"scope": scope, "key": key, "value": value})
    return written


def oversize(value: Any) -> str:
    """Why the value is too large to be kept; empty when it is not."""
    size = len(to_json(value))
    return f"it has {size} bytes of JSON, and {MAX_VALUE} are allowed" if size > MAX_VALUE else ""


def too_much(memory: Mapping[str, Mapping[str, Any]]) -> str:
    """Why a plan may not see all of this; empty when it may."""
    size = len(to_json(memory))
    problem = f"what the plan reads of memory comes to {size} bytes of JSON, and {MAX_SEEN} are allowed"
    return problem if size > MAX_SEEN else ""


def full(place: Place) -> str:
    """What is said when an owner has as many keys as it may have."""
    return f"{place} is not kept: its {place.scope} scope has {MAX_KEYS} keys already, and none is dropped for another"


def owner(scope: str, thread_id: str, interaction_id: str) -> str:
    """Whose place it is: the id of an interaction or thread; empty for the scope that is everybody's."""
    return {"interaction": interaction_id, "thread": thread_id}.get(scope, "")
