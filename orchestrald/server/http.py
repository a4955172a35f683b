"""How does curl talk to the daemon?

A deliberately tiny HTTP/1.1 adapter on the same socket, over the same table of methods:

    POST /rpc      one JSON-RPC message in, its reply out (200 also when the reply is an error; 204 to a notification)
    GET  /events   the events as Server-Sent Events; after_seq, interaction_id, types (comma-separated); Last-Event-ID
    GET  /healthz  200 {"status":"ok"}

Everything else is refused, as {"error": ...} in the shape of a JSON-RPC error. A request with an Origin comes from a
browser that something has connected to this socket: refused, whatever it asks.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, NoReturn

import trio

from orchestrald.errors import Denied, NotFound, OrchestralError, RequestError
from orchestrald.protocol import rpc
from orchestrald.protocol.messages.events import EventsSubscribe
from orchestrald.server.dispatch import Dispatcher, Peer, read_params
from orchestrald.server.http_exchange import Exchange, HttpRequest, Refusal
from orchestrald.server.limits import Limits
from orchestrald.server.parting import leave, until_hung_up
from orchestrald.server.peer import Credentials
from orchestrald.server.ring import Page, Ring

_ROUTES = {"/rpc": "POST", "/events": "GET", "/healthz": "GET"}


class HttpConnection:
    def __init__(
        self, stream: trio.abc.Stream, who: Credentials, dispatcher: Dispatcher, ring: Ring, limits: Limits
    ) -> None:
        self._stream, self._dispatcher, self._ring, self._limits = stream, dispatcher, ring, limits
        self._peer = Peer(who.uid, who.pid, _NoWayBack())
        self._exchange: Exchange

    async def run(self, received: bytes) -> None:
        """Serves until the client has gone or broken a limit; the same terms as `Connection.run`."""
        self._exchange = Exchange(self._stream, received, self._limits)
        try:
            while (request := await self._exchange.next()) is not None:
                await self._serve(request)
        except Refusal as refusal:
            await self._exchange.refuse(refusal)
            await leave(self._stream)

    def finish(self) -> None:
        """Take no further request; a stream of events ends with the newest of now. Then `run` returns."""
        self._exchange.finish()
        self._ring.wake()

    async def _serve(self, request: HttpRequest) -> None:
        try:
            await self._route(request)
        except Refusal as refusal:
            wanted = _ROUTES.get(request.path)
            wrong_method = refusal.status == HTTPStatus.METHOD_NOT_ALLOWED and wanted is not None
            await self._exchange.refuse(refusal, {"Allow": wanted} if wrong_method and wanted else None)

    async def _route(self, request: HttpRequest) -> None:
        if "origin" in request.headers:
            raise Refusal(HTTPStatus.FORBIDDEN, Denied("Browsers are not served."), close=True)
        wanted = _ROUTES.get(request.path)
        if wanted is None:
            why = NotFound(f"There is nothing at {request.path[:200]}.", hint="POST /rpc, GET /events or GET /healthz.")
            raise Refusal(HTTPStatus.NOT_FOUND, why)
        if request.method != wanted:
            raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, RequestError(f"{request.path} answers {wanted} only."))
        if request.path == "/rpc":
            await self._rpc(request)
        elif request.path == "/events":
            await self._events(request)
        else:
            await self._exchange.answer(HTTPStatus.OK, b'{"status":"ok"}')

    async def _rpc(self, request: HttpRequest) -> None:
        message = rpc.parse(request.body)
        if isinstance(message, rpc.Refused):
            await self._exchange.answer(HTTPStatus.OK, rpc.error(message.id, message.why))
            return
        reply = b""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._leave_when_hung_up, nursery.cancel_scope)
            reply = await self._dispatcher.answer(message, self._peer)
            nursery.cancel_scope.cancel()
        await self._exchange.answer(HTTPStatus.OK if reply else HTTPStatus.NO_CONTENT, reply)

    async def _events(self, request: HttpRequest) -> None:
        wanted = _wanted_events(request)
        cursor = self._ring.open(after_seq=wanted.after_seq, interaction_id=wanted.interaction_id, types=wanted.types)
        try:
            await self._exchange.begin_stream("text/event-stream")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._leave_when_hung_up, nursery.cancel_scope)
                await self._exchange.stream(b": orchestrald\n\n")
                while not (cursor.current and self._exchange.finishing):
                    page = await cursor.page()
                    if page.lines:
                        await self._exchange.stream(_frames(page))
                    elif cursor.current:
                        await self._wait_or_keep_alive()
                await self._exchange.end_stream()
                nursery.cancel_scope.cancel()
        finally:
            self._ring.close(cursor)

    async def _wait_or_keep_alive(self) -> None:
        with trio.move_on_after(self._limits.keepalive_s) as silence:
            await self._ring.changed()
        if silence.cancelled_caught:
            await self._exchange.stream(b": keepalive\n\n")

    async def _leave_when_hung_up(self, scope: trio.CancelScope) -> None:
        await until_hung_up(self._stream)
        scope.cancel()


class _NoWayBack:
    """The channel of an HTTP request: nothing can follow its answer."""

    def subscribe(
        self, *, after_seq: int | None = None, interaction_id: str | None = None, types: Sequence[str] | None = None
    ) -> str:
        self._refuse()

    def unsubscribe(self, subscription: str) -> None:
        self._refuse()

    async def notify(self, method: str, params: dict[str, Any]) -> None:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise RequestError("Nothing can follow the answer to POST /rpc.", hint="GET /events streams events.")


def _wanted_events(request: HttpRequest) -> EventsSubscribe:
    params: dict[str, Any] = dict(request.query)
    if "types" in params:
        params["types"] = [name for name in params["types"].split(",") if name]
    if "last-event-id" in request.headers:
        params["after_seq"] = request.headers["last-event-id"]  # newer than the URL, which a reconnect repeats
    try:
        return read_params(EventsSubscribe, params)
    except OrchestralError as e:
        raise Refusal(HTTPStatus.BAD_REQUEST, e) from None


def _frames(page: Page) -> bytes:
    return b"".join(
        b"id: %d\nevent: %s\ndata: %s\n\n" % (about.seq, about.type.encode(), line)
        for line, about in zip(*page, strict=True)
    )
