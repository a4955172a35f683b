"""Who plans what, by mode, by what there is, and by who began."""

from pathlib import Path
from typing import Any

import pytest

from orchestrald.core.observation import Observed
from orchestrald.errors import NoPlaybook, PlannerUnavailable
from orchestrald.planner.base import Done, Proposal, Request
from orchestrald.planner.choice import Choice
from orchestrald.planner.playbooks import Playbooks

GREET = """
name: greet
phrases: ["say hello to {who}"]
params: {who: {type: string, maxLength: 5}}
plan: {steps: [{id: say, action: say, params: {text: "hello {{params.who}}"}}]}
on_failure: {steps: [{id: sorry, action: say, params: {text: sorry}}]}
"""


class AnyModel:
    replans = True

    async def propose(self, request: Request) -> Proposal | Done:
        return Done(request.intent, "llm:any")


@pytest.fixture
def playbooks(tmp_path: Path) -> Playbooks:
    (tmp_path / "greet.yaml").write_text(GREET, encoding="utf-8")
    made = Playbooks([tmp_path])
    assert made.reload() == []
    return made


FITS, WRONG, OTHER = "say hello to Eve", "say hello to Nebuchadnezzar", "dance"
ROUND = Observed((), round=2, left=1)
MERGED = Observed((), round=2, left=1, first="dance")
BY_BOOK: dict[str, Any] = {"planner": "playbook:greet"}
BY_MODEL: dict[str, Any] = {"planner": "llm:any"}


@pytest.mark.parametrize(
    ("mode", "request_", "who"),
    [
        ("auto", Request(FITS), "playbook:greet"),
        ("auto", Request(OTHER), "llm:any"),
        ("auto", Request(WRONG), "llm:any"),
        ("llm", Request(FITS), "llm:any"),
        ("deterministic", Request(FITS), "playbook:greet"),
        ("deterministic", Request(OTHER), NoPlaybook),
        # A failed part is replaced by whoever made it.
        ("auto", Request(FITS, failed_step="say", **BY_BOOK), "playbook:greet"),
        ("auto", Request(FITS, failed_step="say", **BY_MODEL), "llm:any"),
        ("llm", Request(FITS, failed_step="say", **BY_BOOK), "playbook:greet"),
        ("deterministic", Request(FITS, failed_step="say", **BY_MODEL), PlannerUnavailable),
        # So is what is to be done next; but another intent is a new one.
        ("auto", Request(FITS, observed=ROUND, **BY_MODEL), "llm:any"),
        ("auto", Request(FITS, observed=MERGED, **BY_MODEL), "playbook:greet"),
        ("auto", Request(OTHER, observed=MERGED, **BY_BOOK), "llm:any"),
        ("llm", Request(FITS, observed=MERGED, **BY_BOOK), "llm:any"),
        ("deterministic", Request(FITS, observed=MERGED, **BY_MODEL), "playbook:greet"),
    ],
)
async def test_who_plans(playbooks: Playbooks, mode: Any, request_: Request, who: Any):
    choice = Choice(playbooks, AnyModel(), mode)
    if isinstance(who, str):
        assert (await choice.propose(request_)).planner == who
    else:
        with pytest.raises(who):
            await choice.propose(request_)


async def test_without_a_model_playbooks_go_on_working_and_the_hint_says_how_to_get_one(playbooks: Playbooks):
    choice = Choice(playbooks, None, "auto", "/etc/orchestral.yaml")
    assert (await choice.propose(Request(FITS))).planner == "playbook:greet"
    with pytest.raises(NoPlaybook) as raised:
        await choice.propose(Request(OTHER))
    assert raised.value.data["nearest"]
    assert raised.value.advice == (
        "Say one of the nearest phrases, or hand over a plan. Or have a model plan: set OPENAI_API_KEY, or a "
        "backend in the section `providers` of /etc/orchestral.yaml."
    )


async def test_where_only_a_model_may_plan_and_there_is_none_it_says_how_to_get_one(playbooks: Playbooks):
    for mode, request in (("llm", Request(FITS)), ("auto", Request(FITS, failed_step="say", **BY_MODEL))):
        with pytest.raises(PlannerUnavailable, match="No model is configured: set OPENAI_API_KEY"):
            await Choice(playbooks, None, mode).propose(request)  # type: ignore[arg-type]


def test_a_plan_of_a_callers_own_is_not_planned_anew_by_a_model_unasked(playbooks: Playbooks):
    assert not Choice(playbooks, AnyModel()).replans
