"""How does a JSON-RPC 2.0 message look on the socket?

One message per line. Stricter than the specification where leniency would hide a mistake: no batches, parameters by
name only, no unknown members, and no `null` id, which would look like the answer to a line nobody could read.
"""

from typing import Any, NamedTuple

from orchestrald.errors import InvalidParams, OrchestralError, ParseError, RequestError
from orchestrald.protocol import strict_json

Id = str | int

_MEMBERS = frozenset({"jsonrpc", "id", "method", "params"})
_MAX_NAME = 200


class Request(NamedTuple):
    """What a client asks. `id` missing means a notification: it is carried out and never answered."""

    id: Id | None
    method: str
    params: dict[str, Any]


class Refused(NamedTuple):
    """A line that is no request. Answer it with `error(id, why)`; `id` missing means that none could be read."""

    id: Id | None
    why: OrchestralError


def parse(line: bytes) -> Request | Refused:
    """The request in one line. Never raises: what cannot be read is Refused."""
    try:
        message = strict_json.loads(line)
    except strict_json.NotStrictJson as e:
        return Refused(None, ParseError(f"The request cannot be read: {e}."))
    if isinstance(message, list):
        return Refused(None, RequestError("Batches are not served.", hint="Send one request object per line."))
    if not isinstance(message, dict):
        return Refused(None, RequestError("A request is a JSON object."))
    request_id = message.get("id")
    has_id = "id" in message
    if has_id and not _is_id(request_id):
        return Refused(None, RequestError(f"The id must be a string of at most {_MAX_NAME} characters or an integer."))
    why = _fault(message)
    if why is not None:
        return Refused(request_id, why)
    return Request(request_id, message["method"], message.get("params", {}))


def result(request_id: Id, value: Any) -> bytes:
    return strict_json.dumps({"jsonrpc": "2.0", "id": request_id, "result": value}) + b"\n"


def error(request_id: Id | None, why: OrchestralError) -> bytes:
    return strict_json.dumps({"jsonrpc": "2.0", "id": request_id, "error": why.to_wire()}) + b"\n"


def notification(method: str, params: dict[str, Any]) -> bytes:
    return strict_json.dumps({"jsonrpc": "2.0", "method": method, "params": params}) + b"\n"


def _is_id(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= _MAX_NAME
    return isinstance(value, int) and not isinstance(value, bool)


def _fault(message: dict[str, Any]) -> OrchestralError | None:
    if message.get("jsonrpc") != "2.0":
        return RequestError('The member "jsonrpc" must be "2.0".')
    if not message.keys() <= _MEMBERS:
        strange = sorted(message.keys() - _MEMBERS)
        if "result" in strange or "error" in strange:
            return RequestError("This is a reply; only requests are read here.")
        return RequestError(
            f"Unknown member {strange[0][:_MAX_NAME]!r}.", hint="A request has jsonrpc, id, method and params."
        )
    method = message.get("method")
    if not isinstance(method, str) or not 0 < len(method) <= _MAX_NAME:
        return RequestError('The member "method" must name a method.')
    if not isinstance(message.get("params", {}), dict):
        return InvalidParams("Parameters are given by name, in an object.")
    return None
