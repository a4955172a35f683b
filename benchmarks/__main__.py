"""The command `python -m benchmarks`: measure, print, draw, keep the raw figures."""

import argparse
import compileall
import json
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import trio

from benchmarks import chart, machine, terminal
from benchmarks.rounds import Settings
from benchmarks.row import Row
from benchmarks.sections import SECTIONS

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 all that could be measured is as promised, 1 something is not, or broke while it was measured."""
    options = _options(argv)
    _compile()
    folder = Path(tempfile.mkdtemp(prefix="bench", dir=options.folder))
    try:
        settings = Settings(options.rounds, options.quick, folder, options.peers)
        about = machine.describe(folder)
        print("  ".join(f"{key} {value}" for key, value in about.items() if value))
        if about["disk"] in {"tmpfs", "ramfs"}:
            print("this is memory, where a commit costs nothing: choose a disk with --folder")
        rows = _measure(settings, options.only or list(SECTIONS))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print()
    print(terminal.bars(rows))
    _keep(about, rows)
    return 1 if any(row.met is False or row.broken for row in rows) else 0


def _compile() -> None:
    """Leave bytecode, as every installer does: an editable checkout has none where the variable below is set."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    for name in ("orchestrald", "sandbox", "plugins"):
        compileall.compile_dir(str(ROOT / name), quiet=1)


def _measure(settings: Settings, names: list[str]) -> list[Row]:
    rows: list[Row] = []
    print(terminal.heading())
    for name in names:
        began = time.monotonic()
        try:
            measured = trio.run(SECTIONS[name], settings)
        except Exception as error:  # noqa: BLE001  the other parts took minutes, and are worth keeping
            traceback.print_exc()
            measured = [_broken(name, error)]
        for row in measured:
            rows.append(row)
            print(terminal.line(row), flush=True)
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    return rows


def _broken(name: str, error: Exception) -> Row:
    problem = f"could not be measured: {type(error).__name__}"
    return Row(what=name, unit="", ours=None, versus="", other=None, bound=None, absent=problem, broken=True)


def _keep(about: dict[str, str], rows: list[Row]) -> None:
    RESULTS.mkdir(exist_ok=True)
    at = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    kept: dict[str, Any] = {"at": at, "machine": about, "rows": [row.to_json() for row in rows]}
    (RESULTS / f"{at}.json").write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (RESULTS / f"{at}.svg").write_text(chart.svg(rows, about), encoding="utf-8")
    print(f"\nraw figures and chart: benchmarks/results/{at}.json, .svg")


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="repetitions that medians are taken of (5)")
    parser.add_argument("--quick", action="store_true", help="less of everything, for a look while one changes code")
    parser.add_argument("--only", action="append", choices=list(SECTIONS), help="one part; may be given again")
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="do not install or run other systems")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="scratch space on the disk that is to be measured")
    options = parser.parse_args(argv)
    if options.quick:
        options.rounds = min(options.rounds, 2)
    return options


if __name__ == "__main__":
    sys.exit(main())
