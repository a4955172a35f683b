"""Can a person make threads, look at them, and change what they do?"""

from typing import Any

import pytest


def test_a_new_thread_is_listed_with_its_title_and_policy(cli: Any) -> None:
    assert (
        cli("threads", "new", "--title", "The move", "--policy", "queue", "--meta", "ticket:=17", "--meta", "a=b") == 0
    )
    thread_id = cli.out.strip()
    assert cli("threads") == 0
    [line] = [line for line in cli.out.splitlines() if line.startswith(thread_id)]
    assert line.split() == [thread_id, "0", "queue", "just", "now", "The", "move"]
    thread = cli.json("threads", "show", thread_id)
    assert thread["metadata"] == {"ticket": 17, "a": "b"}
    assert thread["unfinished"] == []


def test_a_thread_is_shown_with_what_is_unfinished_and_what_was(cli: Any) -> None:
    thread_id = cli.thread()
    waiting = cli.begin({"id": "ask", "kind": "wait_user"}, thread_id=thread_id)
    cli.place.end_of(waiting)
    assert cli("threads", "show", thread_id) == 0
    assert f"unfinished: {waiting} waiting" in cli.out
    assert f"{waiting}  waiting" in cli.out
    listed = next(row for row in cli.json("threads")["threads"] if row["thread_id"] == thread_id)
    assert listed["unfinished"] == [{"interaction_id": waiting, "standing": "waiting"}]


def test_the_title_and_the_policy_are_changed_and_the_policy_goes_back(cli: Any) -> None:
    thread_id = cli.thread("queue")
    assert cli.json("threads", "title", thread_id, "Two", "words")["title"] == "Two words"
    assert cli.json("threads", "policy", thread_id, "reject")["policy"] == "reject"
    assert cli.json("threads", "policy", thread_id, "default")["policy"] == ""
    assert cli("threads", "policy", thread_id, "first_come") == 2
    assert "merge_into_running" in cli.err


def test_an_archived_thread_takes_nothing_until_it_is_brought_back(cli: Any) -> None:
    thread_id = cli.thread()
    assert cli("threads", "archive", thread_id) == 0
    assert "it takes no inputs" in cli.out
    assert thread_id not in [row["thread_id"] for row in cli.json("threads")["threads"]]
    assert thread_id in [row["thread_id"] for row in cli.json("threads", "--archived")["threads"]]
    assert cli("run", "--thread", thread_id, "say hello") == 2
    assert "is archived" in cli.err
    assert cli("threads", "unarchive", thread_id) == 0
    assert cli("run", "--thread", thread_id, "say hello") == 0


def test_a_thread_in_which_something_is_unfinished_is_not_put_away(cli: Any) -> None:
    thread_id = cli.thread()
    waiting = cli.begin({"id": "ask", "kind": "wait_user"}, thread_id=thread_id)
    assert cli("threads", "archive", thread_id) == 2
    assert waiting in cli.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["shwo", "x"], "Did you mean show?"),
        (["show"], "takes 1 word"),
        (["policy", "x"], "takes 2 words"),
        (["show", "x", "--title", "y"], "--title belongs to `threads new`"),
        (["new", "--archived"], "--archived belongs to `threads list`"),
        (["show", "thr_unknown"], "There is no thread thr_unknown"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_could_be(cli: Any, words: list[str], says: str) -> None:
    assert cli("threads", *words) == 2
    assert says in cli.err


def test_a_list_of_interactions_is_narrowed_to_a_thread_by_the_start_of_its_name(cli: Any) -> None:
    thread_id = cli.thread()
    one = cli.begin({"id": "a", "action": "echo", "params": {"message": "x"}}, thread_id=thread_id)
    cli.begin({"id": "a", "action": "echo", "params": {"message": "x"}})
    found = cli.json("list", "--thread", thread_id.removeprefix("thr_")[:-1])
    assert [row["interaction_id"] for row in found["interactions"]] == [one]
