"""What have people done to an interaction since it was asked for, and who?"""

from __future__ import annotations

import os

from orchestrald.cli.text import ago, first_line, safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrald.cli.terminal import Line

TYPES = (
    "interaction.submitted",
    "interaction.merged",
    "interaction.paused",
    "interaction.resumed",
    "interaction.reopened",
    "interaction.cancelling",
    "step.answered",
    "step.skipped",
    "step.failed",
)
"""The events that may say so: those of them that name nobody were nobody's doing."""


def who(by: str) -> str:
    """`you` for whoever looks on, else as the daemon names them."""
    return "you" if by == f"uid:{os.getuid()}" else safe(by)


def deeds(events: list[dict[str, Any]], now: int) -> list[Line]:
    """A line for each, oldest first; empty when nobody did anything. `now` is in UTC microseconds."""
    lines: list[Line] = []
    for event in events:
        data = event.get("data") or {}
        details = (data.get("error") or {}).get("details") or {}
        by = data.get("by") or details.get("by")
        said = _said(str(event.get("type", "")), safe(event.get("step_id") or ""), data) if by else ""
        if said:
            lines.append([(f"{who(str(by))} {said}", ""), (f"  {ago(int(event.get('at', now)), now)}", "dim")])
    return lines


def _said(kind: str, step: str, data: dict[str, Any]) -> str:  # noqa: PLR0911 -- a table of sentences
    match kind:
        case "interaction.submitted":
            return "agreed to exactly this plan" if data.get("approved") else ""
        case "interaction.merged":
            return f"joined it: {first_line(data.get('intent', ''))}"
        case "interaction.paused":
            return "paused it"
        case "interaction.resumed":
            return "resumed it"
        case "interaction.reopened":
            return "had it tried again" + (f" from {safe(data['from'])}" if data.get("from") else "")
        case "interaction.cancelling":
            reason = first_line(data.get("reason") or "")
            return "cancelled it" + (f": {reason}" if reason else "")
        case "step.answered":
            answer = data.get("answer")
            approved = isinstance(answer, dict) and answer.get("decision") == "approved"
            return f"approved {step}" if approved else f"answered {step}"
        case "step.skipped":
            return f"skipped {step}"
        case "step.failed":
            denied = (data.get("error") or {}).get("code") == "denied"
            return f"denied {step}" if denied else f"let {step} fail"
        case _:
            return ""
