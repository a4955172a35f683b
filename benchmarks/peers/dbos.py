"""DBOS on SQLite, its default system database: decorated functions, checkpointed step by step."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from dbos import DBOS, DBOSConfig

from benchmarks.peers import contest

RESULT = {"ok": True}
_held = False


@DBOS.step()
async def step() -> dict[str, bool]:
    if _held:
        await asyncio.Event().wait()
    return RESULT


@DBOS.workflow()
async def in_a_row(length: int) -> int:
    for _ in range(length):
        await step()
    return length


@DBOS.workflow()
async def side_by_side(width: int) -> int:
    await asyncio.gather(*(step() for _ in range(width)))
    return width


class Dbos:
    async def chain(self, length: int) -> None:
        await in_a_row(length)

    async def fan_out(self, width: int) -> None:
        await side_by_side(width)

    async def many(self, count: int, length: int) -> None:
        await asyncio.gather(*(in_a_row(length) for _ in range(count)))

    async def leave(self, count: int) -> None:
        for _ in range(count):
            await DBOS.start_workflow_async(in_a_row, 2)
        assert await _pending() == count

    async def recover(self, count: int) -> None:
        while await _pending():
            await asyncio.sleep(0.05)


async def _pending() -> int:
    return len(await DBOS.list_workflows_async(status="PENDING", load_input=False, load_output=False))


@asynccontextmanager
async def dbos(folder: Path, held: bool) -> AsyncIterator[Dbos]:
    global _held  # noqa: PLW0603  steps are module-level functions, and this is how one is told
    _held = held
    config: DBOSConfig = {
        "name": "measured",
        "system_database_url": f"sqlite:///{folder / 'dbos.sqlite'}",
        "run_admin_server": False,
        "log_level": "ERROR",
        "application_version": "1",
    }
    DBOS(config=config)
    DBOS.launch()
    try:
        yield Dbos()
    finally:
        DBOS.destroy()


if __name__ == "__main__":
    contest.main(dbos)
