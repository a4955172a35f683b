"""What may a waiting step be answered, and what does the answer do?

Rules of this file:

- An approval is answered through `decide` alone, by naming the digest of what it would allow; never by text, a plan,
  a model or a plugin. In an unattended interaction the operator may want it denied at once.
- Every other question is answered through `respond`, and its schema decides what fits.
"""

import json
from datetime import UTC, datetime
from typing import Any

from orchestrald.core import schema
from orchestrald.core.approval import Verdict, digest
from orchestrald.core.inputs import Answered
from orchestrald.core.interaction import Run
from orchestrald.core.model import Failure, Question, parse_duration
from orchestrald.core.turn import Turn

_DECISION = {
    "type": "object",
    "properties": {"decision": {"enum": ["retry", "skip", "fail"]}, "value": {}},
    "required": ["decision"],
    "additionalProperties": False,
}


def needs_yes(turn: Turn, run: Run, verdict: Verdict, params: dict[str, Any]) -> bool:
    """Whether the step has to wait for a person, or must not run; then that has been seen to."""
    if verdict.word == "deny":
        turn.fail_step(run, Failure("denied", f"a rule of the operator forbids it: {verdict.reason}"))
        return True
    if run.approval is not None and run.approval["digest"] == _bound(turn, run, params, run.consent):
        return False
    if run.approval is None and verdict.word == "allow":
        return False
    reason = verdict.reason if run.approval is None else "what would run is not what was approved any more"
    ask_approval(turn, run, Question("approval", reason), params)
    return True


def ask_approval(turn: Turn, run: Run, question: Question, params: dict[str, Any]) -> None:
    """Have a person decide, by the operator's word on how long and on interactions that nobody attends.

    What is shown is what will run, whatever else a plugin has to say about it.
    """
    said = question.preview if isinstance(question.preview, dict) else {}
    about = {"action": run.node.action, "params": params}
    if turn.state.workspace:
        about["workspace"] = turn.state.workspace
    question = question._replace(preview={**said, **about})
    if turn.state.unattended and turn.gate.unattended == "deny":
        message = f"nobody is there to approve it (approvals.unattended is deny): {question.prompt}"
        turn.fail_step(run, Failure("denied", message))
        return
    expires = turn.gate.expires_us
    due_at = None if expires is None else turn.at + expires
    turn.wait(run, question._replace(digest=_bound(turn, run, params, question), due_at=due_at))


def _bound(turn: Turn, run: Run, params: dict[str, Any], question: Question | None) -> str:
    return digest(run.node.action, params, turn.gate.policy(run.node.action), question and question.preview)


def approval_of(run: Run, verdict: Verdict, params: dict[str, Any]) -> dict[str, Any] | None:
    """What the action is told: who said yes, and to which action and parameters; nothing when nobody was asked."""
    if run.approval is not None:
        return {**run.approval, "bound": digest(run.node.action, params)}
    if verdict.rule:
        return {"decision": "approved", "by": f"rule: {verdict.reason}", "bound": digest(run.node.action, params)}
    return None


def about_interruption(run: Run) -> Question:
    prompt = (
        f"The daemon stopped while {run.node.action} ran, and it may not be repeated unasked: "
        "it may or may not have done its work. Retry it, skip it with a value, or let it fail?"
    )
    return Question("interrupted", prompt, schema=_DECISION)


def of_wait_step(run: Run, params: dict[str, Any], at: int) -> Question:
    """The question of a wait_user, wait_event or wait_until step. Raises ValueError or OverflowError
    for a moment that is none, and ValueError for a schema that cannot be used."""
    timeout = run.node.timeout
    due_at = None if timeout is None else at + int(timeout * 1_000_000)
    if run.node.kind == "wait_user":
        prompt = str(params.get("prompt") or params.get("message") or "Please answer.")
        asked = params.get("schema")
        if asked is not None and (problems := schema.check(asked)):  # parts of it may have come from another's output
            raise ValueError(f"the answer's schema cannot be used: {problems[0]}")
        return Question("input", prompt, schema=asked, due_at=due_at)
    if run.node.kind == "wait_event":
        return _of_event(params, due_at)
    return Question("until", "Waiting for a moment.", due_at=_moment(params, at))


