"""What do the commands print, what do they ask the daemon, and with which number do they end?"""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrald import errors
from orchestrald.cli.interactions import STATES
from orchestrald.cli.main import GROUPS, MODULES, dispatch
from orchestrald.core.states import InteractionState

NOW = 1_700_000_000_000_000
ROW = {
    "interaction_id": "abc-1",
    "state": "waiting",
    "intent": "survey\x1b[2J",
    "created_at": NOW,
    "waiting": ["ask"],
    "steps": 3,
    "finished": 1,
}
APPROVAL = {
    "interaction_id": "abc-1",
    "step_id": "publish",
    "action": "shell",
    "command": "rm -rf /\u202e",
    "params": {"command": "rm -rf /\u202e"},
    "reason": "It writes.",
    "digest": "d1",
    "asked_at": NOW,
}


@pytest.fixture
def known(daemon: Any) -> Any:
    daemon.answers |= {
        "interaction.list": {"interactions": [ROW]},
        "approval.list": {"approvals": [APPROVAL]},
        "approval.decide": {},
        "interaction.respond": {"step_id": "ask"},
        "interaction.cancel": {"state": "cancelling"},
        "events.list": {"events": []},
        "action.list": {
            "actions": [{"name": "echo", "effects": "read", "plugin": "echo", "description": "Says it again."}]
        },
        "plan.graph": {"graph": {"nodes": [{"id": "a", "kind": "action", "action": "echo"}], "edges": []}},
    }
    return daemon


def test_an_approval_says_until_when_it_can_be_given_and_where(known: Any, capsys: pytest.CaptureFixture[str]) -> None:
    later = time.time_ns() // 1000 + 90 * 60_000_000
    known.answers["approval.list"] = {"approvals": [APPROVAL | {"expires_at": later, "thread_id": "thr\x1b1"}]}
    assert dispatch(["approvals"]) == 0
    assert ", expires in 1 h, thread thr\\x1b1" in capsys.readouterr().out
    assert dispatch(["approve", "abc", "--yes"]) == 0
    assert "expires in 1 h" in capsys.readouterr().err


def test_help_lists_every_command_and_each_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["--help"]) == 0
    overview = capsys.readouterr().out
    for name in MODULES:
        assert f"  {name} " in overview
        assert dispatch([name, "--help"]) == 0
        said = capsys.readouterr().out
        assert "examples:\n  " in said
        assert f"orchestral {name}" in said.split("examples:")[1]
        assert all(len(line) <= 120 for line in said.split("\n"))
    assert all(f"{group}:" in overview for group in GROUPS)


def test_run_help_documents_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    dispatch(["run", "--help"])
    said = capsys.readouterr().out
    assert [code for code in ("0", "1", "2", "3", "4", "69", "70", "130") if f" {code}  " not in said] == []


@pytest.mark.parametrize(("word", "near"), [("shwo", "show"), ("rnu", "run"), ("aprove", "approve")])
def test_an_unknown_command_names_the_nearest(word: str, near: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch([word]) == 2
    assert near in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["run"], ["run", "x", "--plan", "y"], ["list", "--state", "nonsense"], ["call"]])
def test_wrong_usage_ends_with_2(argv: list[str], home: Path) -> None:
    assert dispatch(argv) == 2


def test_an_unreachable_daemon_ends_with_69(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["list"]) == 69
    assert "not running" in capsys.readouterr().err


def test_status_never_starts_a_daemon(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORCHESTRAL_NO_START")
    assert dispatch(["status"]) == 69
    assert dispatch(["status", "--json"]) == 69


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("not_found", 2),
        ("invalid_plan", 2),
        ("no_playbook", 2),
        ("plan_changed", 2),
        ("bad_answer", 2),
        ("model_refused", 2),
        ("store_error", 70),
        ("planner_unavailable", 70),
        ("model_unavailable", 70),
        ("model_misconfigured", 70),
        ("prompt_too_long", 70),
        ("budget_exhausted", 70),
    ],
)
def test_who_must_act_decides_the_exit_code(known: Any, refusal: Any, kind: str, code: int) -> None:
    def refuse(_peer: Any, _params: dict[str, Any]) -> None:
        raise refusal(kind)

    known.answers["interaction.cancel"] = refuse
    assert dispatch(["cancel", "abc"]) == code


