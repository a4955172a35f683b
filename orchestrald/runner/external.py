"""How is one attempt of a plugin's program run, from its manifest to an outcome?

Every end of a program is an outcome: nothing that a plugin does raises here, except `trio.Cancelled` passing through.
"""

import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import trio

from orchestrald.beneath import open_root
from orchestrald.core.approval import digest
from orchestrald.core.model import ActionSpec, Failure, Question
from orchestrald.errors import OrchestralError
from orchestrald.hookspecs import ActionError, Confinement
from orchestrald.manifest import ExternalAction
from orchestrald.protocol import action as protocol
from orchestrald.protocol.reply import Malformed
from orchestrald.runner.base import Asked, Attempt, Failed, Observer, Outcome, Succeeded, Violation
from orchestrald.runner.confine import Confiner
from orchestrald.runner.grants import Command, manifest_request, plan_request, refused, workspace_parts
from orchestrald.runner.output import LogLines
from orchestrald.runner.process import Bounds
from orchestrald.runner.scratch import scratch_folder
from orchestrald.runner.validation import approval_of, input_for, output_failure
from orchestrald.runner.verdict import Finished

StoreArtifact = Callable[[bytes], Awaitable[str]]
"""Makes bytes durable and returns their digest, as `ReferenceStore.put` does."""

RESULT = ".orchestral-result.json"
MAX_ARTIFACT = 64 << 20
MOST_ARTIFACTS = 1000
MOST_ARTIFACT_BYTES = 256 << 20
"""Of one answer: it is read after the program's end, when no deadline counts any more."""
_TOO_LARGE: dict[str, Literal["", "stdout", "stderr", "result"]] = {"stdout_limit": "stdout", "stderr_limit": "stderr"}
_BY_THE_SANDBOX = frozenset({"HOME", "LOGNAME", "USER", "PATH", "LANG", "LC_ALL", "TZ", "TMPDIR"})
"""Names that a manifest may list and that every program has anyway, with values of the sandbox's own."""


