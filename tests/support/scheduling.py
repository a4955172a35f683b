"""Schedules on the engine's rig: what a test sets going, and what came of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

from orchestrald.engine.schedules import Schedules
from support.rig import Rig

SECOND = 1_000_000
PLAN = {"goal": "test", "steps": [{"id": "a", "action": "work", "params": {"p": "{{trigger.at}}"}}]}
FILE_PLAN = {"goal": "test", "steps": [{"id": "a", "action": "work", "params": {"p": "{{trigger.path}}"}}]}


@asynccontextmanager
async def scheduling(rig: Rig) -> AsyncIterator[Schedules]:
    """An engine and its schedules on what the journal holds. Leaving is as a crash."""
    async with rig.running() as engine, trio.open_nursery() as nursery:
        schedules = Schedules(engine)
        await nursery.start(schedules.run)
        yield schedules
        nursery.cancel_scope.cancel()


async def make(schedules: Schedules, trigger: dict[str, Any], **rest: Any) -> str:
    """The schedule's id."""
    given: dict[str, Any] = {"plan": FILE_PLAN if "folder" in trigger else PLAN, "labels": {}, **rest}
    made = await schedules.create(by="uid:0", trigger=trigger, **given)
    return str(made["schedule_id"])


def told(rig: Rig, *types: str) -> list[dict[str, Any]]:
    """The data of every event of these types, in order."""
    return [event.data for event, _ in rig.store.journal.stored if event.type in types]


def fired(rig: Rig) -> list[Any]:
    """The moments, or paths, of all that fired."""
    return [data.get("moment", data.get("path")) for data in told(rig, "schedule.fired")]


def submitted(rig: Rig) -> list[dict[str, Any]]:
    return [data for data in told(rig, "interaction.submitted") if data["source"] == "schedule"]


def params(rig: Rig) -> list[Any]:
    """The parameter `p` of the step of every interaction."""
    return [data["plan"]["steps"][0]["params"]["p"] for data in told(rig, "plan.adopted")]
