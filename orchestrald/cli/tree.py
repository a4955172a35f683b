"""How does an interaction look, as lines of a given width and height?

Pure: the same board, moment and size give the same lines. What does not fit the height is folded where it hurts least:
failures, questions and running steps stay, what is long finished or not begun goes first.
"""

from __future__ import annotations

from orchestrald.cli.board import FINISHED
from orchestrald.cli.text import cells, duration, first_line, fit, pad, plural, safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orchestrald.cli.board import Board, Row
    from orchestrald.cli.terminal import Line

STYLE = {
    "pending": "dim",
    "running": "run",
    "retrying": "wait",
    "waiting": "wait",
    "interrupted": "wait",
    "succeeded": "ok",
    "failed": "bad",
    "cancelled": "dim",
    "skipped": "dim",
    "superseded": "dim",
    "queued": "dim",
    "planning": "run",
    "executing": "run",
    "paused": "wait",
    "cancelling": "wait",
    "completed": "ok",
}
_RANK = {"failed": 0, "waiting": 0, "interrupted": 0, "running": 1, "retrying": 1, "succeeded": 2, "pending": 3}
SHOWN_ITEMS = 4
LOWEST = 5
"""Lines that a tree may have in any window: head, foot, and one step between two that stand for others."""


class Signs:
    """The characters of a picture; the second set is for terminals without Unicode."""

    def __init__(self, *, unicode: bool) -> None:
        self.branch, self.last, self.pipe = ("├─ ", "└─ ", "│  ") if unicode else ("|- ", "`- ", "|  ")
        self.spinner = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏" if unicode else "|/-\\"
        self.ellipsis = "…" if unicode else "..."
        self.full, self.empty = ("█", "░") if unicode else ("#", ".")
        signs = "·↻?!✓✗⊘»~" if unicode else ".r?!+x->~"
        names = ("pending", "retrying", "waiting", "interrupted", "succeeded", "failed", "cancelled", "skipped")
        self.state = dict(zip((*names, "superseded"), signs, strict=True))

    def of(self, state: str, tick: int) -> str:
        return self.spinner[tick % len(self.spinner)] if state == "running" else self.state.get(state, " ")


def tree(board: Board, now: int, width: int, height: int, signs: Signs, tick: int = 0) -> list[Line]:
    """The picture: a head, the steps in the plan's order, the model that is asked, a foot. At least one step is always
    shown."""
    tops = board.tops
    id_width = min(28, max((cells(_name(row)) for row in tops), default=0))
    asking = bool(board.inquiry.model) and not board.final and height > LOWEST
    picked, gaps = _choose(board, tops, max(1, height - 2 - asking))
    lines = [_head(board, now, width, signs)]
    entries: list[tuple[Line, list[Line]]] = []
    for index, row in enumerate(tops):
        if index in gaps:
            entries.append(([(gaps[index], "dim")], []))
        if index in picked:
            line = _row(row, board, now, width - 3, id_width, signs, tick)
            entries.append((line, _below(row, board, now, width - 6, signs, tick) if picked[index] else []))
    if len(tops) in gaps:
        entries.append(([(gaps[len(tops)], "dim")], []))
    if asking:
        entries.append(([(signs.of("running", tick) + " ", "run"), *board.inquiry.line(now)], []))
    for index, (line, below) in enumerate(entries):
        closing = index == len(entries) - 1
        lines.append([(signs.last if closing else signs.branch, "dim"), *line])
        lines += [[("   " if closing else signs.pipe, "dim"), *child] for child in below]
    lines.append(_foot(board))
    return lines


def _head(board: Board, now: int, width: int, signs: Signs) -> Line:
    begun = now if board.created_at is None else board.created_at
    took = duration(((board.ended_at or now) - begun) / 1e6)
    right = f"{board.state}  {took}"
    intent = fit(safe(board.intent or board.interaction_id), max(10, width - len(right) - 2), signs.ellipsis)
    return [
        (pad(intent, width - len(right) - 2), "bold"),
        ("  ", ""),
        (board.state, STYLE.get(board.state, "")),
        (f"  {took}", "dim"),
    ]


def _foot(board: Board) -> Line:
    counts: dict[str, int] = {}
    for row in board.tops:
        counts[row.state] = counts.get(row.state, 0) + 1
    pieces: Line = [(plural(len(board.tops), "step"), "dim")]
    for state in (
        "succeeded",
        "running",
        "retrying",
        "waiting",
        "interrupted",
        "failed",
        "skipped",
        "cancelled",
        "pending",
    ):
        if counts.get(state):
            pieces += [(", ", "dim"), (f"{counts[state]} {state}", STYLE[state])]
    return pieces


