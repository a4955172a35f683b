"""What does the thin client cost? `orchestral status` with a live daemon, next to a Python that does nothing."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.daemon import daemon
from benchmarks.rounds import Settings, compared, interleaved
from benchmarks.row import Row
from benchmarks.targets import CLIENT

TIMES = 15


async def measure(settings: Settings) -> list[Row]:
    with daemon(settings.fresh("home")) as running:
        status, bare = await interleaved(
            settings.rounds,
            [
                partial(_milliseconds, [*_client(), "status"], running.environ),
                partial(_milliseconds, [sys.executable, "-c", "pass"], running.environ),
            ],
        )
    return [compared("orchestral status", "ms", status, "python -c pass", bare, CLIENT)]


def _client() -> list[str]:
    """The console script where it is installed, else what it does."""
    script = Path(sys.executable).with_name("orchestral")
    if os.access(script, os.X_OK):
        return [str(script)]
    return [sys.executable, "-c", "from orchestrald.cli.main import main; main()"]


async def _milliseconds(command: Sequence[str], environ: dict[str, str]) -> float:
    taken = []
    for _ in range(TIMES):
        began = time.perf_counter()
        subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, check=True)
        taken.append(time.perf_counter() - began)
    return median(taken) * 1000
