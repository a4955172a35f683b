"""Is everything shown that a plan would do, and is nothing else run than what a person agreed to?"""

import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from orchestrald.cli.main import dispatch
from orchestrald.client import Client
from support.screen import Screen

PLAN = {
    "goal": "tidy up",
    "steps": [
        {"id": "look", "action": "file_read", "params": {"path": "a\x1b[2J"}},
        {"id": "wipe", "action": "shell", "params": {"command": "rm {{look.content}}"}, "remember": {"thread.x": "y"}},
        {"id": "send", "action": "mail", "sandbox": {"network": "host"}, "retry": {"max": 3}},
        {"id": "ask", "kind": "wait_user", "params": {"prompt": "Well?"}},
    ],
    "on_failure": "It did not work.",
}
ACTIONS: list[dict[str, Any]] = [
    {"step_id": "look", "action": "file_read", "effects": "read", "idempotent": True, "word": "allow", "reason": ""},
    {"step_id": "wipe", "action": "shell", "effects": "destructive", "idempotent": False, "word": "ask", "reason": "R"},
    {"step_id": "send", "action": "mail", "effects": "write", "idempotent": True, "word": "deny", "reason": "no mail"},
]
CERTAIN = [{**each, "certain": each["step_id"] != "wipe"} for each in ACTIONS]
GRAPH = {"nodes": [{"id": "look", "kind": "action", "action": "file_read"}], "edges": []}
SPENT = {"calls": 2, "tokens": 3210, "cost": 4200}
FOUND: dict[str, Any] = {
    "plan": PLAN,
    "hash": "sha256:1",
    "planner": "llm:fake/m1",
    "graph": GRAPH,
    "actions": CERTAIN,
    "spent": SPENT,
    "rounds": 5,
}
ANSWER = {"planner": "llm:fake/m1", "answer": "It is tidy\x1b already.", "achieved": True, "spent": SPENT}


@pytest.fixture
def planner(daemon: Any) -> Any:
    ended = {"interaction_id": "i", "state": "completed", "answer": "It is tidy.", "steps": [], "last_seq": 1}
    daemon.answers |= {
        "plan.create": FOUND,
        "plan.validate": {"valid": True, "problems": [], **FOUND},
        "interaction.submit": {"interaction_id": "i", "thread_id": "t", "state": "executing"},
        "interaction.get": ended,
        "events.subscribe": {"subscription": "s", "last_seq": 1, "snapshot": ended},
    }
    return daemon


def sent(planner: Any) -> dict[str, Any]:
    """What was submitted, once."""
    [params] = planner.params_of("interaction.submit")
    assert params.pop("request_id")
    assert params.pop("workspace")
    return dict(params)


# --- what is shown ----------------------------------------------------------------------------------------------------


