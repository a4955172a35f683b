"""Ourselves, by the same rules as the peers: engine, store and runner in process, with the daemon's defaults."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from benchmarks.peers import contest
from benchmarks.plans import chain, fan_out
from benchmarks.product import Product, noop, product


class Ourselves:
    def __init__(self, ours: Product) -> None:
        self._ours = ours

    async def chain(self, length: int) -> None:
        await self._ours.run(chain(length))

    async def fan_out(self, width: int) -> None:
        await self._ours.run(fan_out(width))

    async def many(self, count: int, length: int) -> None:
        plan = chain(length)
        async with trio.open_nursery() as nursery:
            for _ in range(count):
                nursery.start_soon(self._ours.run, plan)

    async def leave(self, count: int) -> None:
        plan = chain(2)
        async with trio.open_nursery() as nursery:
            for _ in range(count):
                nursery.start_soon(self._ours.start, plan)

    async def recover(self, count: int) -> None:
        while self._ours.engine.live:
            await self._ours.engine.wait(next(iter(self._ours.engine.live)), 60)
            await trio.lowlevel.checkpoint()
        rows = await self._ours.store.reader.interactions(states=["completed"], limit=count + 1)
        assert len(rows) == count, len(rows)


@asynccontextmanager
async def ourselves(folder: Path, held: bool) -> AsyncIterator[Ourselves]:
    async with product(folder, [noop(held=held)]) as ours:
        yield Ourselves(ours)


if __name__ == "__main__":
    contest.main(ourselves, trio.run)
