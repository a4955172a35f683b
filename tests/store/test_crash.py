"""Is everything that was acknowledged still there after `kill -9`, at whatever instant?

ORCHESTRALD_STORE_KILLS sets how often (10; the long run uses hundreds).
"""

import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import trio

import orchestrald
from orchestrald.store.sqlite import Durability, open_store

KILLS = int(os.environ.get("ORCHESTRALD_STORE_KILLS", "10"))
ROOT = Path(orchestrald.__file__).parents[1]
APPENDER = Path(__file__).with_name("appender.py")


def acknowledged_until_killed(path: Path, durability: Durability, round_: int, lines: int) -> list[tuple[int, ...]]:
    """What the appender printed: it is killed after `lines` lines, wherever it is by then."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(APPENDER), str(path), durability, str(round_)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        printed = [process.stdout.readline() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        printed += process.stdout.readlines()
        assert process.wait(10) == -signal.SIGKILL
    return [tuple(map(int, line.split())) for line in printed if line.endswith(b"\n")]


@pytest.mark.slow
@pytest.mark.parametrize("durability", ["power_loss", "process_crash"])
async def test_nothing_acknowledged_is_lost_and_the_log_has_no_gap(path: Path, durability: Durability) -> None:
    pick = random.Random(20_261_122)
    last = 0
    for round_ in range(KILLS // 2):
        lines = pick.randrange(1, 800)
        acknowledged = await trio.to_thread.run_sync(acknowledged_until_killed, path, durability, round_, lines)
        assert len(acknowledged) >= lines, "the appender ended by itself"
        async with open_store(path) as store:
            stored = await store.reader.events(after_seq=last, limit=1_000_000)
        assert [e.seq for e in stored] == list(range(last + 1, last + len(stored) + 1))
        found = {(e.seq, e.data["round"], e.data["number"]) for e in stored}
        assert set(acknowledged) <= found
        pairs = sorted((e.data["round"], e.data["number"]) for e in stored)
        assert pairs[::2] == pairs[1::2], "half of a batch was stored"
        last += len(stored)
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
