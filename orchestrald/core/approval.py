"""May this step run, must a person be asked first, or must it not run at all?

Rules of this file:

- The operator's rules speak first: deny before ask before allow, whatever their order. Then the action's own
  `approval`. A plan, a model and a plugin have no word in it: a plugin may ask for a yes, never do without one.
- A yes is bound to a digest of the action, its exact parameters, the policy that it would run under, and what was
  shown. When any of these differs at the moment of starting, the yes is void and the question is asked again.
- The shell brings the rules in force with each input, as it brings the time; what they led to is in the events.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal, NamedTuple, Protocol

Word = Literal["deny", "ask", "allow"]
_STRICTEST_FIRST: tuple[Word, ...] = ("deny", "ask", "allow")


@dataclass(frozen=True, slots=True)
class Rule:
    """`action` is a pattern (`*`, `?`, `[abc]`), `params` are patterns by path (`options.force`): all must fit.

    Empty `params` fit any. A pattern that is no text must equal the value; a parameter that is missing fits none. Of a
    list a text pattern must fit any item, in an allow rule every one.
    """

    word: Word
    action: str
    params: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""

    def fits(self, action: str, params: Mapping[str, Any]) -> bool:
        return fnmatchcase(action, self.action) and all(
            _fits(params, path, pattern, self.word) for path, pattern in self.params.items()
        )

    def __str__(self) -> str:
        about = "".join(f" {path}={pattern}" for path, pattern in self.params.items())
        return self.reason or f"{self.word} {self.action}{about}"


class Verdict(NamedTuple):
    """`reason` says which rule spoke, in words. `rule` False: nobody did but the action itself."""

    word: Word
    reason: str = ""
    rule: bool = False


class Gate(Protocol):
    """The operator's word at this moment. `expires_us` missing: an open question never expires."""

    @property
    def expires_us(self) -> int | None: ...

    @property
    def unattended(self) -> Literal["queue", "deny"]: ...

    def verdict(self, action: str, approval: str, effects: str, params: Mapping[str, Any]) -> Verdict: ...

    def policy(self, action: str) -> str:
        """A word that changes whenever what the action may touch, or what it is, does."""
        ...


@dataclass(frozen=True, slots=True)
class Rules:
    """A gate from plain data. `auto` says which actions with `approval: auto` are asked about where no rule speaks.

    `declared` is (approval, effects) of the actions in force: a plan holds those of its time, and the stricter counts.
    """

    rules: Sequence[Rule] = ()
    auto: Literal["never", "destructive", "always"] = "never"
    unattended: Literal["queue", "deny"] = "queue"
    expires_us: int | None = None
    policies: Mapping[str, str] = field(default_factory=dict)
    declared: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def verdict(self, action: str, approval: str, effects: str, params: Mapping[str, Any]) -> Verdict:
        for word in _STRICTEST_FIRST:
            for rule in self.rules:
                if rule.word == word and rule.fits(action, params):
                    return Verdict(word, str(rule), rule=True)
        approval, effects = self._stricter(action, approval, effects)
        if approval == "always":
            return Verdict("ask", f"{action} may only run with a person's approval")
        if approval == "auto" and (self.auto == "always" or (self.auto == "destructive" and effects == "destructive")):
            return Verdict("ask", f"{action} is {effects}, and approvals.auto is {self.auto}")
        return Verdict("allow")

    def _stricter(self, action: str, approval: str, effects: str) -> tuple[str, str]:
        now = self.declared.get(action, (approval, effects))
        return (
            max(approval, now[0], key=("never", "auto", "always").index),
            max(effects, now[1], key=("read", "write", "destructive").index),
        )

    def policy(self, action: str) -> str:
        return self.policies.get(action, "")


NO_RULES: Gate = Rules()
"""No operator has said anything."""


def digest(action: str, params: dict[str, Any], policy: str = "", shown: Any = None) -> str:
    """What a yes is bound to. `shown` is what the person was shown besides; missing where that is the parameters."""
    what: list[Any] = [action, params, *([policy, shown] if policy or shown is not None else ())]
    canonical = json.dumps(what, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"


def _fits(params: Any, path: str, pattern: Any, word: Word) -> bool:
    value = params
    for part in path.split("."):
        if isinstance(value, list) and part.isascii() and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, Mapping) and part in value:
            value = value[part]
        else:
            return False
    if isinstance(pattern, str) and isinstance(
        value, list
    ):  # in doubt a rule that forbids fits, and one that allows not
        fits = [isinstance(item, str) and fnmatchcase(item, pattern) for item in value]
        return bool(fits) and all(fits) if word == "allow" else any(fits)
    if isinstance(pattern, str) and isinstance(value, str):
        return fnmatchcase(value, pattern)
    if type(value) in _NUMBERS and type(pattern) in _NUMBERS:
        return bool(value == pattern)
    return bool(type(value) is type(pattern) and value == pattern)


_NUMBERS = (int, float)
"""1 and 1.0 are one number to JSON Schema; true is none."""
