"""Who proposes a plan, seen from the engine?

A planner is asked with an intent and answers with an untrusted plan. It never runs anything and is believed nothing:
the engine normalizes what comes back.
"""

from typing import Any, NamedTuple, Protocol

from orchestrald.core.dialogue import Message


class Request(NamedTuple):
    """What a planner is told. `failed_step` empty means that the whole intent is to be planned.

    `failure` is what that step failed of: code and message. `planner` is who made the plan that it failed in.
    `dialogue` is what was said in the thread before, oldest first; data, whoever said it.
    """

    intent: str
    workspace: str = ""
    failed_step: str = ""
    failure: dict[str, Any] | None = None
    planner: str = ""
    dialogue: tuple[Message, ...] = ()


class Proposal(NamedTuple):
    """A plan in its travelling shape, and who made it, for example `playbook:survey`.

    `replans`: the planner has something to say should a part of this very plan fail, even where it usually has not.
    """

    plan: dict[str, Any]
    planner: str
    replans: bool = False


class Planner(Protocol):
    replans: bool
    """Whether it can replace a failed part of a plan; one that cannot is not asked to."""

    async def propose(self, request: Request) -> Proposal:
        """With `failed_step`, the steps that shall replace its subgraph; they may refer to what stays.

        Raises NoPlaybook or another PlanError when no plan can be made, PlannerUnavailable when nobody answers."""
        ...
