"""What does the tree of a running interaction look like?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrald.cli.board import Board
from orchestrald.cli.terminal import plain
from orchestrald.cli.text import cells
from orchestrald.cli.tree import Signs, tree

S = 1_000_000
UNICODE, ASCII = Signs(unicode=True), Signs(unicode=False)


def board(*steps: dict[str, object], state: str = "executing") -> Board:
    made = Board("i-1")
    made.snapshot({"state": state, "intent": "survey /work", "created_at": 0, "last_seq": 1, "steps": list(steps)})
    return made


def step(step_id: str, state: str = "pending", **more: object) -> dict[str, object]:
    return {"step_id": step_id, "state": state, "action": "echo", **more}


SURVEY = [
    step("list", "succeeded", started_at=0, ended_at=400_000, action="shell"),
    step("measure", "running", started_at=1 * S, action="wc"),
    *(step(f"measure[{i}]", "succeeded", parent="measure") for i in range(12)),
    step("measure[12]", "failed", parent="measure", error={"code": "x", "message": "no such file: \x1b[2J"}),
    step("measure[13]", "running", parent="measure", started_at=2 * S),
    *(step(f"measure[{i}]", parent="measure") for i in range(14, 40)),
    step("combine"),
    step("ask", "waiting", question={"kind": "input", "prompt": "Which one?"}),
    step("write", "retrying", attempt=2, due_at=5 * S, error={"code": "x", "message": "disk busy"}),
]


def test_a_tree_shows_what_runs_what_failed_and_what_waits_in_place() -> None:
    assert plain(tree(board(*SURVEY), 4 * S, 72, 40, UNICODE)) == (
        "survey /work                                            executing  4.0 s\n"
        "├─ ✓ list    0.4 s  shell\n"
        "├─ ⠋ measure [13/40] ███░░░░░░░░░ 3.0 s  wc\n"
        "│  └─ ✗ measure[12]  no such file: \\x1b[2J\n"
        "├─ · combine  echo\n"
        "├─ ? ask      Which one?  echo\n"
        "└─ ↻ write    attempt 2 failed, again in 1.0 s: disk busy\n"
        "5 steps, 1 succeeded, 1 running, 1 retrying, 1 waiting, 1 pending"
    )


def test_without_unicode_the_tree_is_ascii() -> None:
    text = plain(tree(board(*SURVEY), 4 * S, 72, 40, ASCII))
    assert text.isascii()
    assert "|- | measure [13/40] ###......... 3.0 s" in text


def test_a_narrow_terminal_cuts_lines_and_wraps_none() -> None:
    lines = plain(tree(board(*SURVEY), 4 * S, 40, 40, UNICODE)).split("\n")
    assert lines[3] == "│  └─ ✗ measure[12]  no such file: \\x1b…"
    assert max(map(cells, lines)) <= 66  # the foot is cut by the terminal


def test_a_low_terminal_keeps_what_needs_a_person_and_counts_the_rest() -> None:
    steps = [step(f"s{i}", "succeeded", ended_at=i) for i in range(20)]
    steps += [step("bad", "failed", error={"message": "broken"}), step("now", "running", started_at=0)]
    steps += [step(f"t{i}") for i in range(20)]
    assert plain(tree(board(*steps), 4 * S, 60, 8, UNICODE)) == (
        "survey /work                                executing  4.0 s\n"
        "├─ 18 succeeded\n"
        "├─ ✓ s18  echo\n"
        "├─ ✓ s19  echo\n"
        "├─ ✗ bad  broken\n"
        "├─ ⠋ now 4.0 s  echo\n"
        "└─ 20 pending\n"
        "42 steps, 20 succeeded, 1 running, 1 failed, 20 pending"
    )


def test_many_failed_items_are_folded() -> None:
    items = [step(f"a[{i}]", "failed", parent="a", error={"message": f"e{i}"}) for i in range(9)]
    text = plain(tree(board(step("a", "failed", error={"message": "9 items failed"}), *items), S, 60, 40, UNICODE))
    assert "e3" in text
    assert "e4" not in text
    assert "5 more like these" in text


@pytest.mark.parametrize("state", ["completed", "failed", "cancelled"])
def test_an_ended_interaction_stops_counting_time(state: str) -> None:
    ended = board(step("a", "succeeded", started_at=0, ended_at=S), state=state)
    ended.ended_at = 2 * S
    assert plain(tree(ended, 99 * S, 60, 40, UNICODE)).split("\n")[0].endswith(f"{state}  2.0 s")


STATES = ["pending", "running", "succeeded", "failed", "waiting", "retrying", "skipped"]


@given(st.lists(st.sampled_from(STATES), max_size=60), st.integers(3, 40))
def test_a_tree_is_never_higher_than_the_window(states: list[str], height: int) -> None:
    steps = [step(f"s{i}", state, ended_at=i) for i, state in enumerate(states)]
    steps += [step("s0[1]", "failed", parent="s0", error={"message": "x"})] if states else []
    lines = tree(board(*steps), S, 80, height, UNICODE)
    assert len(lines) <= max(height, 5)
    assert not states or len(lines) >= 3
