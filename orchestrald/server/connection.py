"""How does one client's stream of request lines become answers?

Rules of this file:

- All complete lines of one read are answered with one send, in order; what may wait runs beside them and answers
  when it can. Answers are told apart by `id`, not by their order.
- A subscription is silent until the reply that names it is on its way.
- The end of the client's stream means that it asks nothing more: what it asked is answered, its subscriptions are
  brought up to now and end. A client that has gone is not waited for.
"""

from collections.abc import Sequence
from typing import Any

import trio

from orchestrald.errors import FrameTooLarge, NotFound, Overloaded, RequestError
from orchestrald.protocol import rpc
from orchestrald.protocol.framing import LineBuffer
from orchestrald.server.dispatch import Dispatcher, Peer
from orchestrald.server.ephemera import Ephemera
from orchestrald.server.limits import RETRY_AFTER_MS, Limits
from orchestrald.server.outgoing import Outgoing
from orchestrald.server.parting import leave, until_hung_up
from orchestrald.server.peer import Credentials
from orchestrald.server.ring import Ring
from orchestrald.server.subscription import Subscription

_NEVER = float("inf")
_FLUSH_BYTES = 256 * 1024
"""Replies to one read are held back until they are so many: a read of tiny requests may ask for huge answers."""


class Connection:
    """The `dispatch.Channel` of a JSON-RPC client."""

    def __init__(
        self,
        stream: trio.abc.Stream,
        who: Credentials,
        dispatcher: Dispatcher,
        ring: Ring,
        ephemera: Ephemera,
        limits: Limits,
    ) -> None:
        self._stream = stream
        self._dispatcher, self._ring, self._ephemera, self._limits = dispatcher, ring, ephemera, limits
        self._peer = Peer(who.uid, who.pid, self)
        self._out = Outgoing(stream, limits.write_s)
        self._replies: list[bytes] = []
        self._held_bytes = 0
        self._in_flight = 0
        self._subscriptions: dict[str, Subscription] = {}
        self._silent: list[Subscription] = []
        self._names = 0
        self._finishing = False
        self._reading = trio.CancelScope()
        self._receiving = False
        self._nursery: trio.Nursery

    async def run(self, received: bytes) -> None:
        """Serves until the client has gone or broken a limit. `received` is what was read to tell the protocol.

        Raises an ExceptionGroup holding BrokenResourceError when the client went in the middle. The stream is the
        caller's to close.
        """
        try:
            async with trio.open_nursery() as watch:
                async with trio.open_nursery() as self._nursery:
                    within_limits = await self._read(received)
                    if within_limits:
                        self._wind_up(watch)
                    else:
                        self._nursery.cancel_scope.cancel()
                watch.cancel_scope.cancel()
            if not within_limits:
                await leave(self._stream)
        finally:
            for subscription in self._subscriptions.values():
                subscription.close()

    def finish(self) -> None:
        """Read no further request; answer what was asked. Then `run` returns."""
        self._finishing = True
        if self._receiving:
            self._reading.cancel()

    # --- what handlers may do with it -----------------------------------------------------------------------------

    def subscribe(
        self, *, after_seq: int | None = None, interaction_id: str | None = None, types: Sequence[str] | None = None
    ) -> str:
        if len(self._subscriptions) >= self._limits.subscriptions:
            raise Overloaded(
                f"This connection has {self._limits.subscriptions} subscriptions, which is the limit.",
                hint="End one with events.unsubscribe, or use another connection.",
            )
        self._names += 1
        name = f"s{self._names}"
        subscription = Subscription(
            name, self._ring, self._ephemera, after_seq=after_seq, interaction_id=interaction_id, types=types
        )
        self._subscriptions[name] = subscription
        self._silent.append(subscription)
        return name

    def unsubscribe(self, subscription: str) -> None:
        if subscription not in self._subscriptions:
            raise NotFound(f"This connection has no subscription {subscription!r}.")
        self._subscriptions[subscription].stop()
        self._forget(subscription)

    async def notify(self, method: str, params: dict[str, Any]) -> None:
        await self._out.send(rpc.notification(method, params))

    # --- reading --------------------------------------------------------------------------------------------------

    async def _read(self, received: bytes) -> bool:
        # Whether the client may still get answers: false once it broke a limit.
        with self._reading:
            try:
                await self._read_lines(received)
            except FrameTooLarge as e:
                await self._refuse(e)
                return False
        if self._reading.cancelled_caught and not self._finishing:
            await self._refuse(RequestError(f"No complete request came within {self._limits.first_request_s:g} s."))
            return False
        return True

    async def _read_lines(self, chunk: bytes) -> None:
        lines = LineBuffer(self._limits.request_bytes)
        deadline = trio.current_time() + self._limits.first_request_s
        while chunk:
            complete = False
            for line in lines.feed(chunk):
                if line.strip():
                    complete = True
                    await self._take(line)
            await self._flush()
            if complete or deadline == _NEVER:
                deadline = trio.current_time() + self._limits.first_request_s if len(lines) else _NEVER
            if self._finishing:
                return
            chunk = await self._receive(deadline)

    async def _receive(self, deadline: float) -> bytes:
        # One scope for all reads, open only here: a scope for each is 5 µs, a tenth of a small request.
        self._reading.deadline = deadline
        self._receiving = True
        chunk = await self._stream.receive_some()
        self._receiving = False
        self._reading.deadline = _NEVER
        return bytes(chunk)

    async def _take(self, line: bytes) -> None:
        request = rpc.parse(line)
        if isinstance(request, rpc.Refused):
            await self._reply(rpc.error(request.id, request.why))
        elif not self._dispatcher.may_wait(request.method):
            await self._reply(await self._dispatcher.answer(request, self._peer))
        elif self._in_flight < self._limits.in_flight:
            self._in_flight += 1
            self._nursery.start_soon(self._answer_beside, request)
        elif request.id is not None:
            await self._reply(rpc.error(request.id, Overloaded(data={"retry_after_ms": RETRY_AFTER_MS})))

    async def _answer_beside(self, request: rpc.Request) -> None:
        reply = await self._dispatcher.answer(request, self._peer)
        if reply:
            await self._out.send(reply)
        self._in_flight -= 1
        self._let_speak()

    # --- writing --------------------------------------------------------------------------------------------------

    async def _reply(self, reply: bytes) -> None:
        self._replies.append(reply)
        self._held_bytes += len(reply)
        if self._held_bytes > _FLUSH_BYTES:
            await self._flush()

    async def _flush(self) -> None:
        if self._held_bytes:
            data = b"".join(self._replies)
            self._replies.clear()
            self._held_bytes = 0
            await self._out.send(data)
        self._let_speak()

    async def _refuse(self, why: RequestError) -> None:
        await self._reply(rpc.error(None, why))
        await self._flush()

    # --- subscriptions and the end --------------------------------------------------------------------------------

    def _let_speak(self) -> None:
        for subscription in self._silent:
            if self._finishing:
                subscription.finish()
            self._nursery.start_soon(self._speak, subscription)
        self._silent.clear()

    async def _speak(self, subscription: Subscription) -> None:
        await subscription.run(self._out.send)
        self._forget(subscription.name)

    def _forget(self, name: str) -> None:
        subscription = self._subscriptions.pop(name, None)
        if subscription is not None:
            subscription.close()

    def _wind_up(self, watch: trio.Nursery) -> None:
        self._finishing = True
        for subscription in self._subscriptions.values():
            subscription.finish()
        watch.start_soon(self._leave_when_hung_up)

    async def _leave_when_hung_up(self) -> None:
        await until_hung_up(self._stream)
        self._nursery.cancel_scope.cancel()
