"""How is the whole daemon measured? As a user has it: its own process, its own home, asked through its socket.

It must be installed (an editable install will do), for its bundled plugins are found by their entry points.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrald.cli.starting import daemon_command
from orchestrald.client import Connection
from orchestrald.paths import Paths

PATIENCE_S = 10.0


class Daemon:
    """`ready_s` is how long it took from being spawned to its first answer."""

    def __init__(self, home: Path) -> None:
        self.environ = {**os.environ, "ORCHESTRAL_HOME": str(home)}
        self.paths = Paths.find(self.environ)
        began = time.perf_counter()
        self._process = subprocess.Popen(
            daemon_command(),
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self._first_answer()
        self.ready_s = time.perf_counter() - began

    def connect(self) -> Connection:
        return Connection(self.paths.socket)

    def megabytes(self) -> float:
        """Resident, of the daemon alone."""
        said = subprocess.run(["ps", "-o", "rss=", "-p", str(self._process.pid)], capture_output=True, check=True)
        return int(said.stdout) * 1024 / 1e6

    def stop(self) -> None:
        self._process.kill()  # what it acknowledged is on disk, and nobody comes back to this home
        self._process.communicate()

    def _first_answer(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                connection = self.connect()
            except OSError:
                time.sleep(0.002)
                continue
            connection.call("system.ping")
            connection.close()
            return
        self._process.kill()
        _, said = self._process.communicate()
        raise RuntimeError(f"the daemon did not start: {said.decode(errors='replace')[-2000:]}")


@contextmanager
def daemon(home: Path) -> Iterator[Daemon]:
    running = Daemon(home)
    try:
        yield running
    finally:
        running.stop()
