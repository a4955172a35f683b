"""A real daemon in a process of its own, on a throw-away home, that can be killed and started again."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchestrald.client import Client, Connection
from orchestrald.paths import Paths

PATIENCE_S = 30.0
"""For everything that is waited for. The daemon takes half a second to start on an idle machine."""

MODELS = frozenset({"OPENAI_API_KEY", "OPENAI_BASE_URL"})
"""Without them no test asks a model that somebody pays for."""

UNCOMPILED = frozenset({"PYTHONDONTWRITEBYTECODE"})
"""Without it each of hundreds of daemons would compile itself anew; an installer leaves bytecode too."""

SUPPORT = Path(__file__).parent
DESKTOP = frozenset({"DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY"})
"""Without them no test's question turns up on the screen of whoever runs the tests."""
SERVE = [sys.executable, "-P", "-c", "from orchestrald.command import main; main()", "serve"]
ORCHESTRAL = [sys.executable, "-P", "-c", "from orchestrald.cli.main import main; main()"]


class Daemon:
    """`orchestrald serve` on `home`. `log` is what it said, in all its lives."""

    def __init__(self, home: Path, config: str = "") -> None:
        self.home = home
        self.paths = Paths.find({"ORCHESTRAL_HOME": str(home)})
        self.workspace = home / "workspace"
        self.workspace.mkdir(exist_ok=True)
        ours = {name: value for name, value in os.environ.items() if name not in DESKTOP | MODELS | UNCOMPILED}
        self.environment = {**ours, "ORCHESTRAL_HOME": str(home), "NO_COLOR": "1"}
        self.log: list[str] = []
        self.process: subprocess.Popen[str] | None = None
        self.ready = threading.Event()
        self._reader = threading.Thread()
        if config:
            self.configure(config)

    # --- life -------------------------------------------------------------------------------------------------------

    def spawn(self) -> "subprocess.Popen[str]":
        """Start the process, and do not wait until it listens."""
        assert self.process is None, "it runs already"
        self.ready = threading.Event()
        self.process = subprocess.Popen(
            SERVE,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
            cwd="/",
        )
        self._reader = threading.Thread(target=self._read, args=(self.process, self.ready), daemon=True)
        self._reader.start()
        return self.process

    def _read(self, process: "subprocess.Popen[str]", ready: threading.Event) -> None:
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                self.log.append(line.rstrip())
                if "is ready at" in line:
                    ready.set()
        ready.set()  # it has ended; whoever waits looks at the process

    def start(self) -> None:
        """Returns once it listens. AssertionError with its log when it does not."""
        self.spawn()
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        assert self.ready.wait(PATIENCE_S), self.said
        assert self.process is not None
        assert self.process.poll() is None, self.said

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone. Nothing happens when none runs."""
        if self.process is not None:
            self.process.kill()
            self.gone()

    def terminate(self) -> None:
        """Ask it to stop, as systemd does; does not wait."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def gone(self) -> int:
        """The exit status, once it has ended."""
        assert self.process is not None
        status = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        self.process = None
        return status

    def stop(self) -> int:
        self.terminate()
        return self.gone()

    @property
    def said(self) -> str:
        """The end of its log."""
        return "\n".join(self.log[-30:])

    # --- talking to it ----------------------------------------------------------------------------------------------

    def connect(self) -> Connection:
        return Connection(self.paths.socket)

    def call(self, method: str, timeout: float = PATIENCE_S, **params: Any) -> Any:
        """One call as the client makes it, repeated while the daemon is overloaded. Raises client.Refused."""
        client = Client(self.paths)
        try:
            return client.call(method, timeout=timeout, **params)
        finally:
            client.close()

    def raw(self) -> socket.socket:
        """A bare socket, for what no client would say."""
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(PATIENCE_S)
        made.connect(self.paths.socket)
        return made

    def orchestral(self, *words: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        """The client as a user types it, in the workspace, and not on a terminal."""
        return subprocess.run(
            [*ORCHESTRAL, *words],
            input=stdin,
            capture_output=True,
            text=True,
            env=self.environment,
            cwd=self.workspace,
            timeout=PATIENCE_S,
            check=False,
        )

    def events(self, after_seq: int = 0, **filters: Any) -> list[dict[str, Any]]:
        """All events after that one, page by page."""
        found: list[dict[str, Any]] = []
        while True:
            after = found[-1]["seq"] if found else after_seq
            page = self.call("events.list", after_seq=after, limit=1000, **filters)["events"]
            found += page
            if len(page) < 1000:
                return found

    def submit(self, *steps: dict[str, Any], **plan: Any) -> str:
        """The interaction's name."""
        body = {"goal": "test", "steps": list(steps), **plan}
        submitted = self.call("interaction.submit", plan=body, workspace=str(self.workspace))
        return str(submitted["interaction_id"])

    def run(self, *steps: dict[str, Any], **plan: Any) -> dict[str, Any]:
        """Submit a plan, and its snapshot with outputs once it is final or waits for somebody."""
        return self.end_of(self.submit(*steps, **plan))

    def end_of(self, interaction_id: str) -> dict[str, Any]:
        """The snapshot with outputs, once the interaction is final or waits for somebody."""
        timeout_ms = int(PATIENCE_S * 1000)
        waited = self.call("interaction.wait", PATIENCE_S + 5, interaction_id=interaction_id, timeout_ms=timeout_ms)
        assert "timed_out" not in waited, waited
        found: dict[str, Any] = self.call("interaction.get", interaction_id=interaction_id, outputs=True)
        return found

    # --- its home ---------------------------------------------------------------------------------------------------

    def configure(self, text: str) -> None:
        path = Path(self.paths.config_file)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def drop(self, source: Path) -> Path:
        """Put a copy of a plugin folder into place as documented: under a name that is ignored, then renamed."""
        folder = Path(self.paths.plugins_dir) / source.name
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = folder.with_name(f".{source.name}.tmp")
        shutil.copytree(source, temporary)
        if folder.exists():
            shutil.rmtree(folder)
        return temporary.rename(folder)

    def drop_tally(self) -> Path:
        """The plugin that notes its runs in the workspace; the configuration must grant it `workspace_write`."""
        return self.drop(SUPPORT / "plugins" / "tally")

    def plugin(self, name: str) -> dict[str, Any]:
        """How the daemon lists it; empty when it does not."""
        listed = self.call("plugin.list")["plugins"]
        return next((plugin for plugin in listed if plugin["name"] == name), {})


GRANTED = """
plugins:
  grants:
    tally: {mode: workspace_write}
"""
"""The operator's word that `tally` may write into the workspace."""


def write_plugin(folder: Path, manifest: dict[str, Any], files: dict[str, str]) -> Path:
    """Write a plugin to be dropped; its name is the folder's. All files are executable."""
    folder.mkdir(mode=0o755, parents=True)
    text = json.dumps({"manifest": 1, "name": folder.name, "version": "1", **manifest})
    (folder / "plugin.json").write_text(text, encoding="utf-8")
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
        (folder / name).chmod(0o755)
    return folder


@contextmanager
def throwaway_home() -> Iterator[Path]:
    """A private folder with a short name: a socket's path has at most 103 bytes, and pytest's are longer."""
    made = Path(tempfile.mkdtemp(prefix="o-", dir="/tmp"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def daemon(config: str = "", *, started: bool = True) -> Iterator[Daemon]:
    """A daemon and its home, both gone afterwards."""
    with throwaway_home() as home:
        made = Daemon(home, config)
        try:
            if started:
                made.start()
            yield made
        finally:
            made.kill()
