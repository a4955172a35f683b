"""What may a command touch, in words, and what holds that?

Pure: a policy, the host and its control groups in, words for people out. Nothing is decided here. What is said must be
what `bubblewrap.arguments` does, so both ask the same functions where they can, and a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .bubblewrap import Host, bound, masks
from .cgroups import Cgroups
from .destinations import Destinations, authority
from .environment import HOME
from .host import backend_of, weaker
from .policy import Backend, FsRead, Limits, Mode, Network, Policy, depth

WATCHED = "watched, several times a second"
PER_PROCESS = "rlimit, for each process"
UNHELD = "not held: there is no control group for it"
PER_PROCESS_MACOS = "ulimit, for each process"
# What `--args` and its like are followed by, where that is a number that means nothing outside of the one run.
DESCRIPTORS = {
    "--seccomp": "the filter of system calls", "--json-status-fd": "a pipe for the status",
    "--file": "the door at which it waits", "--ro-bind-data": "an empty file",
}  # fmt: skip
BY_PATH = ("--bind-fd", "--ro-bind-fd")


@dataclass(frozen=True, slots=True)
class Shown:
    """A path as the command sees it, and why it sees it."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class Held:
    """A limit. `value` is in the unit of its name; `by` says what holds it."""

    name: str
    value: int
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """All of it. A path is in `reads` or in `writes`, never in both; what is in neither, and is no folder above one of
    them, does not exist for the command. `protected` are names within `writes`; `hidden` would otherwise be seen."""

    mode: str
    backend: str
    fs_read: str
    says: str
    reads: tuple[Shown, ...] = ()
    writes: tuple[Shown, ...] = ()
    protected: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    network: str
    network_says: str
    destinations: tuple[tuple[str, ...], ...] = ()
    unix_sockets: bool
    limits: tuple[Held, ...] = ()
    user: str
    weaker: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def explained(
    policy: Policy,
    host: Host | None,
    cgroups: Cgroups,
    *,
    existing: Iterable[str] = (),
    reasons: Mapping[str, str] | None = None,
) -> Explanation:
    """What a command under `policy` may touch. `host` None: nothing is known of a bwrap here, as on macOS.

    `existing` are those of `policy.masked` that exist, `reasons` say of a path why it is granted, where the caller
    knows better than the policy does.
    """
    if policy.mode is Mode.NONE:
        return _unconfined(policy)
    backend = backend_of(policy)
    early, late = masks(policy, existing)
    return Explanation(
        mode=policy.mode.value,
        backend=backend.value,
        fs_read=policy.fs_read.value,
        says=_says(policy),
        reads=(*_system(policy, host), *_granted(policy, reasons or {}, writable=False)),
        writes=(*_granted(policy, reasons or {}, writable=True), *(_memory(policy) if host else ())),
        protected=policy.protected if policy.mode is Mode.WORKSPACE_WRITE else (),
        hidden=(*early, *late),
        network=policy.network.value,
        network_says=_network(policy),
        destinations=tuple(spelled(each) for each in policy.destinations),
        unix_sockets=policy.unix_sockets,
        limits=tuple(_limits(policy, host, cgroups, backend)),
        user=_user(policy, host),
        weaker=weaker(host, policy) if host else (),
    )


def mechanisms(cgroups: Cgroups, uid: int) -> dict[str, str]:
    """What holds the memory, processes, processor time and files of commands that run as `uid`; where control groups
    are missing, `problem` says why."""
    group = f"cgroup v{cgroups.version}"
    held = cgroups.controllers
    found = {
        "memory": f"{group if 'memory' in held else 'watching'} and rlimit",
        "processes": _processes(cgroups, uid),
        "cpu": f"{group} and rlimit" if "cpu" in held else "rlimit",
        "files": "watching and rlimit",
    }
    return found | ({"problem": cgroups.problem} if cgroups.problem else {})


def readable(words: Sequence[str], opened: Mapping[int, str]) -> list[list[str]]:
    """bwrap's options, each with its values, and with `<fd: ...>` for the number of a descriptor. `opened` says which
    path a descriptor leads to."""
    lines: list[list[str]] = []
    for word in words:
        if word.startswith("--") or not lines:
            lines.append([])
        lines[-1].append(word)
    for line in lines:
        if line[0] in BY_PATH:
            line[1] = f"<fd: {opened.get(int(line[1]), line[-1])}>"
        elif line[0] in DESCRIPTORS:
            line[1] = f"<fd: {DESCRIPTORS[line[0]]}>"
    return lines


def spelled(listed: Destinations) -> tuple[str, ...]:
    """The entries of a list, as an operator writes them."""
    networks = ((each.network_address if each.num_addresses == 1 else each, port) for each, port in listed.networks)
    return (
        *sorted(authority(name, port) for name, port in listed.names),
        *sorted(f"*.{authority(name, port)}" for name, port in listed.above),
        *sorted(f"[{each}]:{port}" if each.version == 6 else f"{each}:{port}" for each, port in networks),
    )


def _says(policy: Policy) -> str:
    if policy.fs_read is FsRead.HOST:
        return "It sees the whole disk but for what is hidden; it can write to what is listed and to nothing else."
    return "It sees what is listed and nothing else: other files do not exist for it."


