"""The shape that an answer is asked for: valid, portable, and neither too narrow nor too wide."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrald.core import schema
from orchestrald.core.model import ActionSpec
from orchestrald.planner.contract import MAX_BYTES, contract, selection
from orchestrald.planner.data import written
from orchestrald.planner.loose_schema import REFERENCE, loosened
from planner.bench import FEW, READ, WRITE

FREE = ActionSpec("free")
SHAPES = {
    "each action its own branch": contract([READ, WRITE, FREE], ["deploy"]),
    "names alone": contract([READ, WRITE, FREE], ["deploy"], most=10),
}
READING: dict[str, Any] = {"id": "r", "action": "file_read", "params": {"path": "a"}}
GOOD: list[dict[str, Any]] = [
    {"type": "DONE", "message": "hello"},
    {"type": "DONE", "message": "no", "achieved": False},
    {"type": "NEED_INPUT", "question": "Which?", "choices": ["a", "b"]},
    {"type": "SINGLE_ACTION", "action": "file_read", "params": {"path": "a.txt"}, "why": "to see"},
    {"type": "SINGLE_ACTION", "action": "file_write", "params": {"path": "a", "content": "b", "append": "{{x.y}}"}},
    {"type": "SINGLE_ACTION", "action": "free", "params": {"any": [1, {"deep": None}]}},
    {"type": "SKILL", "name": "deploy"},
    {"type": "MINI_PLAN", "goal": "g", "steps": [READING], "on_complete": "{{r.content}}", "on_failure": "{{error}}"},
    {
        "type": "MINI_PLAN",
        "goal": "g",
        "steps": [
            {**READING, "kind": "action", "depends_on": ["u"], "timeout": "30s", "when": {"eq": ["{{u.answer}}", "a"]}},
            {**READING, "for_each": "{{r.files}}", "when": "{{r.ok}}", "timeout": 5},
            {**READING, "for_each": {"items": ["a"], "max_parallel": 2}},
            {"id": "u", "kind": "wait_user", "params": {"prompt": "Which?", "schema": {"enum": ["a"]}}},
            {"id": "e", "kind": "wait_event", "params": {"kind": "mail", "correlation": "{{r.x}}"}, "timeout": "5m"},
            {"id": "t", "kind": "wait_until", "params": {"for": "10m"}},
            {"id": "t2", "kind": "wait_until", "params": {"at": "2026-01-31T09:00:00Z"}},
        ],
    },
]
BAD: list[Any] = [
    {},
    "DONE",
    {"type": "DONE"},
    {"type": "done", "message": "x"},
    {"type": "DONE", "message": "x", "approve": True},
    {"type": "NEED_INPUT", "question": 1},
    {"type": "SINGLE_ACTION", "action": "rm", "params": {}},
    {"type": "SINGLE_ACTION", "action": "file_read"},
    {"type": "SKILL", "name": "other"},
    {"type": "MINI_PLAN", "goal": "g"},
    {"type": "MINI_PLAN", "goal": "g", "steps": [{**READING, "sandbox": {"network": "host"}}]},
    {"type": "MINI_PLAN", "goal": "g", "steps": [{**READING, "retry": {"max": 9}}]},
    {"type": "MINI_PLAN", "goal": "g", "steps": [{"id": "w", "kind": "wait_user", "params": {}}]},
    {"type": "MINI_PLAN", "goal": "g", "steps": [{"id": "w", "kind": "approval", "params": {}}]},
]


@pytest.mark.parametrize("name", SHAPES)
def test_the_shape_accepts_what_may_be_answered_and_nothing_else(name: str):
    assert schema.check(SHAPES[name]) == []
    for answer in GOOD:
        assert schema.errors(SHAPES[name], answer) == [], answer
    for answer in BAD:
        assert schema.errors(SHAPES[name], answer), answer


def test_parameters_are_in_the_shape_while_it_is_small():
    wrong = {"type": "SINGLE_ACTION", "action": "file_read", "params": {"file": "a"}}
    assert schema.errors(SHAPES["each action its own branch"], wrong)
    assert not schema.errors(SHAPES["names alone"], wrong)
    many = [ActionSpec(f"act_{i}", input_schema=WRITE.input_schema) for i in range(200)]
    assert len(written(contract(many, [])).encode()) < MAX_BYTES
    assert schema.check(contract(many, [])) == []


def test_without_actions_and_skills_neither_can_be_answered():
    for most in (MAX_BYTES, 10):
        shape = contract([], [], most)
        assert schema.check(shape) == []
        assert not schema.errors(shape, {"type": "DONE", "message": "hello"})
        assert schema.errors(shape, {"type": "SINGLE_ACTION", "action": "x", "params": {}})
        assert schema.errors(shape, {"type": "SKILL", "name": "deploy"})


def test_a_choice_of_actions_is_one_of_names():
    assert not schema.errors(selection(["a", "b"]), {"actions": ["b"]})
    assert schema.errors(selection(["a", "b"]), {"actions": ["c"]})


def test_the_type_comes_first_and_the_same_actions_give_the_same_bytes():
    for shape in SHAPES.values():
        assert all(next(iter(branch["properties"])) == "type" for branch in shape["anyOf"])
    assert written(contract(list(FEW.values()), ["b"])) == written(contract(list(FEW.values()), ["b"]))


TREE = {
    "type": "object",
    "properties": {
        "root": {"$ref": "#/$defs/node"},
        "mode": {"oneOf": [{"type": "integer", "minimum": 3}, {"const": "off"}]},
        "both": {"allOf": [{"properties": {"a": {"type": "string", "pattern": "^a"}}}, {"required": ["a"]}]},
        "lists": {"type": "array", "items": {"type": ["string", "null"]}, "minItems": 1},
        "what": {},
        "yes": True,
        "$ref": {"type": "string"},
    },
    "required": ["root"],
    "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}, "v": {"enum": [1, 2]}}}},
}


@pytest.mark.parametrize(
    "params",
    [
        {
            "root": {"next": {"next": {"v": 1}}},
            "mode": 5,
            "both": {"a": "abc"},
            "lists": ["x", None],
            "what": 1,
            "yes": [],
        },
        {"root": "{{a.b}}", "mode": "{{a.b}}", "both": "{{a}}", "lists": "{{a.list}}", "what": "{{a}}"},
        {"root": {"v": "{{a.b}}", "next": "{{a.c}}"}, "lists": ["{{a.b}}"], "both": {"a": "{{a.b}}"}},
    ],
)
def test_any_value_may_be_a_reference_instead(params: dict[str, Any]):
    shape = loosened(TREE)
    assert "$ref" not in shape["properties"], "converters look for references everywhere"
    assert schema.check(shape) == []
    assert schema.errors(shape, params) == []


@pytest.mark.parametrize("params", [{}, {"root": 1}, {"root": {"v": 3}}, {"root": {}, "lists": [1]}, "{{a}}"])
def test_what_is_certainly_wrong_stays_so(params: Any):
    assert schema.errors(loosened(TREE), params)


PORTABLE = {"type", "properties", "required", "enum", "const", "items", "additionalProperties", "anyOf"}
TYPES = st.sampled_from(["string", "integer", "number", "boolean", "null", "object", "array"])
NAMES = st.text(max_size=6) | st.sampled_from(["$ref", "type", "properties"])
SCHEMAS = st.recursive(
    st.just({})
    | st.booleans()
    | st.fixed_dictionaries({"$ref": st.sampled_from(["#", "#/properties/a", "#/nowhere", "#/$defs/x"])})
    | st.fixed_dictionaries({"type": TYPES | st.lists(TYPES, min_size=1, unique=True)})
    | st.fixed_dictionaries({"enum": st.lists(st.text() | st.integers(), min_size=1, unique=True)}),
    lambda inner: (
        st.fixed_dictionaries({"type": st.just("array"), "items": inner, "minItems": st.integers(0, 3)})
        | st.fixed_dictionaries(
            {"type": st.just("object"), "properties": st.dictionaries(NAMES, inner), "required": st.lists(NAMES)},
            optional={"additionalProperties": st.booleans()},
        )
        | st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1)})
        | st.fixed_dictionaries({"oneOf": st.lists(inner, min_size=1), "pattern": st.just("^a")})
        | st.fixed_dictionaries({"allOf": st.lists(inner, min_size=1)})
    ),
    max_leaves=12,
)


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(st.dictionaries(NAMES, SCHEMAS, max_size=4))
def test_whatever_an_action_takes_its_shape_is_valid_and_portable(properties: dict[str, Any]):
    shape = loosened({"type": "object", "properties": properties})
    assert schema.check(shape) == []
    for part in parts(shape):
        assert part, "llama.cpp reads an empty schema as an object"
        assert part == REFERENCE or part.keys() <= PORTABLE


def parts(shape: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield shape
    for inner in [*shape.get("properties", {}).values(), *shape.get("anyOf", ())]:
        yield from parts(inner)
    if "items" in shape:
        yield from parts(shape["items"])


def test_where_nothing_can_be_referred_to_a_single_action_takes_values_alone_and_a_plan_references_too():
    number = ActionSpec("add", input_schema={"type": "object", "properties": {"a": {"type": "number"}}})
    single = {"type": "SINGLE_ACTION", "action": "add", "params": {"a": "{{x.n}}"}}
    step = {"id": "s", "action": "add", "params": {"a": "{{x.n}}"}}
    plan = {"type": "MINI_PLAN", "goal": "g", "steps": [step]}
    first, later = contract([number], [], refers=False), contract([number], [])
    assert not any(schema.errors(later, single)) and not any(schema.errors(first, plan))
    assert any(schema.errors(first, single))
    assert any(schema.errors(later, {**single, "params": {"a": "a number"}})), "a word is no reference"
    assert not any(schema.errors(first, {**single, "params": {"a": 1}}))
