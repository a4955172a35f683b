"""What is known about one interaction while its events arrive?

Rules of this file:

- A snapshot is the truth and replaces everything; an event counts only when it is newer than the last snapshot.
- The tables repeat `core.states` (which cannot be imported here: it is the daemon's, and slow to load); a test
  compares them.
- Unknown events and unknown fields are ignored: the daemon may be newer than the client.
"""

from __future__ import annotations

from orchestrald.cli.inquiry import Inquiry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FINAL = frozenset({"completed", "failed", "cancelled"})
FINISHED = frozenset({"succeeded", "failed", "cancelled", "skipped", "superseded"})
FOR_A_PERSON = frozenset({"input", "clarification", "approval", "interrupted"})
"""Kinds of question that somebody must answer; `event` and `until` are answered by the world and by the clock."""

INTERACTION_AFTER = {
    "interaction.queued": "queued",
    "interaction.planning": "planning",
    "plan.adopted": "executing",
    "plan.patched": "executing",
    "plan.concluded": "executing",
    "plan.unobserved": "executing",
    "interaction.waiting": "waiting",
    "interaction.resumed": "executing",
    "interaction.paused": "paused",
    "interaction.reopened": "executing",
    "interaction.cancelling": "cancelling",
    "interaction.completed": "completed",
    "interaction.failed": "failed",
    "interaction.cancelled": "cancelled",
}

STEP_AFTER = {
    "step.started": "running",
    "step.expanded": "running",
    "step.succeeded": "succeeded",
    "step.failed": "failed",
    "step.retrying": "retrying",
    "step.waiting": "waiting",
    "step.answered": "pending",
    "step.skipped": "skipped",
    "step.carried": "succeeded",
    "step.reset": "pending",
    "step.cancelled": "cancelled",
    "step.interrupted": "interrupted",
    "step.superseded": "superseded",
}


class Row:
    """One step. Times are UTC microseconds; `items` is how many a for_each became (None: it did not, or not yet).

    `revision` counts how often a person has had it run on purpose: 1, unless it was retried.
    """

    __slots__ = (
        "action",
        "attempt",
        "done",
        "due_at",
        "ended_at",
        "error",
        "items",
        "kind",
        "message",
        "output",
        "parent",
        "question",
        "reason",
        "revision",
        "started_at",
        "state",
        "step_id",
        "stored",
        "total",
    )

    def __init__(self, step_id: str, **known: Any) -> None:
        self.step_id = step_id
        self.kind: str = known.get("kind") or "action"
        self.action: str = known.get("action") or ""
        self.state: str = known.get("state") or "pending"
        self.attempt: int = known.get("attempt") or 0
        self.revision: int = known.get("revision") or 1
        self.parent: str = known.get("parent") or parent_of(step_id)
        self.started_at: int | None = known.get("started_at")
        self.ended_at: int | None = known.get("ended_at")
        self.error: dict[str, Any] | None = known.get("error")
        self.question: dict[str, Any] | None = known.get("question")
        self.reason: str = known.get("reason") or ""
        self.due_at: int | None = known.get("due_at")
        self.output: Any = known.get("output")
        self.stored: dict[str, Any] | None = known.get("stored")
        self.items: int | None = None
        self.done: float | None = None
        self.total: float | None = None
        self.message = ""

    @property
    def asks(self) -> bool:
        """Whether a person must answer before the step can go on."""
        kind = (self.question or {}).get("kind")
        return self.state in {"waiting", "interrupted"} and kind in FOR_A_PERSON


