"""How does a client see every event once and in order, although the daemon may die in the middle?

A subscription has its own connection, so that a slow reader never delays a call. What it has seen is one number, the
`seq` of the last event: after a restart it asks for what follows.
"""

from __future__ import annotations

import time

from orchestrald.client import PROTOCOL_VERSION, TRIES, Dropped, Refused, Unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrald.client import Client, Connection


class Subscription:
    """Every event once and in order, across restarts of the daemon.

    `next` gives pairs of a word and an object: `snapshot` (at the start and after each reconnect), `event`,
    `progress`, `log`, `answer` (a piece of one that is being written), `lost` (the connection ended; the following
    `next` connects again), `gap` (events that the daemon no longer keeps were missed). `after_seq` None means from now
    on.
    """

    def __init__(
        self,
        client: Client,
        *,
        interaction_id: str | None = None,
        after_seq: int | None = None,
        types: list[str] | None = None,
    ) -> None:
        self.cursor = after_seq
        self._client = client
        self._filters = {"interaction_id": interaction_id, "types": types}
        self._connection: Connection | None = None
        self._ready: list[tuple[str, dict[str, Any]]] = []
        self._epoch: str | None = None
        self._fruitless = 0

    def next(self, timeout: float) -> tuple[str, dict[str, Any]] | None:
        """The next item, or None after `timeout` seconds. Raises Refused, or Unreachable when nobody can be found."""
        if not self._ready:
            try:
                if self._connection is None:
                    self._open()
                else:
                    self._receive(self._connection, timeout)
            except Dropped as error:
                self._drop(error.message)
            except Refused as error:
                if error.kind not in {"overloaded", "draining"}:
                    raise
                time.sleep(0.2)
                self._drop(error.message)
        return self._ready.pop(0) if self._ready else None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> None:
        connection = self._connection = self._client.connect()
        hello = connection.call("system.hello", {"client": "orchestral", "protocol": [PROTOCOL_VERSION]})
        epoch = hello.get("db_epoch")
        if self._epoch is not None and epoch != self._epoch:
            self.cursor = 0  # another store: its sequence numbers have nothing to do with ours
        self._epoch = epoch
        try:
            found = self._subscribe(connection)
        except Refused as error:
            if error.kind != "cursor_expired":
                raise
            self._ready.append(("gap", error.data))
            self.cursor = max(0, int(error.data.get("oldest_seq", 1)) - 1)
            found = self._subscribe(connection)
        if self.cursor is None:
            self.cursor = int(found.get("last_seq", 0))
        if found.get("snapshot"):
            self._ready.append(("snapshot", found["snapshot"]))

    def _subscribe(self, connection: Connection) -> dict[str, Any]:
        params = {"after_seq": self.cursor, **self._filters}
        found = connection.call("events.subscribe", {k: v for k, v in params.items() if v is not None})
        return found if isinstance(found, dict) else {}

    def _receive(self, connection: Connection, timeout: float) -> None:
        message = connection.notification(timeout)
        if message is None:
            return
        params = message.get("params") or {}
        word = str(message["method"]).removeprefix("events.")
        if word != "event":
            self._ready.append((word, params))
            return
        event = params.get("event") or {}
        seq = int(event.get("seq", 0))
        if seq > (self.cursor or 0):
            self.cursor = seq
            self._fruitless = 0
            self._ready.append(("event", event))

    def _drop(self, message: str) -> None:
        self.close()
        self._fruitless += 1
        if self._fruitless > TRIES:
            raise Unreachable(f"{message} It happened {TRIES} times in a row.", "Look at its log.")
        self._ready.append(("lost", {"message": message}))
