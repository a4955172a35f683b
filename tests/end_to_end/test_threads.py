"""What becomes of an input while something is active, through the socket, and when the daemon is killed meanwhile?"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrald.client import Refused
from support.daemon import Daemon
from support.lives import (
    GRANTS,
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
    step,
    until,
)

pytestmark = [pytest.mark.slow, pytest.mark.kernel]

WITHIN_US = 2_000_000
"""How long a cancellation may take, also of a program that does not listen."""


@pytest.fixture(scope="module")
def place() -> Iterator[Daemon]:
    """One for all tests of this file; each uses threads of its own, and kills it."""
    with many_lives() as made:
        made.start()
        yield made


def begun(place: Daemon, gate_: str, thread_id: str | None = None, **rest: Any) -> dict[str, Any]:
    """Something that runs until the gate is opened, and does run."""
    params = {"until": gate_, **rest}
    submitted = put(place, {"id": "a", "action": "guest.hold", "params": params}, thread_id=thread_id)
    until(lambda: runs(place, submitted["interaction_id"], "a"))
    return submitted


def order(place: Daemon, *types: str) -> list[tuple[str, str]]:
    """What happened to which interaction, in the order of the journal."""
    return [(event["type"].split(".")[1], event["interaction_id"]) for event in place.events(types=list(types))]


# --- interrupt_and_start_new ------------------------------------------------------------------------------------------


def test_interrupting_starts_the_new_one_when_the_old_processes_are_gone_and_within_two_seconds(place: Daemon):
    old = begun(place, "never", marker="m-interrupted")
    until(lambda: alive_with("m-interrupted"))
    new = put(place, hold(n=1), thread_id=old["thread_id"], policy="interrupt_and_start_new")
    assert new["disposition"] == "queued"
    heard(place, "step.started", new["interaction_id"])
    assert alive_with("m-interrupted") == []
    (asked,) = heard(place, "interaction.cancelling", old["interaction_id"])
    (gone,) = heard(place, "interaction.cancelled", old["interaction_id"])
    assert gone["at"] - asked["at"] < WITHIN_US
    assert asked["data"]["reason"] == f"interrupted by {new['interaction_id']}"
    ended = over(place, new["interaction_id"])
    assert step(ended)["output"] == {"n": 1, "alone": True}, "the old one still held the workspace"


def test_an_interruption_goes_on_after_a_kill_and_the_old_program_is_not_run_again(place: Daemon):
    old = begun(place, "never", marker="m-killed-meanwhile")
    until(lambda: alive_with("m-killed-meanwhile"))
    new = put(place, hold(n=2), thread_id=old["thread_id"], policy="interrupt_and_start_new")
    restart(place)
    ended = over(place, new["interaction_id"])
    assert (ended["state"], step(ended)["output"]) == ("completed", {"n": 2, "alone": True})
    assert state_of(place, old["interaction_id"]) == "cancelled"
    assert (runs(place, old["interaction_id"], "a"), alive_with("m-killed-meanwhile")) == (1, [])
    order_ = order(place, "interaction.cancelled", "plan.adopted")
    assert order_.index(("cancelled", old["interaction_id"])) < order_.index(("adopted", new["interaction_id"]))


# --- reject -----------------------------------------------------------------------------------------------------------


def test_a_refused_input_is_recorded_and_the_thread_takes_inputs_again_after_a_kill(place: Daemon):
    thread_id = place.call("thread.create", policy="reject")["thread_id"]
    one = begun(place, "reject", thread_id)
    for life in range(2):
        with pytest.raises(Refused, match=f"{one['interaction_id']} is active") as refused:
            put(place, intent=f"and this, in life {life}", thread_id=thread_id)
        assert refused.value.kind == "rejected"
        (recorded,) = place.events(refused.value.data["seq"] - 1, types=["input.rejected"])[:1]
        assert (recorded["thread_id"], recorded["kind"]) == (thread_id, "user_input")
        assert recorded["data"]["intent"] == f"and this, in life {life}"
        if not life:
            restart(place)
    gate(place, "reject")
    assert over(place, one["interaction_id"])["state"] == "completed"
    again = put(place, hold(), thread_id=thread_id)
    assert (again["disposition"], over(place, again["interaction_id"])["state"]) == ("started", "completed")
    said = place.call("thread.dialogue", thread_id=thread_id)["messages"]
    assert [each["text"] for each in said if "and this" in each["text"]] == [
        "and this, in life 0",
        "and this, in life 1",
    ]


# --- queue ------------------------------------------------------------------------------------------------------------


def test_three_queued_inputs_survive_a_kill_and_run_in_their_order_one_at_a_time(place: Daemon):
    thread_id = place.call("thread.create", policy="queue")["thread_id"]
    one = begun(place, "queue", thread_id)
    rest = [put(place, hold(n=n), thread_id=thread_id) for n in range(3)]
    assert [each["disposition"] for each in rest] == ["queued"] * 3
    restart(place)
    unfinished = place.call("thread.get", thread_id=thread_id)["unfinished"]
    assert [each["standing"] for each in unfinished] == ["active", "queued", "queued", "queued"]
    gate(place, "queue")
    ended = [over(place, each["interaction_id"]) for each in rest]
    assert [step(each)["output"] for each in ended] == [{"n": n, "alone": True} for n in range(3)]
    ids = [each["interaction_id"] for each in (one, *rest)]
    seen = [each for each in order(place, "plan.adopted", "interaction.completed") if each[1] in ids]
    assert seen == [(what, name) for name in ids for what in ("adopted", "completed")]


def test_what_is_cancelled_in_the_queue_never_starts_also_after_a_kill(place: Daemon):
    one = begun(place, "queue-cancel")
    two, three = (put(place, hold(), thread_id=one["thread_id"], policy="queue") for _ in range(2))
    place.call("interaction.cancel", interaction_id=two["interaction_id"])
    restart(place)
    gate(place, "queue-cancel")
    assert over(place, three["interaction_id"])["state"] == "completed"
    assert over(place, two["interaction_id"])["state"] == "cancelled"
    assert place.events(interaction_id=two["interaction_id"], types=["step.started"]) == []


# --- parallel ---------------------------------------------------------------------------------------------------------


def test_parallel_inputs_run_side_by_side_up_to_the_limit_which_a_kill_does_not_forget(place: Daemon):
    restart(place, GRANTS + "runtime: {max_interactions_per_thread: 3, max_parallel_sandboxes: 8}\n")
    thread_id = place.call("thread.create", policy="parallel")["thread_id"]
    running = [begun(place, "parallel", thread_id) for _ in range(2)]
    running.append(put(place, {"id": "q", "kind": "wait_user"}, hold(until="parallel"), thread_id=thread_id))
    assert [each["disposition"] for each in running] == ["started"] * 3
    for life in range(2):
        with pytest.raises(Refused, match="3 interactions") as refused:
            put(place, hold(), thread_id=thread_id)
        assert refused.value.kind == "rejected"
        if not life:
            restart(place)
            for each in running:
                # Of all three, and at the same moment: none has ended, since the gate is shut.
                heard(place, "step.started", each["interaction_id"], count=2)
    gate(place, "parallel")
    assert [over(place, each["interaction_id"])["state"] for each in running[:2]] == ["completed"] * 2
    more = put(place, hold(), thread_id=thread_id)
    assert (more["disposition"], over(place, more["interaction_id"])["state"]) == ("started", "completed")
    place.call("interaction.respond", interaction_id=running[2]["interaction_id"], payload="x")
    assert over(place, running[2]["interaction_id"])["state"] == "completed"
    restart(place, GRANTS)


# --- merge_into_running -----------------------------------------------------------------------------------------------

PLAYBOOK = """
playbook: 1
name: {name}
phrases: ["{name} {{what}}"]
params: {{what: {{type: string}}}}
plan:
  goal: {name}
  steps: [{{id: a, action: guest.hold, params: {{until: "{until}", n: "{name} {{{{params.what}}}}"}}}}]
