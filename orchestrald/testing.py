"""How does a plugin's author try an action, exactly as the daemon would run it?

async def test_it_counts_words():
    checked = await check_action(wordcount, {"text": "a b"})
    assert checked.output == {"words": 2}
"""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from orchestrald.actions import LoadedAction
from orchestrald.core import schema
from orchestrald.core.approval import digest
from orchestrald.core.model import ActionSpec, Failure, Question
from orchestrald.hookspecs import Action
from orchestrald.runner.base import Asked, Attempt, Failed, Outcome, Succeeded, Violation
from orchestrald.runner.pool import LocalRunner


@dataclass
class Checked:
    """How an attempt went: its outcome, and what it said meanwhile."""

    outcome: Outcome
    logs: list[tuple[str, str]] = field(default_factory=list)
    reports: list[tuple[float | None, float | None, str]] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)

    @property
    def output(self) -> dict[str, Any]:
        """What it exported. AssertionError, with the reason, if it did not succeed."""
        if not isinstance(self.outcome, Succeeded):
            raise AssertionError(f"the action did not succeed: {self.outcome}")
        return self.outcome.output

    @property
    def failure(self) -> Failure:
        if not isinstance(self.outcome, Failed):
            raise AssertionError(f"the action did not fail: {self.outcome}")
        return self.outcome.failure

    @property
    def question(self) -> Question:
        if not isinstance(self.outcome, Asked):
            raise AssertionError(f"the action did not ask: {self.outcome}")
        return self.outcome.question


class _Notes:
    """An observer that writes everything down."""

    def __init__(self) -> None:
        self.logs: list[tuple[str, str]] = []
        self.reports: list[tuple[float | None, float | None, str]] = []
        self.violations: list[Violation] = []

    def progress(self, done: float | None, total: float | None, message: str) -> None:
        self.reports.append((done, total, message))

    def log(self, level: str, message: str) -> None:
        self.logs.append((level, message))

    def violation(self, seen: Violation) -> None:
        self.violations.append(seen)


def actions_of(plugin: ModuleType, settings: Mapping[str, Any] | None = None) -> dict[str, Action]:
    """What the plugin registers under these settings, by name. Raises what its hook raises."""
    found: dict[str, Action] = {}

    def register(action: Action) -> None:
        found[action.name] = action

    hook: Callable[..., None] = plugin.register_actions
    hook(register=register, settings=settings or {})
    return found


def spec_of(action: Action) -> ActionSpec:
    """What the core would know of the action. AssertionError if a schema of it cannot be used."""
    for which in ("input_schema", "output_schema"):
        for problem in schema.check(getattr(action, which)):
            raise AssertionError(f"{action.name}: {which}: {problem}")
    return ActionSpec(
        action.name,
        action.description,
        action.input_schema,
        action.output_schema,
        action.effects,
        action.open_world,
        action.idempotent,
        action.approval,
        timeout=action.timeout,
        max_concurrency=action.max_concurrency,
    )


async def check_action(
    action: Action,
    params: dict[str, Any],
    *,
    workspace: str = "",
    timeout: float | None = 10.0,  # noqa: ASYNC109  the step's, as the daemon would set it
    approved: bool = False,
    answers: Any = None,
    state: str | None = None,
    dry_run: bool = False,
) -> Checked:
    """One attempt of `action`, in the real runner: schemas, timeout, sandboxed programs and all. Needs to run in trio.

    `approved` says a person has approved exactly these parameters. `workspace` empty: the interaction has none.
    """
    notes = _Notes()
    said = {"decision": "approved", "by": "test", "bound": digest(action.name, params)}
    with tempfile.TemporaryDirectory(prefix="orchestrald-testing-") as folder:
        attempt = Attempt(
            "int_test",
            "step",
            "exec_test",
            1,
            "int_test/step/1",
            params,
            workspace=workspace,
            timeout=timeout,
            dry_run=dry_run,
            answers=answers,
            approval=said if approved else None,
            state=state,
        )
        runner = LocalRunner(Path(folder), store_artifact=_discard)
        outcome = await runner.run(LoadedAction(spec_of(action), action), attempt, notes)
    return Checked(outcome, notes.logs, notes.reports, notes.violations)


async def _discard(content: bytes) -> str:
    raise AssertionError(f"an in-process action has no artifacts, yet {len(content)} bytes of one came")
