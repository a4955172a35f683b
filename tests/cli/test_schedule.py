"""What does `orchestral schedule` ask the daemon, and what does it show of the answers?"""

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrald.cli import schedule
from orchestrald.cli.main import dispatch
from orchestrald.cli.schedule_text import describe, listing, when

NOW = 1_700_000_000_000_000
ROW = {
    "schedule_id": "sch_1",
    "name": "mornings\x1b[2J",
    "state": "active",
    "trigger": {"cron": "0 9 * * 1-5", "tz": "Europe/Berlin"},
    "misfire": "once",
    "intent": "survey the house",
    "next": [NOW + 300_000_000],
    "fired": 1,
    "last": {"at": NOW - 60_000_000, "interaction_id": "int_1"},
    "by": "uid:1000",
}


@pytest.fixture
def known(daemon: Any) -> Any:
    daemon.answers |= {
        "schedule.list": {"schedules": [ROW]},
        "schedule.create": ROW,
        "schedule.get": ROW,
        "schedule.pause": ROW | {"state": "paused"},
        "schedule.resume": ROW,
        "schedule.delete": {"schedule_id": "sch_1", "name": "mornings"},
        "schedule.run": {"schedule_id": "sch_1", "interaction_id": "int_2"},
    }
    return daemon


def test_the_list_says_what_comes_next_and_what_came_last(known: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["schedule"]) == 0
    said = capsys.readouterr().out
    assert "0 9 * * 1-5 (Europe/Berlin)" in said
    assert "survey" in said
    assert "\x1b" not in said
    (_, line) = listing([ROW], NOW, 200)
    assert "in 5 min" in line
    assert "started 1 min ago" in line


def test_an_empty_list_says_so(known: Any, capsys: pytest.CaptureFixture[str]) -> None:
    known.answers["schedule.list"] = {"schedules": []}
    assert dispatch(["schedule", "list"]) == 0
    assert capsys.readouterr().out == "No schedules.\n"


@pytest.mark.parametrize(
    ("words", "trigger"),
    [
        (["--every", "10m"], {"every": "10m"}),
        (["--at", "2026-12-01T09:00:00Z"], {"at": "2026-12-01T09:00:00Z"}),
        (["--cron", "0 9 * * *", "--tz", "Asia/Tokyo"], {"cron": "0 9 * * *", "tz": "Asia/Tokyo"}),
        (["--folder", "/tmp", "--glob", "*.pdf", "--existing"], {"folder": "/tmp", "glob": "*.pdf", "existing": True}),
        (["--folder", "/tmp", "--settle", "5s", "--depth", "2"], {"folder": "/tmp", "settle": "5s", "depth": 2}),
    ],
)
def test_add_sends_the_trigger_that_the_options_say(known: Any, words: list[str], trigger: dict[str, Any]) -> None:
    assert dispatch(["schedule", "add", *words, "survey", "the house"]) == 0
    (sent,) = known.params_of("schedule.create")
    assert sent["trigger"] == trigger
    assert sent["intent"] == "survey the house"
    assert sent["workspace"] == trigger.get("folder", str(Path.cwd()))
    assert "request_id" in sent
    assert "misfire" not in sent


def test_a_plan_a_name_a_rule_a_thread_and_labels_are_sent_along(known: Any, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"steps": []}), encoding="utf-8")
    words = ["--name", "n", "--misfire", "skip", "--thread", "thr_1", "--label", "a=b", "--plan", str(plan)]
    assert dispatch(["schedule", "add", "--every", "1h", *words]) == 0
    (sent,) = known.params_of("schedule.create")
    assert sent["plan"] == {"steps": []}
    assert (sent["name"], sent["misfire"], sent["thread_id"]) == ("n", "skip", "thr_1")
    assert sent["labels"] == {"a": "b"}


