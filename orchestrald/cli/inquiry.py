"""What is told of a model that is asked: which, for what, since when, what it took, and what it has written so far?

Rules of this file:

- A call is in no snapshot. Its events count whatever their age, in their order.
- What has been written so far is display only: a broken answer may be in it, and the answer replaces it.
"""

from __future__ import annotations

from orchestrald.cli.text import duration, first_line, money, plural, safe, wrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrald.cli.terminal import Line

FOR = {
    "select": "which actions fit",
    "plan": "for a plan",
    "repair": "to mend its plan",
    "skill": "for a plan, with a skill",
    "explain": "to put it into words",
}
"""What a model is asked for, by the purpose of the call. Others are for a plan in some other way."""

_OVER = frozenset(
    {
        "model.answered",
        "model.failed",
        "plan.adopted",
        "plan.patched",
        "plan.concluded",
        "interaction.cancelling",
        "interaction.completed",
        "interaction.failed",
        "interaction.cancelled",
    }
)
"""Behind these no call is on its way any more. One that was stopped has no event of its own."""

KEPT = 8_000
"""Characters of what has been written: the end of it is shown."""
SHOWN = 4
LEFT_TO_THE_TREE = 8
"""Lines of a window."""


class Inquiry:
    """The call of one interaction that is on its way; an empty `model` means that none is."""

    def __init__(self) -> None:
        self.model = ""
        self.purpose = ""
        self.since: int | None = None
        self.written = ""

    def event(self, event: dict[str, Any]) -> None:
        kind = event.get("type", "")
        data = event.get("data") or {}
        if kind == "model.asked":
            self.forget()
            self.model, self.purpose = str(data.get("model") or "a model"), str(data.get("purpose", ""))
            self.since = event.get("at")
        elif kind in _OVER:
            self.model = ""
        if kind in {"model.failed", "assistant.output"}:
            self.written = ""

    def piece(self, text: str) -> None:
        self.written = (self.written + text)[-KEPT:]

    def forget(self) -> None:
        """Whoever asked is gone; a daemon that follows asks again."""
        self.model = self.written = ""

    def line(self, now: int) -> Line:
        """The call in words. `now` is in UTC microseconds."""
        took = "" if self.since is None else f"  {duration((now - self.since) / 1e6)}"
        return [(f"asking {safe(self.model)} {_for(self.purpose)}", "run"), (took, "dim")]

    def lines(self, width: int, height: int) -> list[Line]:
        """The end of what has been written, in at most SHOWN lines; none in a window that has no room beside a tree."""
        room = min(SHOWN, height - LEFT_TO_THE_TREE)
        return [[(line, "dim")] for line in wrap(self.written, width)[-room:]] if room > 0 else []


def told(kind: str, data: dict[str, Any]) -> Line | None:
    """One event about planning as one line, or None when it says nothing that other lines do not."""
    match kind:
        case "interaction.planning":
            why = _why(data)
            return [(why, "")] if why else None
        case "model.asked":
            return [(f"asking {safe(data.get('model') or 'a model')} {_for(data.get('purpose', ''))} ...", "dim")]
        case "model.answered":
            return [(f"{_who(data)} answered: {_took(data)}", "dim")]
        case "model.failed":
            return [(f"no answer: {_message(data)}", "wait")]
        case "plan.concluded":
            by = f" ({safe(data['planner'])})" if data.get("planner") else ""
            if data.get("achieved", True):
                return [(f"nothing more is to be done{by}", "")]
            return [(f"it cannot be done{by}", "wait")]
        case "plan.unobserved":
            return [(f"the planner is not asked again: {_message(data)}", "wait")]
        case _:
            return None


def _for(purpose: object) -> str:
    return FOR.get(str(purpose), "for a plan")


def _why(data: dict[str, Any]) -> str:
    match data.get("reason"):
        case "observed":
            return "looking at what came of it"
        case "replan":
            failed = f" of {safe(data['failed'])}" if data.get("failed") else ""
            return f"planning anew what failed{failed}"
        case "merged":
            return f"planning what joined it: {first_line(data.get('intent', ''))}"
        case _:
            return ""


def _who(data: dict[str, Any]) -> str:
    names = [safe(data[name]) for name in ("backend", "model") if data.get(name)]
    return "/".join(names) or "the model"


def _took(data: dict[str, Any]) -> str:
    tokens = data.get("tokens") or {}
    took = plural(tokens.get("input", 0) + tokens.get("output", 0), "token")
    cost = f", {money(data['cost'])}" if data.get("cost") is not None else ""
    return f"{took}{cost}, {duration(data.get('ms', 0) / 1000)}"


def _message(data: dict[str, Any]) -> str:
    error = data.get("error") or {}
    return first_line(error.get("message") or error.get("code") or "no reason was given")
