"""Which words does bwrap get for a policy?

Pure: a policy, facts about the host and descriptor numbers in, words out; golden files in the tests hold
them. bwrap has no policy of its own, everything depends on these words and on their order: a later mount
covers an earlier one, and nothing can be mounted below what has been made read-only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from . import limits as limits_
from .door import PLACE
from .environment import HOME
from .policy import FsRead, Network, Policy, beneath, depth

COVERED = ("/dev", "/proc", "/run", "/tmp", "/var/tmp")  # the host's are not visible in any mode
SMALL = "1048576"  # bytes, for a tmpfs that holds nothing but mount points


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What the words depend on besides the policy. `host.inspect` finds it out, once."""

    bwrap: str
    prlimit: str
    arch: str
    uid: int  # the daemon's
    etc: str  # the staged folder
    root_links: tuple[tuple[str, str | None], ...]  # ("/bin", "usr/bin"); None: a folder of its own
    has_bind_fd: bool = True
    setpriv: str | None = None
    resolv_conf: str | None = None  # the live file, links followed; None: there is none


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptors:
    """The descriptors a run hands over. `roots` and `protected`: path to an O_PATH descriptor of what was
    checked under that path; a root that is not in it, and None, are mounted by path (an old bwrap), and so is `etc`.
    `masks`: path to a descriptor of an empty file, or None when the path is a folder. `anchors`: folders between a
    writable root and something hidden in it, as `protected`."""

    seccomp: int
    status: int
    door: int
    etc: int | None = None
    roots: Mapping[str, int] = field(default_factory=dict)
    protected: Mapping[str, int | None] = field(default_factory=dict)
    masks: Mapping[str, int | None] = field(default_factory=dict)
    anchors: Mapping[str, int | None] = field(default_factory=dict)


def arguments(policy: Policy, host: Host, fds: Descriptors) -> list[str]:
    """Everything between `bwrap` and `--`."""
    early, late = masks(policy, fds.masks)
    exposing = [path for path in early if any(beneath(each, path) for each in bound(policy))]
    return [
        *_namespaces(policy),
        *(_minimal_root(policy, host, fds.etc) if policy.fs_read is FsRead.MINIMAL else ["--ro-bind", "/", "/"]),
        *_devices(policy, fds.door),
        *_temporary(policy),
        *_words([_mask(path, fds, sealed=path not in exposing) for path in early]),
        *_binds(policy, fds),
        *_anchors(fds),
        *_protected(fds),
        *_words([_mask(path, fds, sealed=True) for path in late]),  # last: hidden wins over protected
        # Only now: bwrap makes the mount points for what lies below, and cannot once they are read-only.
        *_words([["--remount-ro", path] for path in exposing]),
        *["--remount-ro", "/" if policy.fs_read is FsRead.MINIMAL else "/run"],
        "--chdir", policy.cwd or policy.workspace or "/tmp",
        "--seccomp", str(fds.seccomp), "--json-status-fd", str(fds.status),
    ]  # fmt: skip


def command_line(policy: Policy, host: Host, command: list[str]) -> list[str]:
    """Everything after `--`. Limits are set at the door; for another user's process by a program inside."""
    words = [] if policy.run_as is None else limits_.prlimit(policy.limits, host.prlimit, processes=True)
    return [*words, *command]


def user_switch(policy: Policy, host: Host) -> list[str]:
    """The words before bwrap that move it to `run_as`; empty without one. Needs a daemon of uid 0."""
    if policy.run_as is None:
        return []
    uid, gid = policy.run_as
    return [
        host.setpriv or "setpriv", "--reuid", str(uid), "--regid", str(gid), "--clear-groups",
        "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all", "--",
    ]  # fmt: skip


def bound(policy: Policy) -> tuple[str, ...]:
    """All host paths that are mounted on purpose."""
    return tuple(dict.fromkeys((*policy.read_roots, *policy.checked_roots())))


def masks(policy: Policy, existing: Iterable[str]) -> tuple[list[str], list[str]]:
    """What is hidden before the binds (the host's folders), and after them (something within a bind). A
    descriptor for any other path must not be handed over: bwrap would leave it open for the command."""
    shown = bound(policy)
    paths = sorted(existing, key=lambda path: (depth(path), path))
    late = [path for path in paths if beneath(path, *shown)]
    late = [path for path in late if not beneath(path, *late)]
    if policy.fs_read is FsRead.MINIMAL:
        return [], late  # nothing else is visible, and a mask would only tell its name
    early = [path for path in paths if not beneath(path, *shown, *COVERED)]
    return [path for path in early if not beneath(path, *early)], late


