"""In which form is a running interaction shown: a live tree, plain lines, JSON, or nothing but the answer?

Rules of this file:

- Progress goes to stderr, the answer to stdout: `orchestral run ... > answer.txt` holds the answer alone.
- JSON goes to stdout: one event a line as the daemon stored it, then one line with the final snapshot.
"""

from __future__ import annotations

import sys
import time

from orchestrald.cli.board import FINISHED
from orchestrald.cli.command import print_json
from orchestrald.cli.inquiry import told
from orchestrald.cli.text import duration, first_line, plural, safe, safe_lines
from orchestrald.cli.tree import STYLE, Signs, tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrald.cli.board import Board, Row
    from orchestrald.cli.terminal import Line, Terminal

FRAME_S = 0.1


class Quiet:
    """Shows nothing until the end, then the answer. The base of the others."""

    wants_events = False
    """Whether the past must be replayed before the end may be told."""

    def __init__(self, out: Terminal, *, answers: bool = True) -> None:
        self.out = out
        self.answers = answers

    def item(self, word: str, data: dict[str, Any], board: Board) -> None: ...

    def tick(self, board: Board) -> None: ...

    def notice(self, text: str) -> None: ...

    def pause(self) -> None:
        """Make room for a question."""

    def close(self) -> None: ...

    def finish(self, snapshot: dict[str, Any], board: Board) -> None:
        lines = safe_lines(snapshot.get("answer") or "")
        if lines and self.answers:
            self.out.print(*lines)


class Json(Quiet):
    wants_events = True

    def item(self, word: str, data: dict[str, Any], board: Board) -> None:
        if word == "event":
            print_json(data)

    def notice(self, text: str) -> None:
        sys.stderr.write(safe(text) + "\n")

    def finish(self, snapshot: dict[str, Any], board: Board) -> None:
        print_json(snapshot)


class Plain(Quiet):
    """A line for everything that happened, for logs and pipes."""

    wants_events = True

    def __init__(self, out: Terminal, err: Terminal, *, answers: bool = True) -> None:
        super().__init__(out, answers=answers)
        self.err = err

    def item(self, word: str, data: dict[str, Any], board: Board) -> None:
        if word == "log":
            self.err.print(f"{safe(data.get('step_id', ''))}: {safe(data.get('message', ''))}")
        elif word == "event":
            line = event_line(data, board)
            if line:
                self.err.print(line)

    def notice(self, text: str) -> None:
        self.err.print(safe(text))


class Live(Quiet):
    """The tree, redrawn in place. What steps log is printed above it, an answer that is being written below."""

    def __init__(self, out: Terminal, err: Terminal, *, answers: bool = True) -> None:
        super().__init__(out, answers=answers)
        self.err = err
        self._signs = Signs(unicode=err.unicode)
        self._tick = 0
        self._drawn_at = 0.0

    def item(self, word: str, data: dict[str, Any], board: Board) -> None:
        if word == "log":
            self.err.print([(f"{safe(data.get('step_id', ''))}: ", "dim"), (safe(data.get("message", "")), "")])

    def tick(self, board: Board) -> None:
        now = time.monotonic()
        if now - self._drawn_at >= FRAME_S:
            self._drawn_at = now
            self._tick += 1
            self._draw(board, self.err.rows - 1)

    def notice(self, text: str) -> None:
        self.err.print([(safe(text), "wait")])

    def pause(self) -> None:
        self.err.clear()

    def close(self) -> None:
        self.err.release()

    def finish(self, snapshot: dict[str, Any], board: Board) -> None:
        self._draw(board, self.err.rows - 1)
        self.err.release()
        if snapshot.get("answer") and self.answers:
            self.err.print("")
        super().finish(snapshot, board)

    def _draw(self, board: Board, height: int) -> None:
        now = time.time_ns() // 1000
        width = self.err.columns - 1
        written = [] if board.final else board.inquiry.lines(width, height)
        self.err.draw([*tree(board, now, width, height - len(written), self._signs, self._tick), *written])


def choose(out: Terminal, err: Terminal, *, as_json: bool, quiet: bool) -> Quiet:
    if as_json:
        return Json(out)
    if quiet:
        return Quiet(out)
    return Live(out, err) if err.live else Plain(out, err)


def event_line(event: dict[str, Any], board: Board) -> Line | None:
    """One event as one line, or None when it says nothing that other lines do not."""
    kind = event.get("type", "")
    data = event.get("data") or {}
    name = safe(event.get("step_id") or "")
    if name:
        row = board.rows.get(event["step_id"])
        said = _step_says(kind, data, row)
        style = STYLE.get(kind.partition(".")[2], "")
        return [(name, "bold"), (" ", ""), (said, style)] if said else None
    if kind == "interaction.submitted":
        return [(f"{safe(event.get('interaction_id', ''))} ", "dim"), (safe(data.get("intent") or "a plan"), "bold")]
    if kind in {"plan.adopted", "plan.patched"}:
        steps = (data.get("plan") or {}).get("steps", [])
        word = "plan" if kind == "plan.adopted" else "new plan for what failed"
        return [(f"{word}: {plural(len(steps), 'step')} ({safe(data.get('planner') or 'handed over')})", "")]
    if kind == "interaction.failed":
        return [(f"failed: {first_line((data.get('error') or {}).get('message', ''))}".rstrip(": "), "bad")]
    if kind == "interaction.merged":
        return [(f"joined: {first_line(data.get('intent', ''))}", "")]
    if kind == "interaction.reopened":
        return [("is tried again", "wait")]
    if kind.startswith("interaction.") and kind not in {"interaction.planning", "interaction.resumed"}:
        return [(kind.partition(".")[2], STYLE.get(kind.partition(".")[2], ""))]
    return told(kind, data)


_SIMPLY = {"step.answered": "was answered", "step.reset": "is to be run again", "step.carried": "keeps its result"}


def _step_says(kind: str, data: dict[str, Any], row: Row | None) -> str:  # noqa: PLR0911 -- a table of sentences
    error = data.get("error") or {}
    why = first_line(error.get("message") or error.get("code") or "")
    match kind:
        case "step.started":
            again = f" (attempt {data['attempt']})" if data.get("attempt", 1) > 1 else ""
            return f"started{again}"
        case "step.expanded":
            return f"became {plural(data.get('count', 0), 'item')}"
        case "step.succeeded":
            return _succeeded(data, row)
        case "step.failed":
            return f"failed: {why}"
        case "step.retrying":
            return f"failed and is tried again: {why}"
        case "step.waiting":
            return f"waits: {first_line((data.get('question') or {}).get('prompt', ''))}"
        case "step.answered" | "step.reset" | "step.carried":
            return _SIMPLY[kind]
        case "step.skipped":
            return f"skipped ({safe(data.get('reason', ''))})"
        case "step.violation":
            return f"ran into the sandbox: {safe(data.get('kind', ''))} {safe(data.get('evidence', ''))}"
        case _:
            return kind.partition(".")[2] if row is None or kind.partition(".")[2] in {*FINISHED, "interrupted"} else ""


def _succeeded(data: dict[str, Any], row: Row | None) -> str:
    if row is not None and row.items is not None:  # a for_each itself takes no time
        return f"succeeded: {plural(row.items, 'item')}"
    return f"succeeded in {duration(data.get('ms', 0) / 1000)}"
