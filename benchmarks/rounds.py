"""How are two things compared on a machine that does other things as well?

Rules of this file:

- Interleaved: each round measures every contender once, so that a slow minute is slow for all of them.
- The order turns by one each round: nobody always runs after the one that filled the disk's queue.
- Medians, of the rounds and never of the best.
"""

import gc
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.row import Row
from benchmarks.targets import Bound

Contender = Callable[[], Awaitable[float]]


class Settings(NamedTuple):
    """`folder` is a scratch folder on the disk that is to be measured. `quick` trades precision for a short run."""

    rounds: int
    quick: bool
    folder: Path
    peers: bool

    def fresh(self, name: str) -> Path:
        """A new empty folder."""
        number = sum(1 for _ in self.folder.iterdir())
        path = self.folder / f"{name}{number}"
        path.mkdir(mode=0o700)
        return path


async def interleaved(rounds: int, contenders: Sequence[Contender]) -> list[list[float]]:
    """The figures of each contender, in order of the rounds."""
    figures: list[list[float]] = [[] for _ in contenders]
    for number in range(rounds):
        for place in range(len(contenders)):
            index = (place + number) % len(contenders)
            gc.collect()  # nobody pays for what the one before has left
            figures[index].append(await contenders[index]())
    return figures


def compared(what: str, unit: str, ours: list[float], versus: str, other: list[float], bound: Bound | None) -> Row:
    raw = {"ours": ours, "other": other}
    return Row(what=what, unit=unit, ours=median(ours), versus=versus, other=median(other), bound=bound, raw=raw)


def limited(what: str, unit: str, ours: list[float], limit: float, bound: Bound) -> Row:
    """A figure next to a plain limit."""
    return Row(
        what=what, unit=unit, ours=median(ours), versus="the limit", other=limit, bound=bound, raw={"ours": ours}
    )
