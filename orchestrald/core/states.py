"""In which states can an interaction and a step be, and which event moves them on?

Rules of this file:

- Every transition is in one of the two tables below; nothing else may change a state.
- A missing key is a refusal, and a bug in whoever emitted the event: `move` raises `IllegalMove`.
- Final states have one way out, a person's `retry`; those without any are listed with empty tables, so that the absence
  of an edge is visible.
- The file knows no data: guards live in `decide`, effects on data in `evolve`.

ARCHITECTURE.md's diagrams are generated from these tables, and a test keeps them current.
"""

from enum import StrEnum


class InteractionState(StrEnum):
    QUEUED = "queued"
    PLANNING = "planning"
    EXECUTING = "executing"
    WAITING = "waiting"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class StepState(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    RETRYING = "retrying"
    WAITING = "waiting"
    INTERRUPTED = "interrupted"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    SUPERSEDED = "superseded"


_I = InteractionState
_S = StepState

_ENDS = {
    "interaction.completed": _I.COMPLETED,
    "interaction.failed": _I.FAILED,
    "interaction.cancelling": _I.CANCELLING,
}

INTERACTION: dict[InteractionState, dict[str, InteractionState]] = {
    _I.QUEUED: {
        "interaction.queued": _I.QUEUED,  # something else is active in its thread
        "interaction.planning": _I.PLANNING,
        "plan.adopted": _I.EXECUTING,
        **_ENDS,
    },
    _I.PLANNING: {
        "plan.adopted": _I.EXECUTING,
        "plan.patched": _I.EXECUTING,
        "plan.concluded": _I.EXECUTING,  # nothing more is to be planned: finish what there is
        "plan.unobserved": _I.EXECUTING,
        "interaction.resumed": _I.EXECUTING,  # the replan came to nothing: finish what does not depend on the failure
        "interaction.paused": _I.PAUSED,  # and asked for again when it is resumed
        **_ENDS,
    },
    _I.EXECUTING: {
        "plan.adopted": _I.EXECUTING,  # it was cancelled in the queue, and is tried again
        "interaction.planning": _I.PLANNING,  # a replan of a failed subgraph, an input that joined, or the next round
        "plan.unobserved": _I.EXECUTING,  # there is no next round
        "interaction.waiting": _I.WAITING,
        "interaction.paused": _I.PAUSED,
        **_ENDS,
    },
    _I.WAITING: {
        "interaction.resumed": _I.EXECUTING,
        "interaction.planning": _I.PLANNING,  # a person denied what was asked, and the planner is told
        "plan.unobserved": _I.EXECUTING,
        "interaction.paused": _I.PAUSED,
        **_ENDS,
    },
    _I.PAUSED: {
        "interaction.resumed": _I.EXECUTING,
        **_ENDS,
    },
    _I.CANCELLING: {
        "interaction.cancelled": _I.CANCELLED,
        "interaction.failed": _I.FAILED,  # a bug of ours met it on the way
    },
    _I.COMPLETED: {"interaction.reopened": _I.EXECUTING},
    _I.FAILED: {"interaction.reopened": _I.EXECUTING},
    _I.CANCELLED: {"interaction.reopened": _I.EXECUTING},
}

STEP: dict[StepState, dict[str, StepState]] = {
    _S.PENDING: {
        "step.started": _S.RUNNING,
        "step.waiting": _S.WAITING,
        "step.expanded": _S.RUNNING,
        "step.carried": _S.SUCCEEDED,  # a fork brings the result along
        "step.skipped": _S.SKIPPED,
        "step.failed": _S.FAILED,  # its parameters could not be resolved
        "step.cancelled": _S.CANCELLED,
        "step.superseded": _S.SUPERSEDED,
    },
    _S.RUNNING: {
        "step.succeeded": _S.SUCCEEDED,
        "step.failed": _S.FAILED,
        "step.retrying": _S.RETRYING,
        "step.waiting": _S.WAITING,
        "step.interrupted": _S.INTERRUPTED,
        "step.cancelled": _S.CANCELLED,
    },
    _S.RETRYING: {
        "step.started": _S.RUNNING,
        "step.skipped": _S.SKIPPED,  # a person does not wait for the next attempt
        "step.failed": _S.FAILED,
        "step.cancelled": _S.CANCELLED,
        "step.superseded": _S.SUPERSEDED,
    },
    _S.WAITING: {
        "step.answered": _S.PENDING,  # and run again, with the answer in its context
        "step.succeeded": _S.SUCCEEDED,  # a wait step: the answer is its output
        "step.failed": _S.FAILED,
        "step.skipped": _S.SKIPPED,
        "step.cancelled": _S.CANCELLED,
        "step.superseded": _S.SUPERSEDED,
    },
    _S.INTERRUPTED: {
        "step.started": _S.RUNNING,  # idempotent: a new attempt under the same idempotency key
        "step.waiting": _S.WAITING,  # not idempotent: a person decides
        "step.failed": _S.FAILED,
        "step.cancelled": _S.CANCELLED,
    },
    _S.SUCCEEDED: {"step.reset": _S.PENDING},  # downstream of a step that a person has retried
    _S.FAILED: {"step.reset": _S.PENDING, "step.superseded": _S.SUPERSEDED},
    _S.CANCELLED: {"step.reset": _S.PENDING},
    _S.SKIPPED: {"step.reset": _S.PENDING, "step.superseded": _S.SUPERSEDED},
    _S.SUPERSEDED: {},
}

FINAL_INTERACTION = frozenset({_I.COMPLETED, _I.FAILED, _I.CANCELLED})
ALIVE = frozenset(_I) - FINAL_INTERACTION
FINISHED = frozenset({_S.SUCCEEDED, _S.FAILED, _S.CANCELLED, _S.SKIPPED, _S.SUPERSEDED})
"""Steps that only a replan (`superseded` replaces a failed or skipped one) or a person's `retry` touches again."""
IN_FLIGHT = frozenset({_S.RUNNING, _S.RETRYING, _S.INTERRUPTED})
"""Steps that will report back without anybody's help."""
RESTING = frozenset({_I.QUEUED, _I.WAITING, _I.PAUSED})
"""Interactions that go on when somebody or something outside of them says so."""


class IllegalMove(Exception):
    """An event met a state that has no edge for it: a bug in `decide`, or a journal written by other code."""


def move_interaction(state: InteractionState, event: str) -> InteractionState:
    try:
        return INTERACTION[state][event]
    except KeyError:
        raise IllegalMove(f"{event} does not apply to an interaction that is {state}") from None


def move_step(state: StepState, event: str) -> StepState:
    try:
        return STEP[state][event]
    except KeyError:
        raise IllegalMove(f"{event} does not apply to a step that is {state}") from None
