"""How does an asked-for plan become an input again?

Asks the planner, and believes it nothing: whatever comes back is normalized, and whatever goes wrong ends in words.
"""

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import trio

from orchestrald.core.dialogue import Message, messages
from orchestrald.core.effects import ProposePlan
from orchestrald.core.graft import Graft, graft
from orchestrald.core.graph import Graph
from orchestrald.core.inputs import Input, PlanConcluded, PlanningFailed, PlanPatched, PlanProposed
from orchestrald.core.interaction import Interaction
from orchestrald.core.model import Failure
from orchestrald.core.normalize import normalize
from orchestrald.core.observation import Observed, steps
from orchestrald.core.plan_shape import Problem, faulty
from orchestrald.core.working_set import SCOPES, owner
from orchestrald.engine.clock import Clock
from orchestrald.engine.memory import WorkingSet
from orchestrald.engine.model_calls import ModelCalls
from orchestrald.errors import OrchestralError, PlanError
from orchestrald.models.base import storable
from orchestrald.planner.base import Catalog, Done, Kept, Planner, Proposal, Request
from orchestrald.store.base import Reader
from orchestrald.store.base_calls import Spent

log = logging.getLogger("orchestrald.engine")

MOST_KEPT = 50
"""Kept values and stored content that a planner is told of."""

LARGE = 300
"""A plan with more steps is normalized in a thread: it would hold up everybody else for tens of milliseconds."""


class Bounds(NamedTuple):
    """`history` is how many messages of its thread a planner is told, `replans` how often a failed part of one
    interaction may be planned anew. A planner that sees what comes of its plans may go on for `seconds` (0: without
    end), waits for people not counted, and until the plan has `steps`."""

    history: int = 20
    replans: int = 1
    steps: int = 200
    seconds: float = 3600.0


ORDINARY_BOUNDS = Bounds()


