"""Does the daemon notice by itself that a mechanism is missing, before anything has run without it?

The sandbox's own probe tries the very words that plugins get. What it cannot notice is listed with the reason: these
mechanisms are held by the rows of the table alone.
"""

import pytest

from escape import removal_words
from escape.conftest import Homes
from escape.household import NOBODY, ROOT, code_of

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

NOTICED = [
    "seccomp", "capabilities", "proc-read-only", "root-read-only", "read-only-binds", "network-namespace",
    "pid-namespace", "ipc-namespace", "uts-namespace", "allow-list", "environment", "start-environment",
]  # fmt: skip
NOT_NOTICED = {
    "userns-limit": "the filter stands before it, and would answer in its place",
    "new-session": "a probe without a terminal has no way to see whether it could reach one",
    "die-with-parent": "it would have to kill the daemon",
    "dev-read-only": "nothing of the host lies there",
    "dev": "it looks for no device",
    "shm": "it looks for no shared memory",
    "sizes": "filling 64 MiB at each start is too dear",
}
NOT_FOR = {("proc-read-only", NOBODY): "the kernel's settings belong to root, and refuse the write by themselves"}


@pytest.mark.parametrize("mechanism", NOTICED)
def test_nothing_runs_where_a_mechanism_is_missing(mechanism: str, user: str, homes: Homes) -> None:
    if (mechanism, user) in NOT_FOR:
        pytest.skip(NOT_FOR[mechanism, user])
    home = homes(user, removable=True)
    home.remove(mechanism)
    try:
        step = home.attempt(home.scene("probe"), "burglar", "change_workspace", {})
    finally:
        home.remove()
    assert code_of(step) == "sandbox_unavailable", step
    assert step["error"]["message"].strip(), "a person must read why"


def test_nothing_removed_runs(user: str, homes: Homes) -> None:
    """The other half: what the tests above see is not the launcher's doing."""
    home = homes(user, removable=True)
    home.remove()
    assert code_of(home.attempt(home.scene("probe"), "burglar", "change_workspace", {})) == "succeeded"


def test_every_word_that_can_go_is_noticed_or_has_a_reason() -> None:
    words = {*removal_words.DROPPED, *removal_words.REPLACED, "read-only-binds", "allow-list", "sizes"}
    assert words - {*NOTICED} == {*NOT_NOTICED}
    assert {user for _, user in NOT_FOR} <= {ROOT, NOBODY}
