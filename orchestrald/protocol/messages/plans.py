"""What can be asked about a plan that does not run?"""

from typing import Any, Literal

from orchestrald.protocol.messages.shape import Id, Method, Params


class PlanCreate(Params):
    """`thread_id`: what was said there is told to the planner. A model may be asked, and paid, each time."""

    intent: str
    workspace: str = ""
    thread_id: Id | None = None


class PlanValidate(Params):
    """`workspace` is the folder that the plan would be run on: its `hash` is for that one."""

    plan: Any
    workspace: str = ""


class PlanGraph(Params):
    plan: Any
    format: Literal["json", "mermaid", "dot"] = "json"


METHODS: dict[str, Method] = {
    "plan.create": Method(PlanCreate, "what would be run for an intent; nothing is run"),
    "plan.validate": Method(PlanValidate, "every problem of a plan; none when it can be run"),
    "plan.graph": Method(PlanGraph, "the DAG of a plan"),
}
