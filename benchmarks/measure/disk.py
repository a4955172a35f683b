"""How many bytes does a step leave on disk? All that a chain of no-ops adds to the closed store, by its steps."""

from pathlib import Path

from benchmarks.plans import chain
from benchmarks.product import product
from benchmarks.rounds import Settings, limited
from benchmarks.row import Row
from benchmarks.targets import LIMIT, STEP_BYTES

CHAINS, LENGTH = 20, 100


async def measure(settings: Settings) -> list[Row]:
    folder = settings.fresh("disk")
    async with product(folder):
        pass
    empty = _size(folder)
    async with product(folder) as ours:
        for _ in range(CHAINS):
            await ours.run(chain(LENGTH))
    each = (_size(folder) - empty) / (CHAINS * LENGTH)
    return [limited("on disk per step", "B", [each], STEP_BYTES, LIMIT)]


def _size(folder: Path) -> int:
    """Of the store, which is closed: its WAL is folded in. Nothing else may be there, or it is counted as well."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
