"""Row 42: is a race ever lost, when a plugin swaps a folder for a link while the daemon reads and writes there?"""

import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from escape.conftest import Homes
from escape.household import SECRET, Household, code_of
from orchestrald import beneath

pytestmark = [pytest.mark.kernel, pytest.mark.slow]
ROUNDS = 5_000
STEPS = 120
SWAP = """
import os, sys
os.chdir(sys.argv[1])
print(flush=True)
while os.getppid() == int(sys.argv[2]):
    os.rename("d", "aside"); os.rename("link", "d")
    for _ in range(200): os.getpid()
    os.rename("d", "link"); os.rename("aside", "d")
    for _ in range(200): os.getpid()
"""


@pytest.fixture
def swapped() -> Iterator[Path]:
    """A folder in which `d` is now itself, and now a link to a folder outside. In memory, where fsync costs nothing:
    it is the opening that is raced for."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as made:
        inside, outside = Path(made) / "inside", Path(made) / "outside"
        for folder, text in ((inside / "d", "inside"), (outside, "outside")):
            folder.mkdir(parents=True)
            (folder / "file").write_text(text)
        (inside / "link").symlink_to(outside)
        swapping = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", SWAP, str(inside), str(os.getpid())], stdout=subprocess.PIPE
        )
        assert swapping.stdout is not None
        with swapping.stdout:
            swapping.stdout.readline()
            try:
                yield inside
            finally:
                swapping.kill()
                swapping.wait(10)


def lost(inside: Path, rounds: int) -> tuple[int, int, int]:
    """How often it was lost, how often it was refused, and how often what was meant was done."""
    outside = inside.parent / "outside"
    counts = [0, 0, 0]
    with beneath.open_root(str(inside)) as root:
        for number in range(rounds):
            try:
                if number % 3 == 0:
                    with root.open("d/file") as file:
                        counts[0 if file.read(7) == b"outside" else 2] += 1
                elif number % 3 == 1:
                    root.append("d/file", b"")
                    counts[2] += 1
                else:
                    root.replace("d/new", b"x")
                    counts[2] += 1
            except (beneath.Refused, FileNotFoundError):
                counts[1] += 1
            if (outside / "new").exists():
                (outside / "new").unlink()
                counts[0] += 1
    return counts[0], counts[1], counts[2]


def test_none_of_5000_rounds_is_lost(swapped: Path) -> None:
    escaped, refused, done = lost(swapped, ROUNDS)
    assert escaped == 0
    assert min(refused, done) > ROUNDS / 50, f"there was no race: {refused} refused, {done} done"


def test_they_are_lost_when_links_are_followed(swapped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beneath, "_FOLDER", beneath._FOLDER & ~os.O_NOFOLLOW)
    assert lost(swapped, ROUNDS)[0] > 0


def leaks(home: Household) -> list[str]:
    """What the daemon's own actions let out while a plugin swaps the folder that they work in."""
    scene = home.scene("race")
    (scene.workspace / "d").mkdir()
    (scene.workspace / "d" / "secret").write_text("inside")
    home.give(scene.workspace)
    swap = {"path": "d", "rounds_s": 1.5, "inside": "aside", "outside": str(scene.outside)}
    wait = {"attempt": "wait_for", "args": {"names": ["link", "aside"], "seconds": 5}}
    steps: list[dict[str, Any]] = [
        {"id": "swap", "action": "burglar-write.try", "params": {"attempt": "exchange", "args": swap}},
        {"id": "begun", "action": "burglar.try", "params": wait},
    ]
    for number in range(STEPS):
        read = number % 2 == 0
        action, more = ("file_read", {}) if read else ("file_write", {"content": "x", "append": True})
        params = {"path": "d/secret", **more}
        steps.append({"id": f"s{number}", "depends_on": ["begun"], "action": action, "params": params})
    swapping, begun, *others = home.steps(scene, *steps)
    assert code_of(swapping) == code_of(begun) == "succeeded", (swapping, begun)
    codes = Counter(code_of(step) for step in others)
    assert codes["succeeded"] >= 5 and codes["succeeded"] + codes["refused"] + codes["not_found"] == STEPS, codes
    assert codes["refused"] + codes["not_found"] >= 5 or "nofollow" in home.removed_file.read_text(), codes
    found = [str(step["output"]["content"]) for step in others if SECRET in str(step.get("output", {}).get("content"))]
    if (scene.outside / "secret").read_text() != SECRET:
        found.append("the file outside was written to")
    return found


def test_the_daemons_own_actions_lose_no_race(user: str, homes: Homes) -> None:
    assert leaks(homes(user, removable=False)) == []


def test_they_do_when_they_follow_links(user: str, homes: Homes) -> None:
    home = homes(user, removable=True)
    home.remove("probe", "nofollow")
    try:
        assert leaks(home)
    finally:
        home.remove()
