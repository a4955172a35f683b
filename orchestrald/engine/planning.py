"""How does an asked-for plan become an input again?

Asks the planner, and believes it nothing: whatever comes back is normalized, and whatever goes wrong ends in words.
"""

import logging
from collections.abc import Mapping
from typing import Any, Protocol

import trio

from orchestrald.core.dialogue import Message, messages
from orchestrald.core.effects import ProposePlan
from orchestrald.core.graft import graft
from orchestrald.core.graph import Graph
from orchestrald.core.inputs import Input, PlanningFailed, PlanPatched, PlanProposed
from orchestrald.core.interaction import Interaction
from orchestrald.core.model import ActionSpec, Failure
from orchestrald.core.normalize import normalize
from orchestrald.core.plan_shape import Problem
from orchestrald.engine.clock import Clock
from orchestrald.engine.memory import WorkingSet
from orchestrald.errors import OrchestralError, PlanError
from orchestrald.planner.base import Planner, Proposal, Request
from orchestrald.store.base import Reader

log = logging.getLogger("orchestrald.engine")

LARGE = 300
"""A plan with more steps is normalized in a thread: it would hold up everybody else for tens of milliseconds."""


class Catalog(Protocol):
    @property
    def specs(self) -> Mapping[str, ActionSpec]: ...


class Planning:
    """`max_history` is how many messages of its thread a planner is told, `max_replans` how often a failed part of one
    interaction may be planned anew."""

    def __init__(
        self,
        planner: Planner,
        catalog: Catalog,
        clock: Clock,
        working_set: WorkingSet,
        reader: Reader,
        max_history: int,
        max_replans: int,
    ) -> None:
        self.planner = planner
        self._catalog = catalog
        self._clock = clock
        self._max_replans = max_replans
        self._working_set = working_set
        self._reader = reader
        self._max_history = max_history

    async def accept(self, raw: Any, offset: int = 0) -> Graph:
        """A plan as a graph. Raises PlanError with every problem in `data["problems"]`.

        `offset` is how many of the steps are not the author's own: paths are told as the author counts.
        """
        steps = raw.get("steps") if isinstance(raw, dict) else None
        if isinstance(steps, list) and len(steps) > LARGE:
            found = await trio.to_thread.run_sync(normalize, raw, self._catalog.specs)
        else:
            found = normalize(raw, self._catalog.specs)
        if isinstance(found, Graph):
            return found
        count = "one fault" if len(found) == 1 else f"{len(found)} faults"
        problems = [_shifted(problem, offset).to_json() for problem in found]
        raise PlanError(f"The plan has {count}.", data={"problems": problems})

    async def propose(self, state: Interaction, effect: ProposePlan) -> Input:
        """The input that asking the planner leads to. Leaves by `trio.Cancelled` only."""
        try:
            met = effect.failure.to_json() if effect.failure else None
            said = await self._dialogue(state)
            request = Request(effect.intent, state.workspace, effect.failed, met, state.planner, said)
            proposal = await self.planner.propose(request)
            if effect.failed or effect.joins:
                return await self._patch(state, effect, proposal)
            graph = await self._working_set.freeze(await self.accept(proposal.plan), state.thread_id, state.id)
            replans = self._max_replans if proposal.replans else None
            return PlanProposed(self._clock.now(), graph, proposal.planner, replans, effect.round)
        except OrchestralError as error:
            return PlanningFailed(self._clock.now(), in_words(error), effect.round)
        except Exception as error:  # promise 3: whatever a planner does, the interaction ends with words
            log.exception("the planner failed at %s", state.id)
            failure = Failure("planner_failed", f"the planner failed: {type(error).__name__}: {error}")
            return PlanningFailed(self._clock.now(), failure, effect.round)

    async def _dialogue(self, state: Interaction) -> tuple[Message, ...]:
        """What was said in the thread before, without the words that began this very interaction."""
        if not self._max_history:
            return ()
        said = messages(await self._reader.dialogue(state.thread_id, limit=self._max_history + 1))
        before = (
            each for each in said if (each.interaction_id, each.role, each.text) != (state.id, "user", state.intent)
        )
        return tuple(before)[-self._max_history :]

    async def _patch(self, state: Interaction, effect: ProposePlan, proposal: Proposal) -> Input:
        assert state.graph is not None
        made = graft(state.graph, effect.failed, proposal.plan, state.runs, max(state.replans, 1))
        graph = await self._working_set.freeze(await self.accept(made.plan, made.kept), state.thread_id, state.id)
        return PlanPatched(self._clock.now(), graph, made.superseded, proposal.planner, effect.round)


def _shifted(problem: Problem, offset: int) -> Problem:
    index, bracket, rest = problem.path.removeprefix("steps[").partition("]")
    if not offset or not bracket or not index.isdigit():
        return problem
    return problem._replace(path=f"steps[{int(index) - offset}]{rest}")


def in_words(error: OrchestralError) -> Failure:
    """An error as a failure whose message says all of it: a person may see nothing else."""
    problems = [
        f"- {problem.get('path') or 'plan'}: {problem['message']} {problem.get('hint', '')}".rstrip()
        for problem in error.data.get("problems", [])
    ]
    nearest = [f"- {near['phrase']}: {near['says']}" for near in error.data.get("nearest", [])]
    return Failure(error.code, "\n".join([error.message, *problems, *nearest]), details=error.data or None)
