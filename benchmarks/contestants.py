"""How is one system measured, ours or a peer? In a process of its own, by the same rules (`peers/contest.py`).

Ours runs in this Python, peers in the environment that `environment` makes.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import environment
from benchmarks.rounds import Settings

ROOT = Path(__file__).parent.parent
PATIENCE_S = 300.0
UNFINISHED = 1000


class Contestant(NamedTuple):
    """`module` is its script in `peers`. `durable`: what was acknowledged survives a kill -9."""

    module: str
    name: str
    durable: bool = True


class Failed(Exception):
    """It could not be measured; the message says why, in one line."""


OURS = Contestant("orchestrald", "orchestrald")
PEERS = (
    Contestant("dbos", "DBOS"),
    Contestant("langgraph", "LangGraph"),
    Contestant("dask", "Dask", durable=False),
    Contestant("ray", "Ray", durable=False),
)


def speed(who: Contestant, settings: Settings) -> dict[str, Any]:
    """What `peers.contest` reports. Raises Failed."""
    repeats = "1" if settings.quick else "3"
    return _report(_command(who, "speed", settings.fresh(who.module), repeats))


def recovery(who: Contestant, settings: Settings) -> float:
    """Seconds. Raises Failed."""
    folder = settings.fresh(who.module)
    with subprocess.Popen(
        _command(who, "leave", folder, str(UNFINISHED)),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environ(),
        text=True,
    ) as leaving:
        assert leaving.stdout is not None, "Popen was asked for it"
        said = leaving.stdout.readline()
        leaving.kill()
    if said.strip() != "left":
        raise Failed(f"{who.name} did not start {UNFINISHED} interactions")
    return float(_report(_command(who, "recover", folder, str(UNFINISHED)))["seconds"])


def _command(who: Contestant, *words: str | Path) -> list[str]:
    python = sys.executable if who is OURS else str(environment.python())
    # -P: else this repository's folder would come first, and a peer's script would import itself as the peer.
    return [python, "-P", "-m", f"benchmarks.peers.{who.module}", *map(str, words)]


def _environ() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}


def _report(command: list[str]) -> dict[str, Any]:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, env=_environ(), check=False)
    except subprocess.TimeoutExpired:
        raise Failed(f"not done after {PATIENCE_S:g} s") from None
    if done.returncode:
        raise Failed((done.stderr.strip().splitlines() or ["it said nothing"])[-1][:200])
    report: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return report
