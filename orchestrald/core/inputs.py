"""What can happen to an interaction?

The mirror image of `effects`: an input is the shell telling the core what happened, an effect is the core asking the
shell to do something. Time (`at`, UTC microseconds), identifiers and randomness arrive here; the core never asks.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from orchestrald.core.graph import Graph
from orchestrald.core.model import ActionSpec, Failure, Question


@dataclass(frozen=True, slots=True)
class Submitted:
    """Somebody asked for something. `graph` missing means that a planner must be asked for one.

    `max_replans` is how often a failed subgraph may be planned anew; 0 where no planner could. `queued` names the
    policy that has it wait for the interactions `behind` which it stands, empty when it starts at once; those in
    `interrupts` are being cancelled for it. `unattended`: nobody sits there to be asked. A fork brings results of
    `forked_from` along in `carried`, by step. `approved` is the digest of the plan that `by` was shown and agreed to.
    """

    at: int
    interaction_id: str
    thread_id: str
    intent: str
    by: str = ""
    source: str = "intent"
    graph: Graph | None = None
    workspace: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    new_thread: bool = False
    max_replans: int = 0
    unattended: bool = False
    queued: str = ""
    behind: tuple[str, ...] = ()
    interrupts: tuple[str, ...] = ()
    forked_from: str = ""
    carried: dict[str, dict[str, Any]] = field(default_factory=dict)
    approved: str = ""


@dataclass(frozen=True, slots=True)
class Admitted:
    """The thread has room for the interaction that waited in its queue. `memory` is what its plan sees now; missing: as
    when it was submitted."""

    at: int
    memory: dict[str, dict[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class Merged:
    """Another input joined this interaction: it is planned when the present plan has come to its end."""

    at: int
    intent: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class PlanProposed:
    """A planner answered with a graph that passed `normalize`. `max_replans` missing: as it was submitted. `round`
    missing: to whatever is being asked. `observes` is how often the planner wants to be asked about one intent, within
    `seconds` (0: without end); 0: it does not want to see what came of its plan."""

    at: int
    graph: Graph
    planner: str = ""
    max_replans: int | None = None
    round: int | None = None
    observes: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class PlanPatched:
    """A planner replaced a failed subgraph, or added steps; `graft` made one graph of what stays and what is new.

    The last three are as in PlanProposed, and count where the steps are for an input that was merged.
    """

    at: int
    graph: Graph
    superseded: tuple[str, ...]
    planner: str = ""
    round: int | None = None
    max_replans: int | None = None
    observes: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class PlanConcluded:
    """A planner says that nothing more is to be done; `text` is the answer, or why it cannot be done."""

    at: int
    text: str
    achieved: bool = True
    planner: str = ""
    round: int | None = None


@dataclass(frozen=True, slots=True)
class PlanningFailed:
    """No planner could answer; `failure` is told to the user."""

    at: int
    failure: Failure
    round: int | None = None


class ActionSucceeded(NamedTuple):
    """An attempt ended well. `digest` is set when the output went to the reference store, and `size` is its size.
    `artifacts` are the data of `artifact.stored` for all that it put there."""

    at: int
    step_id: str
    output: Any
    ms: int = 0
    digest: str = ""
    size: int = 0
    artifacts: tuple[dict[str, Any], ...] = ()


class ActionFailed(NamedTuple):
    """An attempt ended badly. `jitter` in [0, 1) places the retry below its ceiling."""

    at: int
    step_id: str
    failure: Failure
    jitter: float = 1.0


class ActionAsked(NamedTuple):
    """The plugin needs an answer before it can go on; its process has ended."""

    at: int
    step_id: str
    question: Question


class ActionStopped(NamedTuple):
    """A running action was stopped on request, and its processes are gone."""

    at: int
    step_id: str


class TimerFired(NamedTuple):
    """The moment that `SetTimer` named has come."""

    at: int
    step_id: str


class SlotsFreed(NamedTuple):
    """The daemon can run more steps than when this interaction last asked."""

    at: int


@dataclass(frozen=True, slots=True)
class Answered:
    """Somebody answered a waiting step. `channel` is how: `respond`, or `decide` for approvals."""

    at: int
    step_id: str
    payload: Any
    by: str = ""
    channel: str = "respond"


@dataclass(frozen=True, slots=True)
class EventArrived:
    """An external event was matched to a waiting step. `seq` is where it stands in the journal."""

    at: int
    step_id: str
    kind: str
    payload: Any
    seq: int = 0


@dataclass(frozen=True, slots=True)
class CancelRequested:
    at: int
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PauseRequested:
    at: int
    by: str = ""


@dataclass(frozen=True, slots=True)
class ResumeRequested:
    at: int
    by: str = ""


@dataclass(frozen=True, slots=True)
class SkipRequested:
    """A person does not want the step to run; what depends on it gets `value` as its output."""

    at: int
    step_id: str
    value: Any = None
    by: str = ""


@dataclass(frozen=True, slots=True)
class RetryRequested:
    """A person wants it tried again, from a step on; `from_step` empty means whatever did not end well."""

    at: int
    from_step: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class Recovered:
    """The daemon started again and has folded this interaction's events."""

    at: int


@dataclass(frozen=True, slots=True)
class Explained:
    """The interpreter put the outcome into words: the last input of every turn. `status` is what it explained."""

    at: int
    status: str
    text: str


Input = (
    Submitted
    | Admitted
    | Merged
    | PlanProposed
    | PlanPatched
    | PlanConcluded
    | PlanningFailed
    | ActionSucceeded
    | ActionFailed
    | ActionAsked
    | ActionStopped
    | TimerFired
    | SlotsFreed
    | Answered
    | EventArrived
    | CancelRequested
    | PauseRequested
    | ResumeRequested
    | SkipRequested
    | RetryRequested
    | Recovered
    | Explained
)

Catalog = dict[str, ActionSpec]
"""Every action that a plan may name, by full name."""
