"""What does a test of the proxy need around it: a proxy in service, upstreams, clients?"""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

import trio

from orchestrald.runner.proxy import serve
from orchestrald_sandbox.destinations import parse

Talk = Callable[[trio.SocketStream], Awaitable[None]]


def listening(host: str = "127.0.0.1", port: int = 0) -> trio.SocketListener:
    return trio.SocketListener(trio.socket.from_stdlib_socket(socket.create_server((host, port))))


async def connected(port: int) -> trio.SocketStream:
    sock = trio.socket.socket()
    try:
        await sock.connect(("127.0.0.1", port))
    except OSError:
        sock.close()
        raise
    return trio.SocketStream(sock)


async def all_of(stream: trio.SocketStream) -> bytes:
    return b"".join([bytes(data) async for data in stream])


@dataclass
class Proxy:
    port: int
    denied: list[str] = field(default_factory=list)

    async def ask(self, request: bytes) -> bytes:
        """Everything that is answered until the proxy closes."""
        async with await connected(self.port) as stream:
            await stream.send_all(request)
            return await all_of(stream)

    async def tunnel(self, target: str) -> trio.SocketStream:
        stream = await connected(self.port)
        await stream.send_all(f"CONNECT {target} HTTP/1.1\r\n\r\n".encode())
        answer = await stream.receive_some(39)
        assert answer == b"HTTP/1.1 200 Connection established\r\n\r\n", answer
        return stream


@asynccontextmanager
async def proxying(*lists: list[str]) -> AsyncIterator[Proxy]:
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            listener = listening()
            started = Proxy(listener.socket.getsockname()[1])
            await nursery.start(serve, listener, [parse(each) for each in lists], started.denied.append)
            yield started
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def upstream(talk: Talk, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[int]:
    """A server on loopback that answers each connection with `talk`."""
    async with trio.open_nursery() as nursery:
        listener = listening(host, port)
        nursery.start_soon(partial(trio.serve_listeners, talk, [listener]))
        yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def echo(stream: trio.SocketStream) -> None:
    async for data in stream:
        await stream.send_all(data)
    await stream.send_eof()


class Recorder:
    """An upstream that keeps what it was sent, and answers when the head is whole and nothing else comes."""

    def __init__(self) -> None:
        self.seen = b""
        self.count = 0
        self.ended = trio.Event()

    async def talk(self, stream: trio.SocketStream) -> None:
        self.count += 1
        with suppress(trio.BrokenResourceError):
            while b"\r\n\r\n" not in self.seen and (data := await stream.receive_some()):
                self.seen += data
            # What must not come has no event to wait for.
            with trio.move_on_after(0.2):
                async for data in stream:
                    self.seen += data
            await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        self.ended.set()
