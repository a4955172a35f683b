"""Every fault of a plan, at once, with its path."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrald.core.graph import Graph
from orchestrald.core.model import ActionSpec
from orchestrald.core.normalize import PlanLimits, Problem, normalize
from support.plans import CATALOG, chain, graph, step

MEASURE = ActionSpec(
    name="measure",
    input_schema={
        "type": "object",
        "properties": {"path": {"type": "string"}, "depth": {"type": "integer", "minimum": 0}},
        "required": ["path"],
        "additionalProperties": False,
    },
    output_schema={"type": "object", "properties": {"lines": {"type": "integer"}}, "required": ["lines"]},
)
ACTIONS = {**CATALOG, "measure": MEASURE}


def problems(*steps: Any, **plan: Any) -> list[Problem]:
    found = normalize({"goal": "test", "steps": list(steps), **plan}, ACTIONS)
    assert isinstance(found, list), "the plan was accepted"
    return found


def test_ten_different_faults_are_all_reported_with_their_paths() -> None:
    found = problems(
        step("a", "measur", params={"path": "x"}),
        step("a", "measure", params={"path": 7}),
        step("1st", "measure", params={"path": "x", "color": "red"}),
        step("b", "measure"),
        step("c", params={"x": "{{nobody.key}}"}, depends_on=["ghost"]),
        step("d", depends_on=["e"]),
        step("e", depends_on=["d"]),
        step("f", "measure", params={"path": "x"}),
        step("g", params={"x": "{{f.words}}", "y": "{{ 1 + 1 }}", "z": "{{item}}"}),
        step("h", retries=3, timeout="soon"),
    )
    assert [(p.path, p.code) for p in found] == [
        ("steps[0].action", "unknown_action"),
        ("steps[1].id", "duplicate_id"),
        ("steps[1].params.path", "invalid_params"),
        ("steps[2].id", "bad_id"),
        ("steps[2].params", "invalid_params"),
        ("steps[3].params", "invalid_params"),
        ("steps[4].depends_on[0]", "unknown_step"),
        ("steps[4].params.x", "unknown_step"),
        ("steps[5].depends_on", "cycle"),
        ("steps[8].params.x", "unknown_output"),
        ("steps[8].params.y", "bad_reference"),
        ("steps[8].params.z", "item_outside_for_each"),
        ("steps[9].retries", "unknown_key"),
        ("steps[9].timeout", "wrong_shape"),
    ]


def test_hints_name_what_is_nearest() -> None:
    assert problems(step("a", "mesure", params={}))[0].hint.startswith("Did you mean measure")
    assert problems(step("a"), step("b", depends_on=["aa"]))[0].hint == "Did you mean a?"
    assert "retry" in problems(step("a", retrys=1))[0].hint


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ([], "not_an_object"),
        ("steps", "not_an_object"),
        ({}, "missing_key"),
        ({"steps": []}, "empty_plan"),
        ({"steps": "a"}, "wrong_shape"),
        ({"steps": [{}]}, "missing_key"),
        ({"steps": [7]}, "wrong_shape"),
        ({"steps": [{"id": "a", "action": "work"}], "stepz": 1}, "unknown_key"),
        ({"steps": [{"id": "a", "action": "work", "params": {"n": float("nan")}}]}, "not_json"),
        ({"steps": [{"id": "item", "action": "work"}]}, "reserved_id"),
        ({"steps": [{"id": "a"}]}, "unknown_action"),
    ],
)
def test_what_is_no_plan_at_all_says_so(raw: Any, code: str) -> None:
    found = normalize(raw, ACTIONS)
    assert isinstance(found, list)
    assert code in [problem.code for problem in found]


def test_a_plan_nested_too_deep_is_refused_before_anything_walks_it() -> None:
    deep: Any = "x"
    for _ in range(5000):
        deep = [deep]
    assert [p.code for p in problems(step("a", params={"x": deep}))] == ["too_deep"]


def test_size_and_number_of_steps_are_limited() -> None:
    assert [p.code for p in normalize(chain(3), ACTIONS, PlanLimits(steps=2))] == ["too_many_steps"]  # type: ignore[union-attr]
    assert [p.code for p in normalize(chain(3), ACTIONS, PlanLimits(size=10))] == ["too_large"]  # type: ignore[union-attr]


def test_literal_parameters_are_checked_and_references_are_left_for_later() -> None:
    found = problems(step("a"), step("m", "measure", params={"path": "{{a.x}}", "depth": -1}))
    assert [p.path for p in found] == ["steps[1].params.depth"]


def test_dependencies_are_derived_from_references_in_every_place() -> None:
    built = graph(
        step("a"),
        step("b"),
        step("c"),
        step("d"),
        step("e", params={"x": ["{{a.y}}"]}, when="{{b.ok}}", for_each="{{c.list}}", depends_on=["d"]),
    )
    node = built.nodes[4]
    assert [built.nodes[i].id for i in node.sources] == ["d", "a", "b", "c"]


def test_a_required_binding_becomes_a_reference_and_an_optional_one_stays_optional() -> None:
    bindings = [{"from": "a.x", "to": "p"}, {"from": "a.y", "to": "q", "required": False}]
    built = graph(step("a"), step("b", io_bindings=bindings))
    assert built.nodes[1].params == {"p": "{{a.x}}"}
    assert built.nodes[1].optional == (("q", "a.y"),)
    assert built.nodes[1].sources == (0,)


def test_item_outside_for_each_means_nothing() -> None:
    assert [p.code for p in problems(step("a", params={"x": "{{item}}"}))] == ["item_outside_for_each"]


def test_an_escaped_brace_pair_is_no_reference() -> None:
    assert graph(step("a", params={"format": "{{{{.Names}}"})).nodes[0].sources == ()


def test_conditions_with_a_wrong_shape_are_found() -> None:
    found = problems(step("a", when={"equals": [1, 2]}), step("b", when={"all": [{"eq": [1]}]}))
    assert [p.path for p in found] == ["steps[0].when", "steps[1].when.all[0].eq"]


def test_the_original_wait_steps_keep_working() -> None:
    built = graph({"id": "w", "action": "wait_user", "params": None, "imports": []})
    assert built.nodes[0].kind == "wait_user"


def test_an_accepted_plan_survives_the_journal() -> None:
    built = graph(
        step("a", retry={"max": 1}, timeout="500ms"),
        step("b", io_bindings=[{"from": "a.y", "to": "q", "required": False}], for_each="{{a.l}}", when=False),
    )
    again = Graph.from_json(built.to_json())
    assert again.nodes == built.nodes
    assert again.to_json() == built.to_json()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.text("ab{}.[", max_size=8)
    | st.sampled_from(["a", "work", "{{a.x}}"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "from", "to", "max", "items", "not"]), inner, max_size=3)
    ),
    max_leaves=12,
)
KEYS = ["id", "action", "params", "depends_on", "when", "for_each", "retry", "io_bindings", "kind", "timeout"]


@given(st.lists(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=5), max_size=4))
def test_no_plan_makes_the_normalizer_raise(steps: list[Any]) -> None:
    found = normalize({"steps": steps}, ACTIONS)
    assert isinstance(found, Graph) or found
