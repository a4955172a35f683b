"""Who proposes a plan, seen from the engine?

A planner is asked with an intent and answers with an untrusted plan. It never runs anything and is believed nothing:
the engine normalizes what comes back.
"""

from typing import Any, NamedTuple, Protocol


class Request(NamedTuple):
    """What a planner is told. `failed_step` empty means that the whole intent is to be planned."""

    intent: str
    workspace: str = ""
    failed_step: str = ""


class Proposal(NamedTuple):
    """A plan in its travelling shape, and who made it, for example `playbook:survey`."""

    plan: dict[str, Any]
    planner: str


class Planner(Protocol):
    replans: bool
    """Whether it can replace a failed part of a plan; one that cannot is not asked to."""

    async def propose(self, request: Request) -> Proposal:
        """With `failed_step`, the steps that shall replace its subgraph; they may refer to what stays.

        Raises NoPlaybook or another PlanError when no plan can be made, PlannerUnavailable when nobody answers."""
        ...
