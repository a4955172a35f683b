"""What clients do to an interaction that there is: answer, cancel, pause, resume, skip, retry, fork.

Each is one input to its actor, which is brought back from the journal when the interaction rests or is over. The answer
comes when the consequences are durable.
"""

from collections.abc import Callable
from typing import Any

from orchestrald.core.concurrency import Standing
from orchestrald.core.fork import fork
from orchestrald.core.inputs import (
    Answered,
    CancelRequested,
    Input,
    PauseRequested,
    ResumeRequested,
    RetryRequested,
    SkipRequested,
)
from orchestrald.core.interaction import Interaction
from orchestrald.engine.clock import Clock
from orchestrald.engine.host import Host
from orchestrald.engine.letters import Remember
from orchestrald.engine.planning import Planning
from orchestrald.engine.submissions import Asked, Submission, Submissions
from orchestrald.engine.submissions import Remember as RememberSubmission
from orchestrald.engine.threads import Threads
from orchestrald.errors import InvalidParams, NotFound, Rejected, WrongState
from orchestrald.store.base import Reader, RequestRow, ThreadRow


class Steering:
    def __init__(
        self, host: Host, reader: Reader, clock: Clock, threads: Threads, planning: Planning, submissions: Submissions
    ) -> None:
        self._host = host
        self._reader = reader
        self._clock = clock
        self._threads = threads
        self._planning = planning
        self._submissions = submissions

    async def cancel(self, interaction_id: str, by: str, reason: str, remember: Remember | None = None) -> Interaction:
        return await self._tell(interaction_id, CancelRequested(self._clock.now(), by, reason), remember)

    async def pause(self, interaction_id: str, by: str, remember: Remember | None = None) -> Interaction:
        return await self._tell(interaction_id, PauseRequested(self._clock.now(), by), remember)

    async def resume(self, interaction_id: str, by: str, remember: Remember | None = None) -> Interaction:
        return await self._tell(interaction_id, ResumeRequested(self._clock.now(), by), remember)

    async def skip(
        self, interaction_id: str, step_id: str, value: Any, by: str, remember: Remember | None = None
    ) -> Interaction:
        return await self._tell(interaction_id, SkipRequested(self._clock.now(), step_id, value, by), remember)

    async def answer(
        self,
        interaction_id: str,
        step_id: str | None,
        payload: Any,
        by: str,
        *,
        channel: str = "respond",
        remember: Callable[[Interaction, str], RequestRow] | None = None,
    ) -> tuple[Interaction, str]:
        """Answer a waiting step; without a `step_id` the only one that a person can answer. Returns which it was."""
        actor = await self._host.wake(interaction_id)
        if actor.state.final:
            raise WrongState(f"The interaction is already {actor.state.state}.")
        named = step_id or _only_question(actor.state)
        happened = Answered(self._clock.now(), named, payload, by, channel)
        await self._host.ask(actor, happened, None if remember is None else lambda state: remember(state, named))
        return actor.state, named

    async def retry(
        self, interaction_id: str, from_step: str | None, by: str, remember: Remember | None = None
    ) -> Interaction:
        """Raises Rejected when the interaction is over and its thread has gone on to something else."""
        known = await self._reader.interaction(interaction_id)
        thread = None if known is None else await self._reader.thread(known.thread_id)
        actor = await self._host.wake(interaction_id)
        state = actor.state
        if state.final:
            self._refuse_to_reopen(state, thread)
            # Reserved before anything is awaited again; what becomes of it is put right when the turn has ended.
            self._threads.put(state.thread_id, Standing(state.id, "active", state.created_at))
        await self._host.ask(actor, RetryRequested(self._clock.now(), from_step or "", by), remember)
        return state

    def _refuse_to_reopen(self, state: Interaction, thread: ThreadRow | None) -> None:
        if thread is not None and thread.archived_at is not None:
            raise WrongState(f"The thread {state.thread_id} is archived.", hint="Unarchive it first.")
        situation = self._threads.situation(state.thread_id, state.intent, "retry", state.by)
        if len(situation.alive) - len(situation.queued) >= situation.limit:
            raise Rejected(f"Not retried: {situation.limit} interactions of this thread are unfinished.")
        if situation.active and not self._submissions.runs_beside(thread):
            raise Rejected(f"Not retried: {situation.active[-1]} is active in this thread.")

    async def fork(
        self,
        interaction_id: str,
        at_step: str,
        patch: Any,
        by: str,
        thread_id: str | None = None,
        remember: RememberSubmission | None = None,
    ) -> Submission:
        """A new interaction: the same plan, patched from `at_step` on, with the results of what does not depend on it.

        Raises PlanError with every problem of the patched plan.
        """
        actor = await self._host.wake(interaction_id)
        state = actor.state
        if state.graph is None:
            raise WrongState("The interaction has no plan that could be forked.")
        if at_step not in state.graph.index:
            raise NotFound(f"There is no step {at_step} in its plan.")
        made = fork(state, at_step, patch)
        lists = {step_id: result["output"] for step_id, result in made.carried.items() if "output" in result}
        for step_id, value in lists.items():  # of a `for_each` it may be any size
            if (about := await self._host.store_large(step_id, value)) is not None:
                del made.carried[step_id]["output"]
                stored = {"digest": about["digest"], "size": about["size"]}
                made.carried[step_id] |= {"stored": stored, "artifact": about}
        loaded = {
            result["stored"]["digest"]: state.runs[step_id].output
            for step_id, result in made.carried.items()
            if "stored" in result
        }
        graph = await self._planning.accept(made.plan)
        asked = Asked(
            by=by,
            intent=state.intent or graph.plan.goal,
            graph=graph,
            source="fork",
            workspace=state.workspace,
            labels=state.labels,
            forked_from=interaction_id,
            carried=made.carried,
            loaded=loaded,
        )
        return await self._submissions.submit(asked, thread_id or state.thread_id, remember=remember)

    async def _tell(self, interaction_id: str, happened: Input, remember: Remember | None) -> Interaction:
        actor = await self._host.wake(interaction_id)
        await self._host.ask(actor, happened, remember)
        return actor.state


def _only_question(state: Interaction) -> str:
    asked = [n for n, run in state.waiting.items() if run.question and run.question.kind not in {"event", "until"}]
    if len(asked) == 1:
        return asked[0]
    if not asked:
        raise WrongState("Nothing in this interaction waits for an answer.")
    raise InvalidParams(f"More than one step waits for an answer: name one of {', '.join(asked)}.")
