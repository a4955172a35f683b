"""Tries seeds, tells of the first that fails, and shrinks it; or runs one scenario and tells what happens.

A seed means another scenario when the operations or their weights change; a scenario that was printed stays what it is.
"""

import argparse
import random
import sys
import time
from pathlib import Path

from simulation import operations, report
from simulation.fleet import sail
from simulation.scenario import Scenario, draw
from simulation.shrink import shrink
from simulation.trial import Fell, enact, trial


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100_000, help="how many")
    parser.add_argument("--first", type=int, help="the first one; missing: any")
    parser.add_argument("--seed", type=int, help="this one only")
    parser.add_argument("--scenario", type=Path, help="a file with a scenario as it is printed")
    parser.add_argument("--print", action="store_true", help="what happens in it, whether it fails or not")
    given = parser.parse_args()
    if given.scenario is not None:
        return _one(_read(given.scenario.read_text(encoding="utf-8")), show=True)
    if given.seed is not None:
        return _one(draw(given.seed), show=given.print)
    first = random.randrange(10**9) if given.first is None else given.first
    began, tried = time.monotonic(), 0
    for count, failed in sail(first, given.seeds):
        tried += count
        if failed:
            return _one(draw(failed[0].seed), show=False)
    print(f"{tried} seeds, all as they must be, in {time.monotonic() - began:.1f} s")
    return 0


def _read(text: str) -> Scenario:
    known = {name: value for name, value in vars(operations).items() if isinstance(value, type)}
    scenario = eval(text, {"Scenario": Scenario, **known})  # noqa: S307  a developer's own file, as we printed it
    assert isinstance(scenario, Scenario)
    return scenario


def _one(scenario: Scenario, *, show: bool) -> int:
    faults = trial(scenario)
    if show:
        try:
            history = enact(scenario)
        except Fell as fell:
            history = fell.history
        print(*report.written(scenario), *report.chronicle(history), *map(report.line, faults), sep="\n")
    elif faults:
        print(f"seed {scenario.seed} fails ({faults[0].invariant}); shrinking...", file=sys.stderr)
        kept = faults[0].invariant
        shrunk = shrink(scenario, lambda smaller: any(fault.invariant == kept for fault in trial(smaller)))
        print(report.failure(scenario.seed, faults, shrunk))
    else:
        print(f"seed {scenario.seed} is as it must be")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
