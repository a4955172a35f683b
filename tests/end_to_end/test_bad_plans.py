"""What does a user hear whose plan file is wrong?"""

import json
from pathlib import Path
from typing import Any

import pytest

from support.daemon import Daemon

pytestmark = pytest.mark.slow

TEN_FAULTS: dict[str, Any] = {
    "goal": "go wrong in ten ways",
    "steps": [
        {"id": "ok", "action": "echo", "params": {"message": "fine"}},
        {"id": "typo", "action": "ehco", "params": {"message": "x"}},
        {"id": "ok", "action": "echo", "params": {"message": "the same id again"}},
        {"id": "9lives", "action": "echo", "params": {"message": "x"}},
        {"id": "missing", "action": "echo"},
        {"id": "wrongtype", "action": "echo", "params": {"message": 5}},
        {"id": "orphan", "action": "echo", "params": {"message": "x"}, "depends_on": ["nobody"]},
        {"id": "reader", "action": "echo", "params": {"message": "{{ok.nonsense}}"}},
        {"id": "a", "action": "echo", "params": {"message": "x"}, "depends_on": ["b"]},
        {"id": "b", "action": "echo", "params": {"message": "x"}, "depends_on": ["a"]},
        {"id": "slow", "action": "echo", "params": {"message": "x"}, "timeout": "soon"},
        {"id": "odd", "action": "echo", "params": {"message": "x"}, "retires": 3},
        {"id": "braces", "action": "echo", "params": {"message": "{{ok"}},
    ],
}
PATHS = {
    "steps[1].action",
    "steps[2].id",
    "steps[3].id",
    "steps[4].params",
    "steps[5].params.message",
    "steps[6].depends_on",
    "steps[7].params.message",
    "steps[8].depends_on",
    "steps[10].timeout",
    "steps[11].retires",
    "steps[12].params.message",
}


def near(path: str) -> set[str]:
    """The path without the index of a list entry at its end."""
    return {path, path.rpartition("[")[0] if path.endswith("]") else path}


def test_every_fault_of_a_plan_is_told_at_once_with_its_path(place: Daemon):
    answer = place.call("plan.validate", plan=TEN_FAULTS)
    assert not answer["valid"]
    told = set().union(*(near(problem["path"]) for problem in answer["problems"]))
    assert told >= PATHS, PATHS - told
    assert all(problem["message"] for problem in answer["problems"])


@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_the_client_prints_them_all_and_ends_with_2(place: Daemon, tmp_path: Path, suffix: str):
    path = tmp_path / f"plan.{suffix}"
    path.write_text(json.dumps(TEN_FAULTS), encoding="utf-8")
    for words in (("run", "--plan", str(path)), ("plan", "--plan", str(path))):
        ended = place.orchestral(*words)
        if words[0] == "plan" and ended.returncode == 2 and "usage" in ended.stderr:
            continue
        assert ended.returncode == 2, ended.stderr
        said = ended.stdout + ended.stderr
        for path_in_plan in PATHS:
            assert path_in_plan in said, path_in_plan
        assert "echo" in said  # the nearest name for ehco
        assert "Traceback" not in said


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("plan.yaml", b"goal: [\n"),
        ("plan.yaml", b"goal: x\n\tsteps: []\n"),
        ("plan.yaml", b"a: &a [*a]\n"),
        ("plan.yaml", b"goal: !!python/object/apply:os.system ['true']\n"),
        ("plan.yaml", b"\xff\xfe\x00"),
        ("plan.yaml", b""),
        ("plan.yaml", b"just words\n"),
        ("plan.yaml", b"- a\n- list\n"),
        ("plan.yaml", b"steps: 2026-01-01\n"),
        ("plan.json", b"{"),
        ("plan.json", b'{"steps": [}'),
        ("plan.json", b'{"steps": NaN}'),
        ("plan.json", b"[" * 100_000),
        ("plan.json", b'{"goal": "x"}'),
        ("plan.json", b'{"steps": []}'),
        ("plan.json", b'{"steps": [], "steps": []}'),
    ],
)
def test_a_file_that_is_no_plan_is_refused_with_2_and_no_traceback(
    place: Daemon, tmp_path: Path, name: str, raw: bytes
):
    path = tmp_path / name
    path.write_bytes(raw)
    before = place.call("system.info")["store"]["last_seq"]
    ended = place.orchestral("run", "--plan", str(path))
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.strip()
    assert "Traceback" not in ended.stderr
    assert place.call("system.info")["store"]["last_seq"] == before


def test_a_billion_laughs_are_not_laughed(place: Daemon, tmp_path: Path):
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    path = tmp_path / "plan.yaml"
    path.write_text("\n".join(lines), encoding="utf-8")
    ended = place.orchestral("run", "--plan", str(path))
    assert ended.returncode == 2, ended.stderr
    assert "aliases" in ended.stderr


def test_a_file_that_is_not_there_is_named(place: Daemon):
    ended = place.orchestral("run", "--plan", "/nowhere/plan.yaml")
    assert ended.returncode == 2
    assert "/nowhere/plan.yaml" in ended.stderr


def test_a_plan_on_stdin_runs(place: Daemon):
    ended = place.orchestral(
        "run", "--plan", "-", "--quiet", stdin="steps:\n  - {id: a, action: echo, params: {message: from stdin}}\n"
    )
    assert ended.returncode == 0, ended.stderr
    assert "from stdin" in ended.stdout


def test_an_intent_that_no_playbook_knows_ends_with_1_and_names_what_is_near(place: Daemon):
    ended = place.orchestral("run", "sai", "hello")
    assert ended.returncode == 1
    assert "say {text}" in ended.stdout + ended.stderr