"""


def playbooks(place: Daemon, **until: str) -> None:
    """Playbooks of one step each, known by their names."""
    folder = Path(place.paths.playbooks_dir)
    folder.mkdir(parents=True, exist_ok=True)
    for name, gate_ in until.items():
        (folder / f"{name}.yaml").write_text(PLAYBOOK.format(name=name, until=gate_), encoding="utf-8")
    assert place.call("system.reload")["faults"] == []


def test_a_merged_intent_is_planned_after_the_first_plan_and_outlives_a_kill(place: Daemon):
    playbooks(place, bake="merge-1", wash="merge-2")
    one = put(place, intent="bake bread")
    heard(place, "step.started", one["interaction_id"])
    two = put(place, intent="wash plates", thread_id=one["thread_id"], policy="merge_into_running")
    assert (two["disposition"], two["interaction_id"]) == ("merged", one["interaction_id"])
    restart(place)  # the first plan runs, the second intent waits for it
    gate(place, "merge-1")
    heard(place, "plan.patched", one["interaction_id"])
    restart(place)  # the second one runs
    gate(place, "merge-2")
    ended = over(place, one["interaction_id"])
    assert ended["state"] == "completed"
    assert [(each["step_id"], each["output"]["n"]) for each in ended["steps"]] == [
        ("a", "bake bread"),
        ("r1_a", "wash plates"),
    ]
    types = ["plan.adopted", "plan.patched", "step.succeeded"]
    events = place.events(interaction_id=one["interaction_id"], types=types)
    assert [event["type"] for event in events] == ["plan.adopted", "step.succeeded", "plan.patched", "step.succeeded"]
    rows = place.call("interaction.list", thread_id=one["thread_id"])["interactions"]
    assert [row["interaction_id"] for row in rows] == [one["interaction_id"]], "it is one interaction"


# --- a policy that a plugin brings ------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["thread.set_policy", "the configuration"])
def test_of_what_waits_under_latest_only_the_newest_runs_also_after_a_kill(place: Daemon, where: str):
    if where == "the configuration":
        restart(place, GRANTS + "runtime: {concurrency_policy: latest}\n")
    name = where.replace(" ", "-")
    one = begun(place, name)
    if where == "thread.set_policy":
        set_ = place.call("thread.set_policy", thread_id=one["thread_id"], policy="latest")
        assert set_["policy"] == "latest"
    rest = [put(place, hold(n=1), thread_id=one["thread_id"])]
    restart(place)
    rest += [put(place, hold(n=n), thread_id=one["thread_id"]) for n in (2, 3)]
    restart(place)
    gate(place, name)
    ended = [over(place, each["interaction_id"])["state"] for each in (one, *rest)]
    assert ended == ["completed", "cancelled", "cancelled", "completed"]
    assert step(look(place, rest[2]["interaction_id"]))["output"] == {"n": 3, "alone": True}
    if where == "the configuration":
        restart(place, GRANTS)


def test_a_policy_that_is_not_there_is_refused_with_those_that_are(place: Daemon):
    one = put(place, hold())
    over(place, one["interaction_id"])
    for ask in (
        lambda: place.call("thread.set_policy", thread_id=one["thread_id"], policy="newest"),
        lambda: place.call("thread.create", policy="newest"),
    ):
        with pytest.raises(Refused, match="newest") as refused:
            ask()
        assert "latest" in (refused.value.hint or "")


# --- what a thread is -------------------------------------------------------------------------------------------------


def test_title_metadata_and_archive_of_a_thread_are_as_they_were_after_a_kill(place: Daemon):
    made = place.call("thread.create", title="bug 7", metadata={"ticket": 7, "old": True}, policy="queue")
    changes: dict[str, Any] = {"title": "bug seven", "metadata": {"old": None, "who": "ann"}, "request_id": "u-1"}
    changed = place.call("thread.update", thread_id=made["thread_id"], **changes)
    waiting = put(place, {"id": "q", "kind": "wait_user"}, thread_id=made["thread_id"])
    place.end_of(waiting["interaction_id"])
    with pytest.raises(Refused, match="unfinished"):
        place.call("thread.archive", thread_id=made["thread_id"])
    restart(place)
    with pytest.raises(Refused, match="unfinished"):
        place.call("thread.archive", thread_id=made["thread_id"])
    place.call("interaction.cancel", interaction_id=waiting["interaction_id"])
    over(place, waiting["interaction_id"])
    place.call("thread.archive", thread_id=made["thread_id"])
    restart(place)
    assert place.call("thread.update", thread_id=made["thread_id"], **changes) == changed | {"replayed": True}
    shown = place.call("thread.get", thread_id=made["thread_id"])
    assert (shown["title"], shown["metadata"], shown["policy"]) == ("bug seven", {"ticket": 7, "who": "ann"}, "queue")
    with pytest.raises(Refused, match="archived"):
        put(place, hold(), thread_id=made["thread_id"])
    listed = {each["thread_id"] for each in place.call("thread.list", limit=500)["threads"]}
    assert made["thread_id"] not in listed
    place.call("thread.archive", thread_id=made["thread_id"], archived=False)
    assert over(place, put(place, hold(), thread_id=made["thread_id"])["interaction_id"])["state"] == "completed"


def test_metadata_and_labels_are_bounded_and_what_was_there_stays(place: Daemon):
    made = place.call("thread.create", title="small", metadata={"a": 1})
    for words in ({"b": "x" * 20_000}, {f"k{i}": i for i in range(101)}):
        with pytest.raises(Refused) as refused:
            place.call("thread.update", thread_id=made["thread_id"], metadata=words)
        assert refused.value.kind == "invalid_params"
    assert place.call("thread.get", thread_id=made["thread_id"])["metadata"] == {"a": 1}
    with pytest.raises(Refused):
        place.call("interaction.submit", intent="say hi", labels={"k": "x" * 5_000})