def _choose(board: Board, tops: list[Row], room: int) -> tuple[dict[int, bool], dict[int, str]]:
    """Which rows are shown (and with what is below them), and which lines stand for the others, by position."""
    extra = {index: _extra(row, board) for index, row in enumerate(tops)}
    if len(tops) + sum(extra.values()) <= room:
        return dict.fromkeys(range(len(tops)), True), {}
    ranked = sorted(range(len(tops)), key=lambda i: (_RANK.get(tops[i].state, 4), _freshness(tops[i], i)))
    low, high = 1, len(tops)
    while low < high:  # the most rows whose picture, gaps included, is low enough
        middle = (low + high + 1) // 2
        chosen = set(ranked[:middle])
        needed = middle + len(_gaps(tops, chosen))
        low, high = (middle, high) if needed <= room else (low, middle - 1)
    chosen = set(ranked[:low])
    gaps = _gaps(tops, chosen)
    left = room - low - len(gaps)
    picked = {}
    for index in ranked[:low]:  # the worst rows first get their details
        picked[index] = extra[index] <= left
        left -= extra[index] if picked[index] else 0
    return picked, gaps


def _freshness(row: Row, index: int) -> int:
    return -(row.ended_at or 0) if row.state in FINISHED else index


def _gaps(tops: list[Row], chosen: set[int]) -> dict[int, str]:
    """One line for every run of rows that is not shown, keyed by the position at which it stands."""
    gaps: dict[int, str] = {}
    start = None
    for index in range(len(tops) + 1):
        hidden = index < len(tops) and index not in chosen
        if hidden and start is None:
            start = index
        elif not hidden and start is not None:
            states: dict[str, int] = {}
            for row in tops[start:index]:
                states[row.state] = states.get(row.state, 0) + 1
            gaps[index] = ", ".join(f"{count:,} {state}" for state, count in states.items())
            start = None
    return gaps


def _name(row: Row) -> str:
    return safe(row.step_id)


def _row(row: Row, board: Board, now: int, width: int, id_width: int, signs: Signs, tick: int) -> Line:
    style = STYLE.get(row.state, "")
    children = board.children.get(row.step_id, [])
    name = pad(fit(_name(row), id_width, signs.ellipsis), id_width)
    line: Line = [(signs.of(row.state, tick) + " ", style), (name, style if row.state == "failed" else "")]
    if row.items is not None:
        done = sum(child.state in FINISHED for child in children)
        line.append((f" [{done}/{row.items}]", style))
        if row.state == "running":
            line.append((" " + bar(done, row.items, 12, signs), "run"))
    elif row.state == "running" and row.total:
        line.append((" " + bar(row.done or 0, row.total, 12, signs), "run"))
    line += _took(row, now)
    if row.revision > 1:
        line.append((f"  run {row.revision}", "dim"))
    line += _says(row, now)
    if not row.error and not row.message and row.action:
        line.append(("  " + safe(row.action), "dim"))
    used = sum(cells(text) for text, _ in line[:-1])
    text, last = line[-1]
    line[-1] = (fit(text, max(0, width - used), signs.ellipsis), last)
    return line


def _took(row: Row, now: int) -> Line:
    if row.started_at is None or row.state not in {"running", "succeeded", "failed"}:
        return []
    return [(f" {duration(((row.ended_at or now) - row.started_at) / 1e6)}", "dim")]


def _says(row: Row, now: int) -> Line:
    """What is to be known about the row beyond its state: why it failed, what it asks, when it is tried again."""
    if row.state == "retrying":
        due = f" in {duration((row.due_at - now) / 1e6)}" if row.due_at else ""
        return [(f"  attempt {row.attempt} failed, again{due}: {_why(row)}", "wait")]
    if row.state == "failed":
        return [(f"  {_why(row)}", "bad")]
    if row.state in {"waiting", "interrupted"}:
        return [("  " + first_line((row.question or {}).get("prompt") or "waits"), "wait")]
    if row.state == "skipped" and row.reason:
        return [(f"  skipped ({safe(row.reason)})", "dim")]
    if row.state == "running" and row.message:
        return [("  " + safe(row.message), "dim")]
    return []


def _why(row: Row) -> str:
    error = row.error or {}
    return first_line(error.get("message") or error.get("code") or "no reason was given")


def _loud(row: Row, board: Board) -> list[Row]:
    """The items of a for_each that deserve a line of their own."""
    children = board.children.get(row.step_id, [])
    return [child for child in children if child.state in {"failed", "waiting", "interrupted", "retrying"}]


def _extra(row: Row, board: Board) -> int:
    return min(len(_loud(row, board)), SHOWN_ITEMS + 1) if row.items is not None else 0


def _below(row: Row, board: Board, now: int, width: int, signs: Signs, tick: int) -> list[Line]:
    loud = _loud(row, board)
    shown = loud if len(loud) <= SHOWN_ITEMS + 1 else loud[:SHOWN_ITEMS]
    lines = [_row(child, board, now, width, cells(_name(child)), signs, tick) for child in shown]
    if len(shown) < len(loud):
        lines.append([(f"{len(loud) - len(shown):,} more like these", "dim")])
    return [[(signs.last if i == len(lines) - 1 else signs.branch, "dim"), *line] for i, line in enumerate(lines)]


def bar(done: float, total: float, width: int, signs: Signs) -> str:
    part = 0.0 if total <= 0 else min(1.0, max(0.0, done / total))
    full = int(part * width)
    return signs.full * full + signs.empty * (width - full)
