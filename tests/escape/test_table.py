"""Does the table have every row of section 3, and does every row really stand for something?"""

import os
import re
import subprocess
import sys

from escape.conftest import Homes
from escape.household import BURGLAR, NOBODY, ROOT, household
from escape.rows import table

ELSEWHERE = {
    35: "test_together.py: the daemon's own patience is what is tested",
    42: "test_race.py: thousands of rounds, not one attempt",
}
USED_ELSEWHERE = {
    "exchange", "linger", "look_for_command_line", "look_for_other_scratch", "mounts_on", "put", "wait_for",
}  # fmt: skip


def test_every_row_of_section_3_is_here_or_elsewhere() -> None:
    numbers = {int(digits) for row in table() for digits in re.findall(r"\d+", row.number)}
    assert numbers | ELSEWHERE.keys() == set(range(1, 66))


def test_every_numbered_row_is_shown_to_be_able_to_fail() -> None:
    numbers = {number for row in table() for number in re.findall(r"\d+", row.number)}
    provable = [row for row in table() if {ROOT, NOBODY} - row.unprovable.keys()]
    shown = {number for row in provable for number in re.findall(r"\d+", row.number)}
    assert numbers - shown == set()


def test_a_row_that_nothing_can_be_removed_from_says_why() -> None:
    assert [row.name for row in table() if not row.removed and set(row.unprovable) != {ROOT, NOBODY}] == []


def test_the_burglar_tries_nothing_that_no_row_asks_for() -> None:
    offered = {
        name
        for module in BURGLAR.glob("*.py")
        for name in re.findall(r"^@attempt\ndef (\w+)", module.read_text(), re.MULTILINE)
    }
    asked = {row.attempt for row in table()}
    assert asked <= offered
    assert offered - asked - USED_ELSEWHERE == set()


def test_a_plugin_that_sleeps_for_15_seconds_lives_and_nothing_is_left_of_any_run(homes: Homes, user: str) -> None:
    """No process, no zombie, no scratch folder, after all the others and twenty more."""
    home = homes(user, removable=False)
    assert home.wake_up() == "succeeded"
    scene = home.scene("left")
    steps = [
        {"id": f"s{number}", "action": "burglar.try", "params": {"attempt": "read", "args": {"paths": ["/nothing"]}}}
        for number in range(20)
    ]
    assert {step["state"] for step in home.steps(scene, *steps)} == {"succeeded"}
    assert children(home.pid) == []
    assert os.listdir(f"{home.paths.state_dir}/scratch") == []


def children(pid: int) -> list[str]:
    """Zombies too. bwrap's own child is init's to reap, once bwrap has ended."""
    found = []
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                after_name = file.read().rsplit(") ", 1)[1].split()
        except (OSError, IndexError):
            continue
        if name.isdigit() and int(after_name[1]) == pid:
            found.append(f"{name} {after_name[0]}")
    return found


def test_a_machine_without_bwrap_fails_where_it_must_have_one() -> None:
    code = (
        "import sys, pytest; from escape import conftest\n"
        "try: conftest.must_be_there('it is gone')\n"
        "except pytest.fail.Exception: sys.exit(3)\n"
        "except pytest.skip.Exception: sys.exit(4)\n"
    )
    found = []
    for variables in ({"CI": "true"}, {"ORCHESTRAL_REQUIRE_KERNEL": "1"}, {}):
        done = subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONPATH": os.pathsep.join(sys.path), **variables}, check=False
        )
        found.append(done.returncode)
    assert found == [3, 3, 4]


def test_a_daemon_starts_over_what_a_killed_one_has_left(user: str) -> None:
    with household(user, removable=False) as home:
        scene = home.scene("deep")
        params = {"attempt": "leave_deep", "args": {"levels": 3000, "then_s": 5}}
        home.begin(scene, {"id": "a", "action": "burglar.try", "params": params})
        scratch = f"{home.paths.state_dir}/scratch"
        home.until(lambda: any(os.path.exists(f"{scratch}/{name}/done") for name in os.listdir(scratch)))
        left = set(os.listdir(scratch))
        home.kill()
        home.start()
        assert home.call("system.ping") == {}
        there = os.listdir(scratch)  # the step is run again, and has a folder of its own
        assert not left & set(there)
        assert not [name for name in there if name.startswith(".")]


def test_a_name_that_paints_on_the_terminal_is_told_as_text(user: str, homes: Homes) -> None:
    home = homes(user, removable=False)
    step = home.attempt(home.scene("paint"), "burglar-write", "create_odd", {"raw": [b".env\x1b[2J".hex()]})
    assert "\x1b" not in str(step["error"]["message"])
