"""Which spans follow from what is in the journal?

Rules of this file:

- Pure. A span is made of committed events and their times, so it never tells what the journal does not.
- A span's ids are hashes of the event that began it, so a daemon that was killed goes on with the same trace.
- There is no content: no intent, prompt, answer, parameter, output or message of an error; only names, counts, codes.

The names of spans and attributes are OpenTelemetry's conventions for generative AI; what they have no name for is
`orchestrald.*`.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from orchestrald.core.events import Event

Value = str | int | float | tuple[str, ...]
Attributes = dict[str, Value]

AGENT = "orchestrald"


class Span(NamedTuple):
    """Something that began and ended. Times are UTC microseconds, `parent_id` 0 means the root of a trace.

    `error` is the code of what went wrong; empty when nothing did.
    """

    name: str
    kind: Literal["internal", "client"]
    trace_id: int
    span_id: int
    parent_id: int
    started_at: int
    ended_at: int
    attributes: Attributes
    error: str = ""


class _Begun(NamedTuple):
    """A span that has not ended."""

    name: str
    span_id: int
    at: int
    attributes: Attributes
    kind: Literal["internal", "client"] = "internal"
    parent_id: int = 0
    part: tuple[str, int] = ("", 0)


def trace_id(interaction_id: str) -> int:
    """The trace of everything that an interaction does: `printf %s ID | sha256sum | cut -c -32`."""
    return _hashed(interaction_id, 16)


def _span_id(event: Event) -> int:
    return _hashed(f"{event.interaction_id} {event.seq} {event.at}", 8)


def _hashed(text: str, size: int) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:size], "big") or 1  # 0 is no id


class Trace:
    """What has begun in one interaction and not ended; or, without one, a model call that belongs to none."""

    def __init__(self, name: str) -> None:
        self.trace_id = trace_id(name)
        self._root: _Begun | None = None
        self._reopened = 0
        self._actions: dict[str, str] = {}
        self._attempts: dict[str, _Begun] = {}
        self._calls: dict[int, _Begun] = {}

    def fold(self, event: Event) -> list[Span]:
        """The spans that the event ends, children first. What has begun unseen ends unseen."""
        return _FOLD[event.type](self, event) or []

    # --- the interaction ----------------------------------------------------------------------------------------------

    def _submitted(self, event: Event) -> None:
        attributes: Attributes = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": AGENT,
            "gen_ai.conversation.id": event.thread_id,
            "orchestrald.interaction.id": event.interaction_id,
        }
        if self._reopened:
            attributes["orchestrald.reopened"] = self._reopened
        self._root = _Begun(f"invoke_agent {AGENT}", _span_id(event), event.at, attributes)

    def _reopened_by_somebody(self, event: Event) -> None:
        self._reopened += 1
        self._submitted(event)

    def _planned(self, event: Event) -> None:
        # A queued interaction may have no plan yet.
        for step in event.data.get("plan", {}).get("steps", ()):
            self._actions[step["id"]] = step.get("action", "")

    def _ended(self, event: Event) -> list[Span]:
        outcome = event.type.removeprefix("interaction.")
        error = event.data.get("error", {}).get("code", "") if outcome == "failed" else ""
        # Nobody is behind these any more: a call that was given up leaves no event. To be cancelled is no error.
        cut = ("cancelled", "") if outcome == "cancelled" else ("interrupted", "interrupted")
        spans = [self._end(begun, event, *cut) for begun in (*self._calls.values(), *self._attempts.values())]
        self._calls, self._attempts = {}, {}
        if self._root is not None:
            spans.append(self._end(self._root, event, outcome, error))
            self._root = None
        return spans

    # --- a step -------------------------------------------------------------------------------------------------------

    def _started(self, event: Event) -> None:
        whole = event.step_id.partition("[")[0]
        action = self._actions.get(whole, "")
        attributes: Attributes = {
            "gen_ai.operation.name": "execute_tool",
            "orchestrald.step.id": event.step_id,
            "orchestrald.attempt": event.data["attempt"],
        }
        if action:
            attributes["gen_ai.tool.name"] = action
        name = f"execute_tool {action}".rstrip()
        above = self._attempts.get(whole) if whole != event.step_id else None
        self._attempts[event.step_id] = _Begun(
            name, _span_id(event), event.at, attributes, parent_id=self._parent(above)
        )

    def _expanded(self, event: Event) -> None:
        attributes: Attributes = {"orchestrald.step.id": event.step_id, "orchestrald.items": event.data["count"]}
        name = f"for_each {event.step_id}"
        self._attempts[event.step_id] = _Begun(name, _span_id(event), event.at, attributes, parent_id=self._parent())

    def _attempted(self, event: Event) -> list[Span]:
        """The attempt has ended, if there was one: a step also waits, fails or is cancelled without any."""
        begun = self._attempts.pop(event.step_id, None)
        if begun is None:
            return []
        outcome = event.type.removeprefix("step.")
        error = event.data["error"]["code"] if "error" in event.data else ""
        return [self._end(begun, event, outcome, "interrupted" if outcome == "interrupted" else error)]

    # --- a call to a model --------------------------------------------------------------------------------------------

    def _asked(self, event: Event) -> list[Span]:
        data = event.data
        backend, _, model = data["model"].partition("/")
        attributes: Attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": backend,
            "orchestrald.purpose": data["purpose"],
        }
        if model:
            attributes["gen_ai.request.model"] = model
        if event.thread_id:
            attributes["gen_ai.conversation.id"] = event.thread_id
        # Asked a second time: the daemon died over the first, or whoever asked gave up.
        part = (data["part"], data["number"])
        again = [seq for seq, begun in self._calls.items() if begun.part == part]
        spans = [self._end(self._calls.pop(seq), event, "interrupted", "interrupted") for seq in again]
        name = f"chat {model}".rstrip()
        self._calls[event.seq] = _Begun(name, _span_id(event), event.at, attributes, "client", self._parent(), part)
        return spans

    def _answered(self, event: Event) -> list[Span]:
        begun = self._calls.pop(event.data["asked"], None)
        if begun is None:
            return []
        return [self._end(begun, event, "answered", "", _answer(event.data))]

    def _unanswered(self, event: Event) -> list[Span]:
        begun = self._calls.pop(event.data["asked"], None)
        return [] if begun is None else [self._end(begun, event, "failed", event.data["error"]["code"])]

    # --- all of them --------------------------------------------------------------------------------------------------

    def _parent(self, above: _Begun | None = None) -> int:
        above = above or self._root
        return above.span_id if above is not None else 0

    def _end(
        self, begun: _Begun, event: Event, outcome: str, error: str, more: Mapping[str, Value] | None = None
    ) -> Span:
        attributes = begun.attributes | dict(more or {}) | {"orchestrald.outcome": outcome}
        if error:
            attributes["error.type"] = error
        ids = (self.trace_id, begun.span_id, begun.parent_id)
        return Span(begun.name, begun.kind, *ids, begun.at, event.at, attributes, error)


def _answer(data: Mapping[str, Any]) -> Attributes:
    tokens = data["tokens"]
    said: Attributes = {
        "gen_ai.provider.name": data["backend"],
        "gen_ai.response.model": data["model"],
        "gen_ai.response.finish_reasons": (data["finish"],),
        "gen_ai.usage.input_tokens": tokens["input"],
        "gen_ai.usage.cache_read.input_tokens": tokens["cached"],
        "gen_ai.usage.output_tokens": tokens["output"],
    }
    if "cost" in data:
        said["orchestrald.cost_usd"] = data["cost"] / 1_000_000
    return {name: value for name, value in said.items() if value != ""}


_FOLD: dict[str, Callable[[Trace, Event], list[Span] | None]] = {
    "interaction.submitted": Trace._submitted,
    "interaction.reopened": Trace._reopened_by_somebody,
    "interaction.queued": Trace._planned,
    "plan.adopted": Trace._planned,
    "plan.patched": Trace._planned,
    "interaction.completed": Trace._ended,
    "interaction.failed": Trace._ended,
    "interaction.cancelled": Trace._ended,
    "step.started": Trace._started,
    "step.expanded": Trace._expanded,
    "step.succeeded": Trace._attempted,
    "step.failed": Trace._attempted,
    "step.retrying": Trace._attempted,
    "step.waiting": Trace._attempted,
    "step.cancelled": Trace._attempted,
    "step.interrupted": Trace._attempted,
    "model.asked": Trace._asked,
    "model.answered": Trace._answered,
    "model.failed": Trace._unanswered,
}

HEEDED = tuple(_FOLD)
"""The types of events that `Trace.fold` takes."""

ENDING = frozenset({"interaction.completed", "interaction.failed", "interaction.cancelled"})
"""After one of these nothing is open."""
