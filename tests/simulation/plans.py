"""What do the plans of a scenario look like?

Whatever a step will do stands in its own parameters (`does`, one word per attempt, the last for all that follow), so
that a plan is all there is to know about a run, and shrinking a plan shrinks what happens.
"""

from random import Random
from typing import Any

from orchestrald.core.model import ActionSpec, Retry

Step = dict[str, Any]

ACTIONS = (
    ActionSpec("work", idempotent=True, effects="read", retry=Retry(max=2, backoff=1.0, max_backoff=60.0)),
    ActionSpec("once", retry=Retry(max=1, backoff=1.0)),
    ActionSpec("alone", idempotent=True, retry=Retry(max=0)),
    ActionSpec("guarded", approval="always", retry=Retry(max=1, backoff=0.5)),
)
"""`once` and `guarded` may not be repeated unasked; `guarded` needs a yes; of `alone` one runs at a time (LIMITS)."""

LIMITS = {"alone": [("alone", 1)]}

DEEDS = {
    "ok": 12,
    "slow": 8,
    "fail": 3,
    "flaky": 4,
    "later": 1,
    "ask": 3,
    "plead": 1,
    "big": 2,
    "raise": 1,
    "unsayable": 1,
    "stubborn": 2,
    "hang": 1,
    "burglar": 1,
}
"""What an attempt may do, and how often it is drawn. `performance` says what each means."""

_NAMES = "abcdef"


def draw_plan(dice: Random, most: int = 4) -> tuple[Step, ...]:
    """At least one step; dependencies point backwards, so that every plan passes `normalize`."""
    steps: list[Step] = []
    for name in _NAMES[: dice.randint(1, most)]:
        steps.append(_draw_step(dice, name, [step["id"] for step in steps]))
    return tuple(steps)


def _draw_step(dice: Random, name: str, before: list[str]) -> Step:
    kind = dice.random()
    if kind < 0.78:
        step = {"id": name, **_draw_action(dice)}
    elif kind < 0.87:
        step = {"id": name, "kind": "wait_user", "params": {"prompt": "?"}}
        if dice.random() < 0.25:  # looking at a schema costs more than all the rest of a step
            step["params"]["schema"] = {"type": "integer"}
        if dice.random() < 0.3:
            step["timeout"] = dice.choice((2, 30))
    elif kind < 0.93:
        step = {"id": name, "kind": "wait_until", "params": {"for": dice.choice((1, 7, 40))}}
    else:
        step = {"id": name, "kind": "wait_event", "params": {"kind": dice.choice(("news", "mail"))}}
        if dice.random() < 0.3:
            step["timeout"] = dice.choice((3, 30))
        if dice.random() < 0.3:
            step["params"]["correlation"] = "order-1"
    if before:
        _connect(dice, step, before)
    return step


def _draw_action(dice: Random) -> Step:
    action = dice.choice(("work", "work", "once", "alone", "guarded"))
    step: Step = {"action": action, "params": _draw_params(dice)}
    if dice.random() < 0.15:
        step["timeout"] = dice.choice((0.5, 4, 90))
    if dice.random() < 0.06:
        step["remember"] = {dice.choice(("thread.k", "interaction.k", "global.k")): "attempt"}
    if dice.random() < 0.06:
        step["params"]["known"] = dice.choice(("{{memory.thread.k}}", "{{memory.global.k}}"))
    return step


def _draw_params(dice: Random) -> dict[str, Any]:
    deeds = dice.choices(list(DEEDS), list(DEEDS.values()), k=1 if dice.random() < 0.6 else 2)
    return {"does": deeds}


def _connect(dice: Random, step: Step, before: list[str]) -> None:
    if dice.random() < 0.6:
        step["depends_on"] = sorted(dice.sample(before, dice.randint(1, len(before))))
    if "action" not in step:
        return
    chance = dice.random()
    source = dice.choice(before)
    if chance < 0.12:
        step["for_each"] = dice.choice(([], [1, 2], [1, 2], {"items": [1, 2, 3], "max_parallel": 1}))
    elif chance < 0.22:
        step["when"] = dice.choice((False, True, {"exists": f"{{{{{source}}}}}"}))
    elif chance < 0.32:
        step["params"]["from"] = f"{{{{{source}}}}}"
