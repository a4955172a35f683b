"""What of a plugin's does another that runs at the same time see, and does the daemon stay awake for its clients?"""

import time
from typing import Any

import pytest

from escape.conftest import Homes
from escape.household import Household, code_of, household
from orchestrald.client import Unreachable

pytestmark = [pytest.mark.kernel, pytest.mark.slow]
LINGER_S = 1.0
DEAF = {"id": "a", "action": "burglar.deaf", "params": {"pad": "x" * 2_000_000}}


def neighbours(home: Household) -> dict[str, dict[str, Any]]:
    """One lingers, with a telling command line and a file; two look for these meanwhile."""
    scene = home.scene("together")
    lingers = {"attempt": "linger", "args": {"marker": scene.marker, "seconds": LINGER_S}}
    looks = {"attempt": "look_for_command_line", "args": {"needle": scene.marker, "seconds": LINGER_S * 0.8}}
    scratch = {"attempt": "look_for_other_scratch", "args": {"seconds": LINGER_S * 0.8}}
    steps = home.steps(
        scene,
        {"id": "lingers", "action": "burglar-write.try", "params": lingers},
        {"id": "looks", "action": "burglar.try", "params": looks},
        {"id": "scratch", "action": "burglar-net.try", "params": scratch},
    )
    assert {code_of(step) for step in steps} == {"succeeded"}, steps
    return {step["step_id"]: step["output"] for step in steps}


def test_row_53_a_plugin_sees_nothing_of_another_that_runs_beside_it(user: str, homes: Homes) -> None:
    seen = neighbours(homes(user, removable=False))
    assert not seen["looks"]["escaped"] and not seen["scratch"]["escaped"], seen


def test_row_53_it_does_without_the_mechanisms(user: str, homes: Homes) -> None:
    home = homes(user, removable=True)
    home.remove("probe", "pid-namespace", "allow-list")
    try:
        seen = neighbours(home)
    finally:
        home.remove()
    assert seen["looks"]["escaped"] and seen["scratch"]["escaped"], seen


def ask_while_nobody_reads(home: Household) -> str:
    """The interaction. Raises Unreachable when the daemon, which has two megabytes for a plugin that never reads, does
    not answer others meanwhile."""
    interaction_id = home.begin(home.scene("deaf"), DEAF)
    end = time.monotonic() + 1.2
    while time.monotonic() < end:
        home.call("system.ping", timeout=2.0)
    return interaction_id


def test_row_35_a_request_that_is_not_read_holds_nobody_up(user: str, homes: Homes) -> None:
    home = homes(user, removable=False)
    step = home.end_of(ask_while_nobody_reads(home))["steps"][0]
    assert code_of(step) == "succeeded", step


def test_row_35_it_would_if_the_daemon_waited_for_the_pipe(user: str) -> None:
    with household(user, removable=True) as home:  # one of its own: it never comes back
        home.remove("probe", "nonblocking")
        with pytest.raises(Unreachable):
            ask_while_nobody_reads(home)
