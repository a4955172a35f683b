"""A planner with a scripted model, whose plans are checked by the real normalizer."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from orchestrald.core.graph import Graph
from orchestrald.core.model import ActionSpec
from orchestrald.core.normalize import normalize
from orchestrald.core.redaction import Redaction
from orchestrald.errors import PlanError
from orchestrald.models.base import Prompt, Reply
from orchestrald.planner.base import Done, Proposal, Request
from orchestrald.planner.llm import LlmPlanner, Settings
from orchestrald.planner.skills import Skills
from support.scripted_model import Answer, ScriptedCalls, ScriptedModel

PATH = {"type": "string", "minLength": 1, "description": "Within the workspace."}
READ = ActionSpec(
    "file_read",
    "Read a text file.",
    {"type": "object", "properties": {"path": PATH}, "required": ["path"], "additionalProperties": False},
    {"type": "object", "properties": {"content": {"type": "string"}, "bytes": {"type": "integer"}}},
    effects="read",
)
WRITE = ActionSpec(
    "file_write",
    "Write a text file.",
    {
        "type": "object",
        "properties": {"path": PATH, "content": {"type": "string"}, "append": {"type": "boolean"}},
        "required": ["path", "content"],
        "additionalProperties": False,
    },
    {"type": "object", "properties": {"path": {"type": "string"}}},
    effects="write",
)
FEW = {spec.name: spec for spec in (READ, WRITE)}


class Catalog:
    def __init__(self, specs: Mapping[str, ActionSpec]) -> None:
        self.specs = specs


class Planned(NamedTuple):
    """What a round came to, and what was asked in it."""

    result: Proposal | Done
    model: ScriptedModel
    calls: ScriptedCalls

    @property
    def plan(self) -> dict[str, Any]:
        assert isinstance(self.result, Proposal)
        return self.result.plan


class Bench:
    """`ask(answers, **request)` is one round. After an error, `model` and `calls` still tell what was asked."""

    def __init__(self) -> None:
        self.catalog: Mapping[str, ActionSpec] = FEW
        self.settings = Settings()
        self.redact = Redaction()
        self.skills = Skills()
        self.window = 32_000
        self.model = ScriptedModel([])
        self.calls = ScriptedCalls()

    async def check(self, plan: dict[str, Any]) -> None:
        found = normalize(plan, self.catalog)
        if not isinstance(found, Graph):
            raise PlanError("It has faults.", data={"problems": [problem.to_json() for problem in found]})

    async def ask(
        self,
        answers: Iterable[Answer] | Callable[[Prompt], Answer],
        intent: str = "copy a.txt",
        answered: Iterable[Reply] = (),
        **request: Any,
    ) -> Planned:
        self.model = ScriptedModel(answers, window=self.window)
        self.calls = ScriptedCalls(answered)
        planner = LlmPlanner(self.model, Catalog(self.catalog), self.settings, self.redact, self.skills)
        asked = Request(intent, **{"check": self.check, "calls": self.calls, **request})
        return Planned(await planner.propose(asked), self.model, self.calls)
