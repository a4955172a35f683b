"""Does what a person does to an interaction happen once and to the end, when the daemon is killed right after?"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrald.client import Refused
from support.daemon import Daemon
from support.lives import (
    alive_with,
    gate,
    heard,
    hold,
    look,
    many_lives,
    over,
    put,
    restart,
    runs,
    state_of,
    states,
    step,
    until,
)

pytestmark = [pytest.mark.slow, pytest.mark.kernel]

WITHIN_US = 2_000_000


@pytest.fixture(scope="module")
def place() -> Iterator[Daemon]:
    """One for all tests of this file; each kills it."""
    with many_lives() as made:
        made.drop_tally()
        made.start()
        yield made


def tally(id_: str, after: Any = None, action: str = "work", **rest: Any) -> dict[str, Any]:
    """A step that notes its runs; `after` refers to what it comes after."""
    given = {} if after is None else {"after": after}
    return {"id": id_, "action": f"tally.{action}", "params": given, **rest}


def asked_twice(place: Daemon, method: str, **body: Any) -> dict[str, Any]:
    """Ask, kill, and ask the same again: the first answer, and nothing is done a second time."""
    body["request_id"] = f"{method}/{body['interaction_id']}"
    answer: dict[str, Any] = place.call(method, **body)
    restart(place)
    assert place.call(method, **body) == answer | {"replayed": True}
    return answer


def count(place: Daemon, type_: str, interaction_id: str) -> int:
    return len(place.events(types=[type_], interaction_id=interaction_id))


# --- pause and resume -------------------------------------------------------------------------------------------------


def test_what_is_paused_starts_nothing_over_kills_until_it_is_resumed(place: Daemon):
    name = put(place, hold("a", "paused"), tally("b", "{{a.n}}"))["interaction_id"]
    until(lambda: runs(place, name, "a"))
    assert asked_twice(place, "interaction.pause", interaction_id=name)["state"] == "paused"
    gate(place, "paused")
    assert (state_of(place, name), runs(place, name, "b")) == ("paused", 0)
    asked_twice(place, "interaction.resume", interaction_id=name)
    assert over(place, name)["state"] == "completed"
    assert (count(place, "interaction.paused", name), runs(place, name, "b") >= 1) == (1, True)


def test_what_runs_when_it_is_paused_comes_to_its_end_and_its_result_survives(place: Daemon):
    name = put(place, hold("a", "paused-2", n=3), tally("b", "{{a.n}}"))["interaction_id"]
    until(lambda: runs(place, name, "a"))
    place.call("interaction.pause", interaction_id=name)
    gate(place, "paused-2")
    heard(place, "step.succeeded", name)
    restart(place)
    assert states(look(place, name)) == {"a": "succeeded", "b": "pending"}
    place.call("interaction.resume", interaction_id=name)
    assert over(place, name)["state"] == "completed"
    assert (runs(place, name, "a"), runs(place, name, "b")) == (1, 1)


def test_a_paused_interaction_can_be_cancelled_after_a_kill(place: Daemon):
    name = put(place, {"id": "q", "kind": "wait_user"}, tally("b", "{{q.answer}}"))["interaction_id"]
    place.end_of(name)
    place.call("interaction.pause", interaction_id=name)
    restart(place)
    asked_twice(place, "interaction.cancel", interaction_id=name)
    ended = over(place, name)
    assert (ended["state"], states(ended)) == ("cancelled", {"q": "cancelled", "b": "cancelled"})


# --- cancel -----------------------------------------------------------------------------------------------------------


def test_a_program_that_ignores_sigterm_is_gone_within_two_seconds_of_the_cancel(place: Daemon):
    stubborn = {"id": "a", "action": "guest.hold", "params": {"until": "never", "marker": "m-cancelled"}}
    name = put(place, stubborn)["interaction_id"]
    until(lambda: alive_with("m-cancelled"))
    place.call("interaction.cancel", interaction_id=name)
    assert over(place, name)["state"] == "cancelled"
    assert alive_with("m-cancelled") == []
    (asked,), (gone,) = heard(place, "interaction.cancelling", name), heard(place, "interaction.cancelled", name)
    assert gone["at"] - asked["at"] < WITHIN_US


def test_a_cancel_that_a_kill_cut_short_is_made_good_and_nothing_runs_again(place: Daemon):
    stubborn = {"id": "a", "action": "guest.hold", "params": {"until": "never", "marker": "m-cut"}}
    name = put(place, stubborn, tally("b", "{{a.n}}"))["interaction_id"]
    until(lambda: alive_with("m-cut"))
    asked_twice(place, "interaction.cancel", interaction_id=name, reason="no more")
    ended = over(place, name)
    assert (ended["state"], states(ended)) == ("cancelled", {"a": "cancelled", "b": "cancelled"})
    assert (runs(place, name, "a"), runs(place, name, "b"), alive_with("m-cut")) == (1, 0, [])


# --- skip -------------------------------------------------------------------------------------------------------------


def test_a_step_is_skipped_once_with_a_value_that_survives_a_kill(place: Daemon):
    waits = {"id": "w", "kind": "wait_event", "params": {"kind": "never"}}
    name = put(place, waits, hold("b", "skipped", n="{{w.payload.n}}"))["interaction_id"]
    place.end_of(name)
    asked_twice(place, "interaction.skip", interaction_id=name, step_id="w", value={"payload": {"n": 3}})
    gate(place, "skipped")
    ended = over(place, name)
    assert (states(ended), step(ended, "b")["output"]["n"]) == ({"w": "skipped", "b": "succeeded"}, 3)
    with pytest.raises(Refused) as refused:
        place.call("interaction.skip", interaction_id=name, step_id="w")
    assert refused.value.kind == "wrong_state"


# --- retry ------------------------------------------------------------------------------------------------------------


def test_a_retry_goes_on_after_a_kill_and_does_not_run_again_what_succeeded(place: Daemon):
    fails = {"id": "b", "action": "guest.fail", "params": {"unless": "mended", "n": "{{a.n}}"}}
    steps = [tally("a", action="once"), fails, hold("h", "retried", n="{{b.n}}"), tally("c", "{{h.n}}", action="once")]
    name = put(place, *steps)["interaction_id"]
    failed = over(place, name)
    assert states(failed) == {"a": "succeeded", "b": "failed", "h": "skipped", "c": "skipped"}
    restart(place)
    gate(place, "mended")
    asked_twice(place, "interaction.retry", interaction_id=name)
    gate(place, "retried")
    ended = over(place, name)
    assert (ended["state"], set(states(ended).values())) == ("completed", {"succeeded"})
    assert (runs(place, name, "a"), runs(place, name, "c")) == (1, 1)
    assert count(place, "interaction.reopened", name) == 1
    assert step(ended, "h")["output"]["n"] == 2


def test_a_completed_interaction_is_run_again_from_a_step_on_and_only_from_there(place: Daemon):
    steps = [tally("a"), tally("b", "{{a.n}}"), hold("h", "again", n="{{b.n}}"), tally("z")]
    gate(place, "again")
    name = put(place, *steps)["interaction_id"]
    over(place, name)
    (place.workspace / "again").unlink()
    asked_twice(place, "interaction.retry", interaction_id=name, from_step="b")
    assert state_of(place, name) == "executing"
    gate(place, "again")
    assert over(place, name)["state"] == "completed"
    assert [runs(place, name, each) for each in ("a", "z")] == [1, 1]
    assert runs(place, name, "b") >= 2
    assert step(look(place, name), "b")["revision"] == 2


# --- fork -------------------------------------------------------------------------------------------------------------


def test_a_fork_keeps_results_runs_what_was_patched_and_is_one_also_after_a_kill(place: Daemon):
    steps = [tally("a", action="once"), hold("b", n="{{a.n}}"), tally("c", "{{b.n}}")]
    name = put(place, *steps)["interaction_id"]
    before = over(place, name)
    patch = {"b": {"params": {"until": "forked", "n": 7}}, "c": None, "d": hold("d", n="{{b.n}}")}
    forked = asked_twice(place, "interaction.fork", interaction_id=name, at_step="b", patch=patch)
    new = forked["interaction_id"]
    gate(place, "forked")
    ended = over(place, new)
    assert (ended["state"], states(ended)) == ("completed", dict.fromkeys("abd", "succeeded"))
    assert (ended["forked_from"], step(ended)["output"], step(ended, "d")["output"]["n"]) == (name, {"n": 2}, 7)
    assert (runs(place, new, "a"), runs(place, name, "a"), runs(place, new, "d")) == (0, 1, 1)
    after = look(place, name)
    assert [after[key] for key in ("state", "steps")] == [before[key] for key in ("state", "steps")]
    rows = place.call("interaction.list", thread_id=forked["thread_id"])["interactions"]
    assert {row["interaction_id"] for row in rows} == {name, new}, "asked twice, forked once"


def test_a_fork_that_cannot_be_says_why_and_starts_nothing(place: Daemon):
    name = put(place, tally("a"), tally("b", "{{a.n}}"))["interaction_id"]
    over(place, name)
    for at, patch, kind in (
        ("b", {"a": {"params": {"n": 3}}}, "invalid_params"),
        ("nobody", {}, "not_found"),
        ("b", {"b": {"action": "no.such"}}, "invalid_plan"),
    ):
        with pytest.raises(Refused) as refused:
            place.call("interaction.fork", interaction_id=name, at_step=at, patch=patch)
        assert refused.value.kind == kind
    thread_id = look(place, name)["thread_id"]
    assert len(place.call("interaction.list", thread_id=thread_id)["interactions"]) == 1


# --- replanning -------------------------------------------------------------------------------------------------------

PLAYBOOK = """
playbook: 1
name: {name}
phrases: ["{name} {{what}}"]
params: {{what: {{type: string}}}}
plan:
  goal: {name}
  steps:
    - {{id: a, action: tally.once}}
    - {{id: b, action: guest.fail, params: {{unless: never, n: "{{{{a.n}}}}"}}}}
    - {{id: c, action: echo, params: {{message: "{{{{b.n}}}}"}}}}
    - {{id: z, action: tally.once}}
