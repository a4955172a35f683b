"""Who gets a connection, and what may a connection never do to the daemon?

Rules of this file:

- A peer of another user is closed before a byte of it is read.
- Whatever ends one connection (a reset, a stall, a bug of ours) ends that one. In trio such an end arrives as an
  ExceptionGroup, and one that is not caught here would take the daemon along.
- The first byte says which protocol follows: a letter is HTTP, anything else JSON-RPC.
"""

import errno
import logging
import os
import socket
from collections.abc import Iterable
from typing import Protocol

import trio

from orchestrald.errors import Overloaded
from orchestrald.protocol import rpc
from orchestrald.server.connection import Connection
from orchestrald.server.dispatch import Dispatcher
from orchestrald.server.ephemera import Ephemera
from orchestrald.server.limits import RETRY_AFTER_MS, Limits
from orchestrald.server.peer import Credentials, credentials
from orchestrald.server.ring import Ring

_LOG = logging.getLogger(__name__)

_OUT_OF_FILES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_OUT_OF_FILES_PAUSE_S = 0.1
_PEER_LEFT_EARLY = {errno.ECONNABORTED, errno.EPROTO, errno.EINTR, errno.EPERM}


class _Served(Protocol):
    async def run(self, received: bytes) -> None: ...

    def finish(self) -> None: ...


class Server:
    """All connections of the daemon."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        ring: Ring,
        ephemera: Ephemera,
        *,
        limits: Limits | None = None,
        uids: Iterable[int] = (),
    ) -> None:
        """`uids` may connect besides our own user and root, who could read the store anyway."""
        self._dispatcher, self._ring, self._ephemera = dispatcher, ring, ephemera
        self._limits = limits or Limits()
        self._uids = {os.geteuid(), 0, *uids}
        self._slots = 0
        self._served: set[_Served] = set()
        self._strangers: set[trio.CancelScope] = set()  # they have not said a word yet
        self._accepting = trio.CancelScope()

    async def serve(
        self, listener: socket.socket, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Accepts from a listening Unix socket and serves, until `finish` was called and every client was answered.

        Closes `listener` as soon as it accepts no more. Once per server. Cancelling it drops every connection.
        """
        async with trio.open_nursery() as side:
            side.start_soon(self._ephemera.run)
            async with trio.open_nursery() as connections:
                with trio.socket.from_stdlib_socket(listener) as accepting, self._accepting:
                    task_status.started()
                    await self._accept(accepting, connections)
            side.cancel_scope.cancel()

    def finish(self) -> None:
        """Accept nobody and read no further request; what was asked is answered. The caller sets the deadline."""
        self._accepting.cancel()
        for silence in self._strangers:
            silence.cancel()
        for served in self._served:
            served.finish()

    async def _accept(self, listener: trio.socket.SocketType, nursery: trio.Nursery) -> None:
        while True:
            try:
                client, _ = await listener.accept()
            except OSError as e:
                if e.errno in _OUT_OF_FILES:
                    # They wait in the queue until a connection ends and gives its descriptor back.
                    _LOG.warning("cannot accept: %s", e.strerror)
                    await trio.sleep(_OUT_OF_FILES_PAUSE_S)
                elif e.errno not in _PEER_LEFT_EARLY:
                    raise
                continue
            who = self._known(client)
            if who is None:
                client.close()
            elif self._slots >= self._limits.connections:
                await _turn_away(client)
            else:
                self._slots += 1
                nursery.start_soon(self._serve, trio.SocketStream(client), who)

    def _known(self, client: trio.socket.SocketType) -> Credentials | None:
        try:
            who = credentials(client)
        except OSError as e:
            _LOG.warning("refused a peer that cannot be told: %s", e)
            return None
        if who.uid not in self._uids:
            _LOG.warning("refused a peer of uid %d, pid %d", who.uid, who.pid)
            return None
        return who

    async def _serve(self, stream: trio.SocketStream, who: Credentials) -> None:
        try:
            await self._serve_protocol(stream, who)
        except* (trio.BrokenResourceError, trio.ClosedResourceError) as gone:
            _LOG.debug("pid %d went away: %s", who.pid, gone.exceptions[0])
        except* Exception:  # noqa: BLE001 - whatever it is, one connection ends and the daemon lives
            _LOG.exception("a connection of pid %d ended by a fault of ours", who.pid)
        finally:
            self._slots -= 1
            await trio.aclose_forcefully(stream)

    async def _serve_protocol(self, stream: trio.SocketStream, who: Credentials) -> None:
        first = b""
        with trio.move_on_after(self._limits.first_request_s) as silence:
            self._strangers.add(silence)
            try:
                first = bytes(await stream.receive_some())
            finally:
                self._strangers.discard(silence)
        if not first:
            return
        served: _Served
        if first[:1].isalpha():
            # Here and not above: most daemons never meet a browser, and h11 costs 25 ms of every start.
            from orchestrald.server.http import HttpConnection  # noqa: PLC0415

            served = HttpConnection(stream, who, self._dispatcher, self._ring, self._limits)
        else:
            served = Connection(stream, who, self._dispatcher, self._ring, self._ephemera, self._limits)
        self._served.add(served)
        try:
            await served.run(first)
        finally:
            self._served.discard(served)


async def _turn_away(client: trio.socket.SocketType) -> None:
    line = rpc.error(None, Overloaded(data={"retry_after_ms": RETRY_AFTER_MS}))
    with client:
        try:
            # Fits the buffer of a socket that nothing was ever sent on, so this does not wait for the client.
            await client.send(line)
        except OSError:
            _LOG.debug("a client that was turned away had already left")
