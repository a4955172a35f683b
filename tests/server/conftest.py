"""What does a server need around it to be tested on a real socket?"""

import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import trio
import trio.testing

from orchestrald.core.events import Event
from orchestrald.errors import NotFound
from orchestrald.protocol.messages import METHODS
from orchestrald.server.address import bind
from orchestrald.server.dispatch import Dispatcher, Handler, Peer
from orchestrald.server.ephemera import Ephemera
from orchestrald.server.limits import Limits
from orchestrald.server.listener import Server
from orchestrald.server.ring import Ring


class Log:
    """A store of events that is a list. `commit` makes them readable and, as a journal does, publishes them after."""

    def __init__(self, count: int = 0, **ring: int) -> None:
        self.stored: list[Event] = []
        self.add(count)
        self.ring = Ring(self, last_seq=count, **ring)  # type: ignore[arg-type]  # the ring reads events, no more
        self.reads = 0
        self.after_read: Callable[[], object] | None = None  # called once, when a query has its answer

    def add(self, count: int, interaction_id: str = "i1", **data: Any) -> list[Event]:
        first = len(self.stored) + 1
        new = [
            Event("step.started", data, "t1", interaction_id, "a", at=seq, seq=seq)
            for seq in range(first, first + count)
        ]
        self.stored += new
        return new

    def commit(self, count: int = 1, interaction_id: str = "i1", **data: Any) -> None:
        self.ring.publish(self.add(count, interaction_id, **data))

    async def events(
        self,
        *,
        after_seq: int = 0,
        limit: int = 500,
        interaction_id: str | None = None,
        types: Sequence[str] | None = None,
    ) -> list[Event]:
        self.reads += 1
        await trio.lowlevel.checkpoint()
        found = [
            e
            for e in self.stored[after_seq:]
            if interaction_id in (None, e.interaction_id) and (types is None or e.type in types)
        ]
        done, self.after_read = self.after_read, None
        if done is not None:
            done()
        return found[:limit]


