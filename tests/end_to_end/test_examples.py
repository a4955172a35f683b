"""Does every example do what it says? `make demo` is the first thing that a stranger runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/demo.py"))


def test_every_example_has_something_to_run():
    folders = sorted(path for path in (ROOT / "examples").iterdir() if path.is_dir())
    assert folders == EXAMPLES


@pytest.mark.slow
@pytest.mark.kernel
@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_an_example_runs_to_its_end_and_proves_what_it_says(folder: Path):
    command = [sys.executable, str(folder / "demo.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"kill -9 \d+", done.stdout)
    assert "28 steps succeeded, each once: True" in done.stdout
    assert "started again after they had succeeded: none" in done.stdout
    assert "| file | lines | words | bytes | longest line |" in done.stdout
