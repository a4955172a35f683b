"""How does a client hear of what happens?"""

from dataclasses import dataclass

import trio

from orchestrald.engine.engine import Engine
from orchestrald.protocol.messages import events as m
from orchestrald.server.dispatch import Peer
from orchestrald.server.methods.asking import Answer, shown
from orchestrald.server.ring import Ring


@dataclass(frozen=True, slots=True)
class Events:
    engine: Engine
    ring: Ring

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
