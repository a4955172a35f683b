"""The short cut says yes only where the validator says yes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic_core import to_json

from orchestrald.core.plain_schema import plainly_fits

FLAT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "s": {"type": "string", "minLength": 1, "maxLength": 2},
        "i": {"type": "integer", "minimum": 0, "maximum": 3, "default": 1},
        "l": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
        "odd": {"enum": [1, 2]},
    },
    "required": ["s"],
    "additionalProperties": False,
}

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 4) | st.floats(-1, 4) | st.sampled_from(["", "a", "ab", "abc"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["s", "i", "l", "odd", "x"]), inner),
    max_leaves=6,
)
SCHEMAS = st.fixed_dictionaries(
    {"type": st.sampled_from(["object", "object", "string"])},
    optional={
        "properties": st.dictionaries(
            st.sampled_from(["s", "i", "l"]),
            st.fixed_dictionaries(
                {},
                optional={
                    "type": st.sampled_from(["string", "integer", "number", "boolean", "array", "object", "null"]),
                    "minimum": st.integers(0, 2),
                    "maxLength": st.integers(0, 2),
                    "minItems": st.integers(0, 2),
                    "enum": st.just([1, "a"]),
                    "items": st.just({"type": "integer"}),
                },
            ),
        ),
        "required": st.lists(st.sampled_from(["s", "i"]), unique=True),
        "additionalProperties": st.booleans(),
        "minProperties": st.just(1),
    },
)


@given(SCHEMAS, VALUES)
def test_what_plainly_fits_fits(schema: dict[str, Any], value: Any) -> None:
    if plainly_fits(to_json(schema), value):
        assert Draft202012Validator(schema).is_valid(value)


@pytest.mark.parametrize("value", [{"s": "a"}, {"s": "ab", "i": 3, "l": ["x", "y"]}])
def test_an_ordinary_value_of_a_flat_schema_needs_no_validator(value: dict[str, Any]) -> None:
    assert plainly_fits(to_json(FLAT), value)


@pytest.mark.parametrize(
    "value",
    [{}, {"s": ""}, {"s": "a", "x": 1}, {"s": "a", "i": True}, {"s": "a", "l": [1]}, {"s": "a", "odd": 1}, [], 7],
)
def test_what_does_not_fit_or_is_not_understood_is_left_to_the_validator(value: Any) -> None:
    assert not plainly_fits(to_json(FLAT), value)
