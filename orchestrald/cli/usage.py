"""What did models take, and what may they still?"""

from __future__ import annotations

import sys
import time

from orchestrald.cli.command import OK, BadInput, Command, add_json, connect, print_json
from orchestrald.cli.terminal import Terminal
from orchestrald.cli.text import cells, duration, fit, money, plural, safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any

HEADS = ("CALLS", "FAILED", "IN", "(CACHED)", "OUT", "COST", "TIME")
SUMMED = ("calls", "failed", "lost", "input", "cached", "output", "reserved", "cost", "unpriced", "ms")
MOST = 1000
LENGTHS = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def _configure(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--by", choices=("day", "interaction", "model"), default="day", help="what is summed up (default: UTC days)"
    )
    parser.add_argument("--since", metavar="WHEN", help="only later calls: a time ago (7d, 12h), or a UTC date")
    add_json(parser)


def _run(args: Namespace) -> int:
    since = None if args.since is None else moment(args.since, time.time_ns() // 1000)
    found = connect(args).call("usage.get", by=args.by, since=since, limit=MOST)
    if args.json:
        print_json(found)
    else:
        Terminal(sys.stdout).print(*describe(found))
    return OK


def moment(word: str, now: int) -> int:
    """`7d` before `now`, or a date, as UTC microseconds. Raises BadInput."""
    number, unit = word[:-1], word[-1:]
    if number.isdecimal() and unit in LENGTHS:
        return max(0, now - int(number) * LENGTHS[unit] * 1_000_000)
    from datetime import UTC, datetime

    try:
        at = datetime.fromisoformat(word)
    except ValueError:
        raise BadInput(f"{safe(word)} is no time.", "Say 30m, 12h, 7d, 2w, or a date such as 2026-11-01.") from None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return max(0, int(at.timestamp() * 1_000_000))


def describe(found: dict[str, Any]) -> list[str]:
    """The table with its sums, what the sums leave open, and the last 24 hours beside the budgets."""
    rows = found.get("usage") or []
    lines = ["No model was asked."]
    if rows:
        total = {name: sum(row.get(name, 0) for row in rows) for name in SUMMED}
        sums = [_row("together", total)] if len(rows) > 1 else []
        lines = [*_table([_row(_key(row, found.get("by", "")), row) for row in rows] + sums, found), *_notes(total)]
    if len(rows) == MOST:
        lines.append(f"There may be more: only the first {MOST:,} are listed and summed up. --since makes it fewer.")
    return [*lines, "", *_limits(found.get("last_day") or {}, found.get("budgets") or {})]


def _key(row: dict[str, Any], by: str) -> str:
    nameless = "(previews)" if by == "interaction" else "(unknown)"
    return fit(safe(row.get("key") or nameless), 48)


def _row(key: str, row: dict[str, Any]) -> list[str]:
    took = (row.get("calls", 0), row.get("failed", 0), row.get("input", 0))
    cached = f"({row.get('cached', 0):,})"
    cost = "-" if row.get("unpriced", 0) == row.get("calls", 0) else money(row.get("cost", 0))
    return [key, *(f"{n:,}" for n in took), cached, f"{row.get('output', 0):,}", cost, duration(row.get("ms", 0) / 1e3)]


def _table(rows: list[list[str]], found: dict[str, Any]) -> list[str]:
    """The key to the left, numbers to the right."""
    body = [[str(found.get("by", "")).upper(), *HEADS], *rows]
    widths = [max(cells(row[i]) for row in body) for i in range(len(HEADS) + 1)]
    return [
        "  ".join([_padded(row[0], -widths[0]), *(_padded(cell, widths[i]) for i, cell in enumerate(row[1:], 1))])
        for row in body
    ]


def _padded(cell: str, width: int) -> str:
    blank = " " * (abs(width) - cells(cell))
    return blank + cell if width > 0 else cell + blank


def _notes(total: dict[str, int]) -> list[str]:
    notes = []
    if total["lost"]:
        what = plural(total["lost"], "call has", "calls have")
        most = plural(total["reserved"], "token")
        notes.append(f"{what} no answer (yet), as when the daemon was killed: counted with all it may take, {most}.")
    if total["unpriced"]:
        notes.append(f"{plural(total['unpriced'], 'call has', 'calls have')} no price, and no part in the cost.")
    return notes


def _limits(day: dict[str, Any], budgets: dict[str, Any]) -> list[str]:
    spent = f"last 24 hours: {plural(day.get('calls', 0), 'call')}"
    limits = budgets.get("day") or {}
    said = [_of(plural(day.get("tokens", 0), "token"), limits.get("tokens"), f"{limits.get('tokens') or 0:,}")]
    if day.get("cost") or limits.get("cost") is not None:
        said.append(_of(money(day.get("cost", 0)), limits.get("cost"), money(limits.get("cost") or 0)))
    each = budgets.get("interaction") or {}
    most = [plural(each["tokens"], "token")] if each.get("tokens") is not None else []
    most += [money(each["cost"])] if each.get("cost") is not None else []
    end = "" if any(limits.get(name) is not None for name in ("tokens", "cost")) else " (no budget)"
    return [
        f"{spent}, {', '.join(said)}{end}",
        f"an interaction may take {' and '.join(most)}" if most else "an interaction has no budget of its own",
    ]


def _of(taken: str, limit: int | None, shown: str) -> str:
    return taken if limit is None else f"{taken} of {shown}"


COMMANDS = {
    "usage": Command(
        help="what models took, in tokens and money, and what may still be spent",
        run=_run,
        configure=_configure,
        examples="""  orchestral usage
  orchestral usage --by interaction --since 7d
  orchestral usage --by model --since 2026-11-01 --json""",
        epilog="IN includes what was CACHED. The section `budgets` of the configuration sets what may be spent; it is\n"
        "looked at before each call, with the most that the call may take.",
    ),
}
