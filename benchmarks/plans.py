"""Which plans are run? Three shapes of no-op steps, as a client would send them."""

from typing import Any

NOOP = "noop"


def step(name: str, action: str, *depends_on: str) -> dict[str, Any]:
    return {"id": name, "action": action, "depends_on": list(depends_on)}


def chain(length: int, action: str = NOOP) -> dict[str, Any]:
    """Each step waits for the one before."""
    return _plan([step(f"s{i}", action, *([f"s{i - 1}"] if i else [])) for i in range(length)])


def fan_out(width: int, action: str = NOOP) -> dict[str, Any]:
    """No step waits for another."""
    return _plan([step(f"s{i}", action) for i in range(width)])


def layered(steps: int, width: int = 10, action: str = NOOP) -> dict[str, Any]:
    """Layers of `width`; each step waits for two of the layer before."""
    made = []
    for i in range(steps):
        layer, place = divmod(i, width)
        before = [f"s{(layer - 1) * width + (place + shift) % width}" for shift in (0, 1)] if layer else []
        made.append(step(f"s{i}", action, *before))
    return _plan(made)


def _plan(steps: list[dict[str, Any]]) -> dict[str, Any]:
    return {"goal": "measure", "steps": steps}
