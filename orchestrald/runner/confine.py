"""What does the operator's word become, on this machine, for one program? The only door to the sandbox package.

Rules of this file:

- The operator grants; a manifest narrows; nobody else has a say.
- A sandbox that is not known to hold runs nothing: there is no way from here to an unconfined run but the operator's
  own `mode: none`.
"""

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
from orchestrald.manifest import Limits as ManifestLimits
from orchestrald.manifest import SandboxRequest
from orchestrald.protocol.foreign_text import tail
from orchestrald.runner.process import Bounds, Ended, run_process
from orchestrald.runner.spawn import BUSY_PAUSE, BUSY_RETRIES, Enclosure, Program
from orchestrald.runner.violations import Violation, of_ended

PROTECTED = sandbox.PROTECTED
"""Names that are never written beneath a workspace: what they hold is executed or trusted by other programs."""

_LOADER = ("LD_", "DYLD_", "GLIBC_", "MALLOC_")
_NETWORK = {"none": sandbox.Network.OFF, "allow": sandbox.Network.PROXY, "full": sandbox.Network.HOST}
_SHELL_SIGNALS = range(129, 129 + 64)


_ASKS_NOTHING = sandbox.Request()


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A program as it is asked for. Empty `folder` and `workspace`: there is none. `scratch` is always there.

    `env` is literal and laid over the sandbox's own variables; `env_pass` are names asked for of the daemon's.
    `path` is where a bare program name is looked up; empty means the sandbox's own PATH.
    """

    argv: Sequence[str]
    confinement: Confinement
    scratch: str
    folder: str = ""
    workspace: str = ""
    cwd: str = ""
    env: Mapping[str, str]
    env_pass: tuple[str, ...] = ()
    path: str = ""
    stdin: bytes = b""
    request: sandbox.Request = _ASKS_NOTHING


@dataclass(frozen=True, slots=True)
class Finished:
    """A program that was executed. `status` is its exit status, or minus the signal that killed it.

    `backend` is `none` or the name of what confined it.
    """

    ended: Ended
    status: int
    backend: str
    violations: tuple[Violation, ...]

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
        self._hosts: dict[tuple[str | None, tuple[int, int] | None], sandbox.Host] = {}
        self._probes: dict[tuple[object, ...], sandbox.Probe] = {}

    async def health(self, confinement: Confinement) -> sandbox.Probe:
        """Does what `confinement` asks for hold here? Asked of the kernel once per kind of policy, then remembered."""
        try:
            policy = _operator(confinement)
            if policy.mode is sandbox.Mode.NONE:
                return sandbox.Probe(ok=True, weaker=("mode none: nothing is confined",))
            return (await self._host(confinement, policy))[1]
        except sandbox.Unavailable as error:
            return sandbox.Probe(ok=False, reason=error.reason, hint=error.hint)
        except sandbox.PolicyError as error:
            return sandbox.Probe(ok=False, reason=str(error))

    async def run(self, command: Command, bounds: Bounds, on_stderr: Callable[[bytes], None] | None = None) -> Finished:
        """Run it to its end or to a bound, with no process left behind; a slot is waited for first.

        Raises SandboxUnavailable, or ActionError `cannot_run` when the program or a folder is not as it must be.
        """
        async with self._slots:
            try:
                return await self._run(command, bounds, on_stderr)
            except sandbox.Unavailable as error:
                raise SandboxUnavailable(error.reason, hint=error.hint) from None
            except sandbox.SandboxError as error:
                raise ActionError(str(error), code="cannot_run") from None

    async def _run(self, command: Command, bounds: Bounds, on_stderr: Callable[[bytes], None] | None) -> Finished:
        policy = self._policy(command)
        confined = policy.mode is not sandbox.Mode.NONE
        host = None
        if confined:
            host, probe = await self._host(command.confinement, policy)
            if not probe.ok:
                raise sandbox.Unavailable(probe.reason, probe.hint)
        found = sandbox.resolve(
            command.argv,
            folder=command.folder or policy.cwd or "/",
            path=command.path or sandbox.environment.PATH,
            home=self._home,
        )
        policy = policy.reading(found.read_roots)
        if confined:
            policy = policy.checked(private=self._private)
        env = self._environment(command, found.path, confined)
        for attempt in range(BUSY_RETRIES + 1):
            finished = await self._once(policy, found.argv, env, host, command, bounds, on_stderr)
            if finished is not None:
                return finished
            if attempt < BUSY_RETRIES:
                await trio.sleep(BUSY_PAUSE)
        raise sandbox.CommandError(f"{found.argv[0]} is still being written to")

    async def _once(
        self,
        policy: sandbox.Policy,
        argv: Sequence[str],
        env: Mapping[str, str],
        host: sandbox.Host | None,
        command: Command,
        bounds: Bounds,
        on_stderr: Callable[[bytes], None] | None,
    ) -> Finished | None:
        """None: the program's file was busy, and it was not executed."""
        guarded = host is not None and policy.mode is sandbox.Mode.WORKSPACE_WRITE
        prepare = partial(sandbox.prepare, policy, argv, env, host)
        # Looking for protected names walks the workspace, which takes long where that is large.
        prepared = await trio.to_thread.run_sync(prepare) if guarded else prepare()
        status_fd = prepared.status_read_fd
        made: tuple[sandbox.protected.Violation, ...] = ()
        try:
            ended = await run_process(
                Program(
                    prepared.argv,
                    prepared.env,
                    cwd=prepared.cwd,
                    stdin=command.stdin,
                    pass_fds=prepared.pass_fds,
                    started=prepared.close,
                    enclosure=None if status_fd is None else _enclosure(status_fd, policy.limits.memory_bytes),
                ),
                bounds,
                on_stderr,
            )
        except OSError as error:
            raise sandbox.CommandError(f"{argv[0]} could not be started: {error.strerror}") from None
        finally:
            prepared.abandon()
            if guarded:
                # Also when cancelled: what a stopped run has planted is as dangerous as what a finished one has.
                with trio.CancelScope(shield=True):
                    made = await trio.to_thread.run_sync(self._quarantine, policy, prepared, command)
        if host is not None and not host.has_bind_fd and not prepared.roots_unmoved():
            raise sandbox.PolicyError("a granted folder was replaced by another while the program was started")
        return _judged(ended, host, made)

    def _quarantine(
        self, policy: sandbox.Policy, prepared: sandbox.Prepared, command: Command
    ) -> tuple[sandbox.protected.Violation, ...]:
        target = self._state / "quarantine" / os.path.basename(command.scratch)
        return sandbox.protected.after(policy.roots(), policy.protected, prepared.protected_before, str(target))

    def _policy(self, command: Command) -> sandbox.Policy:
        """The operator's policy, narrowed by the manifest, on the folders of this run."""
        operator = _operator(command.confinement)
        confined = operator.mode is not sandbox.Mode.NONE
        # Where the operator has said none, a manifest's silence about the matter is not a wish for a sandbox.
        asked = command.request if confined else sandbox.Request(limits=command.request.limits)
        return replace(
            sandbox.tighten(operator, asked),
            workspace=os.path.realpath(command.workspace) if command.workspace else None,
            plugin_dir=os.path.realpath(command.folder) if command.folder else None,
            scratch=os.path.realpath(command.scratch),
            cwd=os.path.realpath(command.cwd) if command.cwd else None,
            masked=(*sandbox.MASKED, *self._private),
        )

    def _environment(self, command: Command, path: Sequence[str], confined: bool) -> dict[str, str]:
        own = {} if confined else {"home": command.scratch, "temporary": command.scratch}
        env = sandbox.environment.base(path=path, timezone=self._environ.get("TZ"), **own)
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

    async def _host(self, confinement: Confinement, policy: sandbox.Policy) -> tuple[sandbox.Host, sandbox.Probe]:
        """The machine and whether it holds such a policy. Raises sandbox.Unavailable where it cannot be asked."""
        wanted = (confinement.bwrap_path, confinement.run_as)
        host = self._hosts.get(wanted)
        if host is None or _kind(policy, host) not in self._probes:
            async with self._asking:
                host = self._hosts.get(wanted)
                if host is None:
                    host = await trio.to_thread.run_sync(self._inspect, *wanted)
                    self._hosts[wanted] = host
                await self._ask(host, policy)
        return host, self._probes[_kind(policy, host)]

    async def _ask(self, host: sandbox.Host, policy: sandbox.Policy) -> None:
        key = _kind(policy, host)
        if key not in self._probes:
            asked = replace(policy, cwd=None, workspace=None, plugin_dir=None, scratch=None, writable_roots=())
            self._probes[key] = await trio.to_thread.run_sync(partial(sandbox.probe, host, self._state, asked))

    def _inspect(self, bwrap: str | None, run_as: tuple[int, int] | None) -> sandbox.Host:
        users = () if run_as is None else (run_as,)
        return sandbox.inspect(self._state, bwrap=bwrap, users=users)


