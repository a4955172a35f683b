"""What does each method do?

Thin by intent: a handler reads its parameters, asks the engine or the reader, and shapes the answer that PROTOCOL.md
describes. Whoever looks for behaviour finds it a layer below.
"""

import base64
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Protocol

import trio

from orchestrald.actions import LoadedAction
from orchestrald.core.interaction import Interaction
from orchestrald.engine import snapshot
from orchestrald.engine.engine import Engine
from orchestrald.errors import InvalidParams, NotFound, PlanError
from orchestrald.planner.base import Request
from orchestrald.protocol import drawing
from orchestrald.protocol import messages as m
from orchestrald.server.dispatch import Handler, Peer
from orchestrald.server.ring import Ring
from orchestrald.store.base import Batch, RequestRow, ThreadRow

Answer = dict[str, Any]


class Daemon(Protocol):
    """What only the composition root knows: itself, its plugins, its configuration."""

    async def info(self) -> Answer: ...

    async def hello(self) -> Answer: ...

    async def reload(self) -> Answer: ...

    async def rescan(self) -> Answer: ...

    def plugins(self) -> Sequence[Mapping[str, Any]]: ...

    def stop(self, drain_s: float | None) -> None: ...

    @property
    def sandbox(self) -> "Sandbox": ...


class Sandbox(Protocol):
    """What can be asked of the sandbox without an interaction."""

    async def explain(self, action: LoadedAction, workspace: str) -> Answer: ...

    async def try_command(
        self, action: LoadedAction, argv: Sequence[str], workspace: str, seconds: float
    ) -> Answer: ...


