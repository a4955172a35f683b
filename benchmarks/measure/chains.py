"""How much of the disk's speed does a durable chain keep? Its steps, of one-row commits through the same driver.

A step waits for the one before it, so each costs at least one commit; the rate counts everything from the plan as it
was sent to its durable end.
"""

import time

from benchmarks.floors.one_row import one_row
from benchmarks.plans import chain
from benchmarks.product import product
from benchmarks.rounds import Settings, compared, interleaved
from benchmarks.row import Row
from benchmarks.targets import CHAIN


async def measure(settings: Settings) -> list[Row]:
    rows = []
    async with product(settings.fresh("chains")) as ours, one_row(settings.fresh("one_row")) as floor:
        for length in (100, 1000):

            async def steps(length: int = length) -> float:
                began = time.perf_counter()
                await ours.run(chain(length))
                return length / (time.perf_counter() - began)

            await steps()
            figures, commits = await interleaved(settings.rounds * 2, [steps, lambda: floor.rate(300)])
            what = f"durable chain of {length:,}, steps"
            rows.append(compared(what, "/s", figures, "one-row commits, same driver", commits, CHAIN))
    return rows