def manifest_request(asked: SandboxRequest, limits: ManifestLimits) -> sandbox.Request:
    """What a manifest asks for, in the sandbox's words. Only ever used to narrow."""
    writes = any(path.startswith("${workspace}") for path in asked.write)
    return sandbox.Request(
        mode=sandbox.Mode.WORKSPACE_WRITE if writes else sandbox.Mode.READ_ONLY,
        network=_NETWORK[asked.network],
        limits=replace(_MOST, memory_bytes=limits.memory, processes=limits.pids),
    )


def shows_workspace(asked: SandboxRequest) -> bool:
    return any(path.startswith("${workspace}") for path in (*asked.read, *asked.write))


def refused(confinement: Confinement, request: sandbox.Request) -> tuple[str, ...]:
    """What a manifest asks for and the operator has not granted, in words; empty when all is granted."""
    try:
        return sandbox.refused(_operator(confinement), request)
    except sandbox.PolicyError:
        return ()  # the run itself will say so


_MOST = sandbox.Limits(**dict.fromkeys((name for name, _ in sandbox.Limits().items()), 1 << 62))
"""Asks for nothing less than there is: `tighten` takes the smaller of each."""


def _operator(confinement: Confinement) -> sandbox.Policy:
    """The operator's words as a policy. PolicyError names a word that is none: it never becomes a default."""
    defaults = sandbox.Limits()
    known = dict(defaults.items())
    for name in confinement.limits:
        if name not in known:
            raise sandbox.PolicyError(f"limits.{name} is not one of {', '.join(known)}")
    return sandbox.Policy(
        mode=sandbox.parse(sandbox.Mode, confinement.mode, "sandbox.mode"),
        backend=sandbox.parse(sandbox.Backend, confinement.backend, "sandbox.backend"),
        fs_read=sandbox.parse(sandbox.FsRead, confinement.fs_read, "sandbox.fs_read"),
        network=sandbox.parse(sandbox.Network, confinement.network, "sandbox.network"),
        unix_sockets=confinement.unix_sockets,
        writable_roots=tuple(os.path.realpath(path) for path in confinement.writable_roots),
        read_roots=tuple(os.path.realpath(path) for path in confinement.read_roots),
        protected=sandbox.PROTECTED if confinement.protected is None else confinement.protected,
        limits=sandbox.Limits(**(known | dict(confinement.limits))),
        run_as=confinement.run_as,
    )


