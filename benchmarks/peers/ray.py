"""Ray on this machine alone: remote functions, objects in memory. **Not durable**, so it is not asked to recover."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import ray

from benchmarks.peers import contest


@ray.remote
def step(_before: object = None) -> dict[str, bool]:
    return {"ok": True}


class Ray:
    async def chain(self, length: int) -> None:
        ray.get(_chained(length))

    async def fan_out(self, width: int) -> None:
        ray.get([step.remote() for _ in range(width)])

    async def many(self, count: int, length: int) -> None:
        ray.get([_chained(length) for _ in range(count)])

    async def leave(self, count: int) -> None:
        raise NotImplementedError

    async def recover(self, count: int) -> None:
        raise NotImplementedError


def _chained(length: int) -> Any:
    last = None
    for _ in range(length):
        last = step.remote(last)
    return last


@asynccontextmanager
async def local_ray(_folder: Path, _held: bool) -> AsyncIterator[Ray]:
    ray.init(num_cpus=os.cpu_count(), include_dashboard=False, log_to_driver=False, logging_level="error")
    try:
        yield Ray()
    finally:
        ray.shutdown()


if __name__ == "__main__":
    contest.main(local_ray)
