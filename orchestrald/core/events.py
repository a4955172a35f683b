"""Which facts are there?

Rules of this file:

- Every event type is a row of `TYPES`; ARCHITECTURE.md's table of events is checked against it.
- An event is never edited. When its `data` must change shape, `v` grows and `upcast` learns the old one.
- `seq` is given by the store at commit, gap-free; an event that is not committed yet has `seq` 0.
- Times are UTC, in microseconds since 1970.
"""

from typing import Any, Literal, NamedTuple

Kind = Literal["user_input", "assistant_output", "artifact", "external_event", "system_trace"]


class Event(NamedTuple):
    """One fact. `interaction_id` and `step_id` empty mean that it is not about one."""

    type: str
    data: dict[str, Any]
    thread_id: str
    interaction_id: str = ""
    step_id: str = ""
    at: int = 0
    seq: int = 0
    v: int = 1

    @property
    def kind(self) -> Kind:
        return TYPES[self.type].kind

    def to_wire(self) -> dict[str, Any]:
        """As it travels on the socket: every field, absent ids left out."""
        wire: dict[str, Any] = {
            "seq": self.seq,
            "at": self.at,
            "type": self.type,
            "kind": self.kind,
            "thread_id": self.thread_id,
            "interaction_id": self.interaction_id,
            "step_id": self.step_id,
            "data": self.data,
            "v": self.v,
        }
        return {k: v for k, v in wire.items() if v != ""}


class Type(NamedTuple):
    kind: Kind
    says: str


_TRACE: Kind = "system_trace"

TYPES: dict[str, Type] = {
    "thread.created": Type(_TRACE, "a thread exists: title, metadata, policy"),
    "thread.changed": Type(_TRACE, "a thread has other properties: title, metadata, policy or archived, by"),
    "input.rejected": Type("user_input", "the thread's policy refused an input: intent, source, by, reason"),
    "interaction.submitted": Type("user_input", "somebody asked for something: intent, source, by, workspace, labels"),
    "interaction.queued": Type(_TRACE, "it waits for its thread: policy, behind, interrupts?, plan?, carried?"),
    "interaction.merged": Type("user_input", "another input joined it, for its next planning round: intent, by"),
    "interaction.planning": Type(_TRACE, "the planner was asked: reason, failed?, intent?, settled?, again?"),
    "interaction.absent": Type(_TRACE, "the daemon was not there for so long, and that counts for nobody: us"),
    "interaction.waiting": Type(_TRACE, "nothing can go on until named steps are answered: steps"),
    "interaction.resumed": Type(_TRACE, "it goes on: by?, reason?, unplanned?"),
    "interaction.paused": Type(_TRACE, "a person paused it: by"),
    "interaction.reopened": Type(_TRACE, "a person has it tried again after its end: by, from?"),
    "interaction.cancelling": Type(_TRACE, "a person asked to stop it: by, reason"),
    "interaction.completed": Type(_TRACE, "every step ended well: counts"),
    "interaction.failed": Type(_TRACE, "it ended with a failure: error, counts"),
    "interaction.cancelled": Type(_TRACE, "it was stopped, and its processes are gone: counts"),
    "plan.adopted": Type(
        _TRACE, "this plan will be run: plan, planner, specs, reads?, memory?, max_replans?, observes?, seconds?"
    ),
    "plan.patched": Type(
        _TRACE, "steps were replaced or added: plan, planner, specs, reads?, memory?, max_replans?, observes?, seconds?"
    ),
    "plan.concluded": Type(_TRACE, "the planner says that nothing more is to be done: text, achieved, planner"),
    "plan.unobserved": Type(_TRACE, "the planner does not see what came of its plan: error"),
    "model.asked": Type(
        _TRACE, "a model is about to be asked: part, number, purpose, model, tokens and cost? that it may take at most"
    ),
    "model.answered": Type(
        _TRACE,
        "it has answered: asked (the seq of model.asked), part, number, purpose, backend, model, mode, finish, tokens "
        "{input, cached, output}, cost?, ms, text",
    ),
    "model.failed": Type(
        _TRACE,
        "it has not: asked, part, purpose, number, error, ms, tokens? and cost? that it may have taken all the same",
    ),
    "step.started": Type(_TRACE, "an attempt begins: attempt"),
    "step.expanded": Type(_TRACE, "a for_each became that many items: count"),
    "step.succeeded": Type(_TRACE, "an attempt ended well: output or stored, ms, event?"),
    "step.failed": Type(_TRACE, "the step ended badly: error, attempt, event?"),
    "step.retrying": Type(_TRACE, "an attempt failed and another follows: error, attempt, due_at"),
    "step.waiting": Type(_TRACE, "the step waits for an answer: question"),
    "step.answered": Type(_TRACE, "somebody answered: answer, by"),
    "step.skipped": Type(_TRACE, "the step is not run: reason (when, dependency, decision), value, by?"),
    "step.carried": Type(_TRACE, "a fork took the result along: output or stored, from"),
    "step.reset": Type(_TRACE, "the step is to be run again, under a new revision"),
    "step.cancelled": Type(_TRACE, "the step was stopped"),
    "step.interrupted": Type(_TRACE, "the daemon died while the step ran: attempt"),
    "step.superseded": Type(_TRACE, "a replan replaced the step"),
    "step.violation": Type(_TRACE, "the step ran into the sandbox: kind, evidence, certain, path?, backend?, mode?"),
    "assistant.output": Type("assistant_output", "the answer in words: text, status"),
    "artifact.stored": Type("artifact", "stored: digest, type, media_type, name, size, metadata, until?, by?"),
    "artifact.deleted": Type(_TRACE, "references are gone: digest, rows (their seq), reason (asked, expired), by?"),
    "memory.set": Type(_TRACE, "a value is kept in the working set: scope, key, value, by"),
    "memory.deleted": Type(_TRACE, "a value is not kept any more: scope, key, by"),
    "schedule.created": Type(_TRACE, "a schedule exists: schedule, name, trigger, misfire, by"),
    "schedule.fired": Type(
        _TRACE, "it started an interaction: schedule, name, moment or path, interaction_id, thread_id, by?"
    ),
    "schedule.refused": Type(
        _TRACE, "it could not start one, and goes on: schedule, name, moment or path, error {code, message}"
    ),
    "schedule.missed": Type(
        _TRACE, "moments or files have no firing of their own: schedule, name, count (1,000 at most is counted)"
    ),
    "schedule.paused": Type(_TRACE, "it starts nothing for now: schedule, name, by"),
    "schedule.resumed": Type(_TRACE, "it goes on from now: schedule, name, by"),
    "schedule.deleted": Type(_TRACE, "it is gone: schedule, name, by"),
    "external.event": Type("external_event", "something happened outside: kind, correlation, payload"),
}


def upcast(event: Event) -> Event:
    """An event of an older version in today's shape. There is only version 1 so far."""
    return event