def _kind(policy: sandbox.Policy, host: sandbox.Host) -> tuple[object, ...]:
    """What a probe's answer depends on: another bwrap under the same name is another question."""
    about = os.stat(host.bwrap)
    words = (policy.mode, policy.network, policy.fs_read, policy.unix_sockets, policy.run_as)
    return (*words, host.bwrap, about.st_mtime_ns, about.st_ino)


def _enclosure(status_fd: int, memory: int) -> Enclosure:
    return Enclosure(
        status_fd,
        first_process=lambda written: sandbox.status.read(written).child,
        too_much=lambda pid: sandbox.limits.rss_of_tree(pid) > memory,
    )


def _judged(ended: Ended, host: sandbox.Host | None, made: tuple[sandbox.protected.Violation, ...]) -> Finished | None:
    """What bwrap's status, exit code and last words come to. None: the program's file was busy."""
    status = ended.returncode if host is None else _status_inside(ended)
    stderr = ended.stderr.value()
    if status in (126, 127) and stderr.startswith(b"prlimit: failed to execute"):
        if b"Text file busy" in stderr:
            return None
        raise sandbox.CommandError(tail(stderr).removeprefix("prlimit: "))
    planted = [Violation("protected_create", _told(each), True) for each in made]
    met = of_ended(ended, status, sandboxed=host is not None)
    return Finished(ended, status, "none" if host is None else "bubblewrap", (*planted, *met))


def _status_inside(ended: Ended) -> int:
    told = sandbox.status.read(ended.status)
    if ended.end == "exited" and told.child is None:
        raise sandbox.Unavailable(*sandbox.diagnose(tail(ended.stderr.value())))
    if told.exit_code is None:
        # The sandbox was set up and ended without a word: we, somebody or the kernel killed it.
        return min(ended.returncode, 0) or -signal.SIGKILL
    return 128 - told.exit_code if told.exit_code in _SHELL_SIGNALS else told.exit_code


def _told(made: sandbox.protected.Violation) -> str:
    where = f"moved to {made.moved_to}" if made.moved_to else "it could not be moved away, look at it"
    return f"{made.path} was created; {where}"
