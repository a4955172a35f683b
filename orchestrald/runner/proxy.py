"""What passes between a confined command and the network, and what is refused?

Rules of this file:

- A name is judged before it is looked up: a refused one never reaches a resolver, to which it could carry data out.
- It is looked up once, every address is judged, and the connection goes to a judged address, never to the name.
- Whatever a client or an upstream does ends that one connection.
- What the client reads tells nothing of the list but what its own request is about.
"""

import errno
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from http import HTTPStatus
from ipaddress import IPv4Address, ip_address
from typing import NamedTuple

import trio

from orchestrald.protocol.foreign_text import plain
from orchestrald_sandbox.destinations import Address, Destinations, authority, bare, judge, judge_address
from orchestrald_sandbox.proxy_body import BadBody
from orchestrald_sandbox.proxy_request import MOST_HEAD_BYTES, BadRequest, Head, read

MOST_CONNECTIONS = 64
MOST_DENIALS_TOLD = 100
HEAD_SECONDS = 10.0
LOOKUP_SECONDS = 10.0
CONNECT_SECONDS = 10.0
PARTING_SECONDS = 2.0

_LOOKUPS_AT_ONCE = 4  # with a limiter of our own: slow names must not take the threads that the daemon lives on
_MOST_ADDRESSES = 8
_CHUNK = 32 * 1024
_EVIDENCE_CHARS = 400
_OUT_OF_FILES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_OUT_OF_FILES_PAUSE_S = 0.1
_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
_GONE = (trio.BrokenResourceError, trio.ClosedResourceError)


