"""What do the methods of the socket have in common: whom they ask, and that a request is served once?"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from orchestrald.actions import LoadedAction
from orchestrald.core.interaction import Interaction
from orchestrald.engine import snapshot
from orchestrald.engine.engine import Engine
from orchestrald.engine.schedules import Schedules
from orchestrald.errors import NotFound, PlanChanged
from orchestrald.server.dispatch import Peer
from orchestrald.store.base import RequestRow

Answer = dict[str, Any]


class HandedIn(NamedTuple):
    """What somebody wants to have done: an intent, or a plan (then `intent` is only the words that led to it).

    `plan_hash` empty: nobody was asked whether the plan is the right one.
    """

    intent: str
    plan: Any
    source: str
    thread_id: str | None = None
    workspace: str = ""
    labels: Mapping[str, str] = MappingProxyType({})
    policy: str | None = None
    unattended: bool = False
    plan_hash: str = ""


Row = Callable[[Answer], RequestRow] | None
"""Makes the durable answer of a request, to commit with what it causes; missing when the request has no id."""


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

    @property
    def schedules(self) -> Schedules: ...


class Sandbox(Protocol):
    """What can be asked of the sandbox without an interaction."""

    async def explain(self, action: LoadedAction, workspace: str) -> Answer: ...

    async def try_command(
        self, action: LoadedAction, argv: Sequence[str], workspace: str, seconds: float
    ) -> Answer: ...


async def once(
    engine: Engine, params: Any, method: str, peer: Peer, serve: Callable[[Row], Awaitable[Answer]]
) -> Answer:
    """Serve a request that changes something; one that was served before gets its first answer."""
    given = params.model_dump(mode="json")
    return await engine.requests.once(peer.by, method, params.request_id, given, serve)


def remember(row: Row, answer: Callable[..., Answer]) -> Callable[..., RequestRow] | None:
    """What the actor calls, when it commits, to make the request's durable answer; nothing without an id."""
    if row is None:
        return None

    def make(state: Interaction, *about: str) -> RequestRow:
        return row(answer(state, *about))

    return make


async def submit(engine: Engine, params: Any, method: str, peer: Peer, asked: HandedIn) -> Answer:
    """Start an interaction, once."""

    async def serve(row: Row) -> Answer:
        # In here: a repeated request gets its first answer, whatever became of its actions meanwhile.
        graph = None if asked.plan is None else await engine.planning.accept(asked.plan)
        if graph is not None and asked.plan_hash not in {"", graph.digest(asked.workspace)}:
            raise PlanChanged
        done = await engine.submit(
            by=peer.by,
            intent=asked.intent if graph is None else asked.intent or graph.plan.goal,
            graph=graph,
            source="intent" if graph is None else asked.source,
            thread_id=asked.thread_id,
            workspace=asked.workspace,
            labels=dict(asked.labels),
            policy=asked.policy,
            unattended=asked.unattended,
            approved=asked.plan_hash,
            remember=remember(row, submitted),
        )
        return submitted(*done)

    return await once(engine, params, method, peer, serve)


def submitted(state: Interaction, disposition: str, step_id: str) -> Answer:
    answer = {"interaction_id": state.id, "thread_id": state.thread_id, "state": state.state.value}
    return {**answer, "disposition": disposition, **({"step_id": step_id} if step_id else {})}


async def shown(engine: Engine, interaction_id: str, *, outputs: bool) -> Answer:
    """The whole interaction, at a moment when all of it is durable."""
    found = await engine.view(
        interaction_id, lambda state, last_seq: snapshot.snapshot(state, outputs=outputs, last_seq=last_seq)
    )
    spent = await engine.reader.calls.spent(interaction_id=interaction_id)
    return found | ({"spent": spent._asdict()} if spent.calls else {})


def action_named(engine: Engine, name: str) -> LoadedAction:
    found = engine.actions.get(name)
    if found is None:
        near = get_close_matches(name, engine.actions.specs, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(near)}?" if near else "`orchestral actions` lists them."
        raise NotFound(f"There is no action {name}.", hint=hint)
    return found