def test_cron_means_this_machines_time_unless_a_zone_is_named(known: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", ":Asia/Kathmandu")
    assert dispatch(["schedule", "add", "--cron", "0 9 * * *", "x"]) == 0
    assert known.params_of("schedule.create")[0]["trigger"]["tz"] == "Asia/Kathmandu"
    monkeypatch.delenv("TZ")
    monkeypatch.setattr(schedule.os.path, "realpath", lambda _: "/usr/share/zoneinfo/Europe/Berlin")
    assert schedule.local_zone() == "Europe/Berlin"
    monkeypatch.setattr(schedule.os.path, "realpath", lambda _: "/etc/localtime")
    assert schedule.local_zone() == "UTC"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["add", "x"], "exactly one"),
        (["add", "--every", "1m", "--at", "2026-12-01T09:00:00Z", "x"], "exactly one"),
        (["add", "--every", "1m"], "one of the two"),
        (["add", "--every", "1m", "--tz", "UTC", "x"], "--tz belongs to --cron"),
        (["add", "--every", "1m", "--glob", "*", "x"], "--glob belongs to --folder"),
        (["add", "--every", "1m", "--existing", "x"], "--existing belongs to --folder"),
        (["show"], "Which one"),
        (["pause", "a", "b"], "Which one"),
        (["list", "--every", "1m"], "--every belongs to"),
        (["show", "a", "--path", "/in/a"], "--path belongs to"),
        (["shwo", "a"], "Did you mean show"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_sent(
    known: Any, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert dispatch(["schedule", *words]) == 2
    assert says in capsys.readouterr().err
    assert [name for name, _ in known.asked if name.startswith("schedule.")] == []


def test_one_schedule_is_shown_paused_resumed_run_and_removed(known: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for words, says in (
        (["show", "mornings"], "orchestral show int_1"),
        (["pause", "mornings"], "is paused"),
        (["resume", "mornings"], "is active"),
        (["run", "mornings", "--path", "/in/a"], "int_2\n"),
        (["remove", "mornings"], "mornings is removed"),
    ):
        assert dispatch(["schedule", *words]) == 0
        assert says in capsys.readouterr().out
    assert known.params_of("schedule.run")[0]["path"] == "/in/a"
    assert known.params_of("schedule.delete")[0]["schedule"] == "mornings"


@pytest.mark.parametrize("verb", ["list", "show", "pause", "run", "remove"])
def test_json_is_the_daemons_answer(known: Any, capsys: pytest.CaptureFixture[str], verb: str) -> None:
    assert dispatch(["schedule", verb, *([] if verb == "list" else ["mornings"]), "--json"]) == 0
    method = {"show": "get", "remove": "delete"}.get(verb, verb)
    assert json.loads(capsys.readouterr().out) == known.answers[f"schedule.{method}"]


@pytest.mark.parametrize(
    ("trigger", "says"),
    [
        ({"every": 600.0}, "every 10 min"),
        ({"every": 90.0}, "every 90 s"),
        ({"every": 86400.0}, "every 1 d"),
        ({"every": 1.5}, "every 1.5 s"),
        ({"at": "2026-12-01T09:00:00Z"}, "at 2026-12-01T09:00:00Z"),
        ({"folder": "/in/", "glob": "*.pdf", "depth": 0}, "files /in/*.pdf"),
        ({"folder": "/in", "glob": "*", "depth": 2}, "files /in/**/*"),
    ],
)
def test_a_trigger_is_said_in_words(trigger: dict[str, Any], says: str) -> None:
    assert when(trigger) == says


def test_a_refusal_and_a_problem_are_shown_with_their_reason() -> None:
    row = ROW | {
        "problem": "/in cannot be looked at",
        "last": {"at": NOW, "path": "/in/\x1b", "error": {"code": "rejected", "message": "Not started: busy."}},
    }
    text = "\n".join(
        "".join(part for part, _ in line) if isinstance(line, list) else line for line in describe(row, NOW)
    )
    assert "/in cannot be looked at" in text
    assert "refused just now for /in/\\x1b" in text
    assert "Not started: busy." in text
