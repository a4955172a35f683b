"""What does a sandboxed one-shot step cost beyond its sandbox? An interaction of one step, start to durable end.

Compared with the same program, spawned by the same policy, and nothing else.
"""

import json
import time
from pathlib import Path
from statistics import median

from benchmarks.floors.spawned import Spawned
from benchmarks.plans import chain
from benchmarks.product import Product, product
from benchmarks.rounds import Settings, compared, interleaved
from benchmarks.row import Row
from benchmarks.targets import EXTERNAL
from orchestrald.actions import LoadedAction
from orchestrald.hookspecs import Confinement
from orchestrald.plugin_folders import Folders

PROGRAMS = {
    "shell": (["sh", "main.sh"], "main.sh", 'read -r request\necho \'{"exports":{"ok":true}}\'\n'),
    "python": (
        ["python3", "-I", "-S", "main.py"],
        "main.py",
        'import json, sys\njson.load(sys.stdin)\nprint(json.dumps({"exports": {"ok": True}}))\n',
    ),
}

REQUEST = (
    json.dumps({"action": {"name": "run"}, "input": {"params": {}}, "context": {"step_id": "s0"}}).encode() + b"\n"
)


async def measure(settings: Settings) -> list[Row]:
    folder = settings.fresh("external")
    plugins = folder / "plugins"
    for name, (command, file, program) in PROGRAMS.items():
        _write_plugin(plugins / name, command, file, program)
    found = Folders([plugins])
    found.scan(0, force=True)
    actions = [LoadedAction(action.spec, action) for action in found.actions()]
    assert len(actions) == len(PROGRAMS), found.listing()
    rows = []
    async with product(folder, actions) as ours:
        health = await ours.runner.confiner.health(Confinement())
        if not health.ok:
            return [_absent(name, health.reason) for name in PROGRAMS]
        for name, (command, _, _) in PROGRAMS.items():
            floor = Spawned(folder / "state", plugins / name, command, REQUEST)
            step, bare = await interleaved(settings.rounds, [_Step(ours, f"{name}.run"), _Bare(floor)])
            rows.append(compared(f"sandboxed {name} step", "ms", step, "bwrap + the program", bare, EXTERNAL))
    return rows


class _Step:
    def __init__(self, ours: Product, action: str) -> None:
        self._ours = ours
        self._plan = chain(1, action)

    async def __call__(self) -> float:
        taken = []
        for _ in range(TIMES):
            began = time.perf_counter()
            await self._ours.run(self._plan)
            taken.append(time.perf_counter() - began)
        return median(taken) * 1000


class _Bare:
    def __init__(self, floor: Spawned) -> None:
        self._floor = floor

    async def __call__(self) -> float:
        return median(self._floor.seconds() for _ in range(TIMES)) * 1000


TIMES = 20


def _write_plugin(folder: Path, command: list[str], file: str, program: str) -> None:
    folder.mkdir(mode=0o700, parents=True)
    manifest = {
        "manifest": 1,
        "name": folder.name,
        "version": "1.0.0",
        "runtime": {"command": command},
        "actions": [{"name": "run", "effects": "read", "open_world": False, "idempotent": True}],
    }
    (folder / "plugin.json").write_text(json.dumps(manifest), encoding="utf-8")
    (folder / file).write_text(program, encoding="utf-8")


def _absent(name: str, reason: str) -> Row:
    return Row(
        what=f"sandboxed {name} step",
        unit="ms",
        ours=None,
        versus="bwrap + the program",
        other=None,
        bound=EXTERNAL,
        absent=f"no sandbox here: {reason}",
    )
