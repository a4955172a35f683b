"""Can a person talk to one thread, line by line, and does text never give an approval?"""

import io
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrald.cli.lines import Lines
from orchestrald.cli.repl import HISTORY, PROMPT
from support.screen import Screen


@pytest.fixture
def piped(cli: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`orchestral repl` with these lines on its standard input; its exit code."""

    def talk(*lines: str, options: tuple[str, ...] = ("--quiet",)) -> int:
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(line + "\n" for line in lines)))
        code: int = cli("repl", *options)
        return code

    return talk


def interactions(cli: Any, thread_id: str) -> list[dict[str, Any]]:
    """Oldest first."""
    return list(reversed(cli.json("list", "--thread", thread_id)["interactions"]))


def newest_thread(cli: Any) -> str:
    return str(cli.json("threads")["threads"][0]["thread_id"])


# --- a pipe ---------------------------------------------------------------------------------------------------------


def test_each_line_of_a_pipe_is_an_intent_of_one_thread(cli: Any, piped: Any) -> None:
    assert piped("say one", "", "say two") == 0
    assert cli.out == "Done: say. 1 step succeeded.\nreply: one\nDone: say. 1 step succeeded.\nreply: two\n"
    assert PROMPT not in cli.err
    assert [row["intent"] for row in interactions(cli, newest_thread(cli))] == ["say one", "say two"]


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["nobody understands this", "say yes"], 0),
        (["say yes", "nobody understands this"], 1),
        (["ask me"], 4),
        (["say yes", "/nonsense"], 2),
        (["say yes", "/quit", "nobody understands this"], 0),
        ([], 0),
    ],
)
def test_the_last_line_decides_how_a_pipe_ends(piped: Any, lines: list[str], code: int) -> None:
    assert piped(*lines) == code


def test_a_line_answers_what_the_thread_asks(cli: Any, piped: Any) -> None:
    assert piped("ask me", "the second", options=()) == 0
    assert "ask waits for a person: the next line answers it\n" in cli.err
    assert "answered step ask of int_" in cli.err
    assert "the answer: " in cli.out
    assert "the second" in cli.out
    assert len(interactions(cli, newest_thread(cli))) == 1


@pytest.mark.parametrize("words", ["y", "yes", "approve", "/approve", '{"decision": "approve"}'])
def test_no_line_ever_approves(cli: Any, piped: Any, words: str) -> None:
    piped("wipe it", words)
    told = cli.err
    first = interactions(cli, newest_thread(cli))[0]
    assert (first["intent"], first["state"], first["waiting"]) == ("wipe it", "waiting", ["wipe"])
    assert f"wipe waits for a person: orchestral approve {first['interaction_id']} wipe" in told
    cli("cancel", first["interaction_id"])


def test_a_wait_for_an_event_gives_the_line_back_and_goes_on_when_it_comes(cli: Any, piped: Any) -> None:
    assert piped("watch the door", "/event door.opened {}", options=()) == 0
    assert "ask waits for an event: /event door.opened\n" in cli.err
    assert "Done: door. 2 steps succeeded." in cli.out


def test_the_commands_do_what_they_say(cli: Any, piped: Any) -> None:
    assert piped("/policy queue", "say hello", "/threads", "/help", "ask me", "/cancel", options=()) == 3
    told = cli.err
    thread = cli.call("thread.get", thread_id=newest_thread(cli))
    assert thread["policy"] == "queue"
    assert thread["thread_id"] in told
    assert "/event KIND [PAYLOAD]" in told
    assert [row["state"] for row in interactions(cli, thread["thread_id"])] == ["completed", "cancelled"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("/polcy x", "Did you mean /policy?"),
        ("/etc/hosts", "A line that begins with a space is an intent."),
        ("/policy", "Which policy?"),
        ("/policy first_come", "merge_into_running"),
        ("/event", "Which event?"),
        ("/cancel", "Nothing is unfinished here."),
    ],
)
def test_what_cannot_be_meant_is_refused_and_the_conversation_goes_on(
    cli: Any, piped: Any, line: str, says: str
) -> None:
    assert piped(line) == 2
    assert says in cli.err
    assert piped(line, "say still here") == 0
    assert "still here" in cli.out


def test_a_line_that_begins_with_a_space_is_an_intent(cli: Any, piped: Any) -> None:
    piped(" /etc/hosts")
    assert interactions(cli, newest_thread(cli))[0]["intent"] == "/etc/hosts"


def test_a_busy_thread_says_why_it_refuses_a_line(cli: Any, piped: Any) -> None:
    thread_id = cli.thread("reject")
    busy = cli.begin({"id": "work", "action": "tally.work", "params": {"pause_ms": 60_000}}, thread_id=thread_id)
    assert piped("say hello", options=("--thread", thread_id[4:])) == 2
    assert f"{busy} is active in this thread" in cli.err
    cli("cancel", busy)


# --- a terminal -----------------------------------------------------------------------------------------------------


def terminal(cli: Any, *options: str) -> Screen:
    return Screen("repl", *options, ORCHESTRAL_HOME=str(cli.place.home), NO_COLOR="1")


def test_a_question_is_asked_in_place_and_the_conversation_goes_on(cli: Any) -> None:
    screen = terminal(cli)
    screen.next(PROMPT)
    screen.type("ask me\n")
    screen.next("Which one?")
    screen.next("your answer: ")
    screen.type("the first\n")
    screen.next("the first")
    screen.next("Done: ask.")
    screen.next(PROMPT)
    screen.type("say bye\n")
    screen.next("reply: bye")
    screen.next(PROMPT)
    screen.type("\x04")
    assert screen.end() == 0
    assert f"orchestral repl --thread {newest_thread(cli)}   goes on here" in screen.seen


def test_an_approval_is_given_at_its_own_prompt_which_shows_what_will_run(cli: Any) -> None:
    screen = terminal(cli)
    screen.next(PROMPT)
    screen.type("wipe it\n")
    shown = screen.next("Run it? [y]es, [n]o")
    assert "rm -f nothing" in shown
    screen.type("n\n")
    screen.next(PROMPT)
    screen.type("/quit\n")
    assert screen.end() == 0
    assert cli("show", interactions(cli, newest_thread(cli))[0]["interaction_id"]) == 0
    assert "you denied wipe" in cli.out


def test_what_was_typed_before_an_approval_was_shown_does_not_give_it(cli: Any) -> None:
    screen = terminal(cli)
    screen.next(PROMPT)
    screen.type("wipe it\ny\ny\n")
    screen.next("Run it? [y]es, [n]o")
    screen.type("\n")  # decides later
    screen.next(PROMPT)
    assert interactions(cli, newest_thread(cli))[0]["state"] == "waiting"
    screen.type("\x04")
    assert screen.end() == 0


def test_enter_asks_again_what_was_left_open(cli: Any) -> None:
    screen = terminal(cli)
    screen.next(PROMPT)
    screen.type("wipe it\n")
    screen.next("Run it?")
    screen.type("\n")
    screen.next("Enter asks again")
    screen.next(PROMPT)
    screen.type("\n")
    screen.next("Run it?")
    screen.type("n\n")
    screen.next(PROMPT)
    screen.type("\x04")
    assert screen.end() == 0
    assert interactions(cli, newest_thread(cli))[0]["state"] == "failed"


def test_ctrl_c_asks_whether_to_cancel_and_at_the_prompt_drops_the_line(cli: Any) -> None:
    screen = terminal(cli)
    screen.next(PROMPT)
    screen.type("take 60000\n")
    screen.next("executing")
    screen.type("\x03")
    screen.next("[c]ancel")
    screen.type("c\n")
    screen.next("Cancelled.")
    screen.next(PROMPT)
    screen.type("nobody wants th")
    screen.next("nobody wants th")  # its echo: from here on the prompt really reads
    screen.type("\x03")
    screen.next(PROMPT)
    screen.type("say still here\n")
    screen.next("reply: still here")
    screen.next(PROMPT)
    screen.type("\x04")
    assert screen.end() == 0
    assert [row["intent"] for row in interactions(cli, newest_thread(cli))] == ["take 60000", "say still here"]


def test_a_thread_is_gone_on_with_where_it_stood(cli: Any) -> None:
    thread_id = cli.thread()
    waiting = cli.begin({"id": "ask", "kind": "wait_user", "params": {"prompt": "Which?"}}, thread_id=thread_id)
    cli.place.end_of(waiting)
    screen = terminal(cli, "--thread", thread_id)
    assert f"unfinished: {waiting} waiting" in screen.next("Enter asks what waits.")
    screen.next(PROMPT)
    screen.type("the third\n")
    screen.next(f"answered step ask of {waiting}")
    screen.next(PROMPT)
    screen.type("\x04")
    assert screen.end() == 0
    assert cli.state(waiting) == "completed"


def test_what_was_typed_comes_back_and_is_for_nobody_elses_eyes(cli: Any) -> None:
    pytest.importorskip("readline")
    screen = terminal(cli)
    screen.next(PROMPT)
    screen.type("say something once\n")
    screen.next("reply: something once")
    screen.next(PROMPT)
    screen.type("\x04")
    screen.end()
    history = Path(cli.place.paths.state_dir) / HISTORY
    assert "say something once" in history.read_text(encoding="utf-8")
    assert history.stat().st_mode & 0o077 == 0
    screen = terminal(cli)
    screen.next(PROMPT)
    screen.type("\x1b[A\n")  # the key with the arrow upwards
    screen.next("reply: something once")
    screen.next(PROMPT)
    screen.type("\x04")
    screen.end()


def test_where_no_history_can_be_kept_the_lines_come_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("one\r\ntwo"))
    lines = Lines(None, str(tmp_path / "nowhere" / "history"))
    assert [lines.next(PROMPT) for _ in range(3)] == ["one", "two", None]
    lines.close()
    assert not re.search("nowhere", str(list(tmp_path.iterdir())))
