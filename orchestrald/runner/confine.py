"""What does the operator's word become, on this machine, for one program? The only door to the sandbox package.

Rules of this file:

- The operator grants; a manifest narrows; nobody else has a say.
- A sandbox that is not known to hold runs nothing: there is no way from here to an unconfined run but the operator's
  own `mode: none`.
"""

import logging
import os
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import trio

import orchestrald_sandbox as sandbox
from orchestrald.errors import SandboxUnavailable
from orchestrald.hookspecs import ActionError, Confinement
from orchestrald.protocol.foreign_text import tail
from orchestrald.runner.base import Violation
from orchestrald.runner.enclosed import Enclosed, Used
from orchestrald.runner.grants import Command, operator_policy, policy_of
from orchestrald.runner.process import Bounds, Ended, run_process
from orchestrald.runner.spawn import BUSY_PAUSE, BUSY_RETRIES, Program
from orchestrald.runner.violations import of_ended

PROTECTED = sandbox.PROTECTED
"""Names that are never written beneath a workspace: what they hold is executed or trusted by other programs."""

OnViolation = Callable[[Violation], None]

_log = logging.getLogger(__name__)
_LOADER = ("LD_", "DYLD_", "GLIBC_", "MALLOC_")
_SHELL_SIGNALS = range(129, 129 + 64)
_FATAL = {"protected_create": "protected_create", "disk_growth": "disk_growth", "pids": "too_many_processes"}
"""Violations that make a step fail whatever the program said, and the code of that failure."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A program that was executed. `status` is its exit status, or minus the signal that killed it.

    `backend` is `none` or the name of what confined it. `oom`: it, or one of its processes, was killed for memory.
    """

    ended: Ended
    status: int
    backend: str
    oom: bool = False

    @property
    def sandboxed(self) -> bool:
        return self.backend != "none"


