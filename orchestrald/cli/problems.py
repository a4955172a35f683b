"""How is a refusal told, so that the reader can act on it?"""

from __future__ import annotations

import sys

from orchestrald.cli.command import AT_FAULT_IS_DAEMON, BAD_REQUEST, DAEMON_TROUBLE, UNREACHABLE
from orchestrald.cli.text import safe, safe_lines
from orchestrald.client import ClientError, Dropped, Refused, Unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrald.cli.terminal import Line


ONLY_THE_LIST = frozenset({"invalid_plan", "invalid_params"})
"""Kinds whose hint says no more than that there is a list of faults, which is printed."""


def complain(error: ClientError) -> int:
    """Tell it; the exit code that says who must act."""
    from orchestrald.cli.terminal import Terminal

    Terminal(sys.stderr).print(*complaint(error))
    if isinstance(error, Unreachable | Dropped):
        return UNREACHABLE
    return DAEMON_TROUBLE if isinstance(error, Refused) and error.kind in AT_FAULT_IS_DAEMON else BAD_REQUEST


def complaint(error: ClientError) -> list[Line]:
    """The sentence, every fault of a plan with its path, what is nearest, and the hint."""
    first, *more = safe_lines(error.message) or [""]
    lines: list[Line] = [[("orchestral: ", "bad"), (first, "")]]
    lines += [[("  " + line, "")] for line in more]
    data: dict[str, Any] = error.data if isinstance(error, Refused) else {}
    kind = error.kind if isinstance(error, Refused) else ""
    problems = data.get("problems") or []
    faults = problem_lines(problems, "the answer" if kind == "bad_answer" else "the plan")
    close = nearest_lines(data.get("nearest") or [])
    lines += faults + close
    said = error.hint in {problem.get("hint") for problem in problems}
    if not said and (not faults or kind not in ONLY_THE_LIST):
        hint = error.hint.replace("nearest phrases", "phrases above")
        lines += [[("  " + line, "dim")] for line in safe_lines(hint)]
    return lines


def problem_lines(problems: list[dict[str, Any]], whole: str = "the plan") -> list[Line]:
    """A fault with its path and its hint; one without a path is of the `whole`."""
    lines: list[Line] = []
    for problem in problems:
        lines.append(
            [("  " + safe(problem.get("path") or whole), "bold"), (": " + safe(problem.get("message", "")), "")]
        )
        if problem.get("hint"):
            lines += [[("      " + line, "dim")] for line in safe_lines(problem["hint"])]
    return lines


def nearest_lines(nearest: list[dict[str, Any]]) -> list[Line]:
    if not nearest:
        return []
    lines: list[Line] = [[("  What is known and comes nearest:", "")]]
    for row in nearest:
        lines.append([("    " + safe(row.get("phrase", "")), "bold")])
        if row.get("says"):
            lines.append([("        " + safe(row["says"]), "dim")])
    return lines
