"""What do these tests talk to? A stand-in for the daemon on a real socket, which says what a test tells it to say; or a
real daemon with a few playbooks, where what the two sides make of each other is the point.
"""

import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrald.cli.main import dispatch
from support.daemon import GRANTED, Daemon
from support.daemon import daemon as real_daemon

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


PLAYBOOKS = {
    "ask": ("ask me", "[{id: ask, kind: wait_user, params: {prompt: 'Which one?'}}, {REPLY}]"),
    "say": ("say {words}", "[{id: reply, action: echo, params: {message: '{{params.words}}'}}]"),
    "door": ("watch the door", "[{id: ask, kind: wait_event, params: {kind: door.opened}}, {REPLY}]"),
    "take": ("take {seconds}", "[{id: work, action: tally.work, params: {pause_ms: '{{params.seconds}}'}}]"),
    "wipe": ("wipe it", "[{id: wipe, action: shell, params: {command: 'rm -f nothing'}}]"),
}


class Cli:
    """The commands, in this process, with what they printed."""

    def __init__(self, place: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
        self.place = place
        self.call = place.call
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, *words: str) -> int:
        code = dispatch(words)
        self.out, self.err = self._capsys.readouterr()
        return code

    def json(self, *words: str) -> Any:
        """What the command prints with --json, which must end well."""
        assert self(*words, "--json") == 0, self.err
        return json.loads(self.out.splitlines()[-1])

    def thread(self, policy: str = "queue") -> str:
        return str(self.call("thread.create", policy=policy)["thread_id"])

    def begin(self, *steps: dict[str, Any], **more: Any) -> str:
        """Submit a plan; the interaction's name."""
        plan = {"goal": "test", "steps": list(steps)}
        return str(
            self.call("interaction.submit", plan=plan, workspace=str(self.place.workspace), **more)["interaction_id"]
        )

    def state(self, interaction_id: str) -> str:
        return str(self.call("interaction.get", interaction_id=interaction_id)["state"])


@pytest.fixture(scope="module")
def place() -> Iterator[Daemon]:
    """A real daemon that all tests of a file share."""
    with real_daemon(GRANTED, started=False) as made:
        made.drop_tally()
        folder = Path(made.paths.playbooks_dir)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, (phrase, steps) in PLAYBOOKS.items():
            (folder / f"{name}.yaml").write_text(playbook(name, phrase, steps), encoding="utf-8")
        made.start()
        yield made


def playbook(name: str, phrase: str, steps: str) -> str:
    reply = "{id: reply, action: echo, params: {message: 'the answer: {{ask}}'}}"
    return (
        f"playbook: 1\nname: {name}\nphrases: ['{phrase}']\n"
        + ("params: {words: {type: string}}\n" if "words" in phrase else "")
        + ("params: {seconds: {type: integer}}\n" if "seconds" in phrase else "")
        + f"plan: {{goal: {name}, steps: {steps.replace('{REPLY}', reply)}}}\n"
    )


@pytest.fixture
def cli(place: Daemon, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    monkeypatch.setenv("ORCHESTRAL_HOME", str(place.home))
    monkeypatch.setenv("ORCHESTRAL_NO_START", "1")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(place.workspace)
    return Cli(place, capsys)
