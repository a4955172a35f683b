"""Does a person hear what became of an input to a thread, and see how that goes on?"""

import json
from typing import Any

import pytest

ASK = {"id": "ask", "kind": "wait_user", "params": {"prompt": "Which?"}}
SAY = {"id": "say", "action": "echo", "params": {"message": "You said {{ask.answer}}."}}
BUSY = {"id": "work", "action": "tally.work", "params": {"pause_ms": 60_000}}


def test_an_idle_thread_starts_it_and_says_no_more(cli: Any) -> None:
    assert cli("run", "--quiet", "--thread", cli.thread(), "say hello") == 0
    assert (cli.out, cli.err) == ("Done: say. 1 step succeeded.\nreply: hello\n", "")


def test_what_is_queued_says_behind_what_and_is_followed_when_its_turn_comes(cli: Any) -> None:
    thread_id = cli.thread("queue")
    ahead = cli.begin({**BUSY, "params": {"pause_ms": 700}}, thread_id=thread_id)
    assert cli("run", "--thread", thread_id, "say hello") == 0
    assert cli.err.startswith(f"queued behind {ahead}\n")
    assert "reply: hello" in cli.out


def test_what_interrupts_says_what_it_waits_for(cli: Any) -> None:
    thread_id = cli.thread("interrupt_and_start_new")
    ahead = cli.begin(BUSY, thread_id=thread_id)
    assert cli("run", "--thread", thread_id, "say hello") == 0
    assert cli.err.startswith(f"starts when {ahead} is gone")
    assert cli.state(ahead) == "cancelled"


def test_an_answer_goes_to_the_step_that_asks_and_its_interaction_is_followed(cli: Any) -> None:
    thread_id = cli.thread()
    it = cli.begin(ASK, SAY, thread_id=thread_id)
    cli.place.end_of(it)
    assert cli("run", "--thread", thread_id, "the", "second") == 0
    assert cli.err.startswith(f"answered step ask of {it}\n")
    assert "ask waits" not in cli.err, "what was told before is not told again"
    assert "You said the second." in cli.out


def test_what_joins_says_whom_and_is_shown_by_it(cli: Any) -> None:
    thread_id = cli.thread("merge_into_running")
    it = cli.begin({**BUSY, "params": {"pause_ms": 700}}, thread_id=thread_id)
    assert cli("run", "--thread", thread_id, "say hello") == 0
    assert cli.err.startswith(f"joined {it}, for its next planning round\n")
    assert cli("show", it) == 0
    assert "you joined it: say hello" in cli.out


def test_what_is_refused_ends_with_2_and_the_reason(cli: Any) -> None:
    thread_id = cli.thread("reject")
    it = cli.begin(BUSY, thread_id=thread_id)
    assert cli("run", "--thread", thread_id, "say hello") == 2
    assert f"{it} is active in this thread" in cli.err
    cli("cancel", it)


def test_the_policy_of_one_input_wins_over_the_threads(cli: Any) -> None:
    thread_id = cli.thread("reject")
    it = cli.begin(BUSY, thread_id=thread_id)
    assert cli("run", "--thread", thread_id, "--policy", "parallel", "say hello") == 0
    assert cli.state(it) == "executing"
    cli("cancel", it)


def test_detached_it_prints_the_name_alone_and_as_json_what_became_of_it(cli: Any) -> None:
    thread_id = cli.thread("queue")
    busy = cli.begin(BUSY, thread_id=thread_id)
    assert cli("run", "--detach", "--thread", thread_id, "say hello") == 0
    assert cli.out.startswith("int_")
    assert cli("run", "--detach", "--quiet", "--json", "--thread", thread_id, "say hello") == 0
    assert json.loads(cli.out)["disposition"] == "queued"
    cli("cancel", busy)


@pytest.mark.parametrize("words", [["--thread", "thr_nowhere"], ["--thread", "thr_"]])
def test_a_thread_that_is_not_there_or_not_the_only_one_is_refused(cli: Any, words: list[str]) -> None:
    cli.thread()
    cli.thread()
    assert cli("run", *words, "say hello") == 2
    assert "thread" in cli.err


def test_an_unattended_one_says_so_to_the_daemon(cli: Any) -> None:
    assert cli("run", "--unattended", "--json", "say hello") == 0
    events = [json.loads(line) for line in cli.out.splitlines()[:-1]]
    assert events[1]["data"]["unattended"] is True


@pytest.mark.parametrize(
    ("words", "payload"),
    [
        (["door.opened"], None),
        (["door.opened", "front", "door"], "front door"),
        (["door.opened", '{"n": [1]}'], {"n": [1]}),
        (["door.opened", "12"], 12),
        (["door.opened", "NaN"], "NaN"),
    ],
)
def test_an_event_carries_json_if_it_is_and_else_text(cli: Any, words: list[str], payload: Any) -> None:
    thread_id = cli.thread()
    assert cli.json("emit", *words, "--thread", thread_id)["event_id"].startswith("evt_")
    [event] = [e for e in cli.place.events(types=["external.event"]) if e.get("thread_id") == thread_id]
    assert event["data"].get("payload") == payload


def test_an_event_reaches_the_step_that_waits_for_it_and_no_other(cli: Any) -> None:
    wait = {"id": "wait", "kind": "wait_event", "params": {"kind": "paid", "correlation": "order-1"}}
    it = cli.begin(wait)
    other = cli.begin({**wait, "params": {"kind": "paid", "correlation": "order-2"}})
    assert cli("emit", "paid", "--correlation", "order-1") == 0
    assert cli("watch", "--quiet", it) == 0
    assert cli.state(other) == "waiting"
    assert cli("emit", "paid", "--thread", "thr_nowhere") == 2
