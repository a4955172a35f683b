"""How does a client hear of what happens?"""

from dataclasses import dataclass

import trio
from pydantic_core import to_json

from orchestrald.engine.engine import Engine
from orchestrald.errors import InvalidParams
from orchestrald.protocol.messages import events as m
from orchestrald.server.dispatch import Peer
from orchestrald.server.methods.asking import Answer, Row, once, shown
from orchestrald.server.ring import Ring

MAX_PAYLOAD = 256 * 1024
"""Bytes of JSON: a plan's later steps carry it along."""


@dataclass(frozen=True, slots=True)
class Events:
    engine: Engine
    ring: Ring

    async def event_emit(self, params: m.EventEmit, peer: Peer) -> Answer:
        async def serve(row: Row) -> Answer:
            if len(to_json(params.payload)) > MAX_PAYLOAD:
                hint = "Put it into a file or the reference store, and its name into the event."
                raise InvalidParams(f"payload: at most {MAX_PAYLOAD} bytes of JSON.", hint=hint)
            event_id = await self.engine.emit(
                kind=params.kind,
                payload=params.payload,
                by=peer.by,
                correlation=params.correlation,
                thread_id=params.thread_id,
                remember=None if row is None else lambda event_id: row({"event_id": event_id}),
            )
            return {"event_id": event_id}

        return await once(self.engine, params, "event.emit", peer, serve)

    async def events_list(self, params: m.EventsList, peer: Peer) -> Answer:
        if params.wait_ms and self.ring.last_seq <= params.after_seq:
            with trio.move_on_after(params.wait_ms / 1000):
                await self.ring.wait_beyond(params.after_seq)
        # Read before the page: a client that goes on from here must not skip what is committed meanwhile.
        last_seq = await self.engine.reader.last_seq()
        events = await self.engine.reader.events(
            after_seq=params.after_seq, limit=params.limit, interaction_id=params.interaction_id, types=params.types
        )
        if len(events) == params.limit:
            last_seq = events[-1].seq
        return {"events": [event.to_wire() for event in events], "last_seq": last_seq}

    async def events_subscribe(self, params: m.EventsSubscribe, peer: Peer) -> Answer:
        after, answer = params.after_seq, Answer()
        if params.interaction_id is not None:
            answer["snapshot"] = await shown(self.engine, params.interaction_id, outputs=False)
            after = answer["snapshot"]["last_seq"] if after is None else after
        answer["last_seq"] = self.ring.last_seq
        answer["subscription"] = peer.connection.subscribe(
            after_seq=after, interaction_id=params.interaction_id, types=params.types
        )
        return answer

    async def events_unsubscribe(self, params: m.EventsUnsubscribe, peer: Peer) -> Answer:
        peer.connection.unsubscribe(params.subscription)
        return {}