class Client:
    """One end of a connection, in JSON."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self._buffer = b""
        self._ids = 0

    async def say(self, line: bytes) -> None:
        await self.stream.send_all(line)

    async def send(self, method: str, **params: Any) -> int:
        self._ids += 1
        request = {"jsonrpc": "2.0", "id": self._ids, "method": method, "params": params}
        await self.say(json.dumps(request).encode() + b"\n")
        return self._ids

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        await self.send(method, **params)
        return await self.hear()

    async def hear(self) -> dict[str, Any]:
        """The next message; raises EOFError when the other side has closed."""
        while b"\n" not in self._buffer:
            chunk = await self.stream.receive_some()
            if not chunk:
                raise EOFError
            self._buffer += chunk
        line, self._buffer = self._buffer.split(b"\n", 1)
        message = json.loads(line)
        assert message["jsonrpc"] == "2.0"
        return message  # type: ignore[no-any-return]

    async def closed(self) -> bool:
        try:
            await self.hear()
        except (EOFError, trio.BrokenResourceError):
            return True
        return False


@dataclass
class Site:
    """A running server with handlers that do next to nothing."""

    path: str
    log: Log
    server: Server
    ephemera: Ephemera
    handlers: "Handlers"
    clients: list[Client] = field(default_factory=list)

    async def client(self) -> Client:
        """A new connection, closed with the site."""
        client = Client(await trio.open_unix_socket(self.path))
        self.clients.append(client)
        return client


class Handlers:
    """One handler of each sort. `interaction.wait` waits for `release`; `waiting` holds one token per waiter.

    thread.list takes its time, as a handler does that reads the store.
    """

    def __init__(self, log: Log) -> None:
        self.log = log
        self.release = trio.Event()
        self.waiting: set[object] = set()
        self.graphs = 0

    def table(self) -> dict[str, Handler]:
        return {
            "system.hello": self.hello,
            "system.ping": self.ping,
            "system.info": self.broken,
            "system.schema": self.unwritable,
            "action.list": self.unwritable_error,
            "thread.get": self.missing,
            "thread.list": self.threads,
            "interaction.wait": self.wait,
            "interaction.graph": self.graph,
            "events.subscribe": self.subscribe,
            "events.unsubscribe": self.unsubscribe,
        }

    async def hello(self, _: Any, peer: Peer) -> dict[str, Any]:
        return {"by": peer.by, "pid": peer.pid}

    async def ping(self, _: Any, __: Peer) -> dict[str, Any]:
        return {}

    async def broken(self, _: Any, __: Peer) -> dict[str, Any]:
        raise RuntimeError("a detail of ours")

    async def unwritable(self, _: Any, __: Peer) -> dict[str, Any]:
        return {"value": float("nan")}

    async def unwritable_error(self, _: Any, __: Peer) -> dict[str, Any]:
        raise NotFound(data={"value": float("nan")})

    async def missing(self, params: Any, _: Peer) -> dict[str, Any]:
        raise NotFound(f"There is no thread {params.thread_id}.")

    async def threads(self, params: Any, _: Peer) -> dict[str, Any]:
        for _ in range(5):
            await trio.lowlevel.checkpoint()
        return {"limit": params.limit}

    async def wait(self, _: Any, __: Peer) -> dict[str, Any]:
        token = object()
        self.waiting.add(token)
        try:
            await self.release.wait()
        finally:
            self.waiting.remove(token)
        return {"state": "completed"}

    async def graph(self, _: Any, __: Peer) -> dict[str, Any]:
        self.graphs += 1
        return {"format": "dot", "graph": "x" * 300_000}

    async def subscribe(self, params: Any, peer: Peer) -> dict[str, Any]:
        name = peer.connection.subscribe(**params.model_dump())
        return {"subscription": name, "last_seq": self.log.ring.last_seq}

    async def unsubscribe(self, params: Any, peer: Peer) -> dict[str, Any]:
        peer.connection.unsubscribe(params.subscription)
        return {}


@pytest.fixture
def make_log() -> type[Log]:
    """`make_log(events already stored, max_events=..., max_bytes=...)`"""
    return Log


@pytest.fixture
def folder() -> Iterator[str]:
    """A private folder with a short name: socket paths are limited to 103 bytes, and tmp_path's are not."""
    made = tempfile.mkdtemp(prefix="o-")
    yield made
    shutil.rmtree(made)


@pytest.fixture
def open_site(folder: str) -> Callable[..., Any]:
    """`async with open_site(limits, events=n) as site`: a server on a real socket, gone afterwards."""

    @asynccontextmanager
    async def opened(
        limits: Limits | None = None, *, events: int = 0, ring: dict[str, int] | None = None
    ) -> AsyncIterator[Site]:
        log = Log(events, **(ring or {}))
        ephemera = Ephemera(log.ring)
        handlers = Handlers(log)
        dispatcher = Dispatcher(handlers.table(), {name: METHODS[name] for name in handlers.table()})
        server = Server(dispatcher, log.ring, ephemera, limits=limits)
        address = bind(os.path.join(folder, "run", "api.sock"))
        site = Site(address.path, log, server, ephemera, handlers)
        # A virtual clock is asked to jump over whole minutes; a real one never needs that long.
        patience = 1000 if isinstance(trio.lowlevel.current_clock(), trio.testing.MockClock) else 20
        with trio.fail_after(patience):
            async with trio.open_nursery() as nursery:
                await nursery.start(server.serve, address.listener)
                try:
                    yield site
                finally:
                    for client in site.clients:
                        await trio.aclose_forcefully(client.stream)
                nursery.cancel_scope.cancel()

    return opened


@pytest.fixture
async def site(open_site: Callable[..., Any]) -> AsyncIterator[Site]:
    async with open_site() as opened:
        yield opened
