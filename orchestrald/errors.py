"""Which errors do we report, and who must act on each?

Rules of this file:

- One tree, divided by who must act: the client, the planner, a plugin's author, the administrator, the disk, us.
- A class's docstring is its default message; `hint` says what to do; `code` is stable and travels on the wire.
- `rpc` is the JSON-RPC error number. Numbers are shared by a family; `code` tells siblings apart.
- Foreign exceptions are translated once, at the seam that meets them, and never leak past it.
- The table in PROTOCOL.md is checked against these classes by a test.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar


class OrchestralError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "error"
    rpc: ClassVar[int] = -32603
    hint: ClassVar[str] = ""

    def __init__(self, message: str = "", *, hint: str = "", data: Mapping[str, Any] | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").strip().split("\n\n")[0]
        self.advice = hint or type(self).hint
        self.data: dict[str, Any] = dict(data or {})
        super().__init__(self.message)

    def to_wire(self) -> dict[str, Any]:
        """The JSON-RPC error object: `{code, message, data: {kind, hint?, ...}}`."""
        data: dict[str, Any] = {"kind": self.code, **self.data}
        if self.advice:
            data["hint"] = self.advice
        return {"code": self.rpc, "message": self.message, "data": data}


# --- the client must act ------------------------------------------------------------------------------------------


class RequestError(OrchestralError):
    """The request cannot be served as it is."""

    code = "bad_request"
    rpc = -32600


class ParseError(RequestError):
    """The line is not one JSON object in UTF-8."""

    code = "parse_error"
    rpc = -32700
    hint = "Send one JSON-RPC 2.0 object per line, encoded as UTF-8."


class FrameTooLarge(RequestError):
    """The request is longer than this daemon reads."""

    code = "frame_too_large"
    hint = "Keep a request line under 4 MiB; put large input in a file and pass its path."


class MethodNotFound(RequestError):
    """There is no such method."""

    code = "method_not_found"
    rpc = -32601
    hint = "Call system.schema for the list of methods."


class InvalidParams(RequestError):
    """The parameters do not fit the method."""

    code = "invalid_params"
    rpc = -32602
    hint = "Call system.schema for the parameters that the method takes."


class NotFound(RequestError):
    """No such thing is known here."""

    code = "not_found"
    rpc = 4004


class Conflict(RequestError):
    """This request_id was already used for a different request."""

    code = "conflict"
    rpc = 4009
    hint = "Use a new request_id for a new request; repeat the same one only to repeat the same request."


class WrongState(RequestError):
    """The thing is not in a state in which that can be done."""

    code = "wrong_state"
    rpc = 4010


class Rejected(RequestError):
    """The thread's policy does not let this input start."""

    code = "rejected"
    rpc = 4013
    hint = "Wait until what is active has ended, name another policy for this input, or use another thread."


class CursorExpired(RequestError):
    """The events after that cursor are no longer kept."""

    code = "cursor_expired"
    rpc = 4011
    hint = "Subscribe again from data.oldest_seq, or without after_seq."


class Denied(RequestError):
    """The peer may not do that."""

    code = "denied"
    rpc = 4030


class Overloaded(RequestError):
    """Server overloaded; retry later."""

    code = "overloaded"
    rpc = -32001
    hint = "Wait data.retry_after_ms and send the same request again, with the same request_id."


class Draining(RequestError):
    """The daemon is shutting down and takes no new work."""

    code = "draining"
    rpc = 5030
    hint = "Send the same request again, with the same request_id, once the daemon is back."


class ConfigError(RequestError):
    """The configuration cannot be used."""

    code = "bad_config"
    hint = "configs/orchestral.yaml lists every key with its default."


# --- the planner must act -----------------------------------------------------------------------------------------


class PlanError(OrchestralError):
    """The plan cannot be run."""

    code = "invalid_plan"
    rpc = 4012
    hint = "data.problems lists every fault with its path; mend them all and submit again."


class PlanChanged(PlanError):
    """The plan is not the one that was agreed to."""

    code = "plan_changed"
    hint = "Look at it again: orchestral plan, or run --approve-plan."


