"""Does the engine keep its promises, whatever happens and in whichever order?"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrald.core.concurrency import Start
from orchestrald.core.events import Event
from orchestrald.engine import submissions
from orchestrald.engine.mailbox import Mailbox
from orchestrald.engine.slots import DaemonSlots
from orchestrald.engine.threads import Threads
from orchestrald.engine.timers import Timers
from orchestrald.store.memory import MemoryReader
from simulation import report
from simulation.scenario import Scenario, draw
from simulation.shrink import shrink
from simulation.trial import enact, trial

TESTS = Path(__file__).parents[1]
SEEDS = 20_000


def _python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=TESTS,
        env=os.environ | environment,
        timeout=600,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_twenty_thousand_scenarios_come_out_as_they_must():
    done = _python("-m", "simulation", "--first", "0", "--seeds", str(SEEDS))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"{SEEDS} seeds")


@pytest.mark.slow
def test_the_same_seed_has_the_same_history_in_every_process():
    told = [_python("-m", "simulation", "--print", "--seed", "7", PYTHONHASHSEED=seed).stdout for seed in ("1", "2")]
    assert told[0] == told[1] != ""


@pytest.mark.parametrize("seed", range(30))
def test_the_same_seed_has_the_same_history_twice(seed: int):
    first, again = enact(draw(seed)), enact(draw(seed))
    assert (first.events, first.rows) == (again.events, again.rows)
    assert report.chronicle(first) == report.chronicle(again)


async def _overlook(reader: MemoryReader) -> dict[str, list[Event]]:
    """A recovery that does not see the newest event of each interaction."""
    return {name: events[:-1] for name, events in (await _unfinished(reader)).items() if events[:-1]}


_unfinished = MemoryReader.unfinished


async def _forget(_reader: MemoryReader, _by: str, _method: str, _request_id: str) -> None:
    """A daemon that does not know any more what it has answered."""


def _take(_slots: DaemonSlots, _action: str, _who: object) -> list[str]:
    """Limits that hold nobody."""
    return []


BUGS = (
    (MemoryReader, "unfinished", _overlook, "the_journal_can_be_followed"),
    (MemoryReader, "request", _forget, "nobody_meets_a_bug"),
    (DaemonSlots, "take", _take, "no_more_runs_than_may"),
    (Timers, "set", lambda *_: None, "nobody_waits_for_ever"),
    (Mailbox, "waits_began", lambda *_: None, "nobody_waits_for_ever"),
    (Threads, "next_in", lambda *_: None, "nobody_waits_for_ever"),
    (submissions, "admit", lambda *_: Start(), "policies_are_kept"),
)


@pytest.mark.parametrize(("owner", "name", "bug", "invariant"), BUGS)
def test_a_bug_is_found_within_a_thousand_seeds_and_shrunk_to_what_it_takes(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, bug: Callable[..., Any], invariant: str
):
    monkeypatch.setattr(owner, name, bug)

    def fails(scenario: Scenario) -> bool:
        return any(fault.invariant == invariant for fault in trial(scenario))

    found = next(scenario for scenario in map(draw, range(1_000)) if fails(scenario))
    shrunk = shrink(found, fails, trials=300)
    assert fails(shrunk)
    assert len(shrunk.operations) <= 4
    told = report.failure(found.seed, trial(found), shrunk)
    assert invariant in told
    assert f"make simulate SEED={found.seed}" in told
