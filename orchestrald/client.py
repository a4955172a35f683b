"""How does a program talk to the daemon through its socket, and outlive the daemon's restarts?

Rules of this file:

- Standard library only, and the cheap part of it: `_socket` instead of `socket` (which pulls in selectors and enum),
  and no typing. A call must cost little more than starting Python (tests/cli/test_thinness.py).
- Blocking, for one thread.
- A changing method carries a `request_id` that is made once per call and repeated with it: a dropped reply
  cannot make anything happen twice.
"""

from __future__ import annotations

import json
import os
import time
from _socket import AF_UNIX, SOCK_STREAM
from _socket import socket as UnixSocket  # noqa: N812 -- it is a class

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from orchestrald.paths import Paths

PROTOCOL_VERSION = 1
MAX_REQUEST_BYTES = 4 * 1024 * 1024
CHUNK = 256 * 1024
REPLY_S = 30.0
"""How long a daemon that accepted a connection may be silent before it counts as hung."""
TRIES = 4
BUSY_S = 20.0
"""How long a call is repeated while the daemon says that it is overloaded or shutting down."""

CHANGING = frozenset(
    {
        "thread.create",
        "thread.update",
        "thread.set_policy",
        "thread.archive",
        "interaction.submit",
        "interaction.cancel",
        "interaction.pause",
        "interaction.resume",
        "interaction.skip",
        "interaction.retry",
        "interaction.fork",
        "interaction.respond",
        "approval.decide",
        "event.emit",
        "action.call",
        "memory.set",
        "memory.delete",
        "reference.put",
        "reference.delete",
        "schedule.create",
        "schedule.pause",
        "schedule.resume",
        "schedule.delete",
        "schedule.run",
    }
)
"""Methods that take a `request_id`; tests compare them with the daemon's table."""