def test_a_preview_says_what_each_step_does_and_who_must_agree(
    planner: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dispatch(["plan", "tidy", "up"]) == 0
    assert capsys.readouterr() == (
        "tidy up  planned by llm:fake/m1\n"
        "\n"
        "┌───────────┐\n"
        "│ look      │\n"
        "│ file_read │\n"
        "└───────────┘\n"
        "\n"
        "look  file_read  only reads\n"
        "    path: a\\x1b[2J\n"
        "wipe  shell  can destroy; will probably ask for a yes: R\n"
        "    command: rm {{look.content}}\n"
        '    remember: {"thread.x": "y"}\n'
        "send  mail  writes, and may run twice without harm; will be denied: no mail\n"
        '    sandbox: {"network": "host"}\n'
        '    retry: {"max": 3}\n'
        "ask  wait_user\n"
        "    prompt: Well?\n"
        "on failure: It did not work.\n"
        "\n"
        "1 step will ask for a yes.\n"
        "1 step will be denied: the operator's rules say so.\n"
        "Asking took 2 calls, 3,210 tokens, $0.0042.\n"
        "When it is run, at most 5 more rounds of planning follow, each about as much: 16,050 tokens, $0.021 in all.\n"
        "hash: sha256:1\n"
        "Nothing was run. orchestral run --approve-plan shows a plan, and runs just that one.\n",
        "",
    )


def test_what_cannot_be_told_yet_is_said_to_be_open(planner: Any, capsys: pytest.CaptureFixture[str]) -> None:
    unsure = [{**each, "word": "allow", "reason": "", "certain": False} for each in ACTIONS]
    planner.answers["plan.create"] = {**FOUND, "actions": unsure}
    dispatch(["plan", "tidy", "up"])
    out = capsys.readouterr().out
    assert "Parameters of 3 steps are known only when it starts: it may ask, or be denied, all the same." in out
    assert "for a yes" not in out


def test_a_playbook_costs_nothing_and_is_not_asked_again(planner: Any, capsys: pytest.CaptureFixture[str]) -> None:
    free = {name: value for name, value in FOUND.items() if name not in {"spent", "rounds"}}
    planner.answers["plan.create"] = {**free, "planner": "playbook:tidy"}
    dispatch(["plan", "tidy", "up"])
    out = capsys.readouterr().out
    assert "Asking took" not in out
    assert "rounds" not in out
    assert out.endswith("Nothing was run. orchestral run with the same words runs it.\n")


def test_a_model_may_think_for_longer_than_other_calls_take(planner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def think(_peer: Any, _params: Any) -> dict[str, Any]:
        threading.Event().wait(0.4)  # a real wait: how long a client waits for a real socket is the point
        return FOUND

    planner.answers["plan.create"] = think
    monkeypatch.setitem(Client.call.__kwdefaults__, "timeout", 0.1)
    assert dispatch(["plan", "tidy", "up"]) == 0


@pytest.mark.parametrize(("achieved", "code", "first"), [(True, 0, ""), (False, 1, "It cannot be done.\n")])
def test_an_answer_without_a_plan_is_printed(
    planner: Any, achieved: bool, code: int, first: str, capsys: pytest.CaptureFixture[str]
) -> None:
    planner.answers["plan.create"] = {**ANSWER, "achieved": achieved}
    assert dispatch(["plan", "tidy", "up"]) == code
    assert capsys.readouterr().out == (
        f"{first}It is tidy\\x1b already.\n\nAsking took 2 calls, 3,210 tokens, $0.0042.\nThere is nothing to run.\n"
    )
    assert dispatch(["plan", "graph", "tidy", "up"]) == 2
    assert "It is tidy\\x1b already." in capsys.readouterr().err


def test_plan_only_is_what_plan_says(planner: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for more in ([], ["--json"]):
        assert dispatch(["plan", "tidy", "up", *more]) == 0
        shown = capsys.readouterr()
        assert dispatch(["run", "--plan-only", "tidy", "up", *more]) == 0
        assert capsys.readouterr() == shown
    assert json.loads(shown.out) == FOUND
    assert planner.params_of("interaction.submit") == []


def test_plan_only_shows_a_plan_from_a_file(planner: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.json").write_text(json.dumps(PLAN), encoding="utf-8")
    assert dispatch(["run", "--plan-only", "--plan", str(tmp_path / "p.json")]) == 0
    assert "will be denied: no mail" in capsys.readouterr().out
    assert planner.params_of("plan.validate") == [{"plan": PLAN, "workspace": os.getcwd()}]
    planner.answers["plan.validate"] = {"valid": False, "problems": [{"path": "steps[0]", "message": "no such"}]}
    assert dispatch(["run", "--plan-only", "--plan", str(tmp_path / "p.json")]) == 2
    err = capsys.readouterr().err
    assert "The plan cannot be run: 1 problem." in err
    assert "steps[0]: no such" in err


# --- agreeing ---------------------------------------------------------------------------------------------------------


def test_what_was_shown_and_agreed_to_is_what_is_run(planner: Any) -> None:
    screen = Screen("run", "--approve-plan", "tidy", "up", NO_COLOR="1")
    screen.until("Run exactly this plan? [y/N] ")
    assert "    command: rm {{look.content}}" in screen.seen
    assert "will be denied: no mail" in screen.seen
    assert "This plan alone is run" in screen.seen
    assert "more rounds" not in screen.seen
    assert planner.params_of("interaction.submit") == []
    screen.type("y\n")
    assert screen.end() == 0
    assert sent(planner) == {"intent": "tidy up", "plan": PLAN, "plan_hash": "sha256:1"}


@pytest.mark.parametrize("word", ["\n", "n\n", "what?\n", "\x04"])
def test_anything_but_a_yes_runs_nothing(planner: Any, word: str) -> None:
    screen = Screen("run", "--approve-plan", "tidy", "up")
    screen.until("[y/N] ")
    screen.type(word)
    assert screen.end() == 3
    assert "Nothing was run." in screen.seen
    assert planner.params_of("interaction.submit") == []


def test_what_was_typed_before_the_plan_was_seen_agrees_to_nothing(planner: Any) -> None:
    screen: Screen

    def think(_peer: Any, _params: Any) -> dict[str, Any]:
        screen.type("y\n")
        return FOUND

    planner.answers["plan.create"] = think
    screen = Screen("run", "--approve-plan", "tidy", "up")
    screen.until("[y/N] ")
    screen.type("\n")
    assert screen.end() == 3
    assert planner.params_of("interaction.submit") == []


def test_a_plan_of_ones_own_is_agreed_to_as_well(planner: Any, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(json.dumps({"steps": PLAN["steps"]}), encoding="utf-8")
    screen = Screen("run", "--approve-plan", "--plan", str(tmp_path / "p.json"), "--detach")
    screen.until("[y/N] ")
    screen.type("yes\n")
    assert screen.end() == 0
    assert sent(planner) == {"plan": PLAN, "plan_hash": "sha256:1"}


def test_an_answer_leaves_nothing_to_agree_to(planner: Any) -> None:
    planner.answers["plan.create"] = ANSWER
    screen = Screen("run", "--approve-plan", "tidy", "up")
    assert screen.end() == 0
    assert "It is tidy\\x1b already." in screen.seen
    assert "[y/N]" not in screen.seen


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_without_somebody_to_ask_no_model_is_paid(
    planner: Any, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert dispatch(["run", "--approve-plan", "tidy", "up", *more]) == 2
    assert "orchestral run --plan plan.json --plan-hash" in capsys.readouterr().err
    assert planner.asked == []


@pytest.mark.parametrize("words", [["tidy", "up"], []])
def test_a_script_runs_the_plan_that_was_agreed_to_elsewhere(planner: Any, tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "p.json").write_text(json.dumps(PLAN), encoding="utf-8")
    assert dispatch(["run", "--plan", str(tmp_path / "p.json"), "--plan-hash", "sha256:1", "--detach", *words]) == 0
    said = {"intent": "tidy up"} if words else {}
    assert sent(planner) == {"plan": PLAN, "plan_hash": "sha256:1", **said}


@pytest.mark.parametrize(
    "words",
    [
        ["--plan-hash", "sha256:1", "tidy"],
        ["--plan", "p.json", "tidy"],
        ["--approve-plan", "--plan", "-"],
        ["--approve-plan", "--plan-only", "tidy"],
        ["--approve-plan", "--plan-hash", "sha256:1", "--plan", "p.json"],
        ["--approve-plan"],
    ],
)
def test_what_is_not_one_thing_to_run_is_refused(planner: Any, words: list[str]) -> None:
    assert dispatch(["run", *words]) == 2
    assert planner.asked == []


# --- with a real daemon -----------------------------------------------------------------------------------------------


def test_a_daemon_runs_the_very_plan_that_it_showed_and_no_other(cli: Any, tmp_path: Path) -> None:
    shown = cli.json("plan", "take", "1")
    (tmp_path / "p.json").write_text(json.dumps(shown["plan"]), encoding="utf-8")
    run = ("run", "--plan", str(tmp_path / "p.json"), "--plan-hash")
    assert cli(*run, "sha256:0", "take", "1") == 2
    assert "not the one that was agreed to" in cli.err
    assert "run --approve-plan" in cli.err
    assert cli(*run, shown["hash"], "take", "1") == 0
    assert cli("show") == 0
    assert "you agreed to exactly this plan" in cli.out
    assert "take 1" in cli.out


def test_a_plan_that_is_looked_at_twice_has_the_same_hash(cli: Any, tmp_path: Path) -> None:
    shown = cli.json("plan", "ask", "me")
    (tmp_path / "p.json").write_text(json.dumps(shown["plan"]), encoding="utf-8")
    again = cli.json("run", "--plan-only", "--plan", str(tmp_path / "p.json"))
    assert {name: again[name] for name in ("plan", "hash", "graph", "actions")} == {
        name: shown[name] for name in ("plan", "hash", "graph", "actions")
    }


def test_another_plugin_of_the_same_name_is_not_what_was_agreed_to(cli: Any, tmp_path: Path) -> None:
    shown = cli.json("plan", "take", "1")
    (tmp_path / "p.json").write_text(json.dumps(shown["plan"]), encoding="utf-8")
    folder = Path(cli.place.paths.plugins_dir) / "tally"
    kept = tmp_path / "tally"
    shutil.copytree(folder, kept)
    with (folder / "plugin.yaml").open("a", encoding="utf-8") as manifest:
        manifest.write("# changed\n")
    try:
        cli.call("plugin.reload")
        assert cli("run", "--plan", str(tmp_path / "p.json"), "--plan-hash", shown["hash"]) == 2
        assert "not the one that was agreed to" in cli.err
    finally:
        shutil.copy2(kept / "plugin.yaml", folder / "plugin.yaml")
        cli.call("plugin.reload")