class NoPlaybook(PlanError):
    """No playbook fits the intent, or more than one does."""

    code = "no_playbook"
    hint = "Say one of the nearest phrases, or hand over a plan."


class PlannerUnavailable(OrchestralError):
    """No planner can be reached."""

    code = "planner_unavailable"
    rpc = 5031


class ModelUnavailable(PlannerUnavailable):
    """The model does not answer right now."""

    code = "model_unavailable"
    hint = "Try again later, or name further backends in planner.fallbacks."


class ModelMisconfigured(PlannerUnavailable):
    """The model cannot be asked as it is configured."""

    code = "model_misconfigured"
    hint = "Check the backend's base_url, api_key_env and model in the section `providers`."


class PromptTooLong(PlannerUnavailable):
    """What the model must be told does not fit into its window."""

    code = "prompt_too_long"
    hint = "Set `window` of the model in the section `providers`, or use a model with a larger one."


class BadAnswer(PlanError):
    """The model's answer is not one that was asked for."""

    code = "bad_answer"
    hint = "Say it in other words, or use another model."


class ModelRefused(PlanError):
    """The model declined to answer."""

    code = "model_refused"
    hint = "Say it in other words, or use another model."


class BudgetExhausted(OrchestralError):
    """The budget for models is used up."""

    code = "budget_exhausted"
    rpc = 4014
    hint = "`orchestral usage` shows where it went; the section `budgets` sets the limits."


# --- the plugin's author must act ---------------------------------------------------------------------------------


class PluginError(OrchestralError):
    """A plugin broke the protocol."""

    code = "plugin_error"
    rpc = 4020


class InvalidManifest(PluginError):
    """The plugin's manifest cannot be used."""

    code = "invalid_manifest"


class InvalidResponse(PluginError):
    """The plugin's reply is not one of the shapes that PROTOCOL.md lists."""

    code = "invalid_response"
    hint = 'Print exactly one JSON object, for example {"type":"success","exports":{}}; PROTOCOL.md lists the shapes.'


class OutputTooLarge(PluginError):
    """The plugin printed more than its limit."""

    code = "output_too_large"
    hint = 'Write large results to a file under context.scratch and return {"$artifact": "name"}.'


class ActionFailed(PluginError):
    """The action failed: a fact about the step, stored as it is."""

    code = "action_failed"


# --- the administrator must act -----------------------------------------------------------------------------------


class SandboxUnavailable(OrchestralError):
    """The sandbox cannot be built here, so no sandboxed step is run."""

    code = "sandbox_unavailable"
    rpc = 5032
    hint = "Run `orchestral status` for the reason and the fix."


class StoreError(OrchestralError):
    """The store could not be read or written."""

    code = "store_error"
    rpc = 5033
    hint = "Check the disk; nothing that was not committed has been acknowledged, so a restart is safe."


class SchemaTooNew(StoreError):
    """The store was written by a newer orchestrald."""

    code = "schema_too_new"
    hint = "Upgrade orchestrald, or restore a backup from the backups folder beside the store."


class DamagedReference(OrchestralError):
    """The content of a reference no longer matches its digest."""

    code = "damaged_reference"
    rpc = 5033
    hint = "Restore the file from a backup; what does not need it is not affected."


class AlreadyRunning(OrchestralError):
    """Another daemon holds this home."""

    code = "already_running"
    rpc = 5034
    hint = "Use the running daemon, stop it with `orchestral stop`, or set ORCHESTRAL_HOME to another folder."


# --- we must act --------------------------------------------------------------------------------------------------


class InternalError(OrchestralError):
    """This is a bug in orchestrald: please report it with the daemon's log."""

    code = "internal_error"
    rpc = -32603


def every_error() -> Iterator[type[OrchestralError]]:
    """All error classes, parents before children: what PROTOCOL.md's table must list."""
    pending: list[type[OrchestralError]] = [OrchestralError]
    while pending:
        cls = pending.pop(0)
        yield cls
        pending.extend(cls.__subclasses__())
