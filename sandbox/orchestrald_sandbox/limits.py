"""How is a command kept from using up the machine?

Per process by rlimits, which `prlimit` sets inside the sandbox: there the process count is the sandbox's own,
outside it would be the whole user's. The total of a tree is not limited by any rlimit: it is read here, and
whoever runs the command ends it when it is above `Limits.memory_bytes`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .policy import Limits

GRACE_SECONDS = 5  # between SIGXCPU and SIGKILL


def prlimit(limits: Limits, program: str, *, processes: bool) -> list[str]:
    """The words before the command. With `processes` False the number of processes is not limited: outside a
    user namespace the kernel would count all that the user runs, the desktop included."""
    return [
        program, "--core=0", f"--nofile={limits.open_files}:{limits.open_files}",
        *([f"--nproc={limits.processes}:{limits.processes}"] if processes else []),
        f"--fsize={limits.file_bytes}", f"--as={limits.address_space_bytes}",
        f"--cpu={limits.cpu_seconds}:{limits.cpu_seconds + GRACE_SECONDS}",
        f"--memlock={limits.locked_bytes}", "--msgqueue=0", "--",
    ]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Cgroups:
    """What this machine offers. `kind` is "v2", "v1" or "none"; `delegated`: groups could be made for a
    run."""

    kind: str
    path: str | None
    controllers: tuple[str, ...]
    delegated: bool


def cgroups(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> Cgroups:
    """Detected by looking; nothing is created. Not readable or not there counts as "none"."""
    wanted = ("cpu", "memory", "pids")
    try:
        lines = [line.split(":", 2) for line in own.read_text().splitlines()]
    except OSError:
        return Cgroups(kind="none", path=None, controllers=(), delegated=False)
    unified = next((line[2] for line in lines if len(line) == 3 and line[0] == "0"), None)
    if unified is not None and (root / "cgroup.controllers").exists():
        folder = root / unified.lstrip("/")
        try:
            found = (folder / "cgroup.controllers").read_text().split()
        except OSError:
            found = []
        usable = os.access(folder, os.W_OK) and os.access(folder / "cgroup.subtree_control", os.W_OK)
        controllers = tuple(name for name in wanted if name in found)
        usable = usable and bool(controllers)
        return Cgroups(kind="v2", path=str(folder), controllers=controllers, delegated=usable)
    v1 = tuple(name for name in wanted if (root / name / "cgroup.procs").exists())
    if not v1:
        return Cgroups(kind="none", path=None, controllers=(), delegated=False)
    writable = all(os.access(root / name, os.W_OK) for name in v1)
    return Cgroups(kind="v1", path=str(root), controllers=v1, delegated=writable)


def describe(uid: int, found: Cgroups) -> dict[str, str]:
    """Which mechanism holds each limit on this machine, for people. `uid` is the one commands run as."""
    counted = "rlimit" if uid else "not limited: the kernel does not count processes of uid 0"
    offered = f"{found.kind} is {'writable' if found.delegated else 'not writable'}, and is not used yet"
    return {
        "memory": "watched: the resident total of the tree is read several times a second; "
        "the address space of each process by rlimit",
        "processes": counted,
        "cpu": "rlimit, per process",
        "files": "rlimit, per file; /tmp, /var/tmp and /dev/shm by the size of their mounts",
        "cgroup": offered if found.kind != "none" else "none found",
    }


def processes_of_tree(pid: int) -> tuple[int, ...]:
    """`pid` and all its descendants that are alive now; empty when it is gone or cannot be read.

    Follows /proc/<pid>/task/*/children: inside a pid namespace everything stays below its first process, so
    nothing escapes this by double forking.
    """
    found: list[int] = []
    waiting = [pid]
    while waiting:
        current = waiting.pop()
        try:
            tasks = os.listdir(f"/proc/{current}/task")
        except OSError:
            continue
        found.append(current)
        for task in tasks:
            try:
                children = Path(f"/proc/{current}/task/{task}/children").read_text()
            except OSError:
                continue
            waiting.extend(int(child) for child in children.split())
    return tuple(found)


def rss_of_tree(pid: int) -> int:
    """Resident bytes of `pid` and its descendants; 0 when it is gone.

    Pages that several of them share are counted for each, so this is never below what is really used; files
    in the sandbox's /tmp are limited by the size of the mount, and are not in here.
    """
    page = os.sysconf("SC_PAGE_SIZE")
    total = 0
    for member in processes_of_tree(pid):
        try:
            total += int(Path(f"/proc/{member}/statm").read_text().split()[1]) * page
        except (OSError, IndexError):
            continue
    return total
