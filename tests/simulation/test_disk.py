"""Does the simulated disk keep what a real one would, when the power goes?"""

import pytest

from simulation.operations import Crash, FullDisk, SlowDisk, Submit
from simulation.scenario import Scenario
from simulation.trial import enact, trial

ONE = Submit(1.0, "s", ({"id": "a", "action": "work"},))


def _types(*operations: object) -> list[str]:
    scenario = Scenario(1, (4, 8), operations)
    assert trial(scenario) == []
    return [event.type for event in enact(scenario).events]


@pytest.mark.parametrize("lands", [True, False])
def test_what_is_being_written_when_the_power_goes_is_kept_or_not_as_the_accident_says(lands: bool):
    types = _types(SlowDisk(0.0, 2.0, 10.0), ONE, Crash(2.0, 0, lands))
    assert ("interaction.submitted" in types, "interaction.completed" in types) == (lands, lands)


def test_nothing_is_written_when_the_power_goes_before_the_write():
    assert _types(ONE, Crash(1.0, 1, lands=True)) == []


def test_a_full_disk_keeps_nothing_and_the_next_life_goes_on_where_it_ended():
    types = _types(ONE, FullDisk(0.5, 2.0))
    assert types == []
    slow = Submit(0.0, "s", ({"id": "a", "action": "work", "params": {"does": ["slow"]}},))
    types = _types(slow, FullDisk(2.0, 2.0))
    assert types.index("step.interrupted") < types.index("step.succeeded") < types.index("interaction.completed")
