"""What is handed to the process call that starts a confined command?

Here descriptors are opened and checked; which words go with them is decided in `bubblewrap.py`. Nothing is
started. What was started waits at its door for `limit` and `release`.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from types import TracebackType
from typing import Self

from . import bubblewrap, protected, seatbelt, seccomp
from . import limits as limits_
from .bubblewrap import Descriptors, Host
from .cgroups import Group
from .door import Door
from .errors import PolicyError, Unavailable
from .host import backend_of, find_prlimit
from .opened import check_passable, existing_masks, in_memory, open_any, open_checked
from .policy import Backend, FsRead, Limits, Mode, Network, Policy, beneath


@dataclass(slots=True, kw_only=True)
class Prepared:
    """`subprocess.Popen(argv, env=env, cwd=cwd, pass_fds=pass_fds)` starts it, within a `with` on this
    value.

    Leaving the `with` closes this process's copies of `pass_fds`. `status_read_fd` and the door are then the caller's:
    to read until the sandbox's first process is told (`status.read`), to `limit` that, to `release` it, and in the
    end to `abandon`; if the block ended with an exception that is done as well. `status_read_fd` None: mode none, there
    is no sandbox to report and no door to wait at. With bwrap the thread that starts it must
    outlive it: the kernel ties `--die-with-parent` to the thread, not to the process.

    `words` are the sandbox's own, as bwrap reads them from a descriptor: for people.
    """

    argv: list[str]
    env: dict[str, str]
    cwd: str | None = "/"
    pass_fds: tuple[int, ...] = ()
    status_read_fd: int | None = None
    door: Door | None = None
    limits: Limits | None = None  # of each process, to be set at the door; None: a program inside sets them
    group_limits: Limits = field(default_factory=Limits)  # of all together
    words: tuple[str, ...] = ()
    protected_before: protected.Found = field(default_factory=protected.Found)
    identities: tuple[tuple[str, int, int], ...] = ()

    def close(self) -> None:
        """Close what was for the child only. Again is fine."""
        for number in self.pass_fds:
            os.close(number)
        self.pass_fds = ()

    def limit(self, child: int, group: Group | None = None) -> None:
        """Give the waiting first process its limits, and its control group if it was not started in it (version 2; then
        this blocks for some ms). Unavailable: one of them could not be given, and it must be killed. A process that is
        gone is no error: its status tells."""
        try:
            if self.limits is not None:
                limits_.apply(child, self.limits)
            if group is not None:
                group.bound(self.group_limits)
            if group is not None and group.version == 2:
                group.enter(child)
        except ProcessLookupError:
            return
        except OSError as error:
            what = f"a control group could not be given its limits: {error.strerror}"
            raise Unavailable(what, "Is limits.memory less than a sandbox needs by itself?") from None

    def release(self) -> None:
        """Let the command run. Again is fine."""
        if self.door is not None:
            self.door.open()

    def refuse(self) -> None:
        """Never let the command run, if it does not yet: what waits gives up. Again is fine."""
        if self.door is not None:
            self.door.close()

    def abandon(self) -> None:
        """Close everything: it was not started, or has ended. Again is fine."""
        self.close()
        if self.door is not None:
            self.door.close()
        if self.status_read_fd is not None:
            os.close(self.status_read_fd)
            self.status_read_fd = None

    def roots_unmoved(self) -> bool:
        """Are the checked folders still where they were? To ask once the command runs, where
        `Host.has_bind_fd` is False: there bwrap went by path."""
        for path, device, inode in self.identities:
            try:
                now = os.lstat(path)
            except OSError:
                return False
            if (now.st_dev, now.st_ino) != (device, inode):
                return False
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()


def prepare(policy: Policy, command: Sequence[str], env: Mapping[str, str], host: Host | None) -> Prepared:
    """Everything to start `command` (as `interpreter.resolve` gave it) under `policy`, with exactly `env`.

    `host` None: nothing is known of a sandbox here, which only mode none survives. PolicyError: a root is
    missing, is a link, or something protected in it is. Unavailable: this machine cannot hold that policy.
    """
    if not command:
        raise PolicyError("the command is empty")
    if policy.mode is Mode.NONE:
        program = host.prlimit if host else find_prlimit()
        words = limits_.prlimit(policy.limits, program, processes=False) if program else []
        return Prepared(argv=[*words, *command], env=dict(env), cwd=policy.cwd or policy.workspace)
    if backend_of(policy) is Backend.SEATBELT:
        return _with_seatbelt(policy, command, env)
    if host is None:
        raise Unavailable("this machine has no working sandbox", "See `orchestral status`.")
    if policy.run_as is not None and (host.uid != 0 or host.setpriv is None):
        raise Unavailable("run_as needs a daemon of uid 0 and setpriv (util-linux)", "Unset sandbox.run_as.")
    if policy.run_as is not None:
        for path in (host.etc, *policy.checked_roots(), *policy.read_roots):
            check_passable(path, *policy.run_as)
    with ExitStack() as undo:
        return _with_bubblewrap(policy, list(command), dict(env), host, undo)


def _with_bubblewrap(policy: Policy, command: list[str], env: dict[str, str], host: Host, undo: ExitStack) -> Prepared:
    handed: list[int] = []

    def hand(descriptor: int) -> int:
        handed.append(descriptor)
        undo.callback(os.close, descriptor)
        return descriptor

    fixed = policy.checked_roots()
    roots = {path: hand(open_checked(path, folder=path not in policy.parts)) for path in fixed}
    about = {path: os.fstat(number) for path, number in roots.items()}
    identities = tuple((path, found.st_dev, found.st_ino) for path, found in about.items())
    before = protected.Found()
    if policy.mode is Mode.WORKSPACE_WRITE:
        before = protected.before(policy.roots(), policy.protected)
    # A root below something protected (a run's folder within .codex, say) was granted on purpose.
    guarded = [each for each in before.paths if not any(root == each or beneath(root, each) for root in fixed)]
    held = {path: hand(open_checked(path, folder=False)) for path in guarded}
    if not host.has_bind_fd:  # checked all the same; but what bwrap does not use, stays open for the command
        for number in handed:
            os.close(number)
        handed.clear()
        undo.pop_all()
    existing = existing_masks(policy.masked)
    hidden = [path for group in bubblewrap.masks(policy, existing) for path in group]
    anchors = {path: open_checked(path, folder=True) for path in _anchors(policy, hidden)}
    for number in anchors.values():
        if host.has_bind_fd:
            hand(number)
        else:
            os.close(number)
    status_read, status_write = os.pipe2(os.O_CLOEXEC)
    undo.callback(os.close, status_read)
    door = Door.make()
    undo.callback(door.close)
    waiting = hand(door.inner)
    # By descriptor also what needs no check: the user of run_as may not be able to pass the folders above it.
    shown = {path: hand(open_any(path)) for path in policy.read_roots if host.has_bind_fd}
    minimal = policy.fs_read is FsRead.MINIMAL
    fds = Descriptors(
        seccomp=hand(in_memory(seccomp.program(host.arch, unix_sockets=policy.unix_sockets))),
        status=hand(status_write),
        door=waiting,
        etc=hand(open_any(host.etc)) if host.has_bind_fd and minimal else None,
        roots=shown | roots if host.has_bind_fd else {},
        protected={path: number if host.has_bind_fd else None for path, number in held.items()},
        masks={path: None if existing[path] else hand(in_memory(b"")) for path in hidden},
        anchors={path: number if host.has_bind_fd else None for path, number in anchors.items()},
    )
    words = bubblewrap.arguments(policy, host, fds)
    # Through a descriptor: any user of the host can read a command line, and inside it is /proc/1/cmdline.
    options = hand(in_memory("\0".join(words).encode("utf-8", "surrogateescape")))
    argv = [
        *bubblewrap.user_switch(policy, host), host.bwrap, "--args", str(options), "--",
        *bubblewrap.command_line(policy, host, command),
    ]  # fmt: skip
    undo.pop_all()
    return Prepared(
        argv=argv, env=env, pass_fds=tuple(handed), status_read_fd=status_read, protected_before=before,
        identities=identities, door=door, words=tuple(words),
        limits=policy.limits if policy.run_as is None else None, group_limits=policy.limits,
    )  # fmt: skip


def _anchors(policy: Policy, hidden: Sequence[str]) -> tuple[str, ...]:
    """The folders between a writable root and what is hidden in it; a root itself is a mount already."""
    roots = policy.roots() if policy.mode is Mode.WORKSPACE_WRITE else ()
    above = (str(parent) for path in hidden for parent in PurePosixPath(path).parents)
    bound = bubblewrap.bound(policy)
    return tuple(dict.fromkeys(path for path in above if beneath(path, *roots) and path not in bound))


def _with_seatbelt(policy: Policy, command: Sequence[str], env: Mapping[str, str]) -> Prepared:
    """Not run on macOS yet. What is checked is closed again: the profile goes by paths, and only a swap between the
    check and a file's use is noticed by nobody."""
    if (reason := seatbelt.available()) is not None:
        raise reason
    if policy.network is Network.PROXY:
        raise Unavailable("network: proxy needs a network namespace, which macOS has not", "Use off, or host.")
    if policy.run_as is not None or policy.scratch is None:
        raise Unavailable("seatbelt runs with a scratch folder, and as the daemon's user", "Unset sandbox.run_as.")
    for path in policy.checked_roots():
        os.close(open_checked(path, folder=path not in policy.parts))
    before = protected.Found()
    if policy.mode is Mode.WORKSPACE_WRITE:
        before = protected.before(policy.roots(), policy.protected)
    words = seatbelt.command(
        policy, command, temporary=policy.scratch, tag=secrets.token_hex(8), protected=tuple(before.paths)
    )
    own = {"HOME": policy.scratch, "TMPDIR": policy.scratch}
    cwd = policy.cwd or policy.workspace or policy.scratch
    return Prepared(argv=words, env=dict(env) | own, cwd=cwd, protected_before=before, words=tuple(words))