def _of_event(params: dict[str, Any], due_at: int | None) -> Question:
    """Raises ValueError for a kind or a correlation that came to nothing: it would take what is somebody else's."""
    named = next((name for name in ("kind", "event_type") if name in params), None)
    kind = "*" if named is None else params[named]
    if not isinstance(kind, str) or not kind:
        raise ValueError(f"the kind of event to wait for must be a text, and is {kind!r}")
    correlation = params.get("correlation")
    if "correlation" in params and correlation is None:
        raise ValueError("the correlation to wait for has no value")
    if correlation is not None and not isinstance(correlation, str):
        correlation = json.dumps(correlation, sort_keys=True)
    return Question("event", f"Waiting for the event {kind}.", event_kind=kind, correlation=correlation, due_at=due_at)


def _moment(params: dict[str, Any], at: int) -> int:
    if "for" in params:
        moment = at + int(parse_duration(params["for"]) * 1_000_000)
    else:
        given = datetime.fromisoformat(str(params["at"]))
        if given.tzinfo is None:
            raise ValueError("a moment needs a time zone, for example 2026-01-31T09:00:00Z")
        moment = int((given - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000)
    if moment > _LAST_MOMENT:
        raise ValueError("nobody will live to see that moment: it is after the year 9999")
    return moment


_LAST_MOMENT = 253_402_300_799_000_000
"""The end of the year 9999 in UTC microseconds: what a column, a JSON number and a calendar can all hold."""


def answer(turn: Turn, run: Run, question: Question, it: Answered) -> tuple[str, str] | None:
    """Apply an answer, or say why not as (code, message)."""
    if question.due_at is not None and it.at >= question.due_at and question.kind not in {"event", "until"}:
        return "wrong_state", f"the time to answer step {run.id} is over"  # its timer may look a minute later
    if question.kind == "approval":
        return _decide_approval(turn, run, question, it)
    if it.channel != "respond":
        return "wrong_state", f"step {run.id} waits for no approval"
    if question.kind in {"event", "until"}:
        return "wrong_state", f"step {run.id} does not wait for a person"
    for fault in schema.errors(question.schema or {}, it.payload):
        return "invalid_params", f"the answer does not fit: {fault.message}"
    if question.kind == "interrupted":
        _decide_interruption(turn, run, it)
    elif question.kind == "input":
        output = {"answer": it.payload, "by": it.by}
        turn.succeed(run, {"output": output}, output)
    else:
        turn.emit("step.answered", {"answer": it.payload, "by": it.by}, run.id)
    return None


def _decide_approval(turn: Turn, run: Run, question: Question, it: Answered) -> tuple[str, str] | None:
    if it.channel != "decide":
        return "denied", "an approval is answered by approval.decide alone"
    if it.payload["digest"] != question.digest:
        return "conflict", "the digest names something else than what waits for approval now"
    if it.payload["decision"] == "approve":
        answer = {"decision": "approved", "by": it.by, "digest": question.digest}
        turn.emit("step.answered", {"answer": answer, "by": it.by}, run.id)
    else:
        note = it.payload.get("note") or "no reason given"
        details = {"by": it.by}
        turn.fail_step(run, Failure("denied", f"a person denied it: {note}", details=details))
    return None


def _decide_interruption(turn: Turn, run: Run, it: Answered) -> None:
    decision = it.payload["decision"]
    if decision == "retry":
        turn.emit("step.answered", {"answer": it.payload, "by": it.by}, run.id)
    elif decision == "skip":
        turn.emit("step.skipped", {"reason": "decision", "value": it.payload.get("value"), "by": it.by}, run.id)
        if run.parent is not None:
            turn.gather(run.parent)
    else:
        turn.fail_step(run, Failure("interrupted", "the daemon stopped while it ran", details={"by": it.by}))
