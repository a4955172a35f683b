"""Does a step of a large plan cost more than one of a small plan? Plans of 10,000 next to plans of 100, three shapes.

The time counts everything from the plan as it was sent to its durable end, divided by its steps; checking the plan is
in it.
"""

import time
from collections.abc import Callable
from typing import Any

from benchmarks.plans import chain, fan_out, layered
from benchmarks.product import Product, product
from benchmarks.rounds import Settings, compared, interleaved
from benchmarks.row import Row
from benchmarks.targets import SCALE

Shape = Callable[[int], dict[str, Any]]

SMALL, LARGE = 100, 10_000
SHAPES: dict[str, Shape] = {"chain": chain, "fan-out": fan_out, "layers": layered}


async def measure(settings: Settings) -> list[Row]:
    rows = []
    for name, shape in SHAPES.items():
        async with product(settings.fresh("scale")) as ours:
            await _microseconds(ours, shape, SMALL, 5)
            large, small = await interleaved(
                max(1, settings.rounds // 2),
                [
                    lambda: _microseconds(ours, shape, LARGE, 1),  # noqa: B023  awaited within this turn
                    lambda: _microseconds(ours, shape, SMALL, 20),  # noqa: B023
                ],
            )
        rows.append(compared(f"step in a {name} of 10,000", "µs", large, "in one of 100", small, SCALE))
    return rows


async def _microseconds(ours: Product, shape: Shape, steps: int, times: int) -> float:
    plan = shape(steps)
    began = time.perf_counter()
    for _ in range(times):
        await ours.run(plan)
    return (time.perf_counter() - began) / steps / times * 1e6
