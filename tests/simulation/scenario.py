"""What is a scenario, and how is one drawn from a seed?"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from orchestrald.core.concurrency import BUILT_IN
from simulation.operations import (
    Aim,
    Answer,
    Archive,
    Cancel,
    Crash,
    Emit,
    FullDisk,
    Look,
    Open,
    SetPolicy,
    SlowDisk,
    Steer,
    Stop,
    Submit,
    Wait,
)
from simulation.plans import Step, draw_plan


@dataclass(frozen=True)
class Scenario:
    """Everything that decides what happens. `seed` is for what is left: the scheduler's order, and jitter.

    `slots`: how many steps run at once, of one interaction and altogether. `policy` is that
    of threads that have none of their own.
    """

    seed: int
    slots: tuple[int, int]
    operations: tuple[Any, ...]
    policy: str = "interrupt_and_start_new"


POLICIES = tuple(BUILT_IN)
PLANNERS = ("good", "good", "looking", "looking", "slow", "away", "mad", "wrong")


def draw(seed: int) -> Scenario:
    dice = Random(seed)
    if dice.random() < 0.6:
        submissions = [
            _submit(dice, f"s{i}", draw_plan(dice, dice.choice((2, 3, 4)))) for i in range(dice.choice((1, 1, 2, 2)))
        ]
    else:
        submissions = _crowd(dice)
    others = dice.choices(list(DRAWN), [weight for weight, _ in DRAWN.values()], k=dice.randint(1, 5))
    operations = [*submissions, *(DRAWN[kind][1](dice) for kind in others)]
    slots = dice.choice(((2, 3), (1, 1), (4, 8), (4, 8)))
    in_order = tuple(sorted(operations, key=lambda operation: operation.at))
    return Scenario(seed, slots, in_order, dice.choice(POLICIES))


def _soon(dice: Random) -> float:
    """Moments are few, so that things often happen at once."""
    return dice.choice((0.0, 0.1, 0.2, 1.0, 2.0, 3.0, 3.0, 3.5, 4.0, 6.0, 9.0, 15.0))


def _crowd(dice: Random) -> list[Any]:
    """Many small inputs for one thread that is there from the start: what a policy is about."""
    opened = Open(0.0, "A", dice.choice((None, *POLICIES)))
    inputs = [_submit(dice, f"s{i}", draw_plan(dice, 2)) for i in range(dice.randint(2, 4))]
    moments = (0.1, 0.1, 0.2, 1.0, 2.0, 3.0, 4.0)
    return [opened, *(replace(each, at=dice.choice(moments), thread="A") for each in inputs)]


def _submit(dice: Random, name: str, steps: tuple[Step, ...]) -> Submit:
    planner = "" if dice.random() < 0.6 else dice.choice(PLANNERS)
    return Submit(
        at=dice.choice((0.0, 0.0, 0.1, 1.0, 3.0)),
        name=name,
        steps=steps,
        planner=planner,
        replacement=draw_plan(dice, 2) if dice.random() < 0.5 else None,
        thread=dice.choice(("", "A", "A")),
        policy=dice.choice(POLICIES) if dice.random() < 0.1 else None,
        unattended=dice.random() < 0.05,
        again=_soon(dice) if dice.random() < 0.3 else None,
        patience=dice.choice((0.0, 0.005, 1.0)) if dice.random() < 0.1 else None,
    )


def _draw_crash(dice: Random) -> Crash:
    return Crash(
        at=dice.choice((0.0, 0.0, 0.1, 0.1, 0.2, 1.0, 2.0, 3.0, 4.0, 6.0)),
        instants=dice.choice((0, 0, 0, 0, *range(1, 16))),
        lands=dice.random() < 0.5,
        once_more=dice.randrange(1, 10) if dice.random() < 0.4 else 0,
        rest=dice.choice((0.1, 0.5, 20)),
    )


DRAWN: dict[str, tuple[int, Callable[[Random], Any]]] = {
    "answer": (8, lambda d: Answer(_soon(d), d.randrange(4), d.choice(_WAYS))),
    "cancel": (2, lambda d: Cancel(_soon(d), d.randrange(3))),
    "steer": (4, lambda d: Steer(_soon(d), d.randrange(3), d.choice(("pause", "pause", "resume", "retry")))),
    "aim": (3, lambda d: Aim(_soon(d), d.randrange(3), d.choice(("skip", "retry", "fork")), d.choice("aab"))),
    "emit": (3, lambda d: Emit(_soon(d), d.choice(("news", "mail")), d.choice((None, "order-1")))),
    "policy": (1, lambda d: SetPolicy(_soon(d), d.choice((None, *POLICIES)))),
    "archive": (1, lambda d: Archive(_soon(d), d.random() < 0.6)),
    "wait": (2, lambda d: Wait(_soon(d), d.randrange(3), d.choice((0.0, 3.0, 30.0)))),
    "look": (1, lambda d: Look(_soon(d), d.randrange(3))),
    "crash": (8, _draw_crash),
    "stop": (1, lambda d: Stop(_soon(d), d.choice((0.0, 1.0, 10.0)))),
    "slow disk": (2, lambda d: SlowDisk(_soon(d), d.choice((0.01, 0.3, 2.0)), d.choice((1.0, 8.0)))),
    "full disk": (1, lambda d: FullDisk(_soon(d), d.choice((0.1, 5.0)))),
}
"""Every kind of operation besides submissions: how often it is drawn, and how."""

_WAYS = ("rightly", "rightly", "rightly", "wrongly", "crosswise", "denying", "skipping", "twice")
