"""How close do event appends come to plain sqlite3 with group commit? One, 16 and 256 appenders at a time.

Each append takes one event with some 230 bytes of data and waits until it is on disk. Both encode the data as JSON, as
whoever has an event must.
"""

import time
from collections.abc import Awaitable, Callable
from functools import partial

import trio
from pydantic_core import to_json

from benchmarks.floors.group_commit import PlainJournal
from benchmarks.rounds import Settings, compared, interleaved
from benchmarks.row import Row
from benchmarks.targets import APPENDS
from orchestrald.core.events import Event
from orchestrald.store.base import Batch
from orchestrald.store.sqlite import open_store

AT = 1_700_000_000_000_000
OUTPUT = {"output": {"text": "x" * 180, "n": 12, "list": [1, 2, 3]}, "ms": 12}


async def measure(settings: Settings) -> list[Row]:
    rows = []
    for appenders in (1, 16, 256):
        ours, plain = await interleaved(
            settings.rounds, [partial(_ours, settings, appenders), partial(_plain, settings, appenders)]
        )
        what = f"event appends, {appenders} at a time"
        bound = APPENDS if appenders > 1 else None
        rows.append(compared(what, "/s", ours, "plain sqlite3, group commit", plain, bound))
    return rows


async def _ours(settings: Settings, appenders: int) -> float:
    async with open_store(settings.fresh("appends") / "orchestrald.db") as store:

        async def append(number: int) -> None:
            event = Event("step.succeeded", OUTPUT, "thr_measured", f"int_{number}", "step", AT)
            await store.journal.append(Batch([event]))

        return await _rate(appenders, append, settings.quick)


async def _plain(settings: Settings, appenders: int) -> float:
    journal = PlainJournal(settings.fresh("plain") / "plain.db")

    async def append(number: int) -> None:
        await journal.append((1, number, "step", "step.succeeded", AT, 1, to_json(OUTPUT).decode()))

    try:
        return await _rate(appenders, append, settings.quick)
    finally:
        journal.close()


async def _rate(appenders: int, append: Callable[[int], Awaitable[object]], quick: bool) -> float:
    """Appends per second, over a fixed time."""
    count = 0
    began = time.perf_counter()
    end = began + (0.4 if quick else 1.5)

    async def appender(number: int) -> None:
        nonlocal count
        while time.perf_counter() < end:
            await append(number)
            count += 1

    async with trio.open_nursery() as nursery:
        for number in range(appenders):
            nursery.start_soon(appender, number)
    return count / (time.perf_counter() - began)
