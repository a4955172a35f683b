"""Does a person see what was done to an interaction, by whom, and when?"""

import os
from typing import Any

import pytest

from orchestrald.cli.hands import TYPES, deeds
from orchestrald.core import events

NOW = 1_700_000_000_000_000


def told(kind: str, step: str = "", **data: Any) -> str:
    [line] = deeds([{"type": kind, "step_id": step, "data": data, "at": NOW - 60_000_000}], NOW)
    return "".join(text for text, _ in line)


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        ("interaction.submitted", {"approved": "sha256:1"}, "agreed to exactly this plan"),
        ("interaction.merged", {"intent": "and\nthat"}, "joined it: and ..."),
        ("interaction.paused", {}, "paused it"),
        ("interaction.resumed", {}, "resumed it"),
        ("interaction.reopened", {"from": "build"}, "had it tried again from build"),
        ("interaction.cancelling", {"reason": "wrong\x1b folder"}, "cancelled it: wrong\\x1b folder"),
        ("step.answered", {"answer": {"decision": "approved", "digest": "d"}}, "approved a"),
        ("step.answered", {"answer": {"decision": "retry"}}, "answered a"),
        ("step.skipped", {"reason": "decision"}, "skipped a"),
    ],
)
def test_each_deed_is_a_line_with_who_and_when(kind: str, data: dict[str, Any], said: str) -> None:
    step = "a" if kind.startswith("step.") else ""
    assert told(kind, step, by="uid:77", **data) == f"uid:77 {said}  1 min ago"


def test_a_denial_and_a_decision_to_fail_name_who_made_them() -> None:
    assert told("step.failed", "a", error={"code": "denied", "details": {"by": "uid:77"}}).startswith("uid:77 denied a")
    assert told("step.failed", "a", error={"code": "interrupted", "details": {"by": "uid:77"}}).startswith(
        "uid:77 let a"
    )


def test_whoever_looks_on_is_called_you() -> None:
    assert told("interaction.paused", by=f"uid:{os.getuid()}").startswith("you paused it")


def test_what_nobody_did_is_not_told() -> None:
    happened = [
        {"type": "interaction.submitted", "data": {"by": "uid:77", "intent": "x"}},
        {"type": "interaction.resumed", "data": {}},
        {"type": "step.failed", "step_id": "a", "data": {"error": {"code": "exit", "message": "x"}}},
        {"type": "step.skipped", "step_id": "a", "data": {"reason": "dependency"}},
    ]
    assert deeds(happened, NOW) == []


def test_the_events_that_are_asked_for_are_events_of_the_daemon() -> None:
    assert set(TYPES) <= events.TYPES.keys()
