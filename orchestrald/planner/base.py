"""Who proposes a plan, seen from the engine?

A planner is asked with an intent and answers with an untrusted plan, or says that nothing more is to be done. It never
runs anything and is believed nothing: the engine normalizes what comes back.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, Protocol

from orchestrald.core.dialogue import Message
from orchestrald.core.model import ActionSpec
from orchestrald.core.observation import Observed
from orchestrald.models.base import Calls

Check = Callable[[dict[str, Any]], Awaitable[None]]
"""Raises PlanError, with every problem in `data["problems"]`, for a plan that the engine would not take here."""


class Kept(NamedTuple):
    """What outlives an interaction: a value of the working set (`place` is `thread.report`, for `{{memory.…}}`), or
    stored content (`place` is its digest, `about` its name and type). `size` in bytes."""

    place: str
    size: int
    about: str = ""


class Request(NamedTuple):
    """What a planner is told. `failed_step` empty means that the whole intent is to be planned.

    `failure` is what that step failed of: code and message; `replaces` are the steps that go with it. `planner` is who
    made the plan that it failed in. `dialogue` is what was said in the thread before, oldest first, and `kept` what was
    kept, newest first; data, whoever said it. `observed` is what has been done of this intent so far; missing in the
    first round. `now` in UTC microseconds. `unattended`: no person is there to be asked, so no plan may wait for one.
    `check` and `calls` are missing where no model may be asked.
    """

    intent: str
    workspace: str = ""
    failed_step: str = ""
    failure: dict[str, Any] | None = None
    replaces: tuple[str, ...] = ()
    planner: str = ""
    dialogue: tuple[Message, ...] = ()
    kept: tuple[Kept, ...] = ()
    now: int = 0
    unattended: bool = False
    observed: Observed | None = None
    check: Check | None = None
    calls: Calls | None = None


class Proposal(NamedTuple):
    """A plan in its travelling shape, and who made it, for example `playbook:survey`.

    `replans`: the planner has something to say should a part of this very plan fail, even where it usually has not.
    `rounds` is how often it wants to be asked at most, this time included, before the intent counts as done; 0: it does
    not want to see what came of its plan.
    """

    plan: dict[str, Any]
    planner: str
    replans: bool = False
    rounds: int = 0


class Done(NamedTuple):
    """Nothing more is to be done. `text` is the answer; not `achieved`: it says why the intent cannot be done."""

    text: str
    planner: str
    achieved: bool = True


class Catalog(Protocol):
    """What can be planned with, at this moment."""

    @property
    def specs(self) -> Mapping[str, ActionSpec]: ...


class Planner(Protocol):
    replans: bool
    """Whether it can replace a failed part of a plan that it did not make; one that cannot is not asked to."""

    async def propose(self, request: Request) -> Proposal | Done:
        """With `failed_step`, the steps that shall replace its subgraph; they may refer to what stays.

        Raises NoPlaybook or another PlanError when no plan can be made, PlannerUnavailable when nobody answers,
        BudgetExhausted when nobody may be asked."""
        ...
