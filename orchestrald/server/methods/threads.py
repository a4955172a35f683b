"""Which threads are there?"""

from dataclasses import dataclass

from orchestrald.engine.engine import Engine
from orchestrald.errors import NotFound
from orchestrald.protocol.messages import threads as m
from orchestrald.protocol.messages.shape import Page
from orchestrald.server.dispatch import Peer
from orchestrald.server.methods.asking import Answer, Row, once
from orchestrald.store.base import Batch, ThreadRow


@dataclass(frozen=True, slots=True)
class Threads:
    engine: Engine

    async def thread_create(self, params: m.ThreadCreate, peer: Peer) -> Answer:
        engine = self.engine

        async def serve(row: Row) -> Answer:
            thread = ThreadRow(engine.clock.identifier("thr_"), params.title, engine.clock.now())
            answer: Answer = thread._asdict()
            await engine.journal.append(Batch(thread=thread, request=row(answer) if row else None))
            return answer

        return await once(self.engine, params, "thread.create", peer, serve)

    async def thread_get(self, params: m.ThreadGet, peer: Peer) -> Answer:
        thread = await self.engine.reader.thread(params.thread_id)
        if thread is None:
            raise NotFound(f"There is no thread {params.thread_id}.")
        return thread._asdict()

    async def thread_list(self, params: Page, peer: Peer) -> Answer:
        return {"threads": [t._asdict() for t in await self.engine.reader.threads(limit=params.limit)]}