def _namespaces(policy: Policy) -> list[str]:
    return [
        "--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try",
        *([] if policy.network is Network.HOST else ["--unshare-net"]),
        # For uid 0 bwrap keeps every capability unless told otherwise. --new-session: no typing into our
        # terminal. --die-with-parent: else a child that called setsid outlives the run, and holds its
        # stdout.
        "--disable-userns", "--cap-drop", "ALL", "--new-session", "--die-with-parent",
        "--hostname", "sandbox",
    ]  # fmt: skip


def _minimal_root(policy: Policy, host: Host, etc: int | None) -> list[str]:
    words = ["--ro-bind", "/usr", "/usr"]
    for path, link in host.root_links:
        words += ["--ro-bind", path, path] if link is None else ["--symlink", link, path]
    words += ["--ro-bind", host.etc, "/etc"] if etc is None else ["--ro-bind-fd", str(etc), "/etc"]
    if policy.network is Network.HOST and host.resolv_conf is not None:
        words += ["--ro-bind", host.resolv_conf, "/etc/resolv.conf"]
    return words


def _devices(policy: Policy, door: int) -> list[str]:
    # /proc is made read-only as a whole: for uid 0 /proc/sys/kernel/core_pattern is writable even without any
    # capability, and a program named there is run by the host's kernel, outside, as root.
    return [
        "--dev", "/dev", "--file", str(door), PLACE,
        "--size", str(policy.limits.shm_bytes), "--perms", "1777", "--tmpfs", "/dev/shm", "--remount-ro", "/dev",
        "--proc", "/proc", "--remount-ro", "/proc",
    ]  # fmt: skip


def _temporary(policy: Policy) -> list[str]:
    # A tmpfs without a size may take half of the machine's memory, and none of it counts as the process's.
    minimal = policy.fs_read is FsRead.MINIMAL
    return [
        "--size", str(policy.limits.tmp_bytes), "--perms", "1777", "--tmpfs", "/tmp",
        "--perms", "0700", "--dir", HOME,
        *(["--dir", "/run", "--dir", "/var"] if minimal else ["--size", SMALL, "--tmpfs", "/run"]),
        "--size", str(policy.limits.var_tmp_bytes), "--perms", "1777", "--tmpfs", "/var/tmp",
    ]  # fmt: skip


def _binds(policy: Policy, fds: Descriptors) -> list[str]:
    """Shallow first, so that the inner of two nested paths keeps its own right: a plugin's folder within the
    workspace stays read-only."""
    writable = policy.writable()
    words: list[str] = []
    for path in sorted(bound(policy), key=depth):
        kind = "--bind" if path in writable else "--ro-bind"
        if path in fds.roots:
            # By descriptor: between the check of a path and bwrap's mount, another run could put a link
            # there.
            words += [f"{kind}-fd", str(fds.roots[path]), path]
        else:
            words += [kind, path, path]
    return words


def _anchors(fds: Descriptors) -> list[str]:
    """Mounted over themselves, since a mount point cannot be renamed: else what is hidden could be moved along with its
    folder, and the next run would find it where nothing hides it."""
    words: list[str] = []
    for path, number in sorted(fds.anchors.items(), key=lambda item: (depth(item[0]), item[0])):
        words += ["--bind", path, path] if number is None else ["--bind-fd", str(number), path]
    return words


def _protected(fds: Descriptors) -> list[str]:
    words: list[str] = []
    for path, number in sorted(fds.protected.items(), key=lambda item: (depth(item[0]), item[0])):
        words += ["--ro-bind", path, path] if number is None else ["--ro-bind-fd", str(number), path]
    return words


def _mask(path: str, fds: Descriptors, *, sealed: bool) -> list[str]:
    empty = fds.masks[path]
    if empty is not None:
        return ["--perms", "0000", "--ro-bind-data", str(empty), path]
    if sealed:
        return ["--perms", "0000", "--size", SMALL, "--tmpfs", path, "--remount-ro", path]
    return ["--perms", "0755", "--size", SMALL, "--tmpfs", path]  # something below is still to be mounted


def _words(parts: list[list[str]]) -> list[str]:
    return [word for part in parts for word in part]
