"""Does a scenario come out as it must? Runs it, and has every invariant look at what happened."""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import trio
from trio._core import _run as scheduler
from trio.testing import MockClock

from orchestrald.core.states import IllegalMove
from simulation import about_clients, about_steps, about_threads, about_turns
from simulation.history import History
from simulation.scenario import Scenario
from simulation.world import World

Invariant = Callable[[History], Iterable[str]]
"""What must hold of every history: yields what is wrong, in words; nothing when all is well."""

INVARIANTS: tuple[Invariant, ...] = (
    *about_clients.INVARIANTS,
    *about_steps.INVARIANTS,
    *about_turns.INVARIANTS,
    *about_threads.INVARIANTS,
)


class Fault(NamedTuple):
    """An invariant that does not hold, and what is wrong."""

    invariant: str
    says: str


def judge(history: History) -> list[Fault]:
    return [Fault(holds.__name__, says) for holds in INVARIANTS for says in _complaints(holds, history)]


def _complaints(holds: Invariant, history: History) -> list[str]:
    try:
        return list(holds(history))
    except IllegalMove as error:
        return [f"the journal cannot be followed: {error}"]


def enact(scenario: Scenario) -> History:
    """What happens, from the first operation until everything has ended. The same scenario, the same history."""
    world = World(scenario)
    with _one_order_of_things(scenario.seed):
        trio.run(world.run, clock=MockClock(autojump_threshold=0))
    return world.history()


def trial(scenario: Scenario) -> list[Fault]:
    """What is wrong with a scenario; empty is as it should be."""
    try:
        return judge(enact(scenario))
    except Exception as error:  # noqa: BLE001  the daemon fell, whatever it fell of
        return [Fault("the_daemon_does_not_fall", f"{_innermost(error)!r}")]


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


@contextmanager
def _one_order_of_things(seed: int) -> Iterator[None]:
    """trio runs what is ready in an order of its own chance, and sorts it first only if asked: its seam for hypothesis.

    The log is silent: what the daemon says of crashes by the thousand nobody reads.
    """
    kept, level = scheduler._ALLOW_DETERMINISTIC_SCHEDULING, logging.root.manager.disable
    scheduler._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]
    scheduler._r.seed(seed)
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        scheduler._ALLOW_DETERMINISTIC_SCHEDULING = kept  # type: ignore[misc]
        logging.disable(level)
