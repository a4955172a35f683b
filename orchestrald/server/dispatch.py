"""Which function answers a request, and what becomes of its errors?

Rules of this file:

- The table of methods and the table of handlers have the same keys, checked at start: a method that is listed but not
  answered would be found by a user.
- A handler returns a plain object or raises an OrchestralError. Anything else that it raises is our bug: the client
  gets InternalError, the log gets the traceback, the connection lives on.
- A handler is cancelled when its client hangs up or stalls, and when the daemon stops: what must happen is committed
  before the first await that a client could cut short, or done elsewhere.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Protocol, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from orchestrald.errors import InternalError, InvalidParams, MethodNotFound, OrchestralError
from orchestrald.protocol import rpc
from orchestrald.protocol.messages import METHODS, Method, Params

_LOG = logging.getLogger(__name__)
_MOST_PROBLEMS = 50

P = TypeVar("P", bound=Params)

INLINE = frozenset(
    {
        "system.hello",
        "system.ping",
        "system.info",
        "system.schema",
        "thread.get",
        "thread.list",
        "thread.dialogue",
        "memory.list",
        "reference.list",
        "interaction.get",
        "interaction.list",
        "interaction.graph",
        "approval.list",
        "schedule.list",
        "schedule.get",
        "events.subscribe",
        "events.unsubscribe",
        "action.list",
        "action.get",
        "plugin.list",
    }
)
"""Answered in the connection's own turn, in order, many to one send. Every other method may wait (for a commit, an
interaction, a planner) and runs beside the others: a method forgotten here costs 15 µs, not a stalled connection."""


class Channel(Protocol):
    """The connection that a request came by, as far as handlers may use it."""

    def subscribe(
        self, *, after_seq: int | None = None, interaction_id: str | None = None, types: Sequence[str] | None = None
    ) -> str:
        """The subscription's name. Every event after `after_seq` (missing: from now on) follows once this request's
        reply is on its way; `types` empty or missing means all. Call it last: a handler that fails afterwards
        leaves a subscription that nobody knows of. Raises Overloaded; RequestError where there is no way back."""
        ...

    def unsubscribe(self, subscription: str) -> None:
        """After this request's reply nothing of it follows. Raises NotFound for a name not of this connection."""
        ...

    async def notify(self, method: str, params: dict[str, Any]) -> None:
        """One notification, waiting until the client takes it. Raises BrokenResourceError when it has gone."""
        ...


@dataclass(frozen=True, slots=True)
class Peer:
    """Who asks. `pid` 0 means unknown; it may have been reused by the time it is looked at."""

    uid: int
    pid: int
    connection: Channel

    @property
    def by(self) -> str:
        """As it is recorded in events: `uid:1000`."""
        return f"uid:{self.uid}"


Handler = Callable[[Any, Peer], Awaitable[Mapping[str, Any]]]
"""Takes the method's own Params class; `Any`, because a table of functions of various parameters has no other type."""


class Dispatcher:
    def __init__(self, handlers: Mapping[str, Handler], methods: Mapping[str, Method] = METHODS) -> None:
        """Raises InternalError, naming them, when a method has no handler or a handler no method."""
        unanswered, unlisted = methods.keys() - handlers.keys(), handlers.keys() - methods.keys()
        if unanswered or unlisted:
            raise InternalError(
                f"Methods without a handler: {sorted(unanswered)}; handlers without a method: {sorted(unlisted)}."
            )
        self._table = {name: (method.params, handlers[name]) for name, method in methods.items()}

    def may_wait(self, method: str) -> bool:
        """Whether the request should run beside the others. False for unknown methods: the refusal is quick."""
        return method not in INLINE and method in self._table

    async def answer(self, request: rpc.Request, peer: Peer) -> bytes:
        """The reply's line; empty for a notification, whatever came of it."""
        try:
            return await self._reply(request, peer)
        except Exception:  # noqa: BLE001 - whatever it is, one request fails and the daemon lives
            _LOG.exception("%s failed", request.method)
        return b"" if request.id is None else rpc.error(request.id, InternalError(data={"method": request.method}))

    async def _reply(self, request: rpc.Request, peer: Peer) -> bytes:
        try:
            value = await self._call(request, peer)
        except OrchestralError as e:
            return b"" if request.id is None else rpc.error(request.id, e)
        return b"" if request.id is None else rpc.result(request.id, value)

    async def _call(self, request: rpc.Request, peer: Peer) -> Mapping[str, Any]:
        if request.method not in self._table:
            near = get_close_matches(request.method, self._table, n=3, cutoff=0.8)
            meant = f" Did you mean {' or '.join(near)}?" if near else ""
            raise MethodNotFound(f"There is no method {request.method!r}.{meant}", data={"nearest": near})
        model, handler = self._table[request.method]
        return await handler(read_params(model, request.params), peer)


def read_params(model: type[P], params: Mapping[str, Any]) -> P:
    """Raises InvalidParams: one sentence that names every problem, and `data.problems` [{path, code, message}]."""
    try:
        return model.model_validate(params)
    except ValidationError as e:
        found = [_problem(model, error) for error in e.errors(include_url=False, include_input=False)]
    listed = [f"{p['path'] or 'params'}: {p['message']}" for p in found[:_MOST_PROBLEMS]]
    if len(found) > _MOST_PROBLEMS:
        listed.append(f"and {len(found) - _MOST_PROBLEMS} more")
    raise InvalidParams("; ".join(listed) + ".", data={"problems": found[:_MOST_PROBLEMS]})


def _problem(model: type[Params], error: ErrorDetails) -> dict[str, str]:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]).lstrip(".")
    code, message = error["type"], error["msg"]
    if code == "missing":
        message = "is required"
    elif code == "extra_forbidden":
        near = get_close_matches(path, model.model_fields, n=1)
        takes = f"did you mean {near[0]}" if near else f"known are {', '.join(model.model_fields) or 'none'}"
        message = f"unknown parameter ({takes})"
    else:
        message = message[:1].lower() + message[1:]
    return {"path": path[:200], "code": code, "message": message}
