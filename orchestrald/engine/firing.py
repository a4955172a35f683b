"""How does a schedule start an interaction once, and no more than once, for one occasion?

The claim is the answer to a request of the schedule's own: `(schedule, interaction.submit, <schedule>:<occasion>)` is
committed together with the interaction's first events. Whoever comes a second time, after a crash between that commit
and the schedule's own row, or because the clock was set back, finds the answer and starts nothing.
"""

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

from orchestrald.core.interaction import Interaction
from orchestrald.core.trigger_text import intent_for, plan_for
from orchestrald.engine.engine import Engine
from orchestrald.errors import Draining, OrchestralError, StoreError
from orchestrald.protocol.foreign_text import plain
from orchestrald.store.base import RequestRow, ScheduleRow

log = logging.getLogger("orchestrald.engine")

Answer = dict[str, Any]
MakeRow = Callable[[Answer], RequestRow] | None


class Occasion(NamedTuple):
    """What set the schedule off. `name` is its own for ever; `data` is what a plan may ask for as `{{trigger.*}}`."""

    name: str
    data: dict[str, Any]


async def fire(engine: Engine, row: ScheduleRow, occasion: Occasion) -> Answer:
    """The interaction that the occasion led to, now or before; or an `error`, when it was refused.

    Raises StoreError and Draining: then nothing happened yet, and the next start sees to it.
    """

    async def serve(remember: MakeRow) -> Answer:
        return await submit(engine, row, occasion.data, f"schedule:{row.schedule_id}", remember)

    name = f"{row.schedule_id}:{occasion.name}"
    try:
        answer = await engine.requests.once("schedule", "interaction.submit", name, {}, serve)
    except (StoreError, Draining):
        raise
    except OrchestralError as error:
        return {"error": _in_words(error)}
    except Exception as error:  # promise 3: a bug of ours costs one firing, in words, and not the schedule
        log.exception("schedule %s could not fire", row.name)
        return {"error": {"code": "internal_error", "message": plain(f"{type(error).__name__}: {error}")}}
    return {name: answer[name] for name in ("interaction_id", "thread_id", "disposition")}


async def submit(engine: Engine, row: ScheduleRow, data: dict[str, Any], by: str, remember: MakeRow) -> Answer:
    """Hand in what the schedule asks for. The answer is durable with the submission."""
    graph = None if row.plan is None else await engine.planning.accept(plan_for(row.plan, data))
    done = await engine.submit(
        by=by,
        intent=intent_for(row.intent, data) if graph is None else graph.plan.goal,
        graph=graph,
        source="schedule",
        thread_id=row.thread_id or None,
        workspace=row.workspace,
        labels={**row.labels, "schedule": row.schedule_id},
        unattended=True,
        remember=None if remember is None else lambda *about: remember(_submitted(*about)),
    )
    return _submitted(*done)


def _submitted(state: Interaction, disposition: str, _answered: str) -> Answer:
    """As `interaction.submit` answers. A schedule answers no step: its words are nobody's."""
    ids = {"interaction_id": state.id, "thread_id": state.thread_id}
    return ids | {"state": state.state.value, "disposition": disposition}


def _in_words(error: OrchestralError) -> dict[str, str]:
    faults = [f"{p.get('path') or 'plan'}: {p['message']}" for p in error.data.get("problems", [])]
    return {"code": error.code, "message": plain("\n".join([error.message, *faults]))}
