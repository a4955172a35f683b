"""What does the operator's word become, on this machine, for one program? The only door to the sandbox package.

Rules of this file:

- The operator grants; a manifest narrows; nobody else has a say.
- A sandbox that is not known to hold runs nothing: there is no way from here to an unconfined run but the operator's
  own `mode: none`.
"""

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import trio

import orchestrald_sandbox as sandbox
from orchestrald.errors import SandboxUnavailable
from orchestrald.hookspecs import ActionError, Confinement
from orchestrald.protocol.foreign_text import plain
from orchestrald.runner.base import Violation
from orchestrald.runner.enclosed import Enclosed, Used
from orchestrald.runner.explained import Settled, answer, in_force, words
from orchestrald.runner.grants import Command, operator_policy, policy_of
from orchestrald.runner.process import Bounds, Ended, run_process
from orchestrald.runner.spawn import BUSY_PAUSE, BUSY_RETRIES, Program
from orchestrald.runner.verdict import Finished, OnViolation, Start, in_words, judged

PROTECTED = sandbox.PROTECTED
"""Names that are never written beneath a workspace: what they hold is executed or trusted by other programs."""

_log = logging.getLogger(__name__)
_LOADER = (
    "LD_", "DYLD_", "GLIBC_", "MALLOC_", "LOCPATH", "GCONV_", "NLSPATH", "LANGUAGE", "OUTPUT_CHARSET", "GETCONF_",
    "HOSTALIASES", "LOCALDOMAIN", "RES_OPTIONS", "RESOLV_", "TZDIR",
)  # fmt: skip
"""Names that make a C library open or run something: in bwrap, and with run_as in a process of root's."""


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

    def limits(self, run_as: tuple[int, int] | None) -> dict[str, str]:
        """What holds the limits of programs; empty until `health` was asked."""
        return in_force(self._cgroups, run_as)

    async def explain(self, command: Command, reasons: Mapping[str, str]) -> dict[str, Any]:
        """What `command` may touch, in words, and the sandbox's own words for it. Everything is done but the start.

        `problem` {`message`, `hint`} is there if it would not run; then what had been found out until there is told.
        """
        settled, told = Settled(), dict[str, Any]()
        try:
            policy = await self._settle(command, settled)
            prepare = partial(sandbox.prepare, policy, settled.argv, settled.env, settled.host)
            prepared = await trio.to_thread.run_sync(prepare)
            try:
                told = words(prepared)
            finally:
                prepared.abandon()
        except sandbox.Unavailable as error:
            told["problem"] = {"message": error.reason, "hint": error.hint}
        except sandbox.SandboxError as error:
            told["problem"] = {"message": str(error), "hint": ""}
        return answer(settled, self._cgroups or sandbox.cgroups.Cgroups(), reasons) | told

    async def run(
        self,
        command: Command,
        bounds: Bounds,
        on_violation: OnViolation,
        on_stderr: Callable[[bytes], None] | None = None,
        *,
        besides: Sequence[str] = (),
    ) -> Finished:
        """Run it to its end or to a bound, with no process left behind; a slot is waited for first.

        `besides` is another program of the same policy: what that one needs is shown too.

        Each violation is told, as soon as it is known. Raises SandboxUnavailable, or ActionError: `cannot_run` when the
        program or a folder is not as it must be, and the codes of violations that are no matter of opinion.
        """
        settled = Settled()

        def told(seen: Violation) -> None:
            policy = settled.policy
            if policy is not None:
                seen = seen._replace(backend=sandbox.backend_of(policy).value, mode=policy.mode.value)
            on_violation(seen)

        async with self._slots:
            try:
                await self._settle(command, settled, besides)
                return await self._run(command, settled, bounds, told, on_stderr)
            except sandbox.Unavailable as error:
                told(Violation("setup_failed", error.reason))
                raise SandboxUnavailable(error.reason, hint=error.hint) from None
            except (sandbox.SandboxError, OSError, ValueError) as error:
                # The last two are of files that a plugin or an earlier run made otherwise than anybody foresaw.
                told(Violation("exec_failed", plain(str(error))))
                raise ActionError(plain(str(error)), code="cannot_run") from None

    async def end_survivors(self) -> None:
        """Kill what still runs of a daemon before this one: programs, and sandboxes that were being probed."""
        killed = await trio.to_thread.run_sync(sandbox.survivors.end, str(self._state.resolve()))
        if killed:
            _log.warning("%d processes of the daemon before this one still ran, and have been killed", killed)

    async def _run(
        self,
        command: Command,
        settled: Settled,
        bounds: Bounds,
        told: OnViolation,
        on_stderr: Callable[[bytes], None] | None,
    ) -> Finished:
        policy = settled.policy
        assert policy is not None, "it was settled"
        if policy.mode is sandbox.Mode.NONE:
            _log.warning("%s runs without a sandbox: the operator's mode is none", command.argv[0])
        for attempt in range(BUSY_RETRIES + 1):
            start = Start(policy, settled.argv, settled.env, settled.host, command, bounds, told, on_stderr)
            finished = await self._once(start)
            if finished is not None:
                return finished
            if attempt < BUSY_RETRIES:
                await trio.sleep(BUSY_PAUSE)
        raise sandbox.CommandError(f"{settled.argv[0]} is still being written to")

    async def _settle(self, command: Command, settled: Settled, besides: Sequence[str] = ()) -> sandbox.Policy:
        """What `command` comes to, noted in `settled` step by step; what is returned is known to hold, or is mode none.
        Raises SandboxError at the first thing that is wrong."""
        settled.policy = policy = policy_of(command, self._private)
        confined = policy.mode is not sandbox.Mode.NONE
        if confined:
            settled.host, probe = await self._host(command.confinement, policy)
            if not probe.ok:
                raise sandbox.Unavailable(probe.reason, probe.hint)
        found = self._resolved(command, policy)
        other = self._resolved(replace(command, argv=besides), policy) if besides else found
        settled.argv, settled.needs = found.argv, tuple(dict.fromkeys((*found.read_roots, *other.read_roots)))
        settled.policy = policy = policy.reading(settled.needs)
        if confined:
            policy.checked(private=self._private, own=(path for path in self._private if path != self._home))
        settled.env = self._environment(command, tuple(dict.fromkeys((*found.path, *other.path))), policy)
        return policy

    def _resolved(self, command: Command, policy: sandbox.Policy) -> sandbox.Resolved:
        return sandbox.resolve(
            command.argv,
            folder=command.folder or policy.cwd or "/",
            path=command.path or sandbox.environment.PATH,
            home=self._home,
        )

    async def _once(self, start: Start) -> Finished | None:
        """None: the program's file was busy, and it was not executed."""
        policy = start.policy
        guarded = policy.mode is sandbox.Mode.WORKSPACE_WRITE
        prepare = partial(sandbox.prepare, policy, start.argv, start.env, start.host)
        # Looking for protected names walks the workspace, which takes long where that is large.
        prepared = await trio.to_thread.run_sync(prepare) if guarded else prepare()
        planted: list[Violation] = []
        try:
            ended, used = await self._to_its_end(prepared, start)
        except OSError as error:
            raise sandbox.CommandError(f"{start.argv[0]} could not be started: {error.strerror}") from None
        finally:
            prepared.abandon()
            if sandbox.backend_of(policy) is not sandbox.Backend.BUBBLEWRAP:
                # Without a pid namespace a child that called setsid has left the process group that was killed.
                with trio.CancelScope(shield=True):
                    await trio.to_thread.run_sync(sandbox.survivors.end, start.command.scratch)
            if guarded:
                # Also when cancelled: what a stopped run has planted is as dangerous as what a finished one has.
                with trio.CancelScope(shield=True):
                    planted = in_words(await trio.to_thread.run_sync(self._quarantine, policy, prepared, start.command))
                for each in planted:
                    start.told(each)  # whatever else becomes of the run
        if start.host is not None and not start.host.has_bind_fd and not prepared.roots_unmoved():
            raise sandbox.PolicyError("a granted folder was replaced by another while the program was started")
        return judged(ended, used, start, planted)

    async def _to_its_end(self, prepared: sandbox.Prepared, start: Start) -> tuple[Ended, Used]:
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
            env |= sandbox.listener.environment(policy.destinations)
        granted = [name for name in command.env_pass if name in command.confinement.env_pass]
        env |= sandbox.environment.inherited(granted, self._environ)
        for name, value in command.env.items():
            if name.startswith(_LOADER):
                # bwrap is started with the program's environment, so these would act on bwrap, outside.
                raise sandbox.PolicyError(f"the variable {name} cannot be set: it would act on the sandbox itself")
            if "\0" in value or "\0" in name or "=" in name or not name:
                raise sandbox.PolicyError(f"{name!r} is not a variable that a program can be given")
            env[name] = value
        return env | {sandbox.survivors.VARIABLE: command.scratch}

    async def _host(
        self, confinement: Confinement, policy: sandbox.Policy
    ) -> tuple[sandbox.Host | None, sandbox.Probe]:
        """The machine and whether it holds such a policy. Raises sandbox.Unavailable where it cannot be asked."""
        wanted = (confinement.bwrap_path, confinement.run_as)
        if sandbox.backend_of(policy) is sandbox.Backend.SEATBELT:
            async with self._asking:
                return None, await self._ask(None, policy)
        host = self._hosts.get(wanted)
        known = None if host is None else self._probes.get(sandbox.kind_of(policy, host))
        if host is None or known is None:
            async with self._asking:
                host = self._hosts.get(wanted)
                if host is None:
                    host = await trio.to_thread.run_sync(self._inspect, *wanted)
                    self._hosts[wanted] = host
                known = await self._ask(host, policy)
        return host, known

    async def _ask(self, host: sandbox.Host | None, policy: sandbox.Policy) -> sandbox.Probe:
        key = sandbox.kind_of(policy, host)
        known = self._probes.get(key)
        if known is None:
            asked = replace(
                policy, cwd=None, workspace=None, parts=(), plugin_dir=None, scratch=None, writable_roots=()
            )
            known = await trio.to_thread.run_sync(partial(sandbox.probe, host, self._state, asked))
            if known.checks:
                self._probes[key] = known  # a sandbox that could not be started may be startable in a minute
        return known

    def _inspect(self, bwrap: str | None, run_as: tuple[int, int] | None) -> sandbox.Host:
        if self._cgroups is None:
            self._cgroups = sandbox.cgroups.find()
        users = () if run_as is None else (run_as,)
        return sandbox.inspect(self._state, bwrap=bwrap, users=users)
