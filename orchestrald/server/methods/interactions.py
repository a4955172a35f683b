"""Starting interactions, looking at them, answering and ending them."""

from dataclasses import dataclass

from orchestrald.core.interaction import Interaction
from orchestrald.engine import snapshot
from orchestrald.engine.engine import Engine
from orchestrald.errors import InvalidParams, NotFound
from orchestrald.protocol import drawing
from orchestrald.protocol.messages import interactions as m
from orchestrald.server.dispatch import Peer
from orchestrald.server.methods.asking import Answer, HandedIn, Row, once, remember, shown, submit, submitted


@dataclass(frozen=True, slots=True)
class Interactions:
    engine: Engine

    async def interaction_submit(self, params: m.Submit, peer: Peer) -> Answer:
        agreed = params.plan is not None and bool(params.plan_hash)
        if not agreed and (params.plan is None) == (not params.intent.strip()):
            raise InvalidParams("Give either an intent or a plan.")
        if params.plan_hash and params.plan is None:
            raise InvalidParams("plan_hash: goes with the plan that it is the hash of.")
        asked = HandedIn(
            params.intent,
            params.plan,
            "plan",
            params.thread_id,
            params.workspace,
            params.labels,
            params.policy,
            params.unattended,
            params.plan_hash,
        )
        return await submit(self.engine, params, "interaction.submit", peer, asked)

    async def interaction_get(self, params: m.InteractionGet, peer: Peer) -> Answer:
        return await shown(self.engine, params.interaction_id, outputs=params.outputs)

    async def interaction_list(self, params: m.InteractionList, peer: Peer) -> Answer:
        rows = await self.engine.reader.interactions(
            thread_id=params.thread_id, states=params.state, limit=params.limit, before=_cursor(params.cursor)
        )
        # What lives has gone on since its row was last written; its progress costs no commit of its own.
        live = ((row, self.engine.live.get(row.interaction_id)) for row in rows)
        shown = [snapshot.row(actor.state) if actor is not None else row for row, actor in live]
        answer: Answer = {"interactions": [snapshot.row_to_wire(row) for row in shown]}
        if len(rows) == params.limit:
            answer["cursor"] = f"{rows[-1].created_at}:{rows[-1].interaction_id}"
        return answer

    async def interaction_wait(self, params: m.InteractionWait, peer: Peer) -> Answer:
        actor = self.engine.live.get(params.interaction_id)
        settled = await self.engine.wait(params.interaction_id, params.timeout_ms / 1000)
        if settled and actor is not None and actor.state.final:
            return snapshot.row_to_wire(snapshot.row(actor.state))  # the very row that was just committed
        row = await self.engine.reader.interaction(params.interaction_id)
        if row is None:
            raise NotFound(f"There is no interaction {params.interaction_id}.")
        return snapshot.row_to_wire(row) | ({} if settled else {"timed_out": True})

    async def interaction_cancel(self, params: m.InteractionCancel, peer: Peer) -> Answer:
        async def serve(row: Row) -> Answer:
            state = await self.engine.cancel(params.interaction_id, peer.by, params.reason, remember(row, _brief))
            return _brief(state)

        return await once(self.engine, params, "interaction.cancel", peer, serve)

    async def interaction_pause(self, params: m.InteractionSteer, peer: Peer) -> Answer:
        async def serve(row: Row) -> Answer:
            return _brief(await self.engine.pause(params.interaction_id, peer.by, remember(row, _brief)))

        return await once(self.engine, params, "interaction.pause", peer, serve)

    async def interaction_resume(self, params: m.InteractionSteer, peer: Peer) -> Answer:
        async def serve(row: Row) -> Answer:
            return _brief(await self.engine.resume(params.interaction_id, peer.by, remember(row, _brief)))

        return await once(self.engine, params, "interaction.resume", peer, serve)

    async def interaction_skip(self, params: m.InteractionSkip, peer: Peer) -> Answer:
        async def serve(row: Row) -> Answer:
            asked = (params.interaction_id, params.step_id, params.value)
            return _brief(await self.engine.skip(*asked, peer.by, remember(row, _brief)))

        return await once(self.engine, params, "interaction.skip", peer, serve)

    async def interaction_retry(self, params: m.InteractionRetry, peer: Peer) -> Answer:
        async def serve(row: Row) -> Answer:
            asked = (params.interaction_id, params.from_step)
            return _brief(await self.engine.retry(*asked, peer.by, remember(row, _brief)))

        return await once(self.engine, params, "interaction.retry", peer, serve)

    async def interaction_fork(self, params: m.InteractionFork, peer: Peer) -> Answer:
        async def serve(row: Row) -> Answer:
            asked = (params.interaction_id, params.at_step, params.patch)
            done = await self.engine.fork(*asked, peer.by, params.thread_id, remember(row, submitted))
            return submitted(*done)

        return await once(self.engine, params, "interaction.fork", peer, serve)

    async def interaction_respond(self, params: m.InteractionRespond, peer: Peer) -> Answer:
        async def serve(row: Row) -> Answer:
            state, step_id = await self.engine.answer(
                params.interaction_id, params.step_id, params.payload, peer.by, remember=remember(row, _responded)
            )
            return _responded(state, step_id)

        return await once(self.engine, params, "interaction.respond", peer, serve)

    async def interaction_graph(self, params: m.InteractionGraph, peer: Peer) -> Answer:
        graph = await self.engine.view(params.interaction_id, lambda state, _: snapshot.graph(state))
        return {"format": params.format, "graph": drawing.draw(graph, params.format)}


def _brief(state: Interaction) -> Answer:
    return {"interaction_id": state.id, "state": state.state.value}


def _responded(state: Interaction, step_id: str) -> Answer:
    return _brief(state) | {"step_id": step_id}


def _cursor(text: str | None) -> tuple[int, str] | None:
    if text is None:
        return None
    at, _, interaction_id = text.partition(":")
    if not at.isdigit() or not interaction_id:
        raise InvalidParams("cursor: must be one that interaction.list returned.")
    return int(at), interaction_id