def _unconfined(policy: Policy) -> Explanation:
    return Explanation(
        mode=policy.mode.value,
        backend=Backend.NONE.value,
        fs_read=FsRead.HOST.value,
        says="Nothing is confined: it can read, change and connect to whatever the daemon's user can.",
        writes=(Shown("/", "everything that the daemon's user may"),),
        network=Network.HOST.value,
        network_says="the machine's network, with nothing in between",
        unix_sockets=True,
        limits=tuple(Held(name, getattr(policy.limits, name), PER_PROCESS) for name in _RLIMITS),
        user="the daemon's user, with all its rights",
        weaker=("mode none: nothing is confined",),
    )


def _system(policy: Policy, host: Host | None) -> Iterator[Shown]:
    if policy.fs_read is FsRead.HOST:
        yield Shown("/", "fs_read is host: the whole disk, read-only, but for what is hidden")
    elif host is None:
        yield Shown("the system", "programs and libraries, as the profile lists them")
    else:
        yield Shown("/usr", "the system's programs and libraries")
        for path, link in host.root_links:
            yield Shown(path, f"a link to {link}, as outside" if link else "the system's programs and libraries")
        yield Shown("/etc", "a staged copy of what programs need: no accounts, no keys, nothing about this host")
        if policy.network is Network.HOST and host.resolv_conf is not None:
            yield Shown("/etc/resolv.conf", "the host's, because network is host")
    if host is not None:
        yield Shown("/dev", "null, zero, random, a terminal: no device of the machine")
        yield Shown("/proc", "its own processes only; nothing in it can be written to")
        yield Shown("/run", "empty: no socket of the machine")


def _granted(policy: Policy, reasons: Mapping[str, str], *, writable: bool) -> Iterator[Shown]:
    rights = policy.writable()
    for path in sorted(bound(policy), key=lambda each: (depth(each), each)):
        if (path in rights) is writable:
            yield Shown(path, reasons.get(path) or _why(policy, path))


def _why(policy: Policy, path: str) -> str:
    if path == policy.plugin_dir:
        return "the plugin's own folder: never writable to it"
    if path == policy.scratch:
        return "the run's own folder, gone afterwards"
    if path in policy.roots():
        name = "the workspace" if path == policy.workspace else "a writable root"
        return f"{name}: mode is {policy.mode.value}"
    return "a part of the workspace" if path in policy.parts else "granted for reading"


def _memory(policy: Policy) -> Iterator[Shown]:
    own = "its own, in memory, gone afterwards"
    yield Shown("/tmp", f"{own}; {HOME} in it is HOME")
    yield Shown("/var/tmp", own)
    yield Shown("/dev/shm", own)


def _network(policy: Policy) -> str:
    match policy.network:
        case Network.OFF:
            return "a network of its own with nothing in it but itself: no address can be reached"
        case Network.PROXY:
            return "only through the proxy that HTTPS_PROXY names, to hosts and ports that every list allows"
        case Network.HOST:
            return "the machine's network: every address that the machine can reach, its own services included"


_RLIMITS = ("address_space_bytes", "cpu_seconds", "open_files", "file_bytes", "locked_bytes")
_MOUNTS = ("tmp_bytes", "var_tmp_bytes", "shm_bytes")
_ULIMITS = ("cpu_seconds", "open_files", "file_bytes")


def _limits(policy: Policy, host: Host | None, cgroups: Cgroups, backend: Backend) -> Iterator[Held]:
    group = f"cgroup v{cgroups.version}, all processes together"
    written = f"{WATCHED}, in everything that it may write to"
    by = {
        "memory_bytes": group if "memory" in cgroups.controllers else f"{WATCHED}, all processes together",
        "processes": _processes(cgroups, _uid(policy, host)),
        "cpu_percent": _share(policy.limits, cgroups),
        "workspace_bytes": written,
        "workspace_files": written,
        **dict.fromkeys(_RLIMITS, PER_PROCESS),
        **dict.fromkeys(_MOUNTS, "the size of the mount"),
    }
    if backend is Backend.SEATBELT:
        by = dict.fromkeys(_ULIMITS, PER_PROCESS_MACOS)
    for name, value in policy.limits.items():
        if name in by:
            yield Held(name, value, by[name])


def _share(limits: Limits, cgroups: Cgroups) -> str:
    if limits.cpu_percent >= Limits().cpu_percent:
        return "not limited: every processor that there is"
    held = "cpu" in cgroups.controllers
    return f"of one processor; cgroup v{cgroups.version}, all processes together" if held else UNHELD


def _processes(cgroups: Cgroups, uid: int | None) -> str:
    counted = f"cgroup v{cgroups.version}" if "pids" in cgroups.controllers else "watching"
    return counted if uid == 0 else f"{counted} and rlimit"  # the kernel does not hold uid 0 to RLIMIT_NPROC


def _uid(policy: Policy, host: Host | None) -> int | None:
    if policy.run_as is not None:
        return policy.run_as[0]
    return None if host is None else host.uid


def _user(policy: Policy, host: Host | None) -> str:
    rights = "without any capability; set-user-ID programs give it no other"
    if policy.run_as is not None:
        return f"uid {policy.run_as[0]}, gid {policy.run_as[1]}, as sandbox.run_as says, {rights}"
    return f"the daemon's{'' if host is None else f', uid {host.uid}'}, {rights}"