async def serve(
    listener: trio.SocketListener,
    lists: Sequence[Destinations],
    on_denied: Callable[[str], None],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer the clients of `listener` until cancelled, and close it. `lists`: the operator's first, then what narrows.

    `on_denied` gets one line for each refusal, fit for a terminal, at most `MOST_DENIALS_TOLD` times.
    """
    proxy = _Proxy(lists, on_denied)
    async with listener, trio.open_nursery() as connections:
        task_status.started()
        while True:
            # Before accepting, so that more clients wait in the kernel's queue, and cost us no descriptor.
            await proxy.slots.acquire()
            connections.start_soon(proxy.serve_one, await _accept(listener))


async def _accept(listener: trio.SocketListener) -> trio.SocketStream:
    while True:
        try:
            return await listener.accept()
        except OSError as error:
            if error.errno not in _OUT_OF_FILES:
                raise
        # The queue stays readable: without a pause this would turn round and round until somebody closes a file.
        await trio.sleep(_OUT_OF_FILES_PAUSE_S)


class _Refusal(Exception):
    """Ends an exchange before it reaches anybody. `evidence`: what the operator reads; "" if nobody was denied."""

    def __init__(self, status: int, text: str, evidence: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.evidence = evidence


class _Found(NamedTuple):
    address: Address
    scope: int = 0  # the interface of a link-local address


class _Proxy:
    """One run's proxy."""

    def __init__(self, lists: Sequence[Destinations], on_denied: Callable[[str], None]) -> None:
        self.slots = trio.Semaphore(MOST_CONNECTIONS)
        self._lists = tuple(lists)
        self._on_denied = on_denied
        self._denials_left = MOST_DENIALS_TOLD
        self._lookups = trio.CapacityLimiter(_LOOKUPS_AT_ONCE)

    async def serve_one(self, client: trio.SocketStream) -> None:
        try:
            await self._exchange(client)
        except _GONE:
            pass
        finally:
            await trio.aclose_forcefully(client)
            self.slots.release()

    async def _exchange(self, client: trio.SocketStream) -> None:
        try:
            head = await _head(client)
            if head is None:
                return
            upstream = await self._connected(head)
        except _Refusal as refusal:
            if refusal.evidence and self._denials_left:
                self._denials_left -= 1
                self._on_denied(plain(refusal.evidence, _EVIDENCE_CHARS))
            await _answer(client, refusal)
            return
        try:
            await (_tunnel if head.tunnel else _forward)(client, upstream, head)
        finally:
            await trio.aclose_forcefully(upstream)

    async def _connected(self, head: Head) -> trio.SocketStream:
        host, port = head.host, head.port
        where = authority(host, port)
        if why := judge(self._lists, host, port):
            by_operator = judge(self._lists[:1], host, port)
            who = (
                "The operator can add" if by_operator else "The operator allows it; the plugin's manifest must ask for"
            )
            raise _Refusal(403, f'{why}. {who} "{where}".', why)
        found = await self._lookup(host, port) if isinstance(host, str) else [_Found(host)]
        reasons = [judge_address(self._lists, each.address, port) for each in found]
        allowed = [each for each, reason in zip(found, reasons, strict=True) if not reason]
        if not allowed:
            # Which address it is, inside the operator's network, is not for the client to learn.
            text = (
                f"{where} leads to no public address. The operator can add the address, or its network, with :{port}."
            )
            raise _Refusal(403, text, f"{where} was looked up: {reasons[0]}")
        return await _connect(allowed[:_MOST_ADDRESSES], port, where)

    async def _lookup(self, name: str, port: int) -> list[_Found]:
        look = partial(socket.getaddrinfo, name, port, type=socket.SOCK_STREAM)
        try:
            with trio.fail_after(LOOKUP_SECONDS):
                rows = await trio.to_thread.run_sync(look, abandon_on_cancel=True, limiter=self._lookups)
            found = [
                _Found(bare(ip_address(place[0])), place[3] if len(place) == 4 else 0)
                for family, _, _, _, place in rows
                if family in (socket.AF_INET, socket.AF_INET6)
            ]
        except (OSError, ValueError, trio.TooSlowError):  # ValueError: a name for `idna`, a place that is no address
            found = []
        if not found:
            raise _Refusal(502, f"{authority(name, port)} cannot be looked up.")
        return found


async def _head(client: trio.SocketStream) -> Head | None:
    """The client's request; None if it left before the request was whole."""
    data = b""
    with trio.move_on_after(HEAD_SECONDS):
        while received := await client.receive_some(MOST_HEAD_BYTES):
            data += received
            try:
                head = read(data)
            except BadRequest as error:
                raise _Refusal(error.status, str(error), f"a request was refused: {error}") from None
            if head is not None:
                return head
        return None
    raise _Refusal(408, f"The head of the request was not there within {HEAD_SECONDS:.0f} seconds.")


async def _connect(places: Sequence[_Found], port: int, where: str) -> trio.SocketStream:
    """To the first of these judged addresses that answers, in the resolver's order."""
    status, why = 504, "does not answer"
    for address, scope in places:
        four = isinstance(address, IPv4Address)
        try:
            with ExitStack() as unless_connected, trio.move_on_after(CONNECT_SECONDS / len(places)):
                sock = trio.socket.socket(socket.AF_INET if four else socket.AF_INET6, socket.SOCK_STREAM)
                unless_connected.enter_context(sock)
                await sock.connect((str(address), port) if four else (str(address), port, 0, scope))
                unless_connected.pop_all()
                return trio.SocketStream(sock)
        except OSError as error:
            status, why = 502, f"cannot be reached: {error.strerror or 'no connection'}"
    raise _Refusal(status, f"{where} {why}.")


async def _tunnel(client: trio.SocketStream, upstream: trio.SocketStream, head: Head) -> None:
    """Bytes in both directions, until both ends have said that they are done or one is gone."""
    await client.send_all(_ESTABLISHED)
    async with trio.open_nursery() as both:
        both.start_soon(_pump, client, upstream, head.rest, both.cancel_scope)
        both.start_soon(_pump, upstream, client, b"", both.cancel_scope)


async def _pump(source: trio.SocketStream, sink: trio.SocketStream, first: bytes, exchange: trio.CancelScope) -> None:
    try:
        await sink.send_all(first)
        while data := await source.receive_some(_CHUNK):
            await sink.send_all(data)
        await sink.send_eof()
    except _GONE:
        exchange.cancel()


async def _forward(client: trio.SocketStream, upstream: trio.SocketStream, head: Head) -> None:
    """One request, and whatever answers it until the upstream closes, as `Connection: close` has told it to."""
    async with trio.open_nursery() as both:
        both.start_soon(_send_request, client, upstream, head, both.cancel_scope)
        try:
            while data := await upstream.receive_some(_CHUNK):
                await client.send_all(data)
        except _GONE:
            pass
        both.cancel_scope.cancel()
    await _part(client)


async def _send_request(
    client: trio.SocketStream, upstream: trio.SocketStream, head: Head, exchange: trio.CancelScope
) -> None:
    """Exactly one request. The upstream never sees our end: to many servers that means that the client gave up."""
    body, part = head.body(), head.forward
    received: bytes | bytearray = head.rest
    try:
        while True:
            part += body.take(bytes(received))
            with suppress(*_GONE):  # it may have answered before it closed; the client goes on until it has read that
                await upstream.send_all(part)
            if body.surplus:
                break
            part = b""
            received = await client.receive_some(_CHUNK)
            if not received and body.ended:
                return  # a client that has said all and still listens
            if not received:
                break
    except (BadBody, *_GONE):
        pass
    exchange.cancel()


async def _answer(client: trio.SocketStream, refusal: _Refusal) -> None:
    body = f"{plain(str(refusal))}\n".encode()
    head = (
        f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with trio.move_on_after(PARTING_SECONDS):
        await client.send_all(head.encode("ascii") + body)
    await _part(client)


async def _part(client: trio.SocketStream) -> None:
    """Let the client read what was sent: closing with bytes of its unread would reset the connection at once."""
    with trio.move_on_after(PARTING_SECONDS):
        await client.send_eof()
        while await client.receive_some(_CHUNK):
            pass
