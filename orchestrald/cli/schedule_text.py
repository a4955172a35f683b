"""How is a schedule shown to a person?"""

from __future__ import annotations

import time

from orchestrald.cli.text import ago, duration, fit, safe, safe_lines, table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrald.cli.terminal import Line


def listing(rows: list[dict[str, Any]], now: int, width: int) -> list[str]:
    """A table, oldest first as they came. `now` is in UTC microseconds."""
    return table([_row(row, now) for row in rows], ["NAME", "STATE", "WHEN", "NEXT", "LAST", "STARTS"], width)


def _row(row: dict[str, Any], now: int) -> list[str]:
    upcoming = row.get("next") or []
    problem = row.get("problem")
    return [
        safe(row["name"]),
        "problem" if problem else safe(row.get("state", "")),
        fit(when(row.get("trigger", {})), 40),
        ago(upcoming[0], now) if upcoming else "",
        last(row.get("last"), now),
        safe(problem or row.get("intent") or "(plan)"),
    ]


def when(trigger: dict[str, Any]) -> str:
    """The trigger in words."""
    if "every" in trigger:
        return f"every {_round(float(trigger['every']))}"
    if "cron" in trigger:
        return f"{safe(trigger['cron'])} ({safe(trigger.get('tz', 'UTC'))})"
    if "at" in trigger:
        return f"at {safe(trigger['at'])}"
    depth = "**/" if trigger.get("depth") else ""
    return f"files {safe(str(trigger.get('folder', '')).rstrip('/'))}/{depth}{safe(trigger.get('glob', '*'))}"


def _round(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:g} {unit}"
    return duration(seconds) if seconds % 1 else f"{seconds:g} s"


def last(said: dict[str, Any] | None, now: int) -> str:
    """What became of the newest firing; empty before the first."""
    if not said:
        return ""
    return f"{'refused' if 'error' in said else 'started'} {ago(said.get('at', now), now)}"


def describe(row: dict[str, Any], now: int) -> list[Line]:
    """One schedule with all that a person may ask about it."""
    state = safe(row.get("state", ""))
    lines: list[Line] = [[(safe(row["name"]), "bold"), (f"  {state}, {when(row.get('trigger', {}))}", "")]]
    if row.get("problem"):
        lines.append([("  problem  ", "bad"), (safe(row["problem"]), "")])
    starts = safe(row["intent"]) if row.get("intent") else f"the plan {safe(_goal(row))}"
    lines.append([("  starts   ", "dim"), (starts, "")])
    upcoming = row.get("next") or []
    lines += [[("  next     ", "dim"), (f"{local(moment)}, {ago(moment, now)}", "")] for moment in upcoming]
    lines += _last(row.get("last"), now)
    missed = "for files that came meanwhile" if "folder" in row.get("trigger", {}) else "for missed moments"
    lines.append([("  rule     ", "dim"), (f"{safe(row.get('misfire', ''))}, {missed}", "")])
    for word, name in (("in", "workspace"), ("thread", "thread_id"), ("id", "schedule_id"), ("by", "by")):
        if row.get(name) and row[name] != row["name"]:
            lines.append([(f"  {word:<9}", "dim"), (safe(row[name]), "")])
    return lines


def _last(said: dict[str, Any] | None, now: int) -> list[Line]:
    if not said:
        return []
    about = f" for {safe(said['path'])}" if said.get("path") else ""
    lines: list[Line] = [[("  last     ", "dim"), (f"{last(said, now)}{about}", "")]]
    if said.get("interaction_id"):
        lines.append([("           ", ""), (f"orchestral show {safe(said['interaction_id'])}", "dim")])
    return lines + [
        [("           ", ""), (text, "bad")] for text in safe_lines((said.get("error") or {}).get("message", ""))
    ]


def _goal(row: dict[str, Any]) -> str:
    plan = row.get("plan")
    return str(plan.get("goal") or "") if isinstance(plan, dict) else ""


def local(moment: int) -> str:
    """A moment as this machine's clock shows it."""
    return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(moment / 1_000_000))
