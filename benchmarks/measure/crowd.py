"""Do many threads that wait, or many interactions that are over, cost the ones that are alive?

What waits is measured in a process of its own: its memory after the crowd has come to wait, and after a restart that
found it waiting. What is over is copied into the store from the events of one that really ran.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import trio

from benchmarks.plans import chain
from benchmarks.product import Product, product
from benchmarks.rounds import Settings, compared, interleaved, limited
from benchmarks.row import Row
from benchmarks.targets import CROWD, LIMIT, WAITING_BYTES
from orchestrald.core.events import Event
from orchestrald.store.base import Batch

WAITING = 5_000
OVER, OVER_QUICK = 100_000, 5_000
ASKING = {"goal": "wait", "steps": [{"id": "q", "kind": "wait_user", "params": {"prompt": "Which one?"}}]}


async def measure(settings: Settings) -> list[Row]:
    folder = settings.fresh("waiting")
    came, found = _in_a_process(folder), _in_a_process(folder)
    rows = [
        limited("memory of a waiting thread", "B", [came["bytes"]], WAITING_BYTES, LIMIT),
        limited("the same after a restart", "B", [found["bytes"]], WAITING_BYTES, LIMIT),
        compared(f"start with {WAITING} waiting", "ms", [found["ms"]], "with none", [came["ms"]], None),
    ]
    over = OVER_QUICK if settings.quick else OVER
    async with product(settings.fresh("over")) as full, product(settings.fresh("empty")) as empty:
        await _fill(full, over)
        crowded, alone = await interleaved(
            max(3, settings.rounds), [lambda: _microseconds(full), lambda: _microseconds(empty)]
        )
    rows.append(compared(f"one more after {over} are over", "µs", crowded, "in an empty store", alone, CROWD))
    return rows


def _in_a_process(folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.measure.crowd", str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parent.parent.parent)
    result: dict[str, float] = json.loads(done.stdout)
    return result


async def _wait_in(folder: Path) -> None:
    """Let the crowd come, if it is not there yet; print what each costs and how long the start took."""
    began = time.perf_counter()
    async with product(folder) as ours:
        started = time.perf_counter() - began
        there = ours.engine.threads.counts()["waiting"]
        before = _resident() if not there else _of_an_empty_one(folder.with_name(f"{folder.name}-none"))
        for number in range(there, WAITING):
            interaction = await ours.start({**ASKING, "goal": f"wait {number}"})
            await ours.engine.wait(interaction, 60)
        assert ours.engine.threads.counts()["waiting"] == WAITING, "all of them wait"
        assert not ours.engine.live, "and none is in memory"
        print(json.dumps({"bytes": (_resident() - before) / WAITING, "ms": started * 1000}))


def _of_an_empty_one(folder: Path) -> int:
    """What a process like this one has with nothing in its store."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "benchmarks.measure.crowd", str(folder), "none"]
    return int(subprocess.run(command, check=True, capture_output=True, cwd=Path.cwd()).stdout)


async def _nobody(folder: Path) -> None:
    async with product(folder):
        print(_resident())


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def _fill(ours: Product, count: int) -> None:
    """That many copies of one interaction that ran, in threads of their own, as the journal has them."""
    original = await ours.start(chain(1))
    await ours.engine.wait(original, 60)
    events = await ours.store.reader.events(interaction_id=original)
    row = await ours.store.reader.interaction(original)
    thread = await ours.store.reader.thread(events[0].thread_id)
    assert row is not None
    assert thread is not None

    async def some(first: int, last: int) -> None:
        for number in range(first, last):
            names = {"thread_id": f"thr_{number:08}", "interaction_id": f"int_{number:08}"}
            copied = [Event(e.type, e.data, **names, step_id=e.step_id, at=e.at) for e in events]
            batch = Batch(copied, row._replace(**names), thread._replace(thread_id=names["thread_id"]))
            await ours.store.journal.append(batch)

    async with trio.open_nursery() as nursery:
        for part in range(100):
            nursery.start_soon(some, part * count // 100, (part + 1) * count // 100)


async def _microseconds(ours: Product) -> float:
    times = 100
    began = time.perf_counter()
    for _ in range(times):
        await ours.run(chain(1))
    return (time.perf_counter() - began) / times * 1e6


if __name__ == "__main__":
    trio.run(_nobody if len(sys.argv) > 2 else _wait_in, Path(sys.argv[1]))