class Handlers:
    """One method of this class per method of the socket: `interaction.submit` is `interaction_submit`."""

    def __init__(self, engine: Engine, ring: Ring, daemon: Daemon) -> None:
        self._engine = engine
        self._ring = ring
        self._daemon = daemon

    def table(self) -> dict[str, Handler]:
        return {name: getattr(self, name.replace(".", "_")) for name in m.METHODS}

    # --- system -------------------------------------------------------------------------------------------------

    async def system_hello(self, params: m.Hello, peer: Peer) -> Answer:
        if params.protocol and m.PROTOCOL_VERSION not in params.protocol:
            raise InvalidParams(f"This daemon speaks protocol {m.PROTOCOL_VERSION}, not {params.protocol}.")
        return await self._daemon.hello()

    async def system_ping(self, params: m.Empty, peer: Peer) -> Answer:
        return {}

    async def system_info(self, params: m.Empty, peer: Peer) -> Answer:
        return await self._daemon.info()

    async def system_schema(self, params: m.Empty, peer: Peer) -> Answer:
        methods = {
            name: {"says": method.says, "changes": method.changes, "params": method.params.model_json_schema()}
            for name, method in m.METHODS.items()
        }
        return {"protocol": m.PROTOCOL_VERSION, "methods": methods}

    async def system_reload(self, params: m.Empty, peer: Peer) -> Answer:
        return await self._daemon.reload()

    async def system_shutdown(self, params: m.Shutdown, peer: Peer) -> Answer:
        self._daemon.stop(params.drain_s)
        return {"stopping": True}

    # --- threads ------------------------------------------------------------------------------------------------

    async def thread_create(self, params: m.ThreadCreate, peer: Peer) -> Answer:
        engine = self._engine

        async def serve(row: Any) -> Answer:
            thread = ThreadRow(engine.clock.identifier("thr_"), params.title, engine.clock.now())
            answer: Answer = thread._asdict()
            await engine.journal.append(Batch(thread=thread, request=row(answer) if row else None))
            return answer

        return await self._once(params, "thread.create", peer, serve)

    async def thread_get(self, params: m.ThreadGet, peer: Peer) -> Answer:
        thread = await self._engine.reader.thread(params.thread_id)
        if thread is None:
            raise NotFound(f"There is no thread {params.thread_id}.")
        return thread._asdict()

    async def thread_list(self, params: m.Page, peer: Peer) -> Answer:
        return {"threads": [t._asdict() for t in await self._engine.reader.threads(limit=params.limit)]}

    # --- plans --------------------------------------------------------------------------------------------------

    async def plan_create(self, params: m.PlanCreate, peer: Peer) -> Answer:
        proposal = await self._engine.planning.planner.propose(Request(params.intent, params.workspace))
        graph = await self._engine.planning.accept(proposal.plan)
        return {
            "plan": graph.to_json()["plan"],
            "planner": proposal.planner,
            "graph": snapshot.plan_graph(graph.nodes),
        }

    async def plan_validate(self, params: m.PlanValidate, peer: Peer) -> Answer:
        try:
            graph = await self._engine.planning.accept(params.plan)
        except PlanError as error:
            return {"valid": False, "problems": error.data["problems"]}
        return {"valid": True, "problems": [], "plan": graph.to_json()["plan"]}

    async def plan_graph(self, params: m.PlanGraph, peer: Peer) -> Answer:
        graph = snapshot.plan_graph((await self._engine.planning.accept(params.plan)).nodes)
        return {"format": params.format, "graph": drawing.draw(graph, params.format)}

    # --- interactions -------------------------------------------------------------------------------------------

    async def interaction_submit(self, params: m.Submit, peer: Peer) -> Answer:
        if (params.plan is None) == (not params.intent.strip()):
            raise InvalidParams("Give either an intent or a plan.")
        return await self._submit(
            params, "interaction.submit", peer, params.intent, params.plan, "plan", params.thread_id
        )

    async def _submit(
        self,
        params: m.Submit | m.ActionCall,
        method: str,
        peer: Peer,
        intent: str,
        plan: Any,
        source: str,
        thread_id: str | None = None,
    ) -> Answer:
        async def serve(row: Any) -> Answer:
            # In here: a repeated request gets its first answer, whatever became of its actions meanwhile.
            graph = None if plan is None else await self._engine.planning.accept(plan)
            state = await self._engine.submit(
                by=peer.by,
                intent=intent if graph is None else graph.plan.goal,
                graph=graph,
                source="intent" if graph is None else source,
                thread_id=thread_id,
                workspace=params.workspace,
                labels=params.labels if isinstance(params, m.Submit) else None,
                remember=_remember(row, _submitted),
            )
            return _submitted(state)

        return await self._once(params, method, peer, serve)

    async def interaction_get(self, params: m.InteractionGet, peer: Peer) -> Answer:
        return await self._snapshot(params.interaction_id, outputs=params.outputs)

    async def _snapshot(self, interaction_id: str, *, outputs: bool) -> Answer:
        return await self._engine.view(
            interaction_id, lambda state, last_seq: snapshot.snapshot(state, outputs=outputs, last_seq=last_seq)
        )

    async def interaction_list(self, params: m.InteractionList, peer: Peer) -> Answer:
        rows = await self._engine.reader.interactions(
            thread_id=params.thread_id, states=params.state, limit=params.limit, before=_cursor(params.cursor)
        )
        # What lives has gone on since its row was last written; its progress costs no commit of its own.
        live = ((row, self._engine.live.get(row.interaction_id)) for row in rows)
        shown = [snapshot.row(actor.state) if actor is not None else row for row, actor in live]
        answer: Answer = {"interactions": [snapshot.row_to_wire(row) for row in shown]}
        if len(rows) == params.limit:
            answer["cursor"] = f"{rows[-1].created_at}:{rows[-1].interaction_id}"
        return answer

    async def interaction_wait(self, params: m.InteractionWait, peer: Peer) -> Answer:
        actor = self._engine.live.get(params.interaction_id)
        settled = await self._engine.wait(params.interaction_id, params.timeout_ms / 1000)
        if settled and actor is not None and actor.state.final:
            return snapshot.row_to_wire(snapshot.row(actor.state))  # the very row that was just committed
        row = await self._engine.reader.interaction(params.interaction_id)
        if row is None:
            raise NotFound(f"There is no interaction {params.interaction_id}.")
        return snapshot.row_to_wire(row) | ({} if settled else {"timed_out": True})

    async def interaction_cancel(self, params: m.InteractionCancel, peer: Peer) -> Answer:
        async def serve(row: Any) -> Answer:
            state = await self._engine.cancel(params.interaction_id, peer.by, params.reason, _remember(row, _brief))
            return _brief(state)

        return await self._once(params, "interaction.cancel", peer, serve)

    async def interaction_respond(self, params: m.InteractionRespond, peer: Peer) -> Answer:
        async def serve(row: Any) -> Answer:
            state, step_id = await self._engine.answer(
                params.interaction_id, params.step_id, params.payload, peer.by, remember=_remember(row, _responded)
            )
            return _responded(state, step_id)

        return await self._once(params, "interaction.respond", peer, serve)

    async def interaction_graph(self, params: m.InteractionGraph, peer: Peer) -> Answer:
        graph = await self._engine.view(params.interaction_id, lambda state, _: snapshot.graph(state))
        return {"format": params.format, "graph": drawing.draw(graph, params.format)}

    # --- approvals ----------------------------------------------------------------------------------------------

    async def approval_list(self, params: m.Empty, peer: Peer) -> Answer:
        found = []
        for actor in list(self._engine.live.values()):
            for run in actor.state.waiting.values():
                question = run.question
                if question is not None and question.kind == "approval":
                    shown = question.preview if isinstance(question.preview, dict) else {"preview": question.preview}
                    found.append(
                        {
                            "interaction_id": actor.state.id,
                            "step_id": run.id,
                            "action": run.node.action,
                            "reason": question.prompt,
                            "digest": question.digest,
                            "asked_at": run.started_at,
                            **shown,
                        }
                    )
        return {"approvals": found}

    async def approval_decide(self, params: m.ApprovalDecide, peer: Peer) -> Answer:
        async def serve(row: Any) -> Answer:
            payload = params.model_dump(include={"digest", "decision", "note"})
            answer = params.model_dump(include={"interaction_id", "step_id", "decision"})
            await self._engine.answer(
                params.interaction_id,
                params.step_id,
                payload,
                peer.by,
                channel="decide",
                remember=_remember(row, lambda *_: answer),
            )
            return answer

        return await self._once(params, "approval.decide", peer, serve)

    # --- events -------------------------------------------------------------------------------------------------

    async def events_list(self, params: m.EventsList, peer: Peer) -> Answer:
        if params.wait_ms and self._ring.last_seq <= params.after_seq:
            with trio.move_on_after(params.wait_ms / 1000):
                await self._ring.wait_beyond(params.after_seq)
        # Read before the page: a client that goes on from here must not skip what is committed meanwhile.
        last_seq = await self._engine.reader.last_seq()
        events = await self._engine.reader.events(
            after_seq=params.after_seq, limit=params.limit, interaction_id=params.interaction_id, types=params.types
        )
        if len(events) == params.limit:
            last_seq = events[-1].seq
        return {"events": [event.to_wire() for event in events], "last_seq": last_seq}

    async def events_subscribe(self, params: m.EventsSubscribe, peer: Peer) -> Answer:
        after, answer = params.after_seq, Answer()
        if params.interaction_id is not None:
            answer["snapshot"] = await self._snapshot(params.interaction_id, outputs=False)
            after = answer["snapshot"]["last_seq"] if after is None else after
        answer["last_seq"] = self._ring.last_seq
        answer["subscription"] = peer.connection.subscribe(
            after_seq=after, interaction_id=params.interaction_id, types=params.types
        )
        return answer

    async def events_unsubscribe(self, params: m.EventsUnsubscribe, peer: Peer) -> Answer:
        peer.connection.unsubscribe(params.subscription)
        return {}

    # --- actions, plugins, references ---------------------------------------------------------------------------

    async def action_list(self, params: m.Empty, peer: Peer) -> Answer:
        keys = ("name", "description", "effects", "idempotent", "plugin", "version")
        return {"actions": [{k: getattr(s, k) for k in keys} for s in self._engine.actions.specs.values()]}

    async def action_get(self, params: m.ActionGet, peer: Peer) -> Answer:
        spec = self._action(params.name).spec
        keys = ("name", "description", "effects", "idempotent", "plugin", "version", "input_schema", "output_schema")
        shown = {key: getattr(spec, key) for key in (*keys, "approval", "timeout", "digest")}
        return {key: value for key, value in shown.items() if value not in (None, "")}

    async def action_call(self, params: m.ActionCall, peer: Peer) -> Answer:
        plan = {
            "goal": params.name,
            "steps": [{"id": "call", "action": params.name, "params": _literal(params.params)}],
        }
        started = await self._submit(params, "action.call", peer, params.name, plan, "call")
        await self._engine.wait(started["interaction_id"], params.timeout_ms / 1000)
        shown = await self._snapshot(started["interaction_id"], outputs=True)
        step = shown["steps"][0]
        answer = {"interaction_id": shown["interaction_id"], "state": shown["state"], "answer": shown.get("answer", "")}
        return answer | {key: step[key] for key in ("output", "stored", "error", "question") if key in step}

    def _action(self, name: str) -> LoadedAction:
        found = self._engine.actions.get(name)
        if found is None:
            near = get_close_matches(name, self._engine.actions.specs, n=3, cutoff=0.5)
            hint = f"Did you mean {' or '.join(near)}?" if near else "`orchestral actions` lists them."
            raise NotFound(f"There is no action {name}.", hint=hint)
        return found

    async def plugin_list(self, params: m.Empty, peer: Peer) -> Answer:
        return {"plugins": list(self._daemon.plugins())}

    async def plugin_reload(self, params: m.Empty, peer: Peer) -> Answer:
        return await self._daemon.rescan()

    async def reference_get(self, params: m.ReferenceGet, peer: Peer) -> Answer:
        content = await self._engine.references.get(params.digest)
        answer: Answer = {"digest": params.digest, "size": len(content)}
        try:
            return answer | {"text": content.decode("utf-8")}
        except UnicodeDecodeError:
            return answer | {"base64": base64.b64encode(content).decode("ascii")}

    # --- the sandbox --------------------------------------------------------------------------------------------

    async def sandbox_explain(self, params: m.SandboxExplain, peer: Peer) -> Answer:
        return await self._daemon.sandbox.explain(self._action(params.action), _absolute(params.workspace))

    async def sandbox_try(self, params: m.SandboxTry, peer: Peer) -> Answer:
        action, workspace = self._action(params.action), _absolute(params.workspace)
        return await self._daemon.sandbox.try_command(action, params.argv, workspace, params.timeout_ms / 1000)

    async def _once(self, params: Any, method: str, peer: Peer, serve: Any) -> Answer:
        given = params.model_dump(mode="json")
        return await self._engine.requests.once(peer.by, method, params.request_id, given, serve)


def _remember(row: Any, answer: Any) -> Any:
    """What the actor calls, when it commits, to make the request's durable answer; nothing without an id."""
    if row is None:
        return None

    def make(state: Interaction, *about: str) -> RequestRow:
        made: RequestRow = row(answer(state, *about))
        return made

    return make


def _submitted(state: Interaction) -> Answer:
    return {"interaction_id": state.id, "thread_id": state.thread_id, "state": state.state.value}


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


def _absolute(workspace: str) -> str:
    if workspace and not workspace.startswith("/"):
        raise InvalidParams(f"workspace: {workspace!r} is relative, and the daemon has another current folder.")
    if "\0" in workspace:
        raise InvalidParams("workspace: no folder has a NUL in its name.")
    return workspace


def _literal(value: Any) -> Any:
    """Parameters of a single call are data: braces in them mean themselves."""
    if isinstance(value, str):
        return value.replace("{{", "{{{{")
    if isinstance(value, dict):
        return {key: _literal(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_literal(child) for child in value]
    return value
