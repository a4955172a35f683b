"""Does a scenario come out as it must? Runs it, and has every invariant look at what happened."""

import gc
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import NamedTuple

import trio
from trio._core import _run as scheduler
from trio.testing import MockClock

from orchestrald.core.states import IllegalMove
from simulation import about_clients, about_models, about_steps, about_threads, about_turns
from simulation.history import History
from simulation.scenario import Scenario
from simulation.world import World

MOST_LOOKS = 20_000
"""At the clock, in one scenario: ten times as many as it has ever taken."""

Invariant = Callable[[History], Iterable[str]]
"""What must hold of every history: yields what is wrong, in words; nothing when all is well."""

INVARIANTS: tuple[Invariant, ...] = (
    *about_clients.INVARIANTS,
    *about_steps.INVARIANTS,
    *about_turns.INVARIANTS,
    *about_threads.INVARIANTS,
    *about_models.INVARIANTS,
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


class Fell(Exception):
    """The daemon fell, or trio with it. `history` is what had happened until then."""

    def __init__(self, reason: str, history: History) -> None:
        super().__init__(reason)
        self.history = history


def enact(scenario: Scenario) -> History:
    """What happens, from the first operation until everything has ended. The same scenario, the same history.

    Raises Fell.
    """
    with _one_order_of_things(scenario.seed):
        fallen, history = _happen(World(scenario))
        if fallen:
            _sweep()
            raise Fell(fallen, history)
    return history


def _happen(world: World) -> tuple[str, History]:
    """What it fell of, empty when it did not; and what happened."""
    fallen = ""
    try:
        trio.run(world.run, clock=_finite_clock())
    except Exception as error:  # noqa: BLE001  whatever it is, it is a finding
        fallen = f"{_innermost(error)!r}"
    return fallen, world.history()


def _sweep() -> None:
    """A world that fell leaves coroutines behind. They end here, where they disturb no other, and nobody hears them."""
    heard, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        gc.collect()
    finally:
        sys.unraisablehook = heard


def trial(scenario: Scenario) -> list[Fault]:
    """What is wrong with a scenario; empty is as it should be."""
    try:
        return judge(enact(scenario))
    except Fell as fell:
        return [Fault("the_daemon_does_not_fall", str(fell))]


class _Livelock(Exception):
    """Nothing waits, and nothing ends."""


def _finite_clock() -> MockClock:
    """A clock that is not looked at for ever. A scenario looks some hundred times; whoever never waits never stops."""
    clock = MockClock(autojump_threshold=0)
    look, looks = clock.current_time, count()

    def current_time() -> float:
        if next(looks) > MOST_LOOKS:
            raise _Livelock("it goes round and round, and no time passes")
        return look()

    clock.current_time = current_time  # type: ignore[method-assign]  # trio lets nobody inherit from it
    return clock


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup | trio.TrioInternalError):
        error = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error.__cause__ or Exception()
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
