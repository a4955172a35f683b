"""Which threads are there, and what are they like?"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from orchestrald.core.dialogue import messages
from orchestrald.core.events import Event
from orchestrald.engine.engine import Engine
from orchestrald.errors import InvalidParams, NotFound, WrongState
from orchestrald.protocol.messages import threads as m
from orchestrald.server.dispatch import Peer
from orchestrald.server.methods.asking import Answer, Row, once
from orchestrald.store.base import Batch, ThreadRow


@dataclass(frozen=True, slots=True)
class Threads:
    engine: Engine

    async def thread_create(self, params: m.ThreadCreate, peer: Peer) -> Answer:
        async def serve(row: Row) -> Answer:
            self._known(params.policy)
            _bounded(params.metadata)
            clock = self.engine.clock
            thread = ThreadRow(
                clock.identifier("thr_"), params.title, clock.now(), params.metadata, params.policy or ""
            )
            data = {"title": params.title, "metadata": params.metadata, "policy": params.policy or ""}
            return await self._write("thread.created", {**data, "by": peer.by}, thread, row)

        return await once(self.engine, params, "thread.create", peer, serve)

    async def thread_get(self, params: m.ThreadGet, peer: Peer) -> Answer:
        thread = await self._thread(params.thread_id)
        return {**_shown(thread), "unfinished": self._unfinished(thread)}

    async def thread_dialogue(self, params: m.ThreadDialogue, peer: Peer) -> Answer:
        if await self.engine.reader.thread(params.thread_id) is None:
            raise NotFound(f"There is no thread {params.thread_id}.")
        said = messages(await self.engine.reader.dialogue(params.thread_id, limit=params.limit))
        return {"messages": [{name: value for name, value in each._asdict().items() if value != ""} for each in said]}

    async def thread_list(self, params: m.ThreadList, peer: Peer) -> Answer:
        found = await self.engine.reader.threads(limit=params.limit, archived=params.archived)
        return {"threads": [{**_shown(thread), "unfinished": self._unfinished(thread)} for thread in found]}

    def _unfinished(self, thread: ThreadRow) -> list[Answer]:
        """Oldest first; empty when nothing is."""
        alive = self.engine.threads.situation(thread.thread_id, "", "", "").alive
        return [{"interaction_id": each.interaction_id, "standing": each.state} for each in alive]

    async def thread_update(self, params: m.ThreadUpdate, peer: Peer) -> Answer:
        def change(thread: ThreadRow) -> ThreadRow:
            merged = {k: v for k, v in {**thread.metadata, **params.metadata}.items() if v is not None}
            _bounded(merged)
            return thread._replace(title=thread.title if params.title is None else params.title, metadata=merged)

        return await self._change(params, "thread.update", peer, change)

    async def thread_set_policy(self, params: m.ThreadSetPolicy, peer: Peer) -> Answer:
        self._known(params.policy)
        return await self._change(
            params, "thread.set_policy", peer, lambda thread: thread._replace(policy=params.policy or "")
        )

    async def thread_archive(self, params: m.ThreadArchive, peer: Peer) -> Answer:
        def change(thread: ThreadRow) -> ThreadRow:
            if not params.archived:
                return thread._replace(archived_at=None)
            alive = self.engine.threads.situation(thread.thread_id, "", "", "").alive
            if alive:
                raise WrongState(f"{alive[-1].interaction_id} is unfinished in this thread.", hint="Cancel it first.")
            return thread._replace(archived_at=self.engine.clock.now())

        return await self._change(params, "thread.archive", peer, change)

    async def _change(self, params: Any, method: str, peer: Peer, change: Callable[[ThreadRow], ThreadRow]) -> Answer:
        async def serve(row: Row) -> Answer:
            async with self.engine.threads.changing:
                before = await self._thread(params.thread_id)
                after = change(before)
                if after.archived_at is None:
                    self.engine.threads.archived.discard(params.thread_id)
                else:
                    self.engine.threads.archived.add(params.thread_id)
                changed = {name: value for name, value in after._asdict().items() if value != getattr(before, name)}
                return await self._write("thread.changed", {**changed, "by": peer.by}, after, row)

        return await once(self.engine, params, method, peer, serve)

    async def _write(self, type_: str, data: Answer, thread: ThreadRow, row: Row) -> Answer:
        answer = _shown(thread)
        event = Event(type_, data, thread.thread_id, at=self.engine.clock.now())
        batch = Batch([event], thread=thread, request=None if row is None else row(answer))
        await self.engine.journal.append(batch)
        return answer

    async def _thread(self, thread_id: str) -> ThreadRow:
        thread = await self.engine.reader.thread(thread_id)
        if thread is None:
            raise NotFound(f"There is no thread {thread_id}.")
        return thread

    def _known(self, policy: str | None) -> None:
        known = self.engine.submissions.policies
        if policy is not None and policy not in known:
            raise InvalidParams(f"policy: there is no policy {policy}.", hint=f"Known here: {', '.join(known)}.")


def _bounded(metadata: Mapping[str, Any]) -> None:
    if len(to_json(metadata)) > m.MAX_METADATA:
        hint = "Put it into the working set (memory.set) or the reference store, and its name here."
        raise InvalidParams(f"metadata: a thread keeps at most {m.MAX_METADATA} bytes of JSON.", hint=hint)


def _shown(thread: ThreadRow) -> Answer:
    shown = {**thread._asdict(), "metadata": dict(thread.metadata)}
    return {name: value for name, value in shown.items() if value is not None}
