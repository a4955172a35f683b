"""What has a running command used up so far?

For what no rlimit bounds, and where there is no control group: read from /proc and from the file system, by whoever
runs the command, several times a second. A command can be ahead of the look; it cannot stay ahead.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .policy import Limits

COARSE_NS = 20_000_000  # a file's time is taken from a clock that moves in steps of up to 10 ms


def processes(pid: int) -> tuple[int, ...]:
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


def resident(pids: Iterable[int]) -> int:
    """Bytes that these hold in memory; those that are gone count as nothing.

    Pages that several of them share are counted for each, so this is never below what is really used; files
    in the sandbox's /tmp are limited by the size of the mount, and are not in here.
    """
    page = os.sysconf("SC_PAGE_SIZE")
    total = 0
    for pid in pids:
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page
        except (OSError, IndexError):
            continue
    return total


def unlinked(pids: Iterable[int]) -> tuple[int, dict[int, int]]:
    """What these hold open under no name: bytes of memory (memfd), and bytes on disks by device. What is neither mapped
    nor named shows nowhere else."""
    memory, disks, seen = 0, dict[int, int](), set[tuple[int, int]]()
    for pid in pids:
        try:
            names = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        for name in names:
            with suppress(OSError):
                path = f"/proc/{pid}/fd/{name}"
                about = os.stat(path)
                if not stat.S_ISREG(about.st_mode) or about.st_nlink or (about.st_dev, about.st_ino) in seen:
                    continue
                seen.add((about.st_dev, about.st_ino))
                if os.readlink(path).startswith("/memfd:"):
                    memory += about.st_blocks * 512
                else:
                    disks[about.st_dev] = disks.get(about.st_dev, 0) + about.st_blocks * 512
    return memory, disks


@dataclass(frozen=True, slots=True)
class Disk:
    """How full the file systems of some folders were at `since` (ns): free bytes and free inodes, by folder."""

    since: int
    free: dict[str, tuple[int, int]]

    @classmethod
    def now(cls, folders: Iterable[str], since: int) -> Disk:
        return cls(since - COARSE_NS, _free(folders))

    def suspicious(self, limits: Limits) -> bool:
        """Has a file system lost more than a run may use? One system call each: what fills a folder, fills that."""
        return any(self._lost(folder, limits) for folder in self.free)

    def too_much(self, limits: Limits, pids: Iterable[int] = ()) -> str:
        """What was written beneath the folders since then, in words, if it is more than the limits; else empty.

        Walks the trees, so it takes long where they are large: ask only when it is suspicious. What counts has changed
        since: a file's ctime is set by the kernel and cannot be turned back. Files without a name count while one of
        `pids` holds them open.
        """
        held = unlinked(pids)[1]
        for folder in self.free:
            size, count = self._written(folder, limits)
            with suppress(OSError):
                size += held.get(os.stat(folder).st_dev, 0)
            if size > limits.workspace_bytes:
                return f"more than {limits.workspace_bytes} bytes were written beneath {folder}"
            if count > limits.workspace_files:
                return f"more than {limits.workspace_files} files were made beneath {folder}"
        return ""

    def _lost(self, folder: str, limits: Limits) -> bool:
        (bytes_then, files_then), now = self.free[folder], _free((folder,)).get(folder)
        if now is None:
            return False
        return bytes_then - now[0] > limits.workspace_bytes or files_then - now[1] > limits.workspace_files

    def _written(self, folder: str, limits: Limits) -> tuple[int, int]:
        """Bytes and names changed since, counted until either is too many. By path, since a link swapped in meanwhile
        could only make the count wrong; no link is followed. A folder that cannot be looked into counts as too much:
        it is a way to hide, and the file system has lost the space."""
        size = count = 0
        waiting = [folder]
        while waiting and size <= limits.workspace_bytes and count <= limits.workspace_files:
            try:
                with os.scandir(waiting.pop()) as entries:
                    for entry in entries:
                        found = entry.stat(follow_symlinks=False)
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(entry.path)
                        if found.st_ctime_ns >= self.since:
                            size += found.st_blocks * 512
                            count += 1
            except FileNotFoundError:
                continue
            except OSError:
                return limits.workspace_bytes + 1, count
        return size, count


def _free(folders: Iterable[str]) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for folder in folders:
        with suppress(OSError):
            about = os.statvfs(folder)
            found[folder] = (about.f_bfree * about.f_frsize, about.f_ffree)
    return found
