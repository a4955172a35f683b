"""Is everything that can be stored read back as it was, and the rest refused?"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrald.errors import StoreError
from orchestrald.store.base import Batch
from orchestrald.store.rows import decode, encode, event_of, prepare
from store.samples import event

_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
_LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXT
_JSON = st.recursive(_LEAVES, lambda inner: st.lists(inner) | st.dictionaries(_TEXT, inner), max_leaves=30)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@given(st.dictionaries(_TEXT, _JSON))
def test_any_json_object_survives(data: dict[str, Any]) -> None:
    (text,) = prepare(Batch([event(data=data)])).data
    assert event_of(("step.started", text, "t", None, "s", 1, 2, 1)).data == data


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "I saw NaN, at Infinity"])
def test_the_names_of_numbers_that_json_lacks_are_welcome_as_text(text: str) -> None:
    assert decode(encode({text: text})) == {text: text}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_lacks_are_refused(value: float) -> None:
    with pytest.raises(StoreError, match="JSON"):
        encode({"deep": [{"x": value}]})


@pytest.mark.parametrize("depth", [100, 190, 199, 200, 201, 202, 230, 254, 255, 256, 3_000])
def test_nesting_is_either_readable_or_refused(depth: int) -> None:
    value = nested(depth)
    try:
        text = encode(value)
    except StoreError:
        assert depth > 150
    else:
        assert decode(text) == value


@pytest.mark.parametrize("digits", [20, 395, 4_299, 4_300, 4_301, 9_000])
def test_integers_are_either_readable_or_refused(digits: int) -> None:
    value = 10 ** (digits - 1)
    try:
        text = encode(value)
    except StoreError:
        assert digits > 4_000
    else:
        assert decode(text) == value


def test_a_value_that_contains_itself_is_refused() -> None:
    data: dict[str, Any] = {}
    data["self"] = data
    with pytest.raises(StoreError):
        encode(data)


def test_a_damaged_row_is_a_store_error() -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        decode('{"a":')
