"""What is known of a running interaction, in memory?

`Interaction` and its `Run`s are what folding its events gives; `facts` is that state as plain data, and two states with
equal facts are the same state. Everything else here is derived for speed (counters, the ready heap) or transient
(`explaining`, `held`, `proposed`, `loaded`): lost in a crash, and rebuilt from the journal and the reference store.
"""

from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any, NamedTuple

from orchestrald.core.graph import Graph, Node
from orchestrald.core.model import Failure, Question, Stored
from orchestrald.core.states import FINAL_INTERACTION, FINISHED, RESTING, InteractionState, StepState


@dataclass(slots=True, eq=False)
class Run:
    """The life of one step, or of one item of a `for_each` step (then `parent` and `item` are set).

    `output` missing (None) on a finished step means it left nothing: it was skipped, or it failed. `unmet` counts the
    dependencies that have not yet ended well; at 0 the step may start. `queued` is the number of its place among those
    that may start now, 0 when it has none; `let_in` is how many of its items have had one. `retries` is how many
    attempts failed and were followed by another. `consent` is the question that `approval` answers. `revision` counts
    deliberate re-runs: with the interaction and step ids it is the idempotency key.
    """

    id: str
    node: Node
    order: tuple[int, int]
    unmet: int
    state: StepState = StepState.PENDING
    attempt: int = 0
    revision: int = 1
    output: Any = None
    stored: Stored | None = None
    failure: Failure | None = None
    question: Question | None = None
    answer: Any = None
    approval: dict[str, Any] | None = None
    consent: Question | None = None
    reason: str = ""
    due_at: int | None = None
    started_at: int | None = None
    asked_at: int | None = None
    ended_at: int | None = None
    ms: int | None = None
    parent: "Run | None" = None
    item: Any = None
    children: "list[Run] | None" = None
    open_children: int = 0
    let_in: int = 0
    queued: int = 0
    retries: int = 0

    @property
    def finished(self) -> bool:
        return self.state in FINISHED

    @property
    def satisfied(self) -> bool:
        """Whether what depends on the step may count on it."""
        return self.state is StepState.SUCCEEDED or (self.state is StepState.SKIPPED and self.reason != "dependency")

    def begin_again(self) -> None:
        """Forget everything that a run of the step left behind, and count it as deliberate."""
        fresh = Run(self.id, self.node, self.order, self.unmet, revision=self.revision + 1)
        for name in self.__slots__:
            setattr(self, name, getattr(fresh, name))

    def facts(self) -> dict[str, Any]:
        return {
            "state": self.state,
            "attempt": self.attempt,
            "retries": self.retries,
            "revision": self.revision,
            "output": self.output,
            "failure": self.failure,
            "question": self.question,
            "answer": self.answer,
            "approval": self.approval,
            "reason": self.reason,
            "due_at": self.due_at,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "unmet": self.unmet,
            "open_children": self.open_children,
        }


class Conclusion(NamedTuple):
    """What a planner says at the end: the answer, and whether the intent is achieved."""

    text: str
    achieved: bool


class Matter(NamedTuple):
    """What was dealt with before something else joined. `text` is a template of words about it; empty: none."""

    intent: str
    text: str
    achieved: bool


