"""Do plans of ten thousand steps come to their end, in the core and through a whole daemon?

How long a step takes is measured in `benchmarks`, where nothing else runs; here only that nothing is forgotten.
"""

import pytest

from orchestrald.core.effects import RunAction
from orchestrald.core.graph import Graph
from orchestrald.core.normalize import normalize
from support.daemon import daemon
from support.plans import CATALOG, chain, fan_out, layered
from support.simulation import World

SHAPES = {"chain": chain(10_000), "fan-out": fan_out(10_000), "layered": layered(100, 100)}


class Room:
    """As much as a daemon gives to one interaction."""

    def has_room(self, running: int) -> bool:
        return running < 16

    def take(self, action: str) -> bool:
        return True


@pytest.mark.slow
@pytest.mark.parametrize("name", SHAPES)
def test_ten_thousand_steps_all_succeed_once_and_in_an_order_that_their_dependencies_allow(name: str):
    plan = normalize(SHAPES[name], CATALOG)
    assert isinstance(plan, Graph)
    world = World(Room())
    world.submit(plan)
    started = 0

    def count(effect: RunAction) -> None:
        nonlocal started
        started += 1

    world.settle(count)
    assert world.state.state == "completed"
    assert started == 10_000
    assert {run.state for run in world.state.runs.values()} == {"succeeded"}
    place = {event.step_id: i for i, event in enumerate(world.events) if event.type == "step.succeeded"}
    begun = {event.step_id: i for i, event in enumerate(world.events) if event.type == "step.started"}
    for node in plan.nodes:
        assert all(place[plan.nodes[source].id] < begun[node.id] for source in node.sources)


@pytest.mark.slow
def test_a_step_costs_the_same_number_of_operations_in_a_plan_a_hundred_times_as_long():
    """Counted, not timed: the entries of the ready heap that are looked at, for each shape."""
    per_step = {}
    for name, small, large in (
        ("chain", chain(100), chain(10_000)),
        ("fan-out", fan_out(100), fan_out(10_000)),
        ("layered", layered(10, 10), layered(100, 100)),
    ):
        per_step[name] = [operations(plan) for plan in (small, large)]
    for name, (few, many) in per_step.items():
        assert many <= 1.3 * few, name


def operations(raw: dict[str, object]) -> float:
    """Events and heap entries per step, for the whole run."""
    plan = normalize(raw, CATALOG)
    assert isinstance(plan, Graph)
    world = World(Room())
    world.submit(plan)
    world.settle()
    return (len(world.events) + world.state.pushed) / len(plan.nodes)


@pytest.mark.slow
def test_two_thousand_steps_through_a_daemon_survive_a_kill_in_the_middle():
    with daemon() as place:
        steps = [{"id": f"s{i}", "action": "echo", "params": {"message": str(i)}} for i in range(2_000)]
        events = place.connect()
        events.call("events.subscribe", {"after_seq": 0, "types": ["step.succeeded"]})
        interaction_id = place.submit(*steps)
        for _ in range(500):
            assert events.notification(30) is not None
        place.kill()
        place.start()
        shown = place.end_of(interaction_id)
        assert shown["state"] == "completed"
        assert [step["output"]["result"] for step in shown["steps"]] == [str(i) for i in range(2_000)]
