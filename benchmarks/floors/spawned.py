"""How long does a sandboxed program take at all? bwrap with the full policy and the program in it, spawned, awaited.

The policy, the resolved program and the environment are made as the runner makes them, by the same package; the clock
runs only from the spawn to the end. No engine, no store, no protocol, no loop.
"""

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import orchestrald_sandbox as sandbox


class Spawned:
    """`state` is a folder of one's own, 0700, that the sandbox may use for its files."""

    def __init__(self, state: Path, folder: Path, command: Sequence[str], request: bytes) -> None:
        home = os.path.realpath(os.path.expanduser("~"))
        private = (str(state), home)
        scratch = state / "spawned"
        scratch.mkdir(mode=0o700, exist_ok=True)
        found = sandbox.resolve(command, folder=str(folder), path=os.environ.get("PATH", ""), home=home)
        self._policy = (
            sandbox.Policy(
                plugin_dir=str(folder), scratch=str(scratch), cwd=str(folder), masked=(*sandbox.MASKED, *private)
            )
            .reading(found.read_roots)
            .checked(private=private)
        )
        self._argv = found.argv
        self._env = sandbox.environment.base(path=found.path, timezone=None)
        self._host = sandbox.inspect(state)
        self._request = request

    def seconds(self) -> float:
        """Once. Raises AssertionError when the program failed: a refused sandbox would be a very fast one."""
        prepared = sandbox.prepare(self._policy, self._argv, self._env, self._host)
        try:
            began = time.perf_counter()
            process = subprocess.Popen(
                prepared.argv,
                env=prepared.env,
                cwd=prepared.cwd,
                pass_fds=prepared.pass_fds,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            _, stderr = process.communicate(self._request)
            taken = time.perf_counter() - began
        finally:
            prepared.abandon()
        assert process.returncode == 0, stderr
        return taken
