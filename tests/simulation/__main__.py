"""`python -m simulation [--seeds N] [--first SEED]`: tries seeds, tells of the first that fails, and shrinks it."""

import argparse
import random
import sys
import time

from simulation import report
from simulation.fleet import Failed, sail, smallest
from simulation.scenario import draw
from simulation.trial import enact, trial


def main() -> int:
    parser = argparse.ArgumentParser(prog="simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100_000, help="how many")
    parser.add_argument("--first", type=int, help="the first one; missing: any")
    parser.add_argument("--seed", type=int, help="this one only")
    parser.add_argument("--print", action="store_true", help="what happens in it, whether it fails or not")
    given = parser.parse_args()
    if given.seed is not None and given.print:
        scenario = draw(given.seed)
        print(*report.written(scenario), *report.chronicle(enact(scenario)), sep="\n")
        return 0
    if given.seed is not None:
        faults = trial(draw(given.seed))
        return _tell(Failed(given.seed, faults)) if faults else _well(1, 0.0)
    first = random.randrange(10**9) if given.first is None else given.first
    began, tried = time.monotonic(), 0
    for count, failed in sail(first, given.seeds):
        tried += count
        if failed:
            return _tell(failed[0])
    return _well(tried, time.monotonic() - began)


def _tell(failed: Failed) -> int:
    print(f"seed {failed.seed} fails ({failed.faults[0].invariant}); shrinking...", file=sys.stderr)
    print(report.failure(failed.seed, failed.faults, smallest(failed.seed, failed.faults[0].invariant)))
    return 1


def _well(tried: int, seconds: float) -> int:
    print(f"{tried} seeds, all as they must be, in {seconds:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
