"""Which planner plans this: the playbooks, or the model?

Rules of this file:

- `auto` asks the playbooks first, which cost nothing and are exact, and the model about everything that they cannot
  plan, be it that none fits, that two do, or that the words of the one that fits are no good.
- Whoever made a plan also replaces its failed part, and sees what came of it.
- What somebody else planned (`replans` False) is not planned anew by a model that nobody asked.
"""

from typing import Literal

from orchestrald.errors import NoPlaybook, PlannerUnavailable
from orchestrald.planner.base import Done, Planner, Proposal, Request

Mode = Literal["auto", "llm", "deterministic"]


class Choice:
    """`llm` missing: no model is configured. `config` is what the operator's file is called in advice."""

    replans = False

    def __init__(
        self, playbooks: Planner, llm: Planner | None, mode: Mode = "auto", config: str = "orchestral.yaml"
    ) -> None:
        self._playbooks = playbooks
        self._llm = llm
        self._mode = mode
        self._how = f"set OPENAI_API_KEY, or a backend in the section `providers` of {config}"

    async def propose(self, request: Request) -> Proposal | Done:
        """Raises NoPlaybook when no playbook fits and no model may be asked, PlannerUnavailable when a model has to be
        asked and there is none, and what they raise."""
        if (author := self._author(request)) is not None:
            return await author.propose(request)
        if self._mode == "llm":
            return await self._model().propose(request)
        if self._mode == "deterministic":
            return await self._playbooks.propose(request)
        try:
            return await self._playbooks.propose(request)
        except NoPlaybook as error:
            if self._llm is not None:
                return await self._llm.propose(request)
            hint = f"{error.advice} Or have a model plan: {self._how}."
            raise NoPlaybook(error.message, hint=hint, data=error.data) from error

    def _author(self, request: Request) -> Planner | None:
        """Who has to plan because it began; missing for an intent that is new, and for a plan that a caller made."""
        seen = request.observed
        if not request.failed_step and (seen is None or seen.first):
            return None
        if request.planner.startswith("playbook:"):
            return self._playbooks
        return self._model() if request.planner.startswith("llm:") else None

    def _model(self) -> Planner:
        if self._mode == "deterministic":
            raise PlannerUnavailable("A model made this plan, and planner.mode is deterministic now.")
        if self._llm is None:
            raise PlannerUnavailable(f"No model is configured: {self._how}.")
        return self._llm
