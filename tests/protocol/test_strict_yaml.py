"""Is YAML a tree of JSON values, and does every complaint name its line?"""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrald.protocol.strict_yaml import NotStrictYaml, loads


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"a: &x 1\nb: 2", "line 1: anchors"),
        (b"a: 1\nb: *x", "line 2: anchors"),
        (b"- &x\n  a: 1", "line 1: anchors"),
        (b"a: 1\nb:\n  c: 1\n  c: 2", "line 4: the key 'c' occurs twice"),
        (b"a: !!python/object/apply:os.system [x]", "line 1: the tag"),
        (b"a: !!int '1'", "line 1: the tag"),
        (b"--- 1\n--- 2", "line 2: a second document"),
        (b"a: .nan", "line 1: .nan"),
        (b"a: -.inf", "line 1: -.inf"),
        (b"a: 1e999", "too large"),
        (b"a: 9007199254740993", "2^53"),
        (b"a: " + b"9" * 5000, "2^53"),
        (b"a: 0xffffffffffffffffff", "2^53"),
        (b"? [a]\n: b", "key must be"),
        (b"a:\n\t- b", "line 2"),
        (b"a: [1", "line 2: did not find"),
        (b"a: \xff", "line 1: byte 3 is not UTF-8"),
        (b"[" * 100 + b"]" * 100, "deeper than 64"),
        (b"a\0b", "control characters"),
        (b"#" * 300_000, "262144 is the limit"),
    ],
    ids=lambda v: repr(v[:20]),
)
def test_what_is_more_than_json_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(NotStrictYaml) as caught:
        loads(data)
    assert says in str(caught.value)


def test_plain_words_mean_what_yaml_1_2_says() -> None:
    text = b"[no, on, yes, 12:30, 2024-01-01, 1_000, 1.4.0, ~, null, true, 0x1f, 0o17, 010, 1e3, '1', <<]"
    assert loads(text).value == [
        "no", "on", "yes", "12:30", "2024-01-01", "1_000", "1.4.0", None, None, True, 31, 15, 10, 1000.0, "1", "<<",
    ]  # fmt: skip


def test_every_place_knows_its_line() -> None:
    document = loads(b"a: 1\nb:\n  - x\n  - c: 2\n    d: 3\n")
    assert document.value == {"a": 1, "b": ["x", {"c": 2, "d": 3}]}
    assert document.line_of(("b", 1, "d")) == 5
    assert document.line_of(("b", 1, "missing")) == 4
    assert document.line_of(()) == 1


def test_nothing_is_null() -> None:
    assert loads(b"").value is None
    assert loads(b"# only a remark\n").line_of(("a",)) == 0


@given(st.binary(max_size=100) | st.text(max_size=100).map(lambda s: s.encode("utf-8", "replace")))
def test_any_bytes_are_a_document_or_one_exception(data: bytes) -> None:
    with contextlib.suppress(NotStrictYaml):
        loads(data)
