"""What reaches a terminal of what strangers wrote?"""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrald.cli.text import (
    ago,
    cells,
    duration,
    fit,
    money,
    nearest,
    safe,
    safe_lines,
    size,
    spending,
    table,
    wrap,
)

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@given(st.text(alphabet=st.characters()))
def test_no_control_character_bidi_mark_or_surrogate_is_printed(text: str) -> None:
    for printed in [safe(text), *safe_lines(text)]:
        assert not [c for c in printed if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} or c in BIDI]
        printed.encode("utf-8")


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S"])))
def test_ordinary_text_is_printed_as_it_is(text: str) -> None:
    assert safe(text) == text


def test_an_escape_sequence_is_spelled_out() -> None:
    assert safe("\x1b]0;owned\x07\x9b2J\u202e\n") == "\\x1b]0;owned\\x07\\x9b2J\\u202e\\n"


def test_every_bidirectional_control_is_spelled_out() -> None:
    assert safe(BIDI) == "".join(f"\\u{ord(c):04x}" for c in BIDI)


def test_tags_that_no_terminal_shows_are_spelled_out() -> None:
    assert safe("\U000e0041") == "\\U000e0041"


def test_lines_are_split_tabs_widened_and_empty_ends_dropped() -> None:
    assert safe_lines("a\tb\r\n\nc\rd\n\n") == ["a    b", "", "c\\rd"]
    assert safe_lines("") == []


@pytest.mark.parametrize(
    ("text", "width"), [("abc", 3), ("日本", 4), ("e\u0301", 1), ("🚀", 2), ("", 0), ("\u200d", 0)]
)
def test_cells_are_counted_as_a_terminal_does(text: str, width: int) -> None:
    assert cells(text) == width


@given(st.text(), st.integers(1, 30))
def test_a_fitted_text_is_never_too_wide(text: str, width: int) -> None:
    assert cells(fit(safe(text), width)) <= width


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "0 ms"),
        (0.0123, "12 ms"),
        (1.24, "1.2 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7800, "2 h 10 min"),
        (273600, "3 d 4 h"),
    ],
)
def test_durations_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.5, "just now"), (3, "3 s ago"), (61, "1 min ago"), (7300, "2 h ago"), (90000, "1 d ago"), (-300, "in 5 min")],
)
def test_moments_are_said_from_now(seconds: float, said: str) -> None:
    now = 1_700_000_000_000_000
    assert ago(now - int(seconds * 1e6), now) == said


def test_sizes_have_binary_units() -> None:
    assert [size(0), size(1023), size(1536), size(20 << 20)] == ["0 B", "1023 B", "1.5 KiB", "20 MiB"]


def test_a_table_is_aligned_and_its_last_column_is_cut() -> None:
    assert table([("a", "x" * 40), ("long", "short")], ("N", "WHAT"), 26) == [
        "N     WHAT",
        "a     xxxxxxxxxxxxxxxxxxx…",
        "long  short",
    ]


def test_the_nearest_words_come_best_first() -> None:
    assert nearest("shwo", ["show", "status", "stop"])[0] == "show"
    assert nearest("xyzzy", ["show", "status"]) == []


@pytest.mark.parametrize(
    ("micro", "said"),
    [
        (0, "$0"),
        (1, "less than $0.0001"),
        (100, "$0.0001"),
        (3_100, "$0.0031"),
        (12_000_000, "$12"),
        (1_234_500_000, "$1,234.5"),
    ],
)
def test_money_is_in_dollars_and_never_nothing_when_it_is_something(micro: int, said: str) -> None:
    assert money(micro) == said


@pytest.mark.parametrize(
    ("spent", "said"),
    [
        ({"calls": 3, "tokens": 4210, "cost": 3100}, "3 calls, 4,210 tokens, $0.0031"),
        ({"calls": 1, "tokens": 1, "cost": 0}, "1 call, 1 token"),
    ],
)
def test_what_was_spent_has_money_in_it_where_there_is_a_price(spent: dict[str, int], said: str) -> None:
    assert spending(spent) == said


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("one two three", ["one two", "three"]),
        ("one\n\ntwo", ["one", "", "two"]),
        ("abcdefghijkl", ["abcdefgh", "ijkl"]),
        ("a 漢字漢字", ["a", "漢字漢字"]),
        ("漢字漢字漢", ["漢字漢字", "漢"]),
        ("            deep", ["deep"]),
        ("  abcdefghij", ["  abcdef", "ghij"]),
        ("to be         far", ["to be", "far"]),
        ("a\x1bb", ["a\\x1bb"]),
    ],
)
def test_a_text_is_wrapped_at_spaces_where_it_can(text: str, lines: list[str]) -> None:
    assert wrap(text, 8) == lines


@given(st.text(), st.integers(2, 20))
def test_wrapping_loses_nothing_but_spaces(text: str, width: int) -> None:
    said = "".join(wrap(text, width)).replace(" ", "")
    assert said == "".join(safe_lines(text)).replace(" ", "")
