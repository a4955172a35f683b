"""Does a person see that a model is asked, what it took, and what it writes?"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from orchestrald.cli.board import Board
from orchestrald.cli.inquiry import FOR, KEPT, SHOWN, Inquiry, told
from orchestrald.cli.main import dispatch
from orchestrald.cli.terminal import plain
from orchestrald.cli.tree import Signs, tree
from support.screen import Screen

S = 1_000_000
Event = dict[str, Any]


def event(seq: int, kind: str, **data: Any) -> Event:
    return {"seq": seq, "type": kind, "interaction_id": "i", "at": seq * S, "data": data}


def asked(seq: int, purpose: str = "plan", model: str = "fake/m1") -> Event:
    return event(seq, "model.asked", part="round 1", number=1, purpose=purpose, model=model, tokens=900)


ANSWERED = {"backend": "fake", "model": "m1", "tokens": {"input": 4000, "cached": 1, "output": 210}, "ms": 2100}
ERROR = {"code": "model_unavailable", "message": "fake/m1 fails\nat\x1b once"}


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        ("model.asked", {"model": "fake/m1", "purpose": "plan"}, "asking fake/m1 for a plan ..."),
        ("model.asked", {"model": "fake/m1", "purpose": "select"}, "asking fake/m1 which actions fit ..."),
        ("model.asked", {"model": "a\x1b", "purpose": "of the future"}, "asking a\\x1b for a plan ..."),
        ("model.answered", {**ANSWERED, "cost": 3100}, "fake/m1 answered: 4,210 tokens, $0.0031, 2.1 s"),
        ("model.answered", ANSWERED, "fake/m1 answered: 4,210 tokens, 2.1 s"),
        ("model.failed", {"error": ERROR, "ms": 1}, "no answer: fake/m1 fails ..."),
        ("plan.concluded", {"text": "x", "achieved": True, "planner": "llm:m"}, "nothing more is to be done (llm:m)"),
        ("plan.concluded", {"text": "x", "achieved": False, "planner": "llm:m"}, "it cannot be done (llm:m)"),
        ("plan.unobserved", {"error": {"message": "twice"}}, "the planner is not asked again: twice"),
        ("interaction.planning", {"reason": "observed"}, "looking at what came of it"),
        ("interaction.planning", {"reason": "replan", "failed": "a"}, "planning anew what failed of a"),
        ("interaction.planning", {"reason": "merged", "intent": "that too"}, "planning what joined it: that too"),
        ("interaction.planning", {"reason": "intent"}, None),
        ("interaction.resumed", {}, None),
    ],
)
def test_each_fact_about_planning_is_one_line(kind: str, data: dict[str, Any], said: str | None) -> None:
    line = told(kind, data)
    assert said == (None if line is None else plain([line]))


def test_the_tree_says_which_model_is_asked_for_what_and_since_when() -> None:
    board = Board("i")
    board.event(event(1, "interaction.submitted", intent="tidy up"))
    board.event(event(2, "interaction.planning", reason="intent"))
    board.event(asked(3))
    assert plain(tree(board, 7 * S, 60, 20, Signs(unicode=True))).split("\n")[1:] == [
        "└─ ⠋ asking fake/m1 for a plan  4.0 s",
        "0 steps",
    ]
    board.event(event(5, "model.answered", asked=3, **ANSWERED))
    assert "asking" not in plain(tree(board, 7 * S, 60, 20, Signs(unicode=True)))


@pytest.mark.parametrize("height", [3, 5, 6, 8, 40])
def test_a_tree_with_a_model_in_it_is_no_higher_than_the_window(height: int) -> None:
    board = Board("i")
    board.event(event(1, "plan.adopted", plan={"steps": [{"id": f"s{i}", "action": "echo"} for i in range(20)]}))
    board.event({**event(2, "step.started", attempt=1), "step_id": "s9"})
    board.event(asked(3))
    assert len(tree(board, S, 80, height, Signs(unicode=True))) <= max(height, 5)


def test_a_call_counts_although_the_snapshot_is_newer() -> None:
    board = Board("i")
    board.take("snapshot", {"state": "planning", "last_seq": 9})
    board.event(asked(5))
    assert board.inquiry.model == "fake/m1"
    board.event({**asked(6, model="other/m"), "interaction_id": "other"})
    assert board.inquiry.model == "fake/m1"


@pytest.mark.parametrize("kind", ["model.answered", "model.failed", "interaction.cancelling", "interaction.failed"])
def test_a_call_is_over_when_it_is_answered_or_nobody_wants_it(kind: str) -> None:
    board = Board("i")
    board.event(asked(5))
    board.event(event(6, kind, error=ERROR))
    assert board.inquiry.model == ""


def test_a_dead_daemon_asks_nobody() -> None:
    board = Board("i")
    board.event(asked(5, "explain"))
    board.take("answer", {"text": "half"})
    board.take("lost", {})
    assert (board.inquiry.model, board.inquiry.written) == ("", "")


def test_what_is_written_grows_until_the_answer_is_there() -> None:
    board = Board("i")
    board.event(asked(5, "explain"))
    for piece in ("The report ", "is done."):
        board.take("answer", {"text": piece})
    assert plain(board.inquiry.lines(80, 40)) == "The report is done."
    board.event(event(6, "assistant.output", text="The report is done. Really."))
    assert board.inquiry.lines(80, 40) == []
    board.take("answer", {"text": " Really."})
    assert board.inquiry.written == "", "a piece that comes late is part of the answer already"


def test_a_second_attempt_is_not_put_behind_the_first() -> None:
    inquiry = Inquiry()
    inquiry.event(asked(1, "explain"))
    inquiry.piece("broken")
    inquiry.event(event(2, "model.failed", error=ERROR))
    inquiry.piece("late")
    inquiry.event(asked(3, "explain"))
    inquiry.piece("whole")
    assert inquiry.written == "whole"


def test_only_the_end_of_what_is_written_is_kept_and_shown() -> None:
    inquiry = Inquiry()
    inquiry.piece("word " * KEPT)
    inquiry.piece("the\x1b[2J end")
    assert len(inquiry.written) == KEPT
    lines = plain(inquiry.lines(40, 100)).split("\n")
    assert len(lines) == SHOWN
    assert " ".join(lines).endswith("word the\\x1b[2J end")
    assert max(map(len, lines)) <= 40
    assert len(inquiry.lines(40, 10)) == 2
    assert inquiry.lines(40, 8) == [], "the tree needs the room"


def test_every_purpose_that_the_daemon_names_has_words() -> None:
    assert set(FOR) == {"select", "plan", "repair", "skill", "explain"}


# --- the whole way ----------------------------------------------------------------------------------------------------


BEGUN = [event(1, "interaction.submitted", intent="tidy up"), event(2, "interaction.planning", reason="intent")]
ENDED = [
    event(4, "model.answered", asked=3, **ANSWERED),
    event(5, "assistant.output", text="It is tidy."),
    event(6, "interaction.completed"),
]
PIECES = ["It is ", "ti"]


@pytest.fixture
def writing(daemon: Any) -> Callable[[bool], None]:
    """An interaction whose answer is being written; it ends at once, or when it is cancelled."""

    def tell(ends: bool) -> None:
        told_events = [*BEGUN, asked(3, "explain")]

        def subscribe(_peer: Any, _params: Any) -> dict[str, Any]:
            steps: list[Any] = [lambda p, e=e: p.event(e) for e in told_events]
            steps += [lambda p, t=t: p.send(piece(t)) for t in PIECES]
            steps += [lambda p, e=e: p.event(e) for e in ENDED if ends]
            listeners.append(_peer)
            snapshot = {"interaction_id": "i", "state": "queued", "steps": [], "last_seq": 0}
            return {"subscription": "s", "last_seq": 0, "snapshot": snapshot, "_after": steps}

        def cancel(_peer: Any, _params: Any) -> dict[str, Any]:
            for each in ENDED:
                listeners[-1].event(each)
            return {"interaction_id": "i", "state": "cancelling"}

        listeners: list[Any] = []
        daemon.answers |= {
            "interaction.submit": {"interaction_id": "i", "thread_id": "t", "state": "planning"},
            "interaction.get": {"interaction_id": "i", "state": "completed", "answer": "It is tidy.", "steps": []},
            "interaction.cancel": cancel,
            "events.subscribe": subscribe,
        }

    return tell


def piece(text: str) -> dict[str, Any]:
    return {"method": "events.answer", "params": {"subscription": "s", "interaction_id": "i", "text": text}}


def test_a_terminal_shows_the_answer_growing_and_then_the_answer(writing: Callable[[bool], None]) -> None:
    writing(False)
    screen = Screen("run", "tidy", "up", NO_COLOR="1")
    screen.until("It is ti\x1b[K")
    assert "asking fake/m1 to put it into words" in screen.seen
    screen.type("\x03")
    screen.until("[c]ancel")
    screen.type("c\n")
    assert screen.end() == 0
    assert screen.seen.rstrip().endswith("It is tidy.")
    assert "It is ti\x1b[K" not in screen.seen[screen.seen.rindex("0 steps") :]


def test_plain_lines_tell_the_call_and_no_piece(
    writing: Callable[[bool], None], capsys: pytest.CaptureFixture[str]
) -> None:
    writing(True)
    assert dispatch(["run", "tidy", "up"]) == 0
    assert capsys.readouterr() == (
        "It is tidy.\n",
        "i tidy up\nasking fake/m1 to put it into words ...\nfake/m1 answered: 4,210 tokens, 2.1 s\ncompleted\n",
    )


def test_quiet_and_json_know_no_pieces(writing: Callable[[bool], None], capsys: pytest.CaptureFixture[str]) -> None:
    writing(True)
    assert dispatch(["run", "-q", "tidy", "up"]) == 0
    assert capsys.readouterr() == ("It is tidy.\n", "")
    assert dispatch(["run", "--json", "tidy", "up"]) == 0
    *events, _ = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events == [*BEGUN, asked(3, "explain"), *ENDED]
