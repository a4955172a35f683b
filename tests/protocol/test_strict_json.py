"""Is JSON read one way only, whatever is sent?"""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrald.protocol.strict_json import MAX_INTEGER, NotStrictJson, dumps, loads

HOSTILE = [
    (b"", "empty"),
    (b" \n", "empty"),
    (b"NaN", "NaN"),
    (b"[Infinity]", "Infinity"),
    (b"-Infinity", "-Infinity"),
    (b"1e999", "too large"),
    (b"-1E400", "too large"),
    (b"1" * 400 + b".5", "too large"),
    (b"9" * 5000, "2^53"),
    (b"9007199254740993", "2^53"),
    (b"-9007199254740993", "2^53"),
    (b'{"a":1,"a":2}', '"a" occurs twice'),
    (b'{"a":1,"\\u0061":2}', '"a" occurs twice'),
    (b'[{"x":{"k":1,"k":1}}]', '"k" occurs twice'),
    (b'"\\ud800"', "surrogate"),
    (b'{"\\uDFFF":1}', "surrogate"),
    (b'["\\ud83d", "\\ude00"]', "surrogate"),
    (b"\xef\xbb\xbf{}", "byte order mark"),
    ('{"a":1}'.encode("utf-16"), "UTF-16"),
    ('{"a":1}'.encode("utf-16-le"), "UTF-16"),
    ('{"a":1}'.encode("utf-16-be"), "UTF-16"),
    (b'"\xff"', "byte 1 (0xff) is not UTF-8"),
    (b'"\xed\xa0\x80"', "not UTF-8"),
    (b'"\xc0\xaf"', "not UTF-8"),
    (b'{"a":', "ends in the middle"),
    (b'{"a":"b', "ends in the middle"),
    (b'["a", ', "ends in the middle"),
    (b"1 2", "follows the value"),
    (b"{}{}", "follows the value"),
    (b"[1,]", "line 1"),
    (b"{'a':1}", "line 1 column 2"),
    (b'"a\nb"', "control character"),
    (b"01", "follows the value"),
    (b"// x\n1", "line 1"),
    (b"[" * 65 + b"]" * 65, "65 levels"),
    (b'{"a":' * 65 + b"1" + b"}" * 65, "65 levels"),
    (b"[" * 5_000_000, "more than 200000 values"),
    (b"[" + b"[]," * 200_000 + b"[]]", "more than 200000 values"),
    (b"[" + b"0," * 200_000 + b"0]", "more than 200000 values"),
]


@pytest.mark.parametrize(("data", "says"), HOSTILE, ids=lambda v: repr(v[:24]) if isinstance(v, bytes) else "")
def test_hostile_json_is_refused_in_a_sentence_that_says_what_and_where(data: bytes, says: str) -> None:
    with pytest.raises(NotStrictJson) as caught:
        loads(data)
    assert says.lower() in str(caught.value).lower()
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b' {"a": [1, 2.5, null, true]}\r\n', {"a": [1, 2.5, None, True]}),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b"9007199254740992", MAX_INTEGER),
        (b"-9007199254740992", -MAX_INTEGER),
        (b"0.30000000000000004", 0.30000000000000004),
        (b'"NaN [[[[ , , ,"', "NaN [[[[ , , ,"),
        (b'{"a":{"a":1}}', {"a": {"a": 1}}),
        (b"[" * 64 + b"]" * 64, json.loads(b"[" * 64 + b"]" * 64)),
    ],
)
def test_what_every_parser_reads_alike_is_accepted(data: bytes, value: Any) -> None:
    assert loads(data) == value


def test_brackets_and_commas_inside_strings_do_not_count() -> None:
    value = ["[{" * 100, ',"\\' * 300_000]
    assert loads(json.dumps(value).encode()) == value


def test_a_megabyte_of_escaped_quotes_that_never_ends_is_refused_in_linear_time() -> None:
    started = time.perf_counter()
    with pytest.raises(NotStrictJson):
        loads(b"[" * 65 + b'"' + b'\\"' * 500_000)
    assert time.perf_counter() - started < 1


def test_the_caller_sets_the_bounds() -> None:
    assert loads(b"[[1]]", max_depth=2) == [[1]]
    with pytest.raises(NotStrictJson, match="2 levels deep; 1 is the limit"):
        loads(b"[[1]]", max_depth=1)
    with pytest.raises(NotStrictJson, match="more than 2 values"):
        loads(b"[1,2]", max_values=2)


@given(st.binary(max_size=200) | st.text(alphabet='{}[]",:0123456789.eE-\\ud8ntrfals', max_size=60).map(str.encode))
def test_any_bytes_are_a_value_or_one_exception(data: bytes) -> None:
    try:
        value = loads(data)
    except NotStrictJson:
        return
    assert json.loads(data) == value


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON_VALUES)
def test_what_is_written_is_read_back_and_is_one_line(value: Any) -> None:
    data = dumps(value)
    assert b"\n" not in data
    assert loads(data) == value


@pytest.mark.parametrize(
    "value",
    [float("nan"), {"a": [float("inf")]}, {"NaN": float("-inf")}, "\ud800", {"\udfff": 1}, object(), {"f": print}],
)
def test_what_json_has_no_form_for_is_not_written(value: Any) -> None:
    with pytest.raises(NotStrictJson):
        dumps(value)


def test_the_words_nan_and_infinity_may_be_written_in_strings() -> None:
    assert loads(dumps({"NaN": "to Infinity"})) == {"NaN": "to Infinity"}


def test_a_value_that_holds_itself_is_not_written() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(NotStrictJson):
        dumps(value)
