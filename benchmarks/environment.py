"""Where are the peers installed? In `benchmarks/.venv`, made when it is first needed, at the pinned versions.

Apart from our own environment: they bring eighty packages, and versions of ours.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = HERE / ".venv"
CONSTRAINTS = HERE / "constraints.txt"
STAMP = FOLDER / "installed"
PACKAGES = ("dbos", "langgraph", "langgraph-checkpoint-sqlite", "distributed", "ray")


def python() -> Path:
    return FOLDER / "bin" / "python"


def ready() -> str:
    """Make it if need be. Empty when the peers can be run, else why not, in one line."""
    wanted = CONSTRAINTS.read_text(encoding="utf-8")
    if STAMP.is_file() and STAMP.read_text(encoding="utf-8") == wanted:
        return ""
    print("installing the peers into benchmarks/.venv", file=sys.stderr)
    install = [str(python()), "-m", "pip", "install", "--quiet", "--constraint", str(CONSTRAINTS), *PACKAGES]
    for command in ([sys.executable, "-m", "venv", str(FOLDER)], install):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            said = done.stderr.strip().splitlines() or ["no reason given"]
            return f"the peers could not be installed: {said[-1][:160]}"
    STAMP.write_text(wanted, encoding="utf-8")
    return ""
