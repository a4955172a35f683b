"""How much may all processes of a command use together, where the kernel counts it?

One control group per run, which nothing of it was ever outside of. To move a process is dear: the kernel waits until
every processor has passed a quiet moment, 8 to 12 ms on an idle machine. A thread may move *itself* for nothing (see
cgroup_procs_write_start), and what it starts is where it is; so in version 1 the spawning thread goes in, spawns and
comes back. Version 2 has no such thing for memory: there the sandbox is moved while it waits at its door.

Version 2 where a part of the tree is ours (systemd: `Delegate=`), else version 1 where it can be written to; where
neither is, `usage.py` looks several times a second. A group is a folder; its files are the kernel's interface.
"""

from __future__ import annotations

import itertools
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from .policy import Limits

WANTED = ("memory", "pids", "cpu")
PREFIX = "orchestrald-"  # then the daemon's pid and a number
PERIOD = 100_000  # microseconds: processor time is granted per this long
GONE_SECONDS = 0.5  # how long a group may stay busy after its last process was killed

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the kernel counted. `oom`: it killed something for memory. `processes`: it refused a fork."""

    oom: bool = False
    processes: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """One run's. `folders` are by controller; in version 2 all are the same one."""

    version: int
    folders: dict[str, Path]

    def distinct(self) -> tuple[Path, ...]:
        """Each folder once."""
        return tuple(dict.fromkeys(self.folders.values()))

    def enter(self, pid: int) -> None:
        """Put a process in; what it forks from now on is in it too. Blocks for some ms. OSError: it is gone, or the
        group is."""
        for folder in self.distinct():
            (folder / "cgroup.procs").write_text(str(pid))

    def bound(self, limits: Limits) -> None:
        """Give it its limits, while the sandbox waits at its door. OSError: one cannot be held, such as less memory
        than is in use already."""
        for controller, folder in self.folders.items():
            for file, value in _settings(self.version, controller, limits):
                (folder / file).write_text(value)
        # What this kernel was built without is not missed: swap accounting, and killing a group as one.
        for controller, file, value in _niceties(self.version, limits):
            with suppress(OSError):
                if controller in self.folders:
                    (self.folders[controller] / file).write_text(value)

    @contextmanager
    def around_spawn(self) -> Iterator[None]:
        """What this thread starts within is in the group from its first instruction. Version 1 only: else it does
        nothing, and the sandbox's first process must `enter`. OSError: nothing may be started."""
        if self.version != 1:
            yield
            return
        try:
            for folder in self.folders.values():
                _move_this_thread(folder)
            yield
        finally:
            for folder in self.folders.values():
                _move_this_thread(folder.parent)

    def verdict(self) -> Verdict:
        """Asked when the run is over. A file that cannot be read counts as nothing seen."""
        killed = {1: ("memory.oom_control", "oom_kill"), 2: ("memory.events", "oom_kill")}[self.version]
        return Verdict(self._count("memory", *killed) > 0, self._count("pids", "pids.events", "max") > 0)

    def removed(self) -> bool:
        """Try to remove it, at once; False when the kernel has not let go of the dead yet."""
        for folder in self.distinct():
            try:
                folder.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                return False
        return True

    def remove(self) -> None:
        """Blocks until it is removed, at most half a second; what is left then, a next start removes."""
        deadline = time.monotonic() + GONE_SECONDS
        while not self.removed() and time.monotonic() < deadline:
            time.sleep(0.002)

    def _count(self, controller: str, file: str, key: str) -> int:
        folder = self.folders.get(controller)
        if folder is None:
            return 0
        try:
            pairs = [line.split() for line in (folder / file).read_text().splitlines()]
        except OSError:
            return 0
        return sum(int(pair[1]) for pair in pairs if len(pair) == 2 and pair[0] == key and pair[1].isdigit())


@dataclass(frozen=True, slots=True)
class Cgroups:
    """What this machine offers: `parents` are the folders beneath which groups can be made, by controller; empty:
    none can. `problem` says why."""

    version: int = 0
    parents: tuple[tuple[str, str], ...] = ()
    problem: str = ""

    @property
    def controllers(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.parents)

    def make(self) -> Group:
        """A new group without limits and with nobody in it. OSError: the kernel refuses; nothing is left then.

        Limits come when the spawning thread has left: a group with the memory of a plan's choice would have the kernel
        kill the daemon.
        """
        name = f"{PREFIX}{os.getpid()}-{next(_numbers)}-{secrets.token_hex(3)}"
        group = Group(self.version, {controller: Path(parent) / name for controller, parent in self.parents})
        try:
            for folder in group.distinct():
                folder.mkdir()
        except OSError:
            group.remove()
            raise
        return group