class ClientError(Exception):
    """Something that the person at the keyboard must hear: a sentence, and what to do (empty: nothing to add)."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Unreachable(ClientError):
    """No daemon answers, and none could be started."""


class Dropped(ClientError):
    """The connection ended in the middle; whether the last call was done is not known."""


class Refused(ClientError):
    """The daemon answered with an error. `kind` is its stable code, `data` the rest of what it said."""

    def __init__(self, error: dict[str, Any]) -> None:
        data = error.get("data")
        self.data: dict[str, Any] = data if isinstance(data, dict) else {}
        self.code = error.get("code")
        self.kind = str(self.data.get("kind", ""))
        super().__init__(str(error.get("message", "The daemon refused.")), str(self.data.get("hint", "")))


class Connection:
    """One connection: lines out, lines in. Raises OSError when nobody listens at `path`."""

    def __init__(self, path: str) -> None:
        self._socket = UnixSocket(AF_UNIX, SOCK_STREAM)
        self._socket.settimeout(REPLY_S)
        try:
            self._socket.connect(path)
        except OSError:
            self._socket.close()
            raise
        self._buffer = bytearray()
        self._scanned = 0
        self._last_id = 0
        self._notifications: list[dict[str, Any]] = []

    def call(self, method: str, params: dict[str, Any] | None = None, timeout: float | None = REPLY_S) -> Any:
        """The method's result. Raises Refused, Dropped, or Unreachable after `timeout` seconds (None: never)."""
        self._last_id += 1
        self._send({"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params or {}})
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if deadline is None else deadline - time.monotonic()
            message = self._read(left)
            if message is None:
                raise Unreachable(f"The daemon has not answered {method} for {timeout:g} s.", "Look at its log.")
            if "method" in message:
                self._notifications.append(message)
            elif message.get("id") == self._last_id or message.get("id") is None:
                if "error" in message:
                    raise Refused(message["error"])
                return message.get("result")

    def notification(self, timeout: float) -> dict[str, Any] | None:
        """The next notification, or None when none came within `timeout` seconds. Raises Dropped."""
        if self._notifications:
            return self._notifications.pop(0)
        message = self._read(timeout)
        return message if message is not None and "method" in message else None

    def close(self) -> None:
        self._socket.close()

    def __del__(self) -> None:
        self._socket.close()  # a command that ends needs no ceremony, and no ResourceWarning

    def _send(self, message: dict[str, Any]) -> None:
        try:
            line = json.dumps(message, separators=(",", ":"), allow_nan=False).encode()
        except ValueError:
            raise ClientError("NaN and Infinity are not JSON, so they cannot be sent.") from None
        if len(line) >= MAX_REQUEST_BYTES:
            raise ClientError(
                f"The request has {len(line)} bytes, and the daemon reads {MAX_REQUEST_BYTES}.",
                "Put large input in a file and pass its path.",
            )
        try:
            self._socket.settimeout(REPLY_S)
            self._socket.sendall(line + b"\n")
        except OSError as error:
            raise Dropped(f"The connection to the daemon broke: {error}.") from None

    def _read(self, timeout: float | None) -> dict[str, Any] | None:
        deadline = None if timeout is None else time.monotonic() + timeout
        while (end := self._buffer.find(b"\n", self._scanned)) < 0:
            self._scanned = len(self._buffer)
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return None
            try:
                self._socket.settimeout(left)
                chunk = self._socket.recv(CHUNK)
            except TimeoutError:
                return None
            except OSError as error:
                raise Dropped(f"The connection to the daemon broke: {error}.") from None
            if not chunk:
                raise Dropped("The daemon closed the connection.")
            self._buffer += chunk
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._scanned = 0
        try:
            message = json.loads(line)
        except ValueError:
            raise Dropped("What answers at the socket does not speak JSON.") from None
        if not isinstance(message, dict):
            raise Dropped("What answers at the socket does not speak JSON-RPC.")
        return message


class Client:
    """Calls that survive a daemon's restart. `start` is told to start one when nobody listens; None forbids it."""

    def __init__(self, paths: Paths, start: Callable[[Paths], None] | None = None) -> None:
        self.paths = paths
        self._start = start
        self._connection: Connection | None = None

    def connect(self) -> Connection:
        """A new connection. Raises Unreachable in words."""
        problem = self.paths.socket_problem
        if problem:
            raise Unreachable(problem)
        try:
            return self._dial()
        except (FileNotFoundError, ConnectionRefusedError, ConnectionResetError):
            if self._start is None:
                raise Unreachable(
                    "orchestrald is not running.", "Start it with `orchestral start`, or leave out --no-start."
                ) from None
        except OSError as error:
            raise Unreachable(f"The socket {self.paths.socket} cannot be used: {error.strerror}.") from None
        self._start(self.paths)
        try:
            return self._dial()
        except OSError as error:
            raise Unreachable(f"orchestrald was started and is gone again: {error.strerror}.") from None

    def call(self, method: str, *, timeout: float | None = REPLY_S, **params: Any) -> Any:
        """The method's result. Parameters that are None are left out.

        Repeated after a dropped connection with the same `request_id`, and for a while when the daemon is overloaded
        or shutting down. Raises Refused or Unreachable.
        """
        given = {name: value for name, value in params.items() if value is not None}
        if method in CHANGING:
            given.setdefault("request_id", request_id())
        give_up = time.monotonic() + BUSY_S
        dropped = 0
        while True:
            try:
                if self._connection is None:
                    self._connection = self.connect()
                return self._connection.call(method, given, timeout)
            except Dropped as error:
                self.close()
                dropped += 1
                if dropped == TRIES:
                    raise Unreachable(f"{error.message} It was tried {TRIES} times.", "Look at its log.") from None
                time.sleep(0.05 * dropped)
            except Refused as error:
                if error.kind not in {"overloaded", "draining"} or time.monotonic() > give_up:
                    raise
                if error.kind == "draining":
                    self.close()  # the daemon that follows listens on a new socket
                time.sleep(_retry_after(error))
            except Unreachable:
                self.close()
                raise

    def call_once(self, method: str, *, timeout: float | None = REPLY_S, **params: Any) -> Any:
        """Like `call`, never repeated: for what ends the connection by its nature. Raises Dropped as well."""
        connection = self.connect()
        try:
            return connection.call(method, params, timeout)
        finally:
            connection.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _dial(self) -> Connection:
        for _ in range(100):
            try:
                return Connection(self.paths.socket)
            except BlockingIOError:  # Linux says so when the queue of connections is full
                time.sleep(0.05)
        raise Unreachable("The daemon has too many connections waiting.", "Try again in a moment.")


def request_id() -> str:
    """A fresh name for one request, long enough that no two programs ever choose the same."""
    return os.urandom(16).hex()


def _retry_after(error: Refused) -> float:
    wait = error.data.get("retry_after_ms", 200)
    return min(5.0, max(0.01, wait / 1000 if isinstance(wait, int | float) else 0.2))
