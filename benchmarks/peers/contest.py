"""By which rules is every system measured, ours included? Standard library only: each runs in its own environment.

    python -P -m benchmarks.peers.NAME speed FOLDER REPEATS     one JSON line: rates, times
    python -P -m benchmarks.peers.NAME leave FOLDER COUNT       "left" once COUNT unfinished ones are durable; waits
    python -P -m benchmarks.peers.NAME recover FOLDER COUNT     one JSON line: seconds until all of them are done

A step does nothing and returns a small object. Every system persists by its own defaults, in FOLDER.
"""

import asyncio
import gc
import json
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from statistics import median
from typing import Any, Protocol

CHAIN, WIDTH, MANY, EACH = 100, 1000, 100, 10
ONES = 30


class Contestant(Protocol):
    """Each method returns when the result is there, and where the system is durable, when it is durable."""

    async def chain(self, length: int) -> None: ...

    async def fan_out(self, width: int) -> None: ...

    async def many(self, count: int, length: int) -> None:
        """`count` chains of `length`, all at once."""
        ...

    async def leave(self, count: int) -> None:
        """Start `count`, none of which can finish; return when a kill -9 would lose none of them."""
        ...

    async def recover(self, count: int) -> None:
        """Return when all that `leave` has left are done. Opening may already have begun with it."""
        ...


Open = Callable[[Path, bool], AbstractAsyncContextManager[Contestant]]
"""Opens the system in a folder; True: its steps are held and never end."""


def main(open_system: Open, run: Callable[[Callable[[], Coroutine[Any, Any, None]]], None] | None = None) -> None:
    """The whole script. `run` is how its loop is run, missing for asyncio's."""
    verb, folder, number = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])

    async def perform() -> None:
        match verb:
            case "speed":
                async with open_system(folder, False) as system:
                    print(json.dumps(await _speed(system, number)), flush=True)
            case "leave":
                async with open_system(folder, True) as system:
                    await system.leave(number)
                    print("left", flush=True)
                    time.sleep(600)
            case "recover":
                began = time.perf_counter()
                async with open_system(folder, False) as system:
                    await system.recover(number)
                    print(json.dumps({"seconds": time.perf_counter() - began}), flush=True)

    (run or _asyncio)(perform)


def _asyncio(perform: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(perform())


async def _speed(system: Contestant, repeats: int) -> dict[str, list[float]]:
    await system.chain(CHAIN)
    await system.fan_out(WIDTH // 10)  # warm: pools are filled, statements are prepared
    return {
        "chain": [CHAIN / await _seconds(lambda: system.chain(CHAIN)) for _ in range(repeats * 2)],
        "fan_out": [WIDTH / await _seconds(lambda: system.fan_out(WIDTH)) for _ in range(repeats)],
        "many": [MANY * EACH / await _seconds(lambda: system.many(MANY, EACH)) for _ in range(repeats)],
        "one_step_ms": [median([await _seconds(lambda: system.chain(1)) for _ in range(ONES)]) * 1000],
    }


async def _seconds(perform: Callable[[], Awaitable[None]]) -> float:
    gc.collect()
    began = time.perf_counter()
    await perform()
    return time.perf_counter() - began
