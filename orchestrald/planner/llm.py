"""How does a model's answer become a proposal?

One round: ask, read the answer, check it, and send it back with all its faults, a bounded number of times. The round
depends on the request and on earlier answers alone, so that after a restart the same questions meet the answers that
are written down. The model is believed nothing: what it proposes goes through the same check as anybody's plan.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from orchestrald.core.plan_shape import Problem, counted
from orchestrald.core.redaction import Redaction
from orchestrald.errors import BadAnswer, ModelRefused, PlanError, PlannerUnavailable, PromptTooLong
from orchestrald.models.base import Calls, Model, Prompt, Reply
from orchestrald.planner.answer import Finished, Opens, Planned, asking, misled, read_answer
from orchestrald.planner.base import Catalog, Done, Proposal, Request
from orchestrald.planner.choose import choose
from orchestrald.planner.data import Marking
from orchestrald.planner.prompt import About, Complaint, compose
from orchestrald.planner.skills import Skill, Skills
from orchestrald.protocol.foreign_text import plain

MOST_OPENED = 3
"""Skills whose body a model may read in one round."""

_REFUSAL = 500
"""Characters of the words with which a model declines."""


class Settings(NamedTuple):
    """`max_repairs`: how often a faulty answer goes back. `max_rounds`: how often an intent is planned at most.
    `max_actions`: how many a model is shown at once."""

    max_repairs: int = 2
    max_rounds: int = 6
    max_actions: int = 30


class LlmPlanner:
    replans = True

    def __init__(
        self,
        model: Model,
        catalog: Catalog,
        settings: Settings,
        redact: Redaction,
        skills: Skills | None = None,
    ) -> None:
        self.model = model
        self.catalog = catalog
        self.settings = settings
        self.mark = Marking(redact)
        self.skills = Skills() if skills is None else skills

    async def propose(self, request: Request) -> Proposal | Done:
        """Raises BadAnswer or PlanError with the last answer's faults in `data["problems"]`, ModelRefused, and what
        `request.calls` raises."""
        if request.calls is None:
            raise PlannerUnavailable("A model plans this, and nobody may be asked here.")
        return await _Round(self, request, request.calls).run()


class _Verdict(NamedTuple):
    """`is_plan`: it is an answer as asked for, and what is wrong with it is wrong with its plan."""

    answer: Finished | Planned | Opens | None
    problems: tuple[Problem, ...]
    is_plan: bool = False


class _Round:
    def __init__(self, planner: LlmPlanner, request: Request, calls: Calls) -> None:
        self._planner = planner
        self._request = request
        self._calls = calls
        self._window = planner.model.window
        self._halved = False
        self._opened: list[Skill] = []
        self._listed = planner.skills.listed(request.intent)
        self._taken = {step.id for step in request.observed.steps} if request.observed else set[str]()

    async def run(self) -> Proposal | Done:
        planner, settings = self._planner, self._planner.settings
        catalog = planner.catalog.specs
        actions = await choose(catalog, self._request, self._window, settings.max_actions, planner.mark, self._ask)
        about = About(self._request, actions, more_skills=len(planner.skills) - len(self._listed))
        purpose, repairs = "plan", 0
        while True:
            about = about._replace(skills=self._openable(), opened=tuple(self._opened))
            reply = await self._ask(purpose, self._prompt(about))
            verdict = await self._judged(reply)
            if verdict.problems or verdict.answer is None:
                if repairs == settings.max_repairs:
                    raise self._given_up(verdict, repairs)
                repairs += 1
                about, purpose = about._replace(complaint=Complaint(reply.text, verdict.problems)), "repair"
            elif isinstance(verdict.answer, Opens):
                self._opened += [skill for skill in self._listed if skill.name == verdict.answer.skill]
                about, purpose = about._replace(complaint=None), "skill"
            else:
                return self._result(verdict.answer)

    def _prompt(self, about: About) -> Callable[[int], Prompt]:
        return lambda window: compose(about, window, self._planner.mark)

    async def _ask(self, purpose: str, make: Callable[[int], Prompt]) -> Reply:
        """Ask in the window that the model is said to have, and in half of it where the endpoint knows better."""
        prompt = make(self._window)
        try:
            return await self._calls.ask(purpose, self._planner.model, prompt)
        except PromptTooLong:
            if self._halved:
                raise
            self._halved = True
            self._window //= 2
            return await self._calls.ask(purpose, self._planner.model, make(self._window))

    def _openable(self) -> tuple[Skill, ...]:
        if len(self._opened) == MOST_OPENED:
            return ()
        return tuple(skill for skill in self._listed if skill not in self._opened)

    async def _judged(self, reply: Reply) -> _Verdict:
        """What the reply says, and all that is wrong with it. Raises ModelRefused."""
        if reply.finish == "refused":
            words, whole = self._planner.mark.beginning(reply.text, _REFUSAL)
            why = plain(words) + ("" if whole else "…")
            raise ModelRefused(f"{self._planner.model.name} declined: {why or 'it gave no reason'}")
        if reply.finish == "length":
            said = f"your answer was cut off at {reply.tokens.output} tokens: say it shorter"
            return _Verdict(None, (Problem("", "cut_off", said),))
        if not reply.text.strip():
            return _Verdict(None, (Problem("", "empty", "your answer was empty", "Answer with one JSON object."),))
        answer, problems = read_answer(reply.text, self._taken, [skill.name for skill in self._openable()])
        request = self._request
        if isinstance(answer, Finished):
            problems += misled(answer.message, request.intent, request.observed.steps if request.observed else ())
        if not isinstance(answer, Planned):
            return _Verdict(answer, self._clean(problems))
        problems += asking(answer) if request.unattended else []
        places = {problem.path for problem in problems}
        more = [each for each in await self._checked(answer) if not _is_within(each.path, places)]
        return _Verdict(answer, self._clean([*problems, *more]), is_plan=not problems)

    def _clean(self, problems: Sequence[Problem]) -> tuple[Problem, ...]:
        """They quote the model, and end up in the journal as well as in the next prompt."""
        return tuple(Problem(*self._planner.mark.clean(problem)) for problem in problems)

    async def _checked(self, answer: Planned) -> list[Problem]:
        if self._request.check is None:
            return []
        try:
            await self._request.check(answer.plan)
        except PlanError as error:
            told = error.data.get("problems") or [{"path": "", "code": error.code, "message": error.message}]
            problems = [Problem(**{"path": "", "code": error.code, **problem}) for problem in told]
            return [problem._replace(path=answer.as_said(problem.path)) for problem in problems]
        return []

    def _result(self, answer: Finished | Planned) -> Proposal | Done:
        who = f"llm:{self._planner.model.name}"
        if isinstance(answer, Finished):
            return Done(answer.message, who, answer.achieved)
        return Proposal(answer.plan, who, replans=True, rounds=self._planner.settings.max_rounds)

    def _given_up(self, verdict: _Verdict, repairs: int) -> PlanError:
        what = "plan" if verdict.is_plan else "answer"
        after = {0: "", 1: ", after one repair"}.get(repairs, f", after {repairs} repairs")
        message = f"The {what} of {self._planner.model.name} has {counted(verdict.problems)}{after}."
        data = {"problems": [problem.to_json() for problem in verdict.problems]}
        return PlanError(message, data=data) if verdict.is_plan else BadAnswer(message, data=data)


def _is_within(path: str, places: set[str]) -> bool:
    """Whether a fault is about a place that has been complained about already."""
    return any(path == place or path.startswith((f"{place}.", f"{place}[")) for place in places if place)
