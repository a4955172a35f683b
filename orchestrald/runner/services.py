"""What does the daemon do for an in-process action while it runs?"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrald.hookspecs import Completed, Confinement
from orchestrald.runner import scratch
from orchestrald.runner.base import Attempt, Observer
from orchestrald.runner.confine import Confiner
from orchestrald.runner.grants import Command, plan_request
from orchestrald.runner.process import Bounds
from orchestrald.runner.untouchable import Untouchable


class AttemptShell:
    """`hookspecs.Shell` for one attempt. `close` removes what `scratch` made."""

    __slots__ = (
        "_attempt", "_confiner", "_folder", "_observer", "_scratch_root", "confinement", "log", "progress", "refusal",
    )  # fmt: skip

    def __init__(
        self,
        attempt: Attempt,
        observer: Observer,
        confiner: Confiner,
        scratch_root: Path,
        untouchable: Untouchable,
        confinement: Confinement,
    ) -> None:
        self.confinement = confinement
        self.refusal = untouchable.refusal
        self.log = observer.log
        self.progress = observer.progress
        self._attempt = attempt
        self._observer = observer
        self._confiner = confiner
        self._scratch_root = scratch_root
        self._folder = ""

    def scratch(self) -> str:
        if not self._folder:
            self._folder = scratch.make(self._scratch_root, self._attempt.execution_id)
        return self._folder

    async def close(self) -> None:
        if self._folder:
            await scratch.remove(self._folder)

    async def run_program(
        self,
        command: Sequence[str],
        *,
        confinement: Confinement,
        env: Mapping[str, str],
        cwd: str | None,
        stdin: bytes,
        timeout: float | None,
        max_output_bytes: int,
    ) -> Completed:
        folder = self.scratch()
        if confinement.run_as is not None:
            os.chown(folder, *confinement.run_as)
        finished = await self._confiner.run(
            Command(
                argv=command,
                confinement=confinement,
                scratch=folder,
                workspace=self._attempt.workspace,
                cwd=cwd or "",
                env=env,
                path=env.get("PATH", ""),
                stdin=stdin,
                plan=plan_request(self._attempt.sandbox),
            ),
            Bounds.for_reading(timeout, max_output_bytes),
            self._observer.violation,
        )
        ended = finished.ended
        return Completed(
            status=-1 if finished.timed_out else finished.shell_status,
            stdout=ended.stdout.value(),
            stderr=ended.stderr.value(),
            stdout_truncated=ended.stdout.truncated,
            stderr_truncated=ended.stderr.truncated,
            timed_out=finished.timed_out,
            sandboxed=finished.sandboxed,
            sandbox_backend=finished.backend,
        )
