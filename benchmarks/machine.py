"""On what machine was this measured? No paths, no names: only what the figures depend on."""

import os
import platform
import sqlite3
from pathlib import Path


def describe(folder: Path) -> dict[str, str]:
    """`folder` is on the disk that was measured."""
    return {
        "cores": str(os.cpu_count()),
        "load": f"{os.getloadavg()[0]:.1f}",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "disk": _file_system(folder),
    }


def _file_system(folder: Path) -> str:
    """Its type; empty where the system does not tell. On tmpfs a commit costs nothing, and no figure means anything."""
    try:
        lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    mounts = [line.split()[1:3] for line in lines]
    real = str(folder.resolve())
    holding = [(where, kind) for where, kind in mounts if real == where or real.startswith(where.rstrip("/") + "/")]
    return max(holding, key=lambda mount: len(mount[0]), default=("", ""))[1]
