"""What starts interactions by itself, and who says so?"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from orchestrald.engine.engine import Engine
from orchestrald.protocol.messages import schedules as m
from orchestrald.protocol.messages.shape import Empty
from orchestrald.server.dispatch import Peer
from orchestrald.server.methods.asking import Answer, Daemon, Row, once


@dataclass(frozen=True, slots=True)
class Schedules:
    engine: Engine
    daemon: Daemon

    async def schedule_create(self, params: m.ScheduleCreate, peer: Peer) -> Answer:
        async def serve(row: Row) -> Answer:
            given = params.model_dump(exclude={"request_id", "thread_id"})
            return await self.daemon.schedules.create(
                by=peer.by, thread_id=params.thread_id or "", remember=row, **given
            )

        return await once(self.engine, params, "schedule.create", peer, serve)

    async def schedule_list(self, params: Empty, peer: Peer) -> Answer:
        schedules = self.daemon.schedules
        return {"schedules": [schedules.show(row, whole=False) for row in schedules.all()]}

    async def schedule_get(self, params: m.ScheduleGet, peer: Peer) -> Answer:
        schedules = self.daemon.schedules
        return schedules.show(schedules.named(params.schedule))

    async def schedule_pause(self, params: m.ScheduleChange, peer: Peer) -> Answer:
        return await self._changed("schedule.pause", params, peer, self.daemon.schedules.pause)

    async def schedule_resume(self, params: m.ScheduleChange, peer: Peer) -> Answer:
        return await self._changed("schedule.resume", params, peer, self.daemon.schedules.resume)

    async def schedule_delete(self, params: m.ScheduleChange, peer: Peer) -> Answer:
        return await self._changed("schedule.delete", params, peer, self.daemon.schedules.delete)

    async def _changed(
        self, method: str, params: m.ScheduleChange, peer: Peer, change: Callable[[str, str, Row], Awaitable[Answer]]
    ) -> Answer:
        async def serve(row: Row) -> Answer:
            return await change(params.schedule, peer.by, row)

        return await once(self.engine, params, method, peer, serve)

    async def schedule_run(self, params: m.ScheduleRun, peer: Peer) -> Answer:
        async def serve(row: Row) -> Answer:
            return await self.daemon.schedules.run_now(params.schedule, peer.by, params.path, row)

        return await once(self.engine, params, "schedule.run", peer, serve)
