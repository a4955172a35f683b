"""Does the client see an interaction as the daemon does?"""

from orchestrald.cli.board import FINAL, FINISHED, INTERACTION_AFTER, STEP_AFTER, Board
from orchestrald.core import states


def event(seq: int, kind: str, step: str = "", **data: object) -> dict[str, object]:
    return {"seq": seq, "type": kind, "interaction_id": "i", "step_id": step, "at": seq * 1_000_000, "data": data}


def adopted(*ids: str) -> dict[str, object]:
    return event(2, "plan.adopted", plan={"steps": [{"id": one, "action": "echo"} for one in ids]})


def test_the_tables_are_those_of_the_core() -> None:
    def targets(table: object) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for edges in table.values():  # type: ignore[attr-defined]
            for name, state in edges.items():
                found.setdefault(name, set()).add(state.value)
        return found

    steps = targets(states.STEP)
    assert {name: STEP_AFTER[name] in after for name, after in steps.items()} == dict.fromkeys(steps, True)
    interactions = targets(states.INTERACTION)
    assert {name: {INTERACTION_AFTER[name]} for name in interactions} == interactions
    assert {state.value for state in states.FINISHED} == FINISHED
    assert {state.value for state in states.FINAL_INTERACTION} == FINAL


def test_events_build_the_rows_in_the_order_of_the_plan() -> None:
    board = Board("i")
    for one in [adopted("a", "b"), event(3, "step.started", "b", attempt=1), event(4, "step.succeeded", "b", ms=1000)]:
        board.event(one)
    assert [(row.step_id, row.state) for row in board.tops] == [("a", "pending"), ("b", "succeeded")]
    assert board.state == "executing"


def test_items_of_a_for_each_belong_to_their_step() -> None:
    board = Board("i")
    for one in [adopted("a"), event(3, "step.expanded", "a", count=2), event(4, "step.started", "a[1]", attempt=1)]:
        board.event(one)
    assert [row.step_id for row in board.tops] == ["a"]
    assert board.rows["a"].items == 2
    assert [(row.step_id, row.action) for row in board.children["a"]] == [("a[1]", "echo")]


def test_a_snapshot_wins_over_older_events_and_loses_to_newer_ones() -> None:
    board = Board("i")
    board.snapshot({"state": "executing", "last_seq": 10, "steps": [{"step_id": "a", "state": "running"}]})
    board.event(event(10, "step.failed", "a", error={"code": "x", "message": "old"}))
    assert board.rows["a"].state == "running"
    board.event(event(11, "step.succeeded", "a"))
    assert board.rows["a"].state == "succeeded"


def test_progress_is_dropped_with_the_attempt_it_belongs_to() -> None:
    board = Board("i")
    board.event(adopted("a"))
    board.event(event(3, "step.started", "a", attempt=1))
    board.progress({"step_id": "a", "done": 3, "total": 9})
    assert (board.rows["a"].done, board.rows["a"].total) == (3, 9)
    board.event(event(4, "step.started", "a", attempt=2))
    assert board.rows["a"].done is None


def test_only_what_a_person_can_answer_asks() -> None:
    board = Board("i")
    board.event(adopted("a", "b"))
    board.event(event(3, "step.waiting", "a", question={"kind": "until", "prompt": "x"}))
    board.event(event(4, "step.waiting", "b", question={"kind": "approval", "prompt": "x"}))
    assert [row.step_id for row in board.asking] == ["b"]


def test_events_of_others_and_from_the_future_change_nothing() -> None:
    board = Board("i")
    board.event({**event(3, "interaction.failed"), "interaction_id": "other"})
    board.event(event(4, "something.new", "ghost"))
    assert board.state == "queued"


def test_a_step_that_is_reset_is_as_before_it_began_but_for_its_revision() -> None:
    board = Board("i")
    for one in [
        adopted("a"),
        event(3, "step.expanded", "a", count=1),
        event(4, "step.started", "a[0]", attempt=1),
        event(5, "step.failed", "a[0]", error={"code": "x"}),
        event(6, "step.failed", "a", error={"code": "x"}),
        event(7, "assistant.output", text="Failed."),
        event(8, "interaction.failed"),
        event(9, "interaction.reopened", by="uid:0"),
        event(10, "step.reset", "a"),
    ]:
        board.event(one)
    assert (board.state, board.answer, board.ended_at) == ("executing", None, None)
    assert list(board.rows) == ["a"]
    row = board.rows["a"]
    assert (row.state, row.revision, row.error, row.items, row.ended_at, row.action) == (
        "pending",
        2,
        None,
        None,
        None,
        "echo",
    )
