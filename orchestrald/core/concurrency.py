"""What becomes of a new input while something is active in its thread?

Rules of this file:

- A policy is a plain function of a `Situation`, asked only when something is active: an idle thread starts at once.
- Active is what runs or waits for its turn. What waits for a person, an event or a moment is not: it only counts for
  `max_interactions_per_thread`, which is checked before any policy is asked.
- A policy decides about inputs, never about answers: answering a wait is not a new input.

The original resumed whatever waited before any policy could speak, let what it "interrupted" run on, and had no queue.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple


class Standing(NamedTuple):
    """An unfinished interaction of the thread. `created_at` in UTC microseconds; it starts after all in `interrupts`
    are over."""

    interaction_id: str
    state: Literal["queued", "active", "waiting"]
    created_at: int
    interrupts: tuple[str, ...] = ()


class Situation(NamedTuple):
    """`alive` are the thread's unfinished interactions, oldest first; `limit` is how many may be."""

    thread_id: str
    intent: str
    source: str
    by: str
    alive: tuple[Standing, ...]
    limit: int

    @property
    def active(self) -> tuple[str, ...]:
        """Everything that runs or is queued, in the order of their submission."""
        return tuple(each.interaction_id for each in self.alive if each.state != "waiting")

    @property
    def running(self) -> tuple[str, ...]:
        return tuple(each.interaction_id for each in self.alive if each.state == "active")

    @property
    def queued(self) -> tuple[str, ...]:
        return tuple(each.interaction_id for each in self.alive if each.state == "queued")


class Start(NamedTuple):
    """Beside whatever is active."""


class Queue(NamedTuple):
    """Behind everything that is active, and after `cancel` (ids of this thread) are gone, processes and all."""

    cancel: tuple[str, ...] = ()


class Merge(NamedTuple):
    """Into `interaction_id`, for its next planning round."""

    interaction_id: str


class Reject(NamedTuple):
    reason: str


Decision = Start | Queue | Merge | Reject
Policy = Callable[[Situation], Decision]


def interrupt_and_start_new(situation: Situation) -> Decision:
    return Queue(cancel=situation.active)


def reject(situation: Situation) -> Decision:
    return Reject(f"{situation.active[-1]} is active in this thread, and its policy is reject")


def queue(situation: Situation) -> Decision:
    return Queue()


def parallel(situation: Situation) -> Decision:
    return Start()


def merge_into_running(situation: Situation) -> Decision:
    """The newest that runs; one that only stands in the queue has no plan to be merged into yet."""
    return Merge(situation.running[-1]) if situation.running else Queue()


BUILT_IN: dict[str, Policy] = {
    "interrupt_and_start_new": interrupt_and_start_new,
    "reject": reject,
    "queue": queue,
    "parallel": parallel,
    "merge_into_running": merge_into_running,
}
"""The five of the original, by the names that its configuration has for them."""


def admit(policy: Policy, situation: Situation, max_queued: int) -> Decision:
    """The decision about one input. Whatever a policy says, it cannot reach beyond its thread or its bounds.

    Never raises for what a policy does: one that fails or talks nonsense lets nothing start.
    """
    standing = len(situation.alive) - len(situation.queued)
    if standing >= situation.limit:
        return Reject(f"{standing} interactions of this thread are unfinished, and no more than that may be")
    if not situation.active:
        return Start()
    try:
        decision = policy(situation)
    except Exception as error:  # noqa: BLE001  a plugin's bug must not stop the daemon, nor open a way past the policy
        return Reject(f"the thread's policy failed: {type(error).__name__}: {error}")
    problem = _nonsense(decision, situation)
    if problem:
        return Reject(f"the thread's policy cannot be followed: {problem}")
    if isinstance(decision, Queue) and len(set(situation.queued) - set(decision.cancel)) >= max_queued:
        return Reject(f"{len(situation.queued)} inputs wait in this thread's queue, and no more than that may")
    return decision


def _nonsense(decision: object, situation: Situation) -> str:
    match decision:
        case Queue(cancel) if not set(cancel) <= set(situation.active):
            return "it cancels what is not active in this thread"
        case Merge(into) if into not in situation.running:
            return f"nothing called {into} runs in this thread"
        case Start() | Queue() | Merge() | Reject():
            return ""
    return f"it returned {type(decision).__name__}"
