"""Plans and catalogs that tests share."""

from typing import Any

from orchestrald.core.graph import Graph
from orchestrald.core.model import ActionSpec, Retry
from orchestrald.core.normalize import normalize

ANYTHING = ActionSpec(name="work", idempotent=True, effects="read", retry=Retry(max=2))
ONCE = ActionSpec(name="once", retry=Retry(max=0))
GUARDED = ActionSpec(name="guarded", approval="always", retry=Retry(max=0))
CATALOG = {spec.name: spec for spec in (ANYTHING, ONCE, GUARDED)}


def step(id_: str, action: str = "work", **rest: Any) -> dict[str, Any]:
    return {"id": id_, "action": action, **rest}


def graph(*steps: dict[str, Any], catalog: dict[str, ActionSpec] = CATALOG, **plan: Any) -> Graph:
    found = normalize({"goal": "test", "steps": list(steps), **plan}, catalog)
    assert isinstance(found, Graph), found
    return found


def chain(length: int, action: str = "work") -> dict[str, Any]:
    steps = [step(f"s{i}", action, depends_on=[f"s{i - 1}"] if i else []) for i in range(length)]
    return {"goal": "chain", "steps": steps}


def fan_out(width: int, action: str = "work") -> dict[str, Any]:
    return {"goal": "fan", "steps": [step(f"s{i}", action) for i in range(width)]}


def layered(layers: int, width: int, action: str = "work") -> dict[str, Any]:
    """Each step waits for two of the layer before it."""
    steps = []
    for layer in range(layers):
        for i in range(width):
            before = [f"l{layer - 1}_{i}", f"l{layer - 1}_{(i + 1) % width}"] if layer else []
            steps.append(step(f"l{layer}_{i}", action, depends_on=sorted(set(before))))
    return {"goal": "layered", "steps": steps}