class Planning:
    def __init__(
        self,
        planner: Planner,
        catalog: Catalog,
        clock: Clock,
        working_set: WorkingSet,
        reader: Reader,
        model_calls: ModelCalls,
        bounds: Callable[[], Bounds],
    ) -> None:
        self.planner = planner
        self._catalog = catalog
        self._clock = clock
        self._working_set = working_set
        self._reader = reader
        self._model_calls = model_calls
        self._bounds = bounds

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
        raise faulty([_shifted(problem, offset) for problem in found])

    async def propose(self, state: Interaction, effect: ProposePlan) -> Input:
        """The input that asking the planner leads to. Leaves by `trio.Cancelled` only."""
        try:
            proposal = await self.planner.propose(await self._request(state, effect))
            if isinstance(proposal, Done):
                said = (proposal.text, proposal.achieved, proposal.planner)
                return PlanConcluded(self._clock.now(), *said, effect.round)
            if effect.failed or effect.joins:
                return await self._patch(state, effect, proposal)
            graph = await self._working_set.freeze(await self.accept(proposal.plan), state.thread_id, state.id)
            replans = self._bounds().replans if proposal.replans else None
            wants = (replans, effect.round, proposal.rounds, self._bounds().seconds)
            return PlanProposed(self._clock.now(), graph, proposal.planner, *wants)
        except OrchestralError as error:
            return PlanningFailed(self._clock.now(), in_words(error), effect.round)
        except Exception as error:  # promise 3: whatever a planner does, the interaction ends with words
            log.exception("the planner failed at %s", state.id)
            failure = Failure("planner_failed", f"the planner failed: {type(error).__name__}: {error}")
            return PlanningFailed(self._clock.now(), failure, effect.round)

    async def preview(self, intent: str, workspace: str, thread_id: str = "") -> tuple[Proposal | Done, Spent]:
        """What the planner says to an intent that nobody has submitted, and what it cost to ask."""
        calls = self._model_calls.of(thread_id, "", "preview")
        as_if = Interaction(id="", thread_id=thread_id, intent=intent, workspace=workspace)
        request = Request(
            intent,
            workspace,
            dialogue=await self._dialogue(as_if) if thread_id else (),
            kept=await self._kept(as_if),
            now=self._clock.now(),
            check=self._check_whole,
            calls=calls,
        )
        return await self.planner.propose(request), calls.spent

    async def _check_whole(self, plan: dict[str, Any]) -> None:
        self._refuse_more_than(self._bounds().steps, len((await self.accept(plan)).nodes))

    async def _request(self, state: Interaction, effect: ProposePlan) -> Request:
        """Of the state as it is now: what ends while the planner thinks is for the next round."""

        async def check(plan: dict[str, Any]) -> None:
            if not effect.failed and not effect.joins:
                await self._check_whole(plan)
                return
            made = self._grafted(state, effect, plan)
            try:
                graph = await self.accept(made.plan, made.kept)
            except PlanError as error:
                raise _in_its_own_names(error, made.renamed) from None
            self._refuse_more_than(max(self._bounds().steps - made.kept, 0), len(graph.nodes) - made.kept)

        observed = _observed(state, effect) if state.graph is not None or effect.joins else None
        return Request(
            intent=effect.intent,
            workspace=state.workspace,
            failed_step=effect.failed,
            failure=effect.failure.to_json() if effect.failure else None,
            replaces=downstream(state.graph, effect.failed) if effect.failed and state.graph else (),
            planner=state.planner,
            dialogue=await self._dialogue(state),
            kept=await self._kept(state),
            now=self._clock.now(),
            unattended=state.unattended,
            observed=observed,
            check=check,
            calls=self._model_calls.of(state.thread_id, state.id, f"round {effect.round}"),
        )

    def _refuse_more_than(self, most: int, steps: int) -> None:
        if steps > most:
            said = f"there are {steps} new steps; at most {most} may be added"
            raise faulty([Problem("steps", "too_many_steps", said)])

    async def _dialogue(self, state: Interaction) -> tuple[Message, ...]:
        """What was said in the thread before, without the words that began this very interaction."""
        if not self._bounds().history:
            return ()
        said = messages(await self._reader.dialogue(state.thread_id, limit=self._bounds().history + 1))
        before = (
            each for each in said if (each.interaction_id, each.role, each.text) != (state.id, "user", state.intent)
        )
        return tuple(before)[-self._bounds().history :]

    async def _patch(self, state: Interaction, effect: ProposePlan, proposal: Proposal) -> Input:
        made = self._grafted(state, effect, proposal.plan)
        graph = await self._working_set.freeze(await self.accept(made.plan, made.kept), state.thread_id, state.id)
        bounds = self._bounds()
        wants = (bounds.replans if proposal.replans else None, proposal.rounds, bounds.seconds)
        return PlanPatched(self._clock.now(), graph, made.superseded, proposal.planner, effect.round, *wants)

    async def _kept(self, state: Interaction) -> tuple[Kept, ...]:
        """The newest of what outlives interactions, and is to be seen from this one."""
        kept = self._reader.kept
        found: list[tuple[int, Kept]] = []
        for scope in SCOPES:
            rows = await kept.keys(scope, owner(scope, state.thread_id, state.id))
            found += [(row.at, Kept(f"{scope}.{row.key}", row.size)) for row in rows]
        stored = await kept.references(thread_id=state.thread_id, limit=MOST_KEPT)
        found += [(row.created_at, Kept(row.digest, row.size, f"{row.name} ({row.media_type})")) for row in stored]
        return tuple(each for _, each in sorted(found, key=lambda pair: -pair[0])[:MOST_KEPT])

    def _grafted(self, state: Interaction, effect: ProposePlan, plan: Any) -> Graft:
        assert state.graph is not None, "what has no plan is planned as a whole"
        if effect.joins and isinstance(plan, dict):  # what was said of the plan before is not said of both
            plan = {"on_complete": None, "on_failure": None, **plan}
        return graft(state.graph, effect.failed, plan, state.runs, max(state.replans, 1))


def downstream(graph: Graph, failed: str) -> tuple[str, ...]:
    """What goes with a failed step when it is replaced."""
    return tuple(graph.nodes[i].id for i in graph.descendants(graph.index[failed]))


def _in_its_own_names(error: PlanError, renamed: Mapping[str, str]) -> PlanError:
    """The same problems, with the ids that whoever proposed the steps knows them by."""
    if not renamed:
        return error
    own = {new: old for old, new in renamed.items()}
    word = re.compile(rf"\b({'|'.join(map(re.escape, own))})\b")
    problems = [
        {key: text if key == "code" else word.sub(lambda found: own[found[1]], text) for key, text in problem.items()}
        for problem in error.data["problems"]
    ]
    return PlanError(error.message, data={"problems": problems})


def _observed(state: Interaction, effect: ProposePlan) -> Observed:
    return Observed(
        steps=steps(state),
        goal=state.graph.plan.goal if state.graph else "",
        round=state.asked,
        left=max(state.observes - state.asked, 0),
        first=state.intent if state.matter != state.intent else "",
        joined=(*state.added, *state.joining),
    )


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
    advice = [error.advice] if error.advice and not problems else []  # each problem has its own
    said = "\n".join([error.message, *problems, *nearest, *advice])
    return Failure(error.code, storable(said), details=error.data or None)
