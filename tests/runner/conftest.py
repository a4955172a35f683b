"""Which parts do the runner's tests share?"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrald.hookspecs import Confinement
from orchestrald.runner.pool import LocalRunner
from support.bench import Bench, Notes


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    for name in ("state", "plugin", "workspace"):
        (tmp_path / name).mkdir(mode=0o700)
    stored: list[bytes] = []
    granted = {"p": Confinement()}

    async def store(content: bytes) -> str:
        stored.append(content)
        return f"sha256:{len(stored)}"

    def confinement_of(plugin: str) -> Confinement:
        return granted.get(plugin, Confinement())

    runner = LocalRunner(tmp_path / "state", store_artifact=store, confinement_of=confinement_of)
    return Bench(runner, tmp_path / "plugin", tmp_path / "workspace", stored, granted)


@pytest.fixture
def marked() -> tuple[str, Callable[[], list[int]]]:
    """A number of seconds that no other process sleeps, and the processes that sleep it."""
    seconds = f"7{os.getpid()}.{os.urandom(3).hex().translate(str.maketrans('abcdef', '123456'))}"

    def sleeping() -> list[int]:
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdecimal():
                try:
                    words = Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if words[:2] == [b"sleep", seconds.encode()]:
                    found.append(int(entry))
        return found

    return seconds, sleeping