class Board:
    """One interaction. `answer` None means that none was given yet; `last_seq` is that of the last snapshot."""

    def __init__(self, interaction_id: str) -> None:
        self.interaction_id = interaction_id
        self.intent = ""
        self.state = "queued"
        self.answer: str | None = None
        self.created_at: int | None = None
        self.ended_at: int | None = None
        self.last_seq = 0
        self.inquiry = Inquiry()
        self.rows: dict[str, Row] = {}
        self.children: dict[str, list[Row]] = {}

    @property
    def final(self) -> bool:
        return self.state in FINAL

    @property
    def tops(self) -> list[Row]:
        """The steps of the plan, without the items that a for_each became."""
        return [row for row in self.rows.values() if not row.parent]

    @property
    def asking(self) -> list[Row]:
        return [row for row in self.rows.values() if row.asks]

    def take(self, word: str, data: dict[str, Any]) -> None:
        """What a subscription gave: `snapshot`, `event`, `progress`, `answer`, `lost`; other words change nothing."""
        if word == "snapshot":
            self.snapshot(data)
        elif word == "event":
            self.event(data)
        elif word == "progress":
            self.progress(data)
        elif word == "answer" and self.answer is None:  # display comes late, and the answer itself may be there
            self.inquiry.piece(data.get("text", ""))
        elif word == "lost":
            self.inquiry.forget()

    def snapshot(self, data: dict[str, Any]) -> None:
        before = self.rows
        self.intent = data.get("intent") or data.get("goal") or ""
        self.state = data.get("state", self.state)
        self.answer = data.get("answer")
        self.created_at = data.get("created_at")
        self.ended_at = data.get("ended_at")
        self.last_seq = data.get("last_seq", 0)
        self.rows, self.children = {}, {}
        for step in data.get("steps", []):
            row = self._add(Row(**step))
            old = before.get(row.step_id)
            if old is not None and row.state == "running":
                row.done, row.total, row.message = old.done, old.total, old.message
        for parent, children in self.children.items():
            if parent in self.rows:
                self.rows[parent].items = len(children)

    def event(self, event: dict[str, Any]) -> None:
        if event.get("interaction_id") != self.interaction_id:
            return
        self.inquiry.event(event)
        if event.get("seq", 0) <= self.last_seq:
            return
        kind = event.get("type", "")
        data = event.get("data") or {}
        at = event.get("at")
        if event.get("step_id"):
            self._step(event["step_id"], kind, data, at)
            return
        if kind == "interaction.submitted":
            self.intent, self.created_at = data.get("intent", ""), at
        elif kind == "assistant.output":
            self.answer = data.get("text", "")
        elif kind == "interaction.reopened":
            self.answer = self.ended_at = None
        elif kind in {"plan.adopted", "plan.patched"}:
            self._plan(data)
        self.state = INTERACTION_AFTER.get(kind, self.state)
        if self.final and self.ended_at is None:
            self.ended_at = at

    def progress(self, data: dict[str, Any]) -> None:
        """Shown, never stored: a step that is not running any more ignores it."""
        row = self.rows.get(data.get("step_id", ""))
        if row is not None and row.state == "running":
            row.done, row.total = data.get("done", row.done), data.get("total", row.total)
            row.message = data.get("message") or row.message

    def _plan(self, data: dict[str, Any]) -> None:
        for step in (data.get("plan") or {}).get("steps", []):
            if step.get("id") and step["id"] not in self.rows:
                self._add(Row(step["id"], kind=step.get("kind"), action=step.get("action")))

    def _step(self, step_id: str, kind: str, data: dict[str, Any], at: int | None) -> None:
        row = self.rows.get(step_id) or self._add(Row(step_id, action=self._action_of(step_id)))
        if kind == "step.reset":
            self._reset(row)
            return
        row.state = STEP_AFTER.get(kind, row.state)
        if kind == "step.started":
            row.started_at, row.ended_at, row.attempt = at, None, data.get("attempt", row.attempt + 1)
            row.done = row.total = row.error = row.question = None
            row.message = ""
        elif kind == "step.expanded":
            row.items = data.get("count")
            row.started_at = row.started_at or at
        elif kind in {"step.failed", "step.retrying"}:
            row.error = data.get("error")
        row.due_at = data.get("due_at")
        row.reason = data.get("reason") or ""
        row.question = data.get("question") if kind == "step.waiting" else row.question
        if row.state in FINISHED:
            row.ended_at, row.question = at, None
            row.output, row.stored = data.get("output"), data.get("stored")

    def _reset(self, row: Row) -> None:
        """As it was before it first began, but for its revision; the items that it became are gone."""
        for child in self.children.pop(row.step_id, []):
            del self.rows[child.step_id]
        fresh = Row(row.step_id, kind=row.kind, action=row.action, parent=row.parent, revision=row.revision + 1)
        for name in Row.__slots__:
            setattr(row, name, getattr(fresh, name))

    def _action_of(self, step_id: str) -> str:
        parent = self.rows.get(parent_of(step_id))
        return parent.action if parent is not None else ""

    def _add(self, row: Row) -> Row:
        self.rows[row.step_id] = row
        if row.parent:
            self.children.setdefault(row.parent, []).append(row)
        return row


def parent_of(step_id: str) -> str:
    """`measure` of `measure[3]`; empty for a step that is no item."""
    base, bracket, rest = step_id.partition("[")
    return base if bracket and rest.endswith("]") and rest[:-1].isdigit() else ""
