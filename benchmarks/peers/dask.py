"""Dask distributed on a local cluster: futures in memory. **Not durable**, so it is not asked to recover."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from distributed import Client, LocalCluster

from benchmarks.peers import contest


def step(_before: object = None) -> dict[str, bool]:
    return {"ok": True}


class Dask:
    def __init__(self, client: Client) -> None:
        self._client = client

    async def chain(self, length: int) -> None:
        await self._chained(length)

    async def fan_out(self, width: int) -> None:
        await self._client.gather(self._client.map(step, range(width), pure=False))

    async def many(self, count: int, length: int) -> None:
        await self._client.gather([self._chained(length) for _ in range(count)])

    async def leave(self, count: int) -> None:
        raise NotImplementedError

    async def recover(self, count: int) -> None:
        raise NotImplementedError

    def _chained(self, length: int) -> object:
        last = None
        for _ in range(length):
            last = self._client.submit(step, last, pure=False)
        return last


@asynccontextmanager
async def dask(folder: Path, _held: bool) -> AsyncIterator[Dask]:
    async with (
        LocalCluster(asynchronous=True, dashboard_address=None, local_directory=str(folder)) as cluster,
        Client(cluster, asynchronous=True) as client,
    ):
        yield Dask(client)


if __name__ == "__main__":
    contest.main(dask)
