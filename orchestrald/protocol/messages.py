"""Which methods does the socket answer, and what do they take?

Rules of this file:

- `METHODS` is the live table: `system.schema`, the dispatcher and PROTOCOL.md are made from it or checked against it.
- A method that is not built is not listed. Parameters refuse unknown keys, naming the key.
- Every method that changes something takes a `request_id`: the same id with the same parameters, even after a restart,
  gets the first answer again with `replayed: true`; with other parameters it is a conflict.
- Results are plain objects; their keys are described in PROTOCOL.md.
"""

from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

PROTOCOL_VERSION = 1
MAX_REQUEST_BYTES = 4 * 1024 * 1024

Id = Annotated[str, Field(min_length=1, max_length=200)]
RequestId = Annotated[str, Field(min_length=1, max_length=200)]


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Empty(Params):
    pass


class Hello(Params):
    client: str = ""
    protocol: list[int] = [PROTOCOL_VERSION]


class Shutdown(Params):
    drain_s: Annotated[float, Field(ge=0, le=3600)] | None = None


class ThreadCreate(Params):
    title: str = ""
    request_id: RequestId | None = None


class ThreadGet(Params):
    thread_id: Id


class Page(Params):
    limit: Annotated[int, Field(ge=1, le=500)] = 50


class PlanCreate(Params):
    intent: str
    workspace: str = ""


class PlanValidate(Params):
    plan: Any


class PlanGraph(Params):
    plan: Any
    format: Literal["json", "mermaid", "dot"] = "json"


class Submit(Params):
    """Exactly one of `intent` and `plan`. `workspace` is the folder the steps may see; empty means none."""

    intent: str = ""
    plan: Any = None
    thread_id: Id | None = None
    workspace: str = ""
    labels: dict[str, str] = {}
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


class InteractionGraph(Params):
    interaction_id: Id
    format: Literal["json", "mermaid", "dot"] = "json"


class ApprovalDecide(Params):
    interaction_id: Id
    step_id: Id
    digest: Id
    decision: Literal["approve", "deny"]
    note: str = ""
    request_id: RequestId | None = None


class EventsList(Params):
    after_seq: Annotated[int, Field(ge=0)] = 0
    interaction_id: Id | None = None
    types: list[str] | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 200
    wait_ms: Annotated[int, Field(ge=0, le=60_000)] = 0


class EventsSubscribe(Params):
    """`after_seq` missing means from now on."""

    after_seq: Annotated[int, Field(ge=0)] | None = None
    interaction_id: Id | None = None
    types: list[str] | None = None


class EventsUnsubscribe(Params):
    subscription: Id


class ActionGet(Params):
    name: Id


class ActionCall(Params):
    """A plan of one step, run to its end or to `timeout_ms`."""

    name: Id
    params: dict[str, Any] = {}
    workspace: str = ""
    timeout_ms: Annotated[int, Field(ge=0, le=3_600_000)] = 60_000
    request_id: RequestId | None = None


class ReferenceGet(Params):
    digest: Id


Word = Annotated[str, Field(max_length=131_072, pattern=r"^[^\x00]*$")]


class SandboxExplain(Params):
    """`workspace` is the folder that a step would see; empty means none."""

    action: Id
    workspace: str = ""


class SandboxTry(Params):
    """`argv` is the command, no shell reads it. Sent again it is run again: nothing of it is remembered."""

    action: Id
    argv: Annotated[list[Word], Field(min_length=1, max_length=1000)]
    workspace: str = ""
    timeout_ms: Annotated[int, Field(ge=1, le=600_000)] = 30_000


class Method(NamedTuple):
    params: type[Params]
    says: str
    changes: bool = False


METHODS: dict[str, Method] = {
    "system.hello": Method(Hello, "who is there: versions, features, db_epoch, limits"),
    "system.ping": Method(Empty, "an empty answer"),
    "system.info": Method(Empty, "state, counts, sandbox, store and uptime of the daemon"),
    "system.schema": Method(Empty, "every method with the JSON Schema of its parameters"),
    "system.reload": Method(Empty, "read configuration, playbooks and plugins again"),
    "system.shutdown": Method(Shutdown, "stop: take no new work, give running steps drain_s, then stop them"),
    "thread.create": Method(ThreadCreate, "make a thread", True),
    "thread.get": Method(ThreadGet, "one thread"),
    "thread.list": Method(Page, "the newest threads"),
    "plan.create": Method(PlanCreate, "what would be run for an intent; nothing is run"),
    "plan.validate": Method(PlanValidate, "every problem of a plan; none when it can be run"),
    "plan.graph": Method(PlanGraph, "the DAG of a plan"),
    "interaction.submit": Method(Submit, "start an interaction from an intent or a plan", True),
    "interaction.get": Method(InteractionGet, "one interaction with its steps"),
    "interaction.list": Method(InteractionList, "interactions, newest first"),
    "interaction.wait": Method(InteractionWait, "wait until an interaction is final or waits for somebody"),
    "interaction.cancel": Method(InteractionCancel, "stop an interaction and its processes", True),
    "interaction.respond": Method(InteractionRespond, "answer a waiting step", True),
    "interaction.graph": Method(InteractionGraph, "the DAG of an interaction with its states"),
    "approval.list": Method(Empty, "every approval that waits for a decision"),
    "approval.decide": Method(ApprovalDecide, "approve or deny one exact step", True),
    "events.list": Method(EventsList, "a page of events; with wait_ms it waits for the next one"),
    "events.subscribe": Method(EventsSubscribe, "a snapshot, then every event as an events.event notification"),
    "events.unsubscribe": Method(EventsUnsubscribe, "end a subscription of this connection"),
    "action.list": Method(Empty, "every action in force"),
    "action.get": Method(ActionGet, "one action with its schemas"),
    "action.call": Method(ActionCall, "run one action as an interaction of one step", True),
    "plugin.list": Method(Empty, "every plugin with its state and, when it is broken, the reason"),
    "plugin.reload": Method(Empty, "look at the plugin folders now"),
    "reference.get": Method(ReferenceGet, "a stored output as text or base64"),
    "sandbox.explain": Method(SandboxExplain, "what an action may touch, and who says so; nothing is run"),
    "sandbox.try": Method(SandboxTry, "run a command under the policy of an action"),
}