class Confiner:
    """Runs programs under the operator's policies. One per daemon: it remembers which of them are known to hold.

    `state` is a folder of the daemon's own, 0700. `private` are the folders that no policy may show: the daemon's
    state, configuration and socket folders, and the user's home. `parallel` programs run at a time.
    """

    def __init__(
        self,
        state: Path,
        *,
        private: Iterable[str] = (),
        parallel: int | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._state = state
        self._home = os.path.realpath(os.path.expanduser("~"))
        self._private = tuple(dict.fromkeys(os.path.realpath(p) for p in (*private, str(state), self._home)))
        self._environ = os.environ if environ is None else environ
        self._slots = trio.CapacityLimiter(parallel or 2 * (os.cpu_count() or 1))
        self._asking = trio.Lock()
        self._cgroups: sandbox.cgroups.Cgroups | None = None
        self._hosts: dict[tuple[str | None, tuple[int, int] | None], sandbox.Host] = {}
        self._probes: dict[tuple[object, ...], sandbox.Probe] = {}

    async def health(self, confinement: Confinement) -> sandbox.Probe:
        """Does what `confinement` asks for hold here? Asked of the kernel once per kind of policy, then remembered."""
        try:
            policy = operator_policy(confinement)
            if policy.mode is sandbox.Mode.NONE:
                return sandbox.Probe(ok=True, weaker=("mode none: nothing is confined",))
            return (await self._host(confinement, policy))[1]
        except sandbox.Unavailable as error:
            return sandbox.Probe(ok=False, reason=error.reason, hint=error.hint)
        except sandbox.PolicyError as error:
            return sandbox.Probe(ok=False, reason=str(error))

    async def run(
        self,
        command: Command,
        bounds: Bounds,
        on_violation: OnViolation,
        on_stderr: Callable[[bytes], None] | None = None,
    ) -> Finished:
        """Run it to its end or to a bound, with no process left behind; a slot is waited for first.

        Each violation is told, as soon as it is known. Raises SandboxUnavailable, or ActionError: `cannot_run` when the
        program or a folder is not as it must be, and the codes of violations that are no matter of opinion.
        """
        mode = command.confinement.mode

        def told(seen: Violation) -> None:
            on_violation(seen._replace(backend="none" if mode == "none" else "bubblewrap", mode=mode))

        async with self._slots:
            try:
                return await self._run(command, bounds, told, on_stderr)
            except sandbox.Unavailable as error:
                told(Violation("setup_failed", error.reason))
                raise SandboxUnavailable(error.reason, hint=error.hint) from None
            except sandbox.SandboxError as error:
                told(Violation("exec_failed", str(error)))
                raise ActionError(str(error), code="cannot_run") from None

    async def _run(
        self, command: Command, bounds: Bounds, told: OnViolation, on_stderr: Callable[[bytes], None] | None
    ) -> Finished:
        policy = policy_of(command, self._private)
        confined = policy.mode is not sandbox.Mode.NONE
        host = None
        if confined:
            host, probe = await self._host(command.confinement, policy)
            if not probe.ok:
                raise sandbox.Unavailable(probe.reason, probe.hint)
        else:
            _log.warning("%s runs without a sandbox: the operator's mode is none", command.argv[0])
        found = self._resolved(command, policy)
        policy = policy.reading(found.read_roots)
        if confined:
            policy = policy.checked(private=self._private)
        env = self._environment(command, found.path, policy)
        for attempt in range(BUSY_RETRIES + 1):
            start = _Start(policy, found.argv, env, host, command, bounds, told, on_stderr)
            finished = await self._once(start)
            if finished is not None:
                return finished
            if attempt < BUSY_RETRIES:
                await trio.sleep(BUSY_PAUSE)
        raise sandbox.CommandError(f"{found.argv[0]} is still being written to")

    def _resolved(self, command: Command, policy: sandbox.Policy) -> sandbox.Resolved:
        return sandbox.resolve(
            command.argv,
            folder=command.folder or policy.cwd or "/",
            path=command.path or sandbox.environment.PATH,
            home=self._home,
        )

    async def _once(self, start: "_Start") -> Finished | None:
        """None: the program's file was busy, and it was not executed."""
        policy = start.policy
        guarded = policy.mode is sandbox.Mode.WORKSPACE_WRITE
        prepare = partial(sandbox.prepare, policy, start.argv, start.env, start.host)
        # Looking for protected names walks the workspace, which takes long where that is large.
        prepared = await trio.to_thread.run_sync(prepare) if guarded else prepare()
        made: tuple[sandbox.protected.Violation, ...] = ()
        try:
            ended, used = await self._to_its_end(prepared, start)
        except OSError as error:
            raise sandbox.CommandError(f"{start.argv[0]} could not be started: {error.strerror}") from None
        finally:
            prepared.abandon()
            if guarded:
                # Also when cancelled: what a stopped run has planted is as dangerous as what a finished one has.
                with trio.CancelScope(shield=True):
                    made = await trio.to_thread.run_sync(self._quarantine, policy, prepared, start.command)
        if start.host is not None and not start.host.has_bind_fd and not prepared.roots_unmoved():
            raise sandbox.PolicyError("a granted folder was replaced by another while the program was started")
        return _judged(ended, used, start, made)

    async def _to_its_end(self, prepared: sandbox.Prepared, start: "_Start") -> tuple[Ended, Used]:
        program = Program(
            prepared.argv,
            prepared.env,
            cwd=prepared.cwd,
            stdin=start.command.stdin,
            pass_fds=prepared.pass_fds,
            started=prepared.close,
        )
        if prepared.status_read_fd is None:
            return await run_process(program, start.bounds, start.on_stderr), Used()

        def denied(evidence: str) -> None:
            start.told(Violation("network_denied", evidence))

        enclosed = Enclosed(prepared, start.policy, self._cgroups or sandbox.cgroups.Cgroups(), denied)
        program = replace(program, enclosure=enclosed.enclosure())
        return await enclosed.run(program, start.bounds, start.on_stderr)

    def _quarantine(
        self, policy: sandbox.Policy, prepared: sandbox.Prepared, command: Command
    ) -> tuple[sandbox.protected.Violation, ...]:
        target = self._state / "quarantine" / os.path.basename(command.scratch)
        return sandbox.protected.after(policy.roots(), policy.protected, prepared.protected_before, str(target))

    def _environment(self, command: Command, path: Sequence[str], policy: sandbox.Policy) -> dict[str, str]:
        confined = policy.mode is not sandbox.Mode.NONE
        own = {} if confined else {"home": command.scratch, "temporary": command.scratch}
        env = sandbox.environment.base(path=path, timezone=self._environ.get("TZ"), **own)
        if confined and policy.network is sandbox.Network.PROXY:
            env |= sandbox.listener.environment()
        granted = [name for name in command.env_pass if name in command.confinement.env_pass]
        env |= sandbox.environment.inherited(granted, self._environ)
        for name, value in command.env.items():
            if name.startswith(_LOADER):
                # bwrap is started with the program's environment, so these would act on bwrap, outside.
                raise sandbox.PolicyError(f"the variable {name} cannot be set: it would act on the sandbox itself")
            if "\0" in value or "\0" in name or "=" in name or not name:
                raise sandbox.PolicyError(f"{name!r} is not a variable that a program can be given")
            env[name] = value
        return env

    async def _host(
        self, confinement: Confinement, policy: sandbox.Policy
    ) -> tuple[sandbox.Host | None, sandbox.Probe]:
        """The machine and whether it holds such a policy. Raises sandbox.Unavailable where it cannot be asked."""
        wanted = (confinement.bwrap_path, confinement.run_as)
        if sandbox.backend_of(policy) is sandbox.Backend.SEATBELT:
            async with self._asking:
                await self._ask(None, policy)
            return None, self._probes[_kind(policy, None)]
        host = self._hosts.get(wanted)
        if host is None or _kind(policy, host) not in self._probes:
            async with self._asking:
                host = self._hosts.get(wanted)
                if host is None:
                    host = await trio.to_thread.run_sync(self._inspect, *wanted)
                    self._hosts[wanted] = host
                await self._ask(host, policy)
        return host, self._probes[_kind(policy, host)]

    async def _ask(self, host: sandbox.Host | None, policy: sandbox.Policy) -> None:
        key = _kind(policy, host)
        if key not in self._probes:
            asked = replace(policy, cwd=None, workspace=None, plugin_dir=None, scratch=None, writable_roots=())
            self._probes[key] = await trio.to_thread.run_sync(partial(sandbox.probe, host, self._state, asked))

    def _inspect(self, bwrap: str | None, run_as: tuple[int, int] | None) -> sandbox.Host:
        if self._cgroups is None:
            self._cgroups = sandbox.cgroups.find()
        users = () if run_as is None else (run_as,)
        return sandbox.inspect(self._state, bwrap=bwrap, users=users)


def _kind(policy: sandbox.Policy, host: sandbox.Host | None) -> tuple[object, ...]:
    """What a probe's answer depends on: another bwrap under the same name is another question."""
    if host is None:
        return (sandbox.Backend.SEATBELT, policy.mode, policy.network, policy.fs_read, policy.unix_sockets)
    about = os.stat(host.bwrap)
    words = (policy.mode, policy.network, policy.fs_read, policy.unix_sockets, policy.run_as)
    return (*words, host.bwrap, about.st_mtime_ns, about.st_ino)


@dataclass(frozen=True, slots=True)
class _Start:
    """One start of a program: under which policy, and who hears of it."""

    policy: sandbox.Policy
    argv: Sequence[str]
    env: Mapping[str, str]
    host: sandbox.Host | None
    command: Command
    bounds: Bounds
    told: OnViolation
    on_stderr: Callable[[bytes], None] | None

    @property
    def confined(self) -> bool:
        return self.policy.mode is not sandbox.Mode.NONE


def _judged(ended: Ended, used: Used, start: _Start, made: tuple[sandbox.protected.Violation, ...]) -> Finished | None:
    """What bwrap's status, exit code and last words come to. None: the program's file was busy."""
    if refusal := _not_executed(ended, start):
        if "Text file busy" in refusal:
            return None
        raise sandbox.CommandError(refusal)
    status = ended.returncode if start.host is None else _status_inside(ended)
    seen = [Violation("protected_create", _in_words(each), path=each.path) for each in made]
    if used.counted.oom:
        seen.append(Violation("oom", "its processes held more memory together than their limit"))
    if used.counted.processes:
        seen.append(Violation("pids", "it was refused a process: it had as many as its limit", certain=True))
    if used.disk:
        seen.append(Violation("disk_growth", used.disk))
    known = {each.kind for each in seen}
    seen += [each for each in of_ended(ended, status, sandboxed=start.confined) if each.kind not in known]
    for each in seen:
        start.told(each)
    for each in seen:
        if each.kind in _FATAL and not (each.kind == "pids" and ended.end != "processes"):
            said = "; ".join(other.evidence for other in seen if other.kind == each.kind)
            raise ActionError(said, code=_FATAL[each.kind])
    oom = ended.end == "memory" or (used.counted.oom and status == -signal.SIGKILL)
    return Finished(ended, status, sandbox.backend_of(start.policy).value, oom)


def _not_executed(ended: Ended, start: _Start) -> str:
    """Why the kernel did not execute the program, in words; empty when it did."""
    if ended.end != "exited":
        return ""
    stderr = ended.stderr.value()
    unconfined, told = start.host is None, sandbox.status.read(ended.status)
    if not unconfined and told.child is not None and told.exit_code is None and stderr.startswith(b"bwrap: execvp"):
        return tail(stderr).removeprefix("bwrap: execvp ")
    # Where a program sets the limits and executes the command: in mode none, and as another user.
    code = ended.returncode if unconfined else told.exit_code
    if code in (126, 127) and stderr.startswith(b"prlimit: failed to execute"):
        return tail(stderr).removeprefix("prlimit: ")
    return ""


def _status_inside(ended: Ended) -> int:
    told = sandbox.status.read(ended.status)
    if ended.end == "exited" and told.child is None:
        raise sandbox.Unavailable(*sandbox.diagnose(tail(ended.stderr.value())))
    if told.exit_code is None:
        # The sandbox was set up and ended without a word: we, somebody or the kernel killed it.
        return min(ended.returncode, 0) or -signal.SIGKILL
    return 128 - told.exit_code if told.exit_code in _SHELL_SIGNALS else told.exit_code


def _in_words(made: sandbox.protected.Violation) -> str:
    where = f"moved to {made.moved_to}" if made.moved_to else "it could not be moved away, look at it"
    return f"{made.path} was created; {where}"
