"""What do these tests talk to? A stand-in for the daemon on a real socket, which says what a test tells it to say."""

import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Answer = Callable[["Peer", dict[str, Any]], Any]


class Refusal(Exception):
    """Raise it in an answer to send an error object instead of a result."""

    def __init__(self, kind: str, message: str = "No.", **data: Any) -> None:
        super().__init__(message)
        self.wire = {"code": 4000, "message": message, "data": {"kind": kind, **data}}


class HangUp(Exception):
    """Raise it in an answer to close the connection instead of answering."""


class Peer:
    """One connection, as an answer sees it."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    def send(self, message: dict[str, Any]) -> None:
        self.connection.sendall(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    def event(self, event: dict[str, Any]) -> None:
        self.send({"method": "events.event", "params": {"subscription": "s", "event": event}})


class StandIn:
    """`answers` maps a method to its answer: a value, or a function of (peer, params). `asked` is what came."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.answers: dict[str, Any] = {"system.hello": {"db_epoch": "1", "protocol": 1}}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.problems: list[BaseException] = []
        self._listener: socket.socket | None = None
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []

    def start(self) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(8)
        self._spawn(self._accept, self._listener)

    def stop(self) -> None:
        """As a killed daemon: the socket file stays, nobody listens, every connection is gone."""
        self.stop_listening()
        for connection in self._open:
            with_shutdown(connection)
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive()
        self._threads, self._open = [], []

    def stop_listening(self) -> None:
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None

    def params_of(self, method: str) -> list[dict[str, Any]]:
        return [params for name, params in self.asked if name == method]

    def _spawn(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self._open.append(connection)
            self._spawn(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        peer = Peer(connection)
        with connection, connection.makefile("rb") as lines:
            try:
                for line in lines:
                    self._answer(peer, json.loads(line))
            except (HangUp, OSError):
                with_shutdown(connection)
            except Exception as error:
                self.problems.append(error)
                raise

    def _answer(self, peer: Peer, request: dict[str, Any]) -> None:
        method, params = request["method"], request["params"]
        self.asked.append((method, params))
        answer = self.answers[method]
        try:
            result = answer(peer, params) if callable(answer) else answer
        except Refusal as refusal:
            peer.send({"id": request["id"], "error": refusal.wire})
        else:
            after = result.pop("_after", []) if isinstance(result, dict) else []
            peer.send({"id": request["id"], "result": result})
            for step in after:
                step(peer)


def with_shutdown(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, which every command of the test uses; no command starts a daemon."""
    monkeypatch.setenv("ORCHESTRAL_HOME", str(tmp_path))
    monkeypatch.setenv("ORCHESTRAL_NO_START", "1")
    monkeypatch.setenv("COLUMNS", "100")
    os.makedirs(tmp_path / "run")
    return tmp_path


@pytest.fixture
def daemon(home: Path) -> Iterator[StandIn]:
    stand_in = StandIn(str(home / "run" / "api.sock"))
    stand_in.start()
    yield stand_in
    stand_in.stop()
    assert stand_in.problems == []


@pytest.fixture
def refusal() -> type[Refusal]:
    return Refusal


@pytest.fixture
def hang_up() -> type[HangUp]:
    return HangUp
