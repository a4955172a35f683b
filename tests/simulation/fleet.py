"""How are thousands of seeds tried in a minute? On every core, in batches, until one fails."""

import gc
import multiprocessing
import os
import signal
from collections.abc import Iterator
from typing import NamedTuple

from simulation.scenario import draw
from simulation.trial import Fault, trial

BATCH = 100
TOO_LONG_S = 30
"""A scenario takes milliseconds. One that goes round and round without ever giving way would never end by itself."""


class Failed(NamedTuple):
    seed: int
    faults: list[Fault]


def sail(first: int, count: int) -> Iterator[tuple[int, list[Failed]]]:
    """How many seeds were tried in a batch, and which of them failed. Stop iterating to stop sailing."""
    batches = [(start, min(BATCH, first + count - start)) for start in range(first, first + count, BATCH)]
    with multiprocessing.get_context("fork").Pool(os.cpu_count(), _set_out) as pool:
        yield from pool.imap_unordered(_batch, batches)


def _set_out() -> None:
    """A scenario leaves cycles of a known size, so the collector need not look for them after every few."""
    gc.freeze()
    gc.disable()
    signal.signal(signal.SIGALRM, _too_long)


def _too_long(*_: object) -> None:
    raise TimeoutError(f"it went round and round for {TOO_LONG_S} s without giving way")


def _batch(bounds: tuple[int, int]) -> tuple[int, list[Failed]]:
    first, count = bounds
    failed = []
    for seed in range(first, first + count):
        signal.alarm(TOO_LONG_S)
        if faults := trial(draw(seed)):
            failed.append(Failed(seed, faults))
    signal.alarm(0)
    gc.collect()
    return count, failed
