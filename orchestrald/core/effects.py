"""What can the core ask the shell to do?

The mirror image of `inputs`. Effects are performed after the events that caused them are committed, so each must be
safe to ask for again: a crash between the commit and the effect makes `Recovered` re-issue it.
"""

from typing import Any, NamedTuple

from orchestrald.core.model import Failure, StepSandbox


class RunAction(NamedTuple):
    """Run one attempt of a step; answered by ActionSucceeded, ActionFailed, ActionAsked or ActionStopped.

    `params` are resolved. `answer` is what a person said to the question that this attempt follows, `state` the
    plugin's own opaque string from that question; both missing on a first run. `sandbox` is what the plan narrows.
    """

    step_id: str
    action: str
    params: dict[str, Any]
    attempt: int
    revision: int
    timeout: float | None
    answer: Any = None
    approval: Any = None
    state: str | None = None
    sandbox: StepSandbox | None = None


class StopAction(NamedTuple):
    """Stop a running attempt and all its processes; answered by ActionStopped, or by whatever came first."""

    step_id: str


class ProposePlan(NamedTuple):
    """Ask the planner for a plan; answered by PlanProposed, PlanPatched, PlanConcluded or PlanningFailed.

    `failed` names the step whose subgraph must be replaced; empty means that the whole intent is to be planned.
    `joins`: the steps are added to the plan that there is, whose outcome the planner is shown: of an input that was
    merged, or of the next round. `round` tells this question from earlier ones; one that is asked again after a pause
    or a crash keeps its number, so that what was answered already is not asked of a model a second time.
    """

    intent: str
    failed: str = ""
    failure: Failure | None = None
    joins: bool = False
    round: int = 0


class StopAsking(NamedTuple):
    """What the planner or the interpreter is being asked is of no interest any more; answered by nothing."""


class SetTimer(NamedTuple):
    """Say TimerFired at `due_at` (UTC microseconds). The event that caused it holds the same moment."""

    step_id: str
    due_at: int


class Explain(NamedTuple):
    """Put the outcome into words; answered by Explained."""

    status: str


class Log(NamedTuple):
    """Say something in the daemon's log. An effect, so that a test can assert its cause."""

    level: str
    message: str


Effect = RunAction | StopAction | ProposePlan | StopAsking | SetTimer | Explain | Log