class ExternalRunner:
    """Runs attempts of external actions. `confinement_of` is the operator's word for a plugin, by its name.

    `scratch` is a folder of the daemon's own, 0700, beneath which each attempt gets one.
    """

    def __init__(
        self,
        confiner: Confiner,
        *,
        scratch: Path,
        confinement_of: Callable[[str], Confinement],
        store_artifact: StoreArtifact,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._confiner = confiner
        self._scratch = scratch
        self._confinement_of = confinement_of
        self._store_artifact = store_artifact
        self._path = (os.environ if environ is None else environ).get("PATH", "")

    async def run(self, spec: ActionSpec, how: ExternalAction, attempt: Attempt, observer: Observer) -> Outcome:
        params = input_for(spec, attempt.params)
        if isinstance(params, Failed):
            return params
        missing = [secret.name for secret in how.secrets if secret.required]
        if missing:
            return Failed(Failure("secret_missing", f"the secret {missing[0]} is not configured for {how.plugin}"))
        if attempt.dry_run and not how.dry_run:
            return Failed(Failure("dry_run_unsupported", f"{spec.name} cannot be tried without doing it"))
        confinement = self._confinement_of(how.plugin)
        try:
            async with scratch_folder(self._scratch, attempt.execution_id, confinement.run_as) as folder:
                run = _Run(spec, how, attempt, params, observer, confinement, folder, self._path)
                finished = await self._run(run)
                return await self._exported(run, run.judge(finished, await run.result(finished)))
        except ActionError as error:
            return Failed(Failure(error.code, str(error), details=error.details))
        except OrchestralError as error:
            return Failed(Failure(error.code, error.message, details={"hint": error.advice} if error.advice else None))

    async def _run(self, run: "_Run") -> Finished:
        lines = LogLines(run.observer)
        finished = await self._confiner.run(run.command(), run.bounds(), run.observer.violation, lines.feed)
        lines.end()
        return finished

    async def _exported(self, run: "_Run", said: dict[str, Any] | Outcome) -> Outcome:
        """The outcome of an answer, once the files that it names are stored and its schema is met."""
        if not isinstance(said, dict):
            return said
        whole = 0
        try:
            for number, artifact in enumerate(protocol.artifacts(said)):
                if number >= MOST_ARTIFACTS or whole > MOST_ARTIFACT_BYTES:
                    most = f"{MOST_ARTIFACTS} artifacts and {MOST_ARTIFACT_BYTES >> 20} MiB in all of them"
                    return Failed(Failure("output_too_large", f"an answer may hold {most}"))
                content = await trio.to_thread.run_sync(_read_beneath, run.scratch, artifact.path, MAX_ARTIFACT)
                if len(content) > MAX_ARTIFACT:
                    return Failed(Failure("output_too_large", f"the artifact {artifact.path} is larger than 64 MiB"))
                whole += len(content)
                stored = {
                    "$artifact": await self._store_artifact(content),
                    "media_type": artifact.media_type,
                    "size": len(content),
                    "name": os.path.basename(artifact.path),
                }
                artifact.holder.clear()
                artifact.holder.update(stored)
        except Malformed as error:
            return Failed(Failure("invalid_response", str(error)))
        except OSError as error:  # Refused, or it does not exist
            return Failed(Failure("invalid_response", f"an artifact cannot be used: {error}"))
        return output_failure(run.spec, said) or Succeeded(said)


def command_of(how: ExternalAction, confinement: Confinement, scratch: str, workspace: str, path: str) -> Command:
    """The program of a manifest under the operator's word, without a request to it. `path` looks its name up."""
    reads, writes = workspace_parts(how.sandbox.read), workspace_parts(how.sandbox.write)
    return Command(
        argv=(how.program or how.command[0], *how.command[1:]),
        confinement=confinement,
        scratch=scratch,
        folder=str(how.folder),
        workspace=workspace if reads or writes else "",
        cwd=str(how.cwd if how.cwd.is_absolute() else how.folder),
        env=dict(how.env),
        env_pass=tuple(name for name in how.env_pass if name not in _BY_THE_SANDBOX),
        path=path,
        reads=reads,
        writes=writes,
        manifest=manifest_request(how.sandbox, how.limits),
    )


@dataclass(frozen=True, slots=True)
class _Run:
    """One attempt: what is known of it, what is asked of the program, and what its end means."""

    spec: ActionSpec
    how: ExternalAction
    attempt: Attempt
    params: dict[str, Any]
    observer: Observer
    confinement: Confinement
    scratch: str
    path: str

    def bounds(self) -> Bounds:
        limits = self.how.limits
        return Bounds(
            timeout=self._timeout(),
            stop=self.how.stop_timeout,
            stdout=limits.stdout,
            stdout_kill=limits.stdout,
            stderr_kill=limits.stderr,
        )

    def command(self) -> Command:
        how = self.how
        command = command_of(how, self.confinement, self.scratch, self.attempt.workspace, self.path)
        if command.manifest is not None:
            for refusal in refused(self.confinement, command.manifest):
                self.observer.log("warning", f"{refusal} (the operator can grant it to the plugin {how.plugin})")
        return replace(
            command,
            env={**how.env, **self._environment()},
            stdin=self._request(),
            plan=plan_request(self.attempt.sandbox),
        )

    async def result(self, finished: Finished) -> bytes | None:
        """What was written to $ORCHESTRAL_RESULT, one byte more than allowed if it is too long; None: nothing."""
        if finished.ended.end != "exited" or not os.path.lexists(f"{self.scratch}/{RESULT}"):  # noqa: ASYNC240  1 µs
            return None
        try:
            return await trio.to_thread.run_sync(_read_beneath, self.scratch, RESULT, self.how.limits.stdout)
        except OSError as error:
            raise ActionError(f"$ORCHESTRAL_RESULT cannot be used: {error}", code="invalid_response") from None

    def judge(self, finished: Finished, result: bytes | None) -> dict[str, Any] | Outcome:
        """The exports, or the outcome that it is if there are none."""
        ended, spec, how = finished.ended, self.spec, self.how
        too_large = _TOO_LARGE.get(ended.end, "")
        if result is not None and len(result) > how.limits.stdout:
            too_large = "result"
        reply = protocol.read_reply(
            ended.stdout.value(),
            result,
            protocol.Exit(
                finished.status,
                ended.stderr.value(),
                timed_out=finished.timed_out,
                retry_timeout=spec.idempotent and "timeout" in how.retry_on,
                too_large=too_large,
                oom=finished.oom,
            ),
            strict_stdout=how.strict_stdout,
        )
        for line in reply.noise:
            self.observer.log("info", line)
        if reply.source == "last_line":
            self.observer.log("warning", "stdout held more than the answer; print other lines to stderr")
        return self._outcome(reply.value)

    def _outcome(self, value: dict[str, Any] | Failure | Question) -> dict[str, Any] | Outcome:
        if isinstance(value, Question):
            bound = digest(self.spec.name, self.attempt.params) if value.kind == "approval" else None
            return Asked(value._replace(digest=bound))
        if isinstance(value, Failure):
            if value.code == "invalid_response":
                self.observer.violation(Violation("protocol_error", value.message))
            return Failed(_permitted(value, self.how))
        return value

    def _timeout(self) -> float | None:
        """The smaller of the manifest's and the step's."""
        return min((t for t in (self.how.limits.timeout, self.attempt.timeout) if t is not None), default=None)

    def _workspace(self) -> str:
        shown = workspace_parts((*self.how.sandbox.read, *self.how.sandbox.write))
        return self.attempt.workspace if shown else ""

    def _environment(self) -> dict[str, str]:
        return protocol.environment(
            action=self.how.name,
            execution_id=self.attempt.execution_id,
            idempotency_key=self.attempt.idempotency_key,
            result=f"{self.scratch}/{RESULT}",
            scratch=self.scratch,
            workspace=self._workspace(),
        )

    def _request(self) -> bytes:
        how, attempt, timeout = self.how, self.attempt, self._timeout()
        return protocol.request(
            action=how.name,
            plugin=how.plugin,
            version=how.version,
            params=self.params,
            interaction_id=attempt.interaction_id,
            step_id=attempt.step_id,
            execution_id=attempt.execution_id,
            attempt=attempt.attempt,
            idempotency_key=attempt.idempotency_key,
            entrypoint=how.entrypoint,
            deadline_ms=None if timeout is None else time.time_ns() // 1_000_000 + int(timeout * 1000),
            dry_run=attempt.dry_run,
            workspace=self._workspace(),
            scratch=self.scratch,
            answers=attempt.answers,
            approval=approval_of(self.spec, attempt),
            state=attempt.state,
        )


def _permitted(failure: Failure, how: ExternalAction) -> Failure:
    """A plugin may ask to be retried only if its manifest says so."""
    if failure.retryable and failure.code != "timeout" and "retryable_error" not in how.retry_on:
        return failure._replace(retryable=False)
    return failure


def _read_beneath(folder: str, path: str, limit: int) -> bytes:
    """At most `limit` + 1 bytes of a regular file beneath `folder`. Raises FileNotFoundError and Refused. Blocking."""
    with open_root(folder) as root, root.open(path, alone=True) as file:
        return file.read(limit + 1)
