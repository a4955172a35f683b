"""Is nothing in the runner spawned in a way that kills or slows plugins?"""

import ast
from pathlib import Path

import orchestrald.runner

FOLDER = Path(orchestrald.runner.__file__).parent
CALLS = [
    (path.name, node)
    for path in sorted(FOLDER.glob("*.py"))
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    if isinstance(node, ast.Call)
]


def test_nothing_makes_popen_fork_instead_of_vfork():
    forbidden = {"preexec_fn", "user", "group", "extra_groups"}
    assert not [(name, k.arg) for name, call in CALLS for k in call.keywords if k.arg in forbidden]


def test_nothing_is_spawned_from_a_worker_thread():
    # bwrap's --die-with-parent is tied to the spawning thread, and trio ends idle workers after ten seconds.
    names = {ast.unparse(call.func) for _, call in CALLS}
    assert not names & {"trio.run_process", "trio.lowlevel.open_process", "trio.open_process"}
    threaded = [ast.unparse(call) for _, call in CALLS if "to_thread" in ast.unparse(call.func)]
    assert threaded
    assert not [text for text in threaded if "Popen" in text or "spawn" in text]


def test_only_one_place_spawns_and_only_one_knows_the_sandbox():
    assert [name for name, call in CALLS if ast.unparse(call.func).endswith("Popen")] == ["spawn.py"]
    importing = [p.name for p in FOLDER.glob("*.py") if "orchestrald_sandbox" in p.read_text(encoding="utf-8")]
    assert sorted(importing) == ["confine.py", "enclosed.py", "explained.py", "grants.py", "proxy.py", "verdict.py"]
