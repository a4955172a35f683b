"""How is a failure told, so that whoever reads it can run it again?"""

from typing import Any

from simulation.history import History
from simulation.scenario import Scenario
from simulation.testimony import EPOCH_US
from simulation.trial import Fault, Fell, enact, judge


def failure(seed: int, faults: list[Fault], shrunk: Scenario) -> str:
    lines = [f"seed {seed} fails:", *map(line, faults)]
    lines += ["", "the smallest scenario found that fails in the same way:", *written(shrunk)]
    lines += ["", "what happens in it:", *_told(shrunk)]
    lines += ["", f"again: make simulate SEED={seed}, or save the scenario: python -m simulation --scenario FILE"]
    return "\n".join(lines)


def line(fault: Fault) -> str:
    return f"  {fault.invariant}: {fault.says}"


def written(scenario: Scenario) -> list[str]:
    """As Python, one operation per line."""
    operations = [f"    {operation!r}," for operation in scenario.operations]
    return [f"Scenario(seed={scenario.seed}, slots={scenario.slots}, operations=(", *operations, "))"]


def _told(scenario: Scenario) -> list[str]:
    try:
        history = enact(scenario)
    except Fell as fell:
        return [*chronicle(fell.history), f"  it fell: {fell}"]
    return [*chronicle(history), *map(line, judge(history))]


def chronicle(history: History) -> list[str]:
    """The events, and between them what was seen from outside."""
    lines: list[tuple[int, int, str]] = []
    for event in history.events:
        at = (event.at - EPOCH_US) / 1e6
        about = f"{event.interaction_id} {event.step_id}".strip()
        lines.append((event.seq, 0, f"  {event.seq:3} {at:6.1f}s {event.type} {about} {_short(event.data)}"))
    lines += [
        (seen.seq, 1, f"      {seen.at:6.1f}s ..began attempt {seen.attempt.attempt} of {seen.key}")
        for seen in history.testimony.attempts
    ]
    for told in history.testimony.told:
        said = f"{told.method} {_short(told.params)}: {told.code or _short(told.answer)}"
        lines.append((told.seq, 2, f"              ..told {told.by} {said}"))
    lines += [(seq, 3, "              ..the power went") for seq in history.testimony.deaths]
    return [line for _, _, line in sorted(lines, key=lambda line: line[:2])]


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 120 else f"{text[:120]}…"