def test_status_says_how_the_daemon_is_in_a_few_lines(known: Any, capsys: pytest.CaptureFixture[str]) -> None:
    known.answers["system.info"] = {
        "version": "1.2",
        "pid": 7,
        "uptime_s": 65,
        "state": "running",
        "plugins": 1,
        "actions": 4,
        "interactions": {"active": 0, "waiting": 1},
        "sandbox": {"backend": "bubblewrap", "ok": True, "weaker": ["no memory limit"]},
        "store": {"path": "/s/db", "last_seq": 1234, "durability": "power_loss"},
    }
    assert dispatch(["status"]) == 0
    lines = capsys.readouterr().out.split("\n")
    assert lines[:5] == [
        "orchestrald 1.2 is running: pid 7, up 1 min 05 s, 1 plugin with 4 actions",
        "sandbox   bubblewrap, ready",
        "          weaker here: no memory limit",
        "store     1,234 events in /s/db, survives a power loss",
        "waits     1 interaction for an answer",
    ]
    assert "survey\\x1b[2J" in lines[5]


@pytest.mark.parametrize(
    ("known_of_it", "said"),
    [
        ({"model": "fake/m\x1b1", "playbooks": 1, "skills": 2}, "planner   fake/m\\x1b1; 1 playbook, 2 skills"),
        ({"playbooks": 3, "skills": 0}, "planner   no model: playbooks only (3 playbooks)"),
    ],
)
def test_status_says_who_plans(
    known: Any, known_of_it: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    known.answers["system.info"] = {"sandbox": {"ok": True}, **known_of_it}
    assert dispatch(["status"]) == 0
    assert said in capsys.readouterr().out.split("\n")


def test_a_broken_sandbox_is_the_second_thing_said(known: Any, capsys: pytest.CaptureFixture[str]) -> None:
    known.answers["system.info"] = {"sandbox": {"backend": "bubblewrap", "reason": "not found", "hint": "Install it."}}
    dispatch(["status"])
    lines = capsys.readouterr().out.split("\n")
    assert "is unusable" in lines[1]
    assert "Install it." in lines[2]


def test_list_is_a_table_without_control_characters(known: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["list"]) == 0
    out = capsys.readouterr().out
    assert "abc-1" in out
    assert "asks: ask" in out
    assert "\x1b" not in out


def test_the_states_that_can_be_listed_are_the_daemons() -> None:
    assert set(STATES) == {state.value for state in InteractionState}


def test_json_is_what_the_daemon_said_in_ascii(known: Any, capsys: pytest.CaptureFixture[str]) -> None:
    dispatch(["approvals", "--json"])
    out = capsys.readouterr().out
    assert out.isascii()
    assert json.loads(out) == {"approvals": [APPROVAL]}


def test_the_start_of_an_id_is_enough(known: Any) -> None:
    dispatch(["cancel", "ab"])
    assert known.params_of("interaction.cancel")[0]["interaction_id"] == "abc-1"


def test_an_ambiguous_start_is_refused_with_the_candidates(known: Any, capsys: pytest.CaptureFixture[str]) -> None:
    known.answers["interaction.list"] = {"interactions": [ROW, {**ROW, "interaction_id": "abc-2"}]}
    assert dispatch(["cancel", "ab"]) == 2
    assert "abc-2" in capsys.readouterr().err


def test_approvals_show_exactly_what_would_run(known: Any, capsys: pytest.CaptureFixture[str]) -> None:
    dispatch(["approvals"])
    assert "$ rm -rf /\\u202e" in capsys.readouterr().out


def test_approving_without_a_terminal_needs_yes(known: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["approve", "abc-1"]) == 2
    assert known.params_of("approval.decide") == []
    assert dispatch(["approve", "abc-1", "publish", "--yes"]) == 0
    [sent] = known.params_of("approval.decide")
    assert (sent["digest"], sent["decision"]) == ("d1", "approve")


def test_approving_something_else_than_was_seen_is_refused(known: Any) -> None:
    assert dispatch(["approve", "abc-1", "--digest", "other"]) == 2
    assert known.params_of("approval.decide") == []


def test_denying_says_why(known: Any) -> None:
    assert dispatch(["deny", "abc-1", "--note", "no"]) == 0
    assert known.params_of("approval.decide")[0]["note"] == "no"


@pytest.mark.parametrize(
    ("words", "payload"),
    [
        (["the", "second", "one"], "the second one"),
        (["--payload", '{"a": 1}'], {"a": 1}),
        (["--retry"], {"decision": "retry"}),
        (["--skip", "--value", "[]"], {"decision": "skip", "value": []}),
    ],
)
def test_respond_takes_words_json_or_a_decision(known: Any, words: list[str], payload: Any) -> None:
    assert dispatch(["respond", "abc-1", "--step", "ask", *words]) == 0
    assert known.params_of("interaction.respond")[0]["payload"] == payload


@pytest.mark.parametrize("words", [[], ["x", "--retry"], ["--payload", "{"], ["--retry", "--value", "1"]])
def test_respond_refuses_what_it_cannot_understand(known: Any, words: list[str]) -> None:
    assert dispatch(["respond", "abc-1", *words]) == 2
    assert known.params_of("interaction.respond") == []


def test_an_unknown_action_names_the_nearest(known: Any, refusal: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(_peer: Any, _params: dict[str, Any]) -> None:
        raise refusal("not_found", "There is no action ecko.")

    known.answers["action.get"] = refuse
    assert dispatch(["actions", "ecko"]) == 2
    assert "Did you mean echo?" in capsys.readouterr().err


def test_an_action_is_described_with_what_it_takes(known: Any, capsys: pytest.CaptureFixture[str]) -> None:
    schema = {
        "properties": {"text": {"type": "string", "description": "What to say."}, "times": {"default": 1}},
        "required": ["text"],
    }
    known.answers["action.get"] = {"name": "echo", "effects": "read", "input_schema": schema, "output_schema": {}}
    dispatch(["actions", "echo"])
    out = capsys.readouterr().out
    assert "text               string, required  What to say." in out
    assert "anything, default 1" in out
    assert "gives anything" in out


def test_a_broken_plugin_says_why(known: Any, capsys: pytest.CaptureFixture[str]) -> None:
    known.answers["plugin.list"] = {
        "plugins": [
            {"name": "bad", "state": "broken", "problem": "plugin.yaml: no name", "hint": "Add it.", "actions": []}
        ]
    }
    dispatch(["plugins"])
    out = capsys.readouterr().out
    assert "bad: plugin.yaml: no name" in out
    assert "  Add it." in out


def test_every_problem_of_a_plan_is_told_with_its_path(
    known: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    problems = [{"path": f"steps[{i}]", "message": f"wrong {i}", "hint": f"mend {i}"} for i in range(10)]
    known.answers["plan.validate"] = {"valid": False, "problems": problems}
    file = tmp_path / "p.yaml"
    file.write_text("steps: []", encoding="utf-8")
    assert dispatch(["plan", "validate", str(file)]) == 2
    out = capsys.readouterr().out
    assert all(f"steps[{i}]: wrong {i}" in out and f"mend {i}" in out for i in range(10))


def test_an_intent_that_no_playbook_knows_shows_what_is_nearest(
    known: Any, refusal: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_peer: Any, _params: dict[str, Any]) -> None:
        raise refusal("no_playbook", "No playbook fits.", nearest=[{"phrase": "survey {folder}", "says": "measures"}])

    known.answers["plan.create"] = refuse
    assert dispatch(["plan", "sruvey", "."]) == 2
    err = capsys.readouterr().err
    assert "survey {folder}" in err
    assert "measures" in err


def refused(known: Any, refusal: Any, kind: str, message: str, **data: Any) -> None:
    """`plan.create` says no."""

    def refuse(_peer: Any, _params: dict[str, Any]) -> None:
        raise refusal(kind, message, **data)

    known.answers["plan.create"] = refuse


@pytest.mark.parametrize(
    "error", [e for e in errors.every_error() if e.hint and issubclass(e, errors.PlannerUnavailable)]
)
def test_what_is_wrong_with_a_model_is_a_sentence_and_a_hint(
    known: Any, refusal: Any, error: type[errors.OrchestralError], capsys: pytest.CaptureFixture[str]
) -> None:
    refused(known, refusal, error.code, "fake/m1 is at rest.", hint=error.hint)
    assert dispatch(["plan", "tidy", "up"]) == 70
    assert capsys.readouterr().err == f"orchestral: fake/m1 is at rest.\n  {error.hint}\n"


def test_where_no_playbook_fits_a_way_to_have_a_model_is_told(
    known: Any, refusal: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    hint = "Say one of the nearest phrases, or hand over a plan. Or have a model plan: set OPENAI_API_KEY."
    refused(known, refusal, "no_playbook", "No playbook fits.", hint=hint, nearest=[{"phrase": "say {words}"}])
    assert dispatch(["plan", "sya", "hi"]) == 2
    assert capsys.readouterr().err.endswith(
        "    say {words}\n"
        "  Say one of the phrases above, or hand over a plan. Or have a model plan: set OPENAI_API_KEY.\n"
    )


def test_a_bad_answer_is_told_with_its_faults_and_its_hint_once(
    known: Any, refusal: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    hint = errors.BadAnswer.hint
    for own in ({}, {"hint": hint}):
        faults = [{"path": "", "message": "it is empty", **own}]
        refused(known, refusal, "bad_answer", "The answer has one fault.", hint=hint, problems=faults)
        assert dispatch(["plan", "tidy", "up"]) == 2
        err = capsys.readouterr().err
        assert "  the answer: it is empty\n" in err
        assert err.count(hint) == 1


def test_an_intent_may_begin_with_the_word_validate(known: Any) -> None:
    known.answers["plan.create"] = {"plan": {"goal": "g", "steps": []}, "planner": "p", "graph": None}
    assert dispatch(["plan", "validate", "my", "taxes"]) == 0
    assert known.params_of("plan.create")[0]["intent"] == "validate my taxes"


@pytest.mark.parametrize("form", ["mermaid", "dot", "svg", "json", "terminal"])
def test_a_plan_is_drawn_in_every_format(
    known: Any, tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if form in {"mermaid", "dot"}:
        known.answers["plan.graph"] = {"graph": "graph TD\n  a"}
    file = tmp_path / "p.json"
    file.write_text('{"steps": []}', encoding="utf-8")
    assert dispatch(["plan", "graph", str(file), "--format", form]) == 0
    out = capsys.readouterr().out
    start = {"mermaid": "graph TD", "dot": "graph TD", "svg": "<svg", "json": '{"nodes"', "terminal": "┌"}[form]
    assert out.startswith(start)


def test_graph_before_the_id_is_understood(known: Any, capsys: pytest.CaptureFixture[str]) -> None:
    known.answers["interaction.graph"] = known.answers["plan.graph"]
    assert dispatch(["show", "--graph", "abc-1"]) == 0
    assert known.params_of("interaction.graph") == [{"interaction_id": "abc-1", "format": "json"}]


def test_show_without_an_id_shows_the_newest(known: Any, capsys: pytest.CaptureFixture[str]) -> None:
    known.answers["interaction.get"] = {
        "interaction_id": "abc-1",
        "state": "failed",
        "intent": "x",
        "answer": "It broke.\x1b",
        "steps": [
            {"step_id": "a[0]", "parent": "a", "state": "failed", "error": {"code": "exit", "message": "one\ntwo"}}
        ],
    }
    assert dispatch(["show"]) == 0
    out = capsys.readouterr().out
    assert out.endswith("a[0] failed (exit):\n  one\n  two\n\nIt broke.\\x1b\n")


def test_show_says_what_models_took(known: Any, capsys: pytest.CaptureFixture[str]) -> None:
    snapshot = {"interaction_id": "abc-1", "state": "completed", "intent": "x", "steps": []}
    known.answers["interaction.get"] = {**snapshot, "spent": {"calls": 3, "tokens": 4210, "cost": 3100}}
    dispatch(["show"])
    assert "  model: 3 calls, 4,210 tokens, $0.0031\n" in capsys.readouterr().out
    known.answers["interaction.get"] = snapshot
    dispatch(["show"])
    assert "model" not in capsys.readouterr().out


def test_all_pages_of_events_are_read(known: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def page(_peer: Any, params: dict[str, Any]) -> dict[str, Any]:
        seqs = range(params["after_seq"] + 1, min(params["after_seq"] + 1000, 2500) + 1)
        return {"events": [{"seq": seq, "type": "t"} for seq in seqs]}

    known.answers["events.list"] = page
    assert dispatch(["events", "--json"]) == 0
    assert [json.loads(line)["seq"] for line in capsys.readouterr().out.splitlines()] == list(range(1, 2501))


def test_stop_without_a_daemon_is_no_error(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["stop"]) == 0
    assert "not running" in capsys.readouterr().out


def test_stop_waits_until_nobody_listens(daemon: Any) -> None:
    def shutdown(_peer: Any, _params: dict[str, Any]) -> dict[str, Any]:
        Path(daemon.path).unlink()
        return {"stopping": True}

    daemon.answers["system.shutdown"] = shutdown
    assert dispatch(["stop", "--drain", "0"]) == 0
    assert daemon.params_of("system.shutdown") == [{"drain_s": 0.0}]


def test_paths_and_version_need_no_daemon(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["paths"]) == 0
    assert dispatch(["--version"]) == 0
    assert f"{home}/run/api.sock" in capsys.readouterr().out
