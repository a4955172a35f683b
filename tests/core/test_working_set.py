"""What may be kept, what a plan sees of it, and that nothing is kept or read by accident."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from orchestrald.core.binding import lookup
from orchestrald.core.graph import Graph
from orchestrald.core.interaction import Interaction, Run
from orchestrald.core.model import Failure
from orchestrald.core.normalize import Problem, normalize
from orchestrald.core.references import MissingValue, resolve
from orchestrald.core.working_set import MAX_SEEN, MAX_VALUE, BadPlace, Place, kept, owner, place, target, too_much
from support.plans import CATALOG, step

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
KEYS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,63}", fullmatch=True)


def problems(*steps: Any, **plan: Any) -> list[Problem]:
    found = normalize({"goal": "test", "steps": list(steps), **plan}, CATALOG)
    assert isinstance(found, list), "the plan was accepted"
    return found


def graph(*steps: Any, **plan: Any) -> Graph:
    found = normalize({"goal": "test", "steps": list(steps), **plan}, CATALOG)
    assert isinstance(found, Graph), found
    return found


def sees(value: Any, memory: dict[str, dict[str, Any]]) -> Any:
    """What a step's parameter comes to in a plan that has seen this."""
    made = replace(graph(step("a")), memory=memory)
    state = Interaction(graph=made)
    return resolve(value, lookup(state, Run("a", made.nodes[0], (0, -1), 0)))


@given(JSON, KEYS, st.sampled_from(["interaction", "thread", "global"]))
def test_what_was_kept_is_what_a_plan_sees(value: Any, key: str, scope: str) -> None:
    (written,) = kept([target("a", f"{scope}.{key}", "out[0]")], {"out": [value]})  # type: ignore[misc]
    memory = {written["scope"]: {written["key"]: written["value"]}}
    assert sees(f"{{{{memory.{scope}.{key}}}}}", memory) == value


@given(st.text(max_size=70))
def test_every_key_is_either_accepted_or_refused_with_a_hint_and_the_accepted_ones_can_be_read(key: str) -> None:
    try:
        spot = place("thread", key)
    except BadPlace as error:
        refused = error
    else:
        refused = None
        assert sees(f"{{{{memory.{spot}}}}}", {"thread": {key: 1}}) == 1
    assert refused is None or refused.hint


@given(st.text(alphabet='ab\n é"\\', max_size=200).map(lambda text: text * 700))
def test_a_value_is_refused_exactly_beyond_the_limit(text: str) -> None:
    found = kept([target("a", "thread.k", "")], text)
    if len(to_json(text)) <= MAX_VALUE:
        assert found == [{"scope": "thread", "key": "k", "value": text}]
    else:
        assert isinstance(found, Failure)
        assert found.code == "memory_too_large"
        assert "thread.k" in found.message


def test_an_empty_path_keeps_the_whole_output_and_a_list_may_be_entered_at_once() -> None:
    whole, first = target("a", "thread.all", ""), target("a", "global.first", "[0].x")
    assert kept([whole, first], [{"x": None}]) == [
        {"scope": "thread", "key": "all", "value": [{"x": None}]},
        {"scope": "global", "key": "first", "value": None},
    ]


def test_what_the_output_does_not_have_is_a_failure_that_says_where_it_was_looked_for() -> None:
    found = kept([target("a", "thread.total", "sum.total")], {"sum": {"n": 1}})
    assert isinstance(found, Failure)
    assert found.code == "missing_value"
    assert found.message == (
        "nothing to remember as thread.total: {{a.sum.total}} has no value: a.sum has no key 'total' (it has n)"
    )


def test_a_key_that_holds_nothing_is_missing_and_one_that_holds_null_is_not() -> None:
    assert sees("{{memory.thread.k}}", {"thread": {"k": None}}) is None
    for memory in ({}, {"thread": {"other": 1}}):
        with pytest.raises(MissingValue, match=r"memory\.thread has no key 'k'"):
            sees("{{memory.thread.k}}", memory)


def test_a_plan_knows_every_place_that_it_reads() -> None:
    found = graph(
        step("a", params={"x": "{{memory.thread.one.deep[0]}} {{memory.global.two}}"}),
        step("b", when={"exists": "{{memory.interaction.three}}"}),
        step("c", for_each="{{memory.thread.four}}"),
        step("d", io_bindings=[{"from": "memory.global.five", "to": "x"}]),
        step("e", io_bindings=[{"from": "memory.global.six", "to": "x", "required": False}]),
        on_complete="{{memory.thread.seven}}",
    )
    assert {place.key for place in found.reads} == {"one", "two", "three", "four", "five", "six", "seven"}
    assert Place("thread", "one") in found.reads
    assert all(node.sources == () for node in found.nodes), "memory is no step to wait for"


def test_what_a_plan_has_seen_is_a_part_of_the_plan_that_is_written_down() -> None:
    found = graph(step("a", params={"x": "{{memory.thread.k}} {{memory.global.gone}}"})).seeing({"thread": {"k": [1]}})
    again = Graph.from_json(found.to_json())
    assert (again.memory, again.reads) == ({"thread": {"k": [1]}}, {Place("thread", "k"), Place("global", "gone")})
    assert graph(step("a")).to_json().keys() == {"plan", "specs"}


@pytest.mark.parametrize(
    ("reference", "hint"),
    [
        ("{{memory.step.k}}", "{{step.key}}"),
        ("{{memory.threads.k}}", "interaction, thread, global"),
        ("{{memory.thread}}", "the scope and the key"),
        ("{{memory}}", "the scope and the key"),
        ('{{memory.thread["odd key"]}}', "letters"),
        ("{{memory.thread.9}}", "letters"),
    ],
)
def test_a_reference_to_what_cannot_be_kept_is_a_fault_with_a_hint(reference: str, hint: str) -> None:
    (found,) = problems(step("a", params={"x": reference}))
    assert (found.path, found.code) == ("steps[0].params.x", "bad_place")
    assert hint in found.hint


@pytest.mark.parametrize(
    ("remember", "code"),
    [
        ({"step.k": "x"}, "bad_place"),
        ({"k": "x"}, "bad_place"),
        ({"thread.": "x"}, "bad_place"),
        ({"thread.a.b": "x"}, "bad_place"),
        ({"thread.k": "a..b"}, "bad_reference"),
        ({"thread.k": "}} {{x"}, "bad_reference"),
        ({"thread.k": "nope"}, "unknown_output"),
    ],
)
def test_what_cannot_be_remembered_is_a_fault_of_the_plan(remember: dict[str, str], code: str) -> None:
    (found,) = problems(step("a", remember=remember, exports=["x"]))
    assert found.code == code
    assert found.path.startswith("steps[0].remember.")


def test_no_step_may_take_the_name_of_the_memory() -> None:
    assert problems(step("memory"))[0].code == "reserved_id"


def test_what_a_plan_may_see_is_bounded() -> None:
    assert too_much({"thread": {"k": "x" * (MAX_SEEN - 100)}}) == ""
    assert str(MAX_SEEN) in too_much({"thread": {"k": "x" * MAX_SEEN}})


def test_each_scope_has_its_owner() -> None:
    assert [owner(scope, "t1", "i1") for scope in ("interaction", "thread", "global")] == ["i1", "t1", ""]
