"""When is a schedule's next moment, and which of those that have passed get a firing?

Rules of this file:

- A moment is what the trigger says, never when somebody came to look: so it names a firing for ever, and a clock that
  is set back, a slow start or a crash between two commits leads to the same name.
- Only as many passed moments are counted as can matter: a machine that slept for a year woke within milliseconds.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import NamedTuple

from cronsim import CronSim

from orchestrald.core.triggers import EPOCH, At, Cron, Every, Misfire, Moments, microseconds, zone

GRACE = 60 * 1_000_000
"""A moment that is noticed so late at most was not missed: the timers themselves look once a minute, should the wall
clock jump."""

CAUGHT_UP = 100
"""Firings for moments that were missed, under the rule `all`: the first ones. More would be a flood, not a duty."""

COUNTED = 1_000
"""Missed moments that are counted; a larger number says nothing more."""


class Due(NamedTuple):
    """`firings` are the moments that get one, in order; empty when none does.

    `missed` counts the passed moments that do not. `next_at` is the first moment to come; missing when there is none.
    """

    firings: tuple[int, ...]
    missed: int
    next_at: int | None


def next_after(trigger: Moments, moment: int) -> int | None:
    """The first moment after `moment` (both UTC microseconds); missing when there is none."""
    if isinstance(trigger, Every):
        return trigger.anchor + max((moment - trigger.anchor) // trigger.period + 1, 1) * trigger.period
    if isinstance(trigger, At):
        return trigger.moment if trigger.moment > moment else None
    return _cron(trigger, moment)


def _cron(trigger: Cron, moment: int) -> int | None:
    """In the hour that a clock change repeats or leaves out, cronsim may name a moment that has passed: we go on."""
    try:
        local = (EPOCH + timedelta(microseconds=moment)).astimezone(zone(trigger.tz))
        found: Iterator[datetime] = iter(CronSim(trigger.cron, local))
        return next((at for at in map(microseconds, found) if at > moment), None)
    except OverflowError:  # the calendar ends with the year 9999
        return None


def following(trigger: Moments, moment: int) -> Iterator[int]:
    """Every moment after `moment`, in order."""
    upcoming = next_after(trigger, moment)
    while upcoming is not None:
        yield upcoming
        upcoming = next_after(trigger, upcoming)


def due(trigger: Moments, next_at: int | None, now: int, misfire: Misfire) -> Due:
    """What is to be done at `now`, when `next_at` is the first moment that was not dealt with yet."""
    if next_at is None or next_at > now:
        return Due((), 0, next_at)
    upcoming = next_after(trigger, now)
    passed = _count(trigger, next_at, now)
    if misfire == "once":
        # The first of them names the firing: the last one would be another after a crash, and fire again.
        return Due((next_at,), passed - 1, upcoming)
    if misfire == "all":
        firings = (next_at, *islice(_passed(trigger, next_at, now), CAUGHT_UP - 1))
        return Due(firings, passed - len(firings), upcoming)
    firings = tuple(_passed(trigger, max(now - GRACE, next_at) - 1, now))[-1:]
    return Due(firings, passed - len(firings), upcoming)


def _count(trigger: Moments, first: int, now: int) -> int:
    if isinstance(trigger, Every):
        return min((now - first) // trigger.period + 1, COUNTED)
    return 1 + sum(1 for _ in islice(_passed(trigger, first, now), COUNTED - 1))


def _passed(trigger: Moments, after: int, now: int) -> Iterator[int]:
    return takewhile(lambda moment: moment <= now, following(trigger, after))
