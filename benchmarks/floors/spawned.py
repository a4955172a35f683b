"""How long does a sandboxed program take at all? bwrap with the full policy and the program in it, spawned, awaited.

The policy, the resolved program and the environment are made as the runner makes them, by the same package; the clock
runs only from the spawn to the end. No engine, no store, no protocol, no loop.
"""

import os
import subprocess
import time
from collections.abc import Sequence
from contextlib import nullcontext
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
        self._cgroups = sandbox.cgroups.find()
        self._request = request

    def seconds(self) -> float:
        """Once. Raises AssertionError when the program failed: a refused sandbox would be a very fast one."""
        prepared = sandbox.prepare(self._policy, self._argv, self._env, self._host)
        began = time.perf_counter()
        to_its_end(prepared, self._policy, self._cgroups, self._request)
        return time.perf_counter() - began


def to_its_end(
    prepared: sandbox.Prepared, policy: sandbox.Policy, cgroups: sandbox.cgroups.Cgroups, request: bytes = b""
) -> None:
    """Start what was prepared, let it in, and wait. AssertionError when the program failed."""
    assert prepared.status_read_fd is not None
    group = cgroups.make() if cgroups.parents else None
    try:
        with nullcontext() if group is None else group.around_spawn():
            process = subprocess.Popen(
                prepared.argv,
                env=prepared.env,
                cwd=prepared.cwd,
                pass_fds=prepared.pass_fds,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        prepared.close()
        written = b""
        while (child := sandbox.status.read(written).child) is None:
            part = os.read(prepared.status_read_fd, 4096)
            assert part, process.communicate()
            written += part
        prepared.limit(child, group)
        prepared.release()
        _, stderr = process.communicate(request)
    finally:
        prepared.abandon()
        if group is not None:
            group.verdict()
            group.remove()
    assert process.returncode == 0, stderr
