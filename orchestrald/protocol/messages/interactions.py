"""What can be asked about interactions, and of them?"""

from typing import Annotated, Any, Literal

from pydantic import Field

from orchestrald.protocol.messages.shape import Id, Labels, Method, Name, Params, RequestId


class Submit(Params):
    """Exactly one of `intent` and `plan`, or both with `plan_hash`. `workspace` is the folder that the steps may see;
    empty means none.

    In a thread that is not idle its policy decides, or `policy` for this input. Where exactly one step of the thread
    asks something that a plain text answers, an intent is that answer. `unattended`: nobody is there to be asked.
    `plan_hash` is the `hash` of the plan that a person was shown and agreed to: any other is refused.
    """

    intent: str = ""
    plan: Any = None
    thread_id: Id | None = None
    workspace: str = ""
    labels: Labels = Field(default_factory=dict)
    policy: Name | None = None
    unattended: bool = False
    plan_hash: str = ""
    request_id: RequestId | None = None


class InteractionGet(Params):
    """`outputs` adds each step's output (large ones as their reference)."""

    interaction_id: Id
    outputs: bool = False


class InteractionList(Params):
    thread_id: Id | None = None
    state: list[str] | None = None
    cursor: str | None = None
    limit: Annotated[int, Field(ge=1, le=500)] = 50


class InteractionWait(Params):
    """Answers when the interaction is final or waits for somebody, or after `timeout_ms` with its present state."""

    interaction_id: Id
    timeout_ms: Annotated[int, Field(ge=0, le=3_600_000)] = 60_000


class InteractionCancel(Params):
    interaction_id: Id
    reason: str = ""
    request_id: RequestId | None = None


class InteractionRespond(Params):
    """Answer a waiting step. `step_id` may be left out when exactly one step waits for an answer.

    An interrupted step takes `{"decision": "retry" | "skip" | "fail", "value"?: ...}`.
    """

    interaction_id: Id
    step_id: Id | None = None
    payload: Any
    request_id: RequestId | None = None


class InteractionSteer(Params):
    interaction_id: Id
    request_id: RequestId | None = None


class InteractionSkip(Params):
    """The step is not run; what depends on it gets `value` as its output, null when there is none."""

    interaction_id: Id
    step_id: Id
    value: Any = None
    request_id: RequestId | None = None


class InteractionRetry(Params):
    """`from_step` and everything downstream of it is run again; missing: whatever did not end well."""

    interaction_id: Id
    from_step: Id | None = None
    request_id: RequestId | None = None


class InteractionFork(Params):
    """`patch` holds a JSON merge patch by step id: null removes a step, an unknown id adds one.

    It may touch `at_step` and what depends on it; every other step that succeeded keeps its result. `thread_id`
    missing: the thread of the original.
    """

    interaction_id: Id
    at_step: Id
    patch: dict[str, Any] = Field(default_factory=dict)
    thread_id: Id | None = None
    request_id: RequestId | None = None


class InteractionGraph(Params):
    interaction_id: Id
    format: Literal["json", "mermaid", "dot"] = "json"


METHODS: dict[str, Method] = {
    "interaction.submit": Method(Submit, "start an interaction from an intent or a plan", True),
    "interaction.get": Method(InteractionGet, "one interaction with its steps"),
    "interaction.list": Method(InteractionList, "interactions, newest first"),
    "interaction.wait": Method(InteractionWait, "wait until an interaction is final or waits for somebody"),
    "interaction.cancel": Method(InteractionCancel, "stop an interaction and its processes", True),
    "interaction.pause": Method(InteractionSteer, "start no more steps of it; what runs comes to its end", True),
    "interaction.resume": Method(InteractionSteer, "go on with a paused one", True),
    "interaction.skip": Method(InteractionSkip, "do not run a step, and give what depends on it a value", True),
    "interaction.retry": Method(InteractionRetry, "run again what failed, or from a step on, also afterwards", True),
    "interaction.fork": Method(InteractionFork, "a new one: a patched plan, the same earlier results", True),
    "interaction.respond": Method(InteractionRespond, "answer a waiting step", True),
    "interaction.graph": Method(InteractionGraph, "the DAG of an interaction with its states"),
}
