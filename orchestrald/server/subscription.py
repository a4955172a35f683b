"""What does one events.subscribe send, and when does it end?"""

from collections.abc import Awaitable, Callable, Sequence

import trio

from orchestrald.protocol import rpc, strict_json
from orchestrald.server.ephemera import Ephemera, Mailbox
from orchestrald.server.ring import Page, Ring

Send = Callable[[bytes], Awaitable[None]]


class Subscription:
    """A cursor, and a mailbox for what is only shown. Close it."""

    def __init__(
        self,
        name: str,
        ring: Ring,
        ephemera: Ephemera,
        *,
        after_seq: int | None,
        interaction_id: str | None,
        types: Sequence[str] | None,
    ) -> None:
        self.name = name
        self._ring, self._ephemera = ring, ephemera
        self._cursor = ring.open(after_seq=after_seq, interaction_id=interaction_id, types=types)
        self._mailbox = Mailbox(interaction_id)
        ephemera.attach(self._mailbox)
        self._looking: trio.CancelScope | None = None
        self._stopped = False
        self._until: int | None = None
        quoted = strict_json.dumps(name)
        self._head = b'{"jsonrpc":"2.0","method":"events.event","params":{"subscription":' + quoted + b',"event":'
        self._between = b"}}\n" + self._head

    async def run(self, send: Send) -> None:
        """Sends until it is stopped or has reached the end that `finish` set. Raises what `send` and the store do."""
        while not self._stopped:
            data = b""
            # Only looking can be cut short: a line sent by half would spoil the stream for everybody on it.
            with trio.CancelScope() as self._looking:
                data = await self._next()
            if not data:
                return
            if not self._stopped:
                await send(data)

    def finish(self) -> None:
        """No further than the newest event of now."""
        self._until = self._ring.last_seq
        self._ring.wake()

    def stop(self) -> None:
        """Nothing more, from this moment on."""
        self._stopped = True
        if self._looking is not None:
            self._looking.cancel()

    def close(self) -> None:
        """Closing twice is fine."""
        self._ring.close(self._cursor)
        self._ephemera.detach(self._mailbox)

    async def _next(self) -> bytes:
        # Empty means the end.
        while self._until is None or self._cursor.seq < self._until:
            notes = self._mailbox.take()
            if self._cursor.behind:
                notes = []  # it has more important things to read
            page = await self._cursor.page()
            if notes or page.lines:
                return b"".join([*map(self._note, notes), self._events(page)])
            if self._cursor.current and not self._mailbox and self._until is None:
                await self._ring.changed()
        return b""

    def _note(self, note: tuple[str, dict[str, object]]) -> bytes:
        method, params = note
        return rpc.notification(method, {"subscription": self.name, **params})

    def _events(self, page: Page) -> bytes:
        # The name of the subscription is in the separator, so the lines themselves are shared by all subscribers.
        return self._head + self._between.join(page.lines) + b"}}\n" if page.lines else b""
