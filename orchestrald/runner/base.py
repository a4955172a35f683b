"""How is an action run, seen from the engine?

One seam, `Runner`: one attempt in, one outcome out. Nothing a plugin does makes `run` raise, except `trio.Cancelled`
when the attempt is stopped; by the time it leaves, every process of the attempt is gone.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from orchestrald.actions import LoadedAction
from orchestrald.core.model import Failure, Question, StepSandbox


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a step. `timeout` in seconds, missing means none; `params` are resolved, not yet validated.

    `sandbox` is how much less than what is granted the plan wants; missing: it is silent.
    """

    interaction_id: str
    step_id: str
    execution_id: str
    attempt: int
    idempotency_key: str
    params: dict[str, Any]
    workspace: str = ""
    timeout: float | None = None
    dry_run: bool = False
    answers: Any = None
    approval: Any = None
    state: str | None = None
    sandbox: StepSandbox | None = None


class Violation(NamedTuple):
    """One bound of the sandbox that was met. `evidence` is words; `certain` False means that it is inferred.

    `path` is the file it is about, `backend` and `mode` what confined the program; empty where there is none.
    """

    kind: str
    evidence: str
    certain: bool = True
    path: str = ""
    backend: str = ""
    mode: str = ""


class Succeeded(NamedTuple):
    output: dict[str, Any]


class Failed(NamedTuple):
    failure: Failure


class Asked(NamedTuple):
    question: Question


Outcome = Succeeded | Failed | Asked


class Observer(Protocol):
    """Who hears of an attempt while it runs. Display only: nothing said here is durable."""

    def progress(self, done: float | None, total: float | None, message: str) -> None: ...

    def log(self, level: str, message: str) -> None: ...

    def violation(self, seen: Violation) -> None:
        """The attempt ran into the sandbox; the engine records this one as an event."""
        ...


class Runner(Protocol):
    async def run(self, action: LoadedAction, attempt: Attempt, observer: Observer) -> Outcome: ...