def find(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> Cgroups:
    """Which groups can be made here, found out by making one. Moves this process into a leaf of its own where
    version 2 demands that (a group with processes cannot have children with limits), and removes what daemons that
    were killed have left."""
    try:
        lines = [line.split(":", 2) for line in own.read_text().splitlines() if line.count(":") >= 2]
    except OSError:
        return Cgroups(problem="there are no control groups")
    found = _unified(root, lines) if (root / "cgroup.controllers").exists() else _version_1(root, lines)
    if not found.parents:
        return found
    for _, parent in found.parents:
        _sweep(Path(parent))
    try:
        group = found.make()
        try:
            with group.around_spawn():
                pass
            group.bound(Limits())
        finally:
            group.remove()
    except OSError as error:
        return Cgroups(problem=f"the control groups of {found.parents[0][1]} cannot be used: {error.strerror}")
    return found


def _unified(root: Path, lines: list[list[str]]) -> Cgroups:
    own = next((root / path.lstrip("/") for number, _, path in lines if number == "0"), root)
    if own.name == "supervisor":  # where an earlier start of this very process has put itself
        own = own.parent
    try:
        offered = (own / "cgroup.controllers").read_text().split()
        wanted = [name for name in WANTED if name in offered]
        if not wanted or not os.access(own / "cgroup.procs", os.W_OK):
            return Cgroups(problem="no control group was delegated to the daemon (systemd: Delegate=yes)")
        if set(wanted) - set((own / "cgroup.subtree_control").read_text().split()):
            others = {int(pid) for pid in (own / "cgroup.procs").read_text().split()} - {os.getpid()}
            if others:
                return Cgroups(problem=f"the daemon shares its control group with process {min(others)}")
            (own / "supervisor").mkdir(exist_ok=True)
            (own / "supervisor" / "cgroup.procs").write_text(str(os.getpid()))
            (own / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in wanted))
    except OSError as error:
        return Cgroups(problem=f"the control group {own} cannot be used: {error.strerror}")
    return Cgroups(2, tuple((name, str(own)) for name in wanted))


def _version_1(root: Path, lines: list[list[str]]) -> Cgroups:
    paths = {name: path for _, names, path in lines for name in names.split(",")}
    parents: list[tuple[str, str]] = []
    for name in WANTED:
        # In a container the path is the host's, and what is mounted may begin further down.
        tried = (root / name / paths.get(name, "").lstrip("/"), root / name)
        parent = next((each for each in tried if (each / "cgroup.procs").exists()), None)
        if parent is not None and os.access(parent, os.W_OK):
            parents.append((name, str(parent)))
    problem = "" if parents else "no control group can be written to"
    return Cgroups(1 if parents else 0, tuple(parents), problem)


def _move_this_thread(folder: Path) -> None:
    with open(folder / "tasks", "w") as file:
        file.write("0")  # whoever writes


def _settings(version: int, controller: str, limits: Limits) -> Iterator[tuple[str, str]]:
    match controller:
        case "memory":
            yield "memory.max" if version == 2 else "memory.limit_in_bytes", str(limits.memory_bytes)
        case "pids":
            yield "pids.max", str(limits.processes + 2)  # bwrap, and the first process inside
        case "cpu" if limits.cpu_percent < 100 * (os.cpu_count() or 1):
            quota = str(limits.cpu_percent * PERIOD // 100)
            if version == 2:
                yield "cpu.max", f"{quota} {PERIOD}"
            else:
                yield "cpu.cfs_period_us", str(PERIOD)
                yield "cpu.cfs_quota_us", quota


def _niceties(version: int, limits: Limits) -> Iterator[tuple[str, str, str]]:
    if version == 2:
        yield "memory", "memory.swap.max", "0"
        yield "memory", "memory.oom.group", "1"
    else:
        yield "memory", "memory.memsw.limit_in_bytes", str(limits.memory_bytes)


def _sweep(parent: Path) -> None:
    """Groups of daemons that are gone. One that still has a process in it cannot be removed, and stays."""
    for left in parent.glob(f"{PREFIX}*"):
        pid = left.name.removeprefix(PREFIX).split("-")[0]
        if not os.path.exists(f"/proc/{pid}"):
            with suppress(OSError):
                left.rmdir()
