"""Can the course of an interaction be changed from the command line, and does `show` say who did it?"""

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrald.cli.command import BadInput
from orchestrald.cli.patch import patch_of

ASK = {"id": "ask", "kind": "wait_user", "params": {"prompt": "Which?"}}
SAY = {"id": "say", "action": "echo", "params": {"message": "{{ask.answer}}"}}
FAIL = {"id": "read", "action": "file_read", "params": {"path": "later.txt"}}


def said(cli: Any, interaction_id: str, step_id: str = "say") -> Any:
    steps = cli.call("interaction.get", interaction_id=interaction_id, outputs=True)["steps"]
    return next(step for step in steps if step["step_id"] == step_id).get("output", {}).get("result")


def test_a_paused_interaction_goes_on_when_it_is_resumed(cli: Any) -> None:
    it = cli.begin(ASK, SAY)
    assert cli("pause", it) == 0
    assert cli.out == f"{it} is paused.\n"
    assert it in [row["interaction_id"] for row in cli.json("list", "--state", "paused")["interactions"]]
    assert cli("status") == 0
    assert "paused    1 interaction\n" in cli.out
    assert cli("pause", it) == 2
    assert cli.json("resume", it) == {"interaction_id": it, "state": "waiting"}
    assert cli("show", it) == 0
    assert "you paused it" in cli.out
    assert "you resumed it" in cli.out


def test_a_step_is_skipped_with_a_value(cli: Any) -> None:
    it = cli.begin(ASK, SAY)
    assert cli("skip", it, "ask", "--value", '{"answer": "no matter"}') == 0
    cli.place.end_of(it)
    assert said(cli, it) == "no matter"
    assert cli("show", it) == 0
    assert "you skipped ask" in cli.out
    assert cli("skip", it, "nowhere") == 2
    assert cli("skip", it, "ask", "--value", "{") == 2


def test_what_failed_is_tried_again_and_followed(cli: Any) -> None:
    it = cli.begin(FAIL)
    cli.place.end_of(it)
    (cli.place.workspace / "later.txt").write_text("here now", encoding="utf-8")
    assert cli("retry", it, "--follow") == 0
    assert "read is to be run again" in cli.err
    assert "not exist" not in cli.err, "what happened before the retry is not told again"
    assert cli("show", it) == 0
    assert "you had it tried again" in cli.out
    assert "run 2" in cli.out
    (cli.place.workspace / "later.txt").unlink()


def test_everything_from_a_step_on_is_tried_again(cli: Any) -> None:
    it = cli.begin({"id": "say", "action": "echo", "params": {"message": "x"}})
    cli.place.end_of(it)
    assert cli("retry", it) == 2
    assert "name the step" in cli.err
    assert cli.json("retry", it, "--from", "say")["interaction_id"] == it
    assert cli.place.end_of(it)["steps"][0]["revision"] == 2


def test_all_events_of_one_that_was_tried_again_are_told_to_the_last(cli: Any) -> None:
    it = cli.begin({"id": "say", "action": "echo", "params": {"message": "x"}})
    cli.place.end_of(it)
    cli("retry", it, "--from", "say", "--follow", "--quiet")
    assert cli("watch", it, "--json") == 0
    *events, snapshot = [json.loads(line) for line in cli.out.splitlines()]
    assert [event["type"] for event in events].count("interaction.completed") == 2
    assert events[-1]["seq"] == snapshot["last_seq"]


def test_a_fork_differs_where_it_was_told_to_and_the_old_one_stays(cli: Any) -> None:
    it = cli.begin(
        {"id": "first", "action": "echo", "params": {"message": "kept"}},
        {**SAY, "depends_on": ["first"], "params": {"message": "old"}},
    )
    cli.place.end_of(it)
    assert cli("fork", it, "--at", "say", "--patch", "say.params.message=new", "--follow") == 0
    assert "first keeps its result" in cli.err
    forked = cli.json("list", "-n", "1")["interactions"][0]["interaction_id"]
    assert (said(cli, it), said(cli, forked), said(cli, forked, "first")) == ("old", "new", "kept")
    assert cli("show", forked) == 0
    assert f"forked from {it}" in cli.out


def test_a_fork_prints_its_name_and_what_became_of_it(cli: Any) -> None:
    it = cli.begin({"id": "say", "action": "echo", "params": {"message": "x"}})
    cli.place.end_of(it)
    thread_id = cli.thread("queue")
    busy = cli.begin({"id": "work", "action": "tally.work", "params": {"pause_ms": 60_000}}, thread_id=thread_id)
    assert cli("fork", it, "--at", "say", "--thread", thread_id) == 0
    assert cli.out.startswith("int_")
    assert cli.err == f"queued behind {busy}\n"
    assert cli("show", cli.out.strip()) == 0
    assert f"number 1 in the queue, behind {busy}" in cli.out
    assert cli("status") == 0
    assert "queued    1 interaction\n" in cli.out
    cli("cancel", busy)
    assert cli("fork", it, "--at", "nowhere") == 2
    assert cli("fork", it, "--at", "say", "--patch", "say.action=ecko") == 2
    assert "echo" in cli.err


def test_who_denied_a_step_is_shown_and_until_when_it_could_be_approved(cli: Any) -> None:
    it = cli.begin({"id": "wipe", "action": "shell", "params": {"command": "rm -f nothing"}})
    cli.place.end_of(it)
    assert cli("approvals") == 0
    thread_id = cli.call("interaction.get", interaction_id=it)["thread_id"]
    assert f"thread {thread_id}" in cli.out
    assert "rm -f nothing" in cli.out
    assert cli("deny", it, "--note", "not now") == 0
    cli.place.end_of(it)
    assert cli("show", it) == 0
    assert "you denied wipe" in cli.out


@pytest.mark.parametrize(
    ("given", "patch"),
    [
        ([], {}),
        (["a.params.x=1"], {"a": {"params": {"x": "1"}}}),
        (["a.params.x:=1", "a.params.y:=null"], {"a": {"params": {"x": 1, "y": None}}}),
        (["a:=null"], {"a": None}),
        (['{"a": {"timeout": 5}}', "a.params.x=y=z"], {"a": {"timeout": 5, "params": {"x": "y=z"}}}),
        (["a.x=old", "a.x=new"], {"a": {"x": "new"}}),
    ],
)
def test_a_patch_is_what_was_said(given: list[str], patch: dict[str, Any]) -> None:
    assert patch_of(given) == patch


def test_a_patch_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("a: {timeout: 5}\nb: null\n", encoding="utf-8")
    assert patch_of([f"@{tmp_path / 'p.yaml'}", "a.x=1"]) == {"a": {"timeout": 5, "x": "1"}, "b": None}


@pytest.mark.parametrize("given", ["a", "a=1", "a.=1", ".x=1", "a.x:={", "a:=1", '{"a": 1}', "@/nowhere.json"])
def test_what_is_no_patch_is_refused_before_anything_is_sent(given: str) -> None:
    with pytest.raises(BadInput):
        patch_of([given])