@dataclass(slots=True, eq=False)
class Interaction:
    """The live state of one interaction; owned by one actor, changed by `evolve` alone.

    `queued` names the policy that had it wait, empty when it started at once. `merged` are the intents that joined it
    and are not planned yet, `merging` the one that is being planned, `unplanned` those that no plan was found for.

    `matter` is the intent that is dealt with now, the first one or one that joined a plan of another planner; `added`
    are those that joined it, `joining` those that its planner is being told of; `settled` was dealt with before.
    A planner that wants to see what came of its plan is asked at most `observes` times, of which `asked` are over, and
    for `seconds`, in which `idle` (microseconds of waiting for somebody, and without a daemon) do not count; both anew
    when something joins. It ends that by a `conclusion`, or is not asked again for the reason in `unobserved`.
    """

    id: str = ""
    thread_id: str = ""
    state: InteractionState = InteractionState.QUEUED
    intent: str = ""
    source: str = ""
    by: str = ""
    workspace: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    created_at: int = 0
    updated_at: int = 0
    ended_at: int | None = None
    planner: str = ""
    graph: Graph | None = None
    runs: dict[str, Run] = field(default_factory=dict)
    by_node: list[Run] = field(default_factory=list)
    failure: Failure | None = None
    answer: str | None = None
    replans: int = 0
    rounds: int = 0
    max_replans: int = 0
    replanning: str = ""
    unattended: bool = False
    queued: str = ""
    interrupts: tuple[str, ...] = ()
    forked_from: str = ""
    carried: dict[str, dict[str, Any]] = field(default_factory=dict)
    merged: list[str] = field(default_factory=list)
    merging: str = ""
    unplanned: list[tuple[str, Failure]] = field(default_factory=list)
    approved: str = ""
    matter: str = ""
    added: list[str] = field(default_factory=list)
    joining: list[str] = field(default_factory=list)
    settled: list[Matter] = field(default_factory=list)
    observes: int = 0
    observing: bool = False
    asked: int = 0
    seconds: float = 0.0
    idle: int = 0
    idle_since: int | None = None
    conclusion: Conclusion | None = None
    unobserved: Failure | None = None
    reopened: int = 0

    # derived
    running: int = 0
    unfinished: int = 0
    ready: list[tuple[tuple[int, int], int, Run]] = field(default_factory=list)
    pushed: int = 0
    waiting: dict[str, Run] = field(default_factory=dict)
    retrying: dict[str, Run] = field(default_factory=dict)

    # transient
    explaining: str = ""
    planning_failure: Failure | None = None
    proposed: Graph | None = None
    loaded: dict[str, Any] = field(default_factory=dict)
    held: dict[str, list[tuple[tuple[int, int], int, Run]]] = field(default_factory=dict)

    @property
    def final(self) -> bool:
        return self.state in FINAL_INTERACTION

    @property
    def resting(self) -> bool:
        """Whether nothing of it runs or comes due but its waits: it need not be in memory."""
        interrupting = self.state is InteractionState.QUEUED and self.interrupts  # a start has to see to those again
        return self.state in RESTING and not (self.running or self.retrying or self.explaining or interrupting)

    def push(self, run: Run) -> None:
        """The step may start. Until its state changes: what an event has moved on is not ready any more."""
        if not run.queued:
            self.pushed += 1
            run.queued = self.pushed
            heappush(self.ready, (run.order, run.queued, run))

    def next_ready(self) -> Run | None:
        """The first step in plan order that may start. Entries that an event has overtaken are dropped here."""
        while self.ready:
            _, place, run = self.ready[0]
            if run.queued == place and run.state in _STARTABLE:
                return run
            heappop(self.ready)
        return None

    def pop_ready(self) -> Run:
        return heappop(self.ready)[2]

    def hold(self, run: Run) -> None:
        """Its action is at its limit: it keeps its place, beside the siblings that it must not hold up."""
        heappush(self.held.setdefault(run.node.action, []), (run.order, run.queued, run))

    def next_held(self, action: str) -> Run | None:
        """The first step of this action that is held back and may still start, as `next_ready`."""
        heap = self.held.get(action, [])
        while heap:
            _, place, run = heap[0]
            if run.queued == place and run.state in _STARTABLE:
                return run
            heappop(heap)
        self.held.pop(action, None)
        return None

    def facts(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "thread_id": self.thread_id,
            "state": self.state,
            "intent": self.intent,
            "workspace": self.workspace,
            "ended_at": self.ended_at,
            "planner": self.planner,
            "graph": self.graph.to_json() if self.graph else None,
            "failure": self.failure,
            "answer": self.answer,
            "replans": self.replans,
            "replanning": self.replanning,
            "merged": self.merged,
            "merging": self.merging,
            "unplanned": self.unplanned,
            "rounds": self.rounds,
            "max_replans": self.max_replans,
            "matter": self.matter,
            "added": self.added,
            "joining": self.joining,
            "settled": self.settled,
            "observes": self.observes,
            "seconds": self.seconds,
            "idle_since": self.idle_since,
            "observing": self.observing,
            "asked": self.asked,
            "idle": self.idle,
            "conclusion": self.conclusion,
            "unobserved": self.unobserved,
            "reopened": self.reopened,
            "queued": self.queued,
            "unattended": self.unattended,
            "running": self.running,
            "unfinished": self.unfinished,
            "waiting": sorted(self.waiting),
            "retrying": sorted(self.retrying),
            "runs": {name: run.facts() for name, run in self.runs.items()},
        }


_STARTABLE = frozenset({StepState.PENDING, StepState.RETRYING, StepState.INTERRUPTED})