on_failure:
  of: [b]
  steps:
    - {{id: b, action: {action}, params: {{{param}: {name}, n: "{{{{failed.step}}}} {{{{params.what}}}} {{{{a.n}}}}"}}}}
    - {{id: c, action: echo, params: {{message: "{{{{b.n}}}}, instead of {{{{failed.code}}}}"}}}}
"""


def playbook(place: Daemon, name: str, action: str, param: str) -> None:
    folder = Path(place.paths.playbooks_dir)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yaml").write_text(PLAYBOOK.format(name=name, action=action, param=param), encoding="utf-8")
    assert place.call("system.reload")["faults"] == []


def test_a_playbook_replaces_what_failed_and_goes_on_when_killed_meanwhile(place: Daemon):
    playbook(place, "mend", "guest.hold", "until")
    name = put(place, intent="mend it")["interaction_id"]
    heard(place, "step.succeeded", name, step_id="z")
    until(lambda: runs(place, name, "r1_b"))
    restart(place)
    gate(place, "mend")
    ended = over(place, name)
    assert ended["state"] == "completed"
    assert states(ended) == {
        **dict.fromkeys(("a", "z", "r1_b", "r1_c"), "succeeded"),
        **dict.fromkeys(("b", "c"), "superseded"),
    }
    assert step(ended, "b")["error"]["message"] == "as it was told"
    assert step(ended, "r1_c")["output"]["result"] == "b it 2, instead of broken"
    assert [runs(place, name, each) for each in ("a", "b", "z")] == [1, 1, 1], "what has finished is never run again"
    assert (count(place, "plan.patched", name), count(place, "interaction.planning", name)) == (1, 2)


def test_a_replacement_that_fails_too_ends_in_words_and_without_another_plan(place: Daemon):
    playbook(place, "hopeless", "guest.fail", "unless")
    name = put(place, intent="hopeless case")["interaction_id"]
    heard(place, "step.succeeded", name, step_id="z")
    heard(place, "plan.patched", name)
    restart(place)
    ended = over(place, name)
    assert (ended["state"], states(ended)["r1_b"], states(ended)["r1_c"]) == ("failed", "failed", "skipped")
    assert "as it was told" in ended["answer"]
    assert count(place, "plan.patched", name) == 1
    assert [runs(place, name, each) for each in ("a", "b", "z")] == [1, 1, 1]
