"""Are patterns that could freeze us refused, and ordinary ones not?"""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrald.core.patterns import MAX_PATTERN, Dangerous, longest_text

ORDINARY = [
    "",
    "^#",
    "^$",
    r"^\d{4}-\d{2}-\d{2}$",
    r"^.{1,80}$",
    r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$",
    r"^[a-z]+(-[a-z]+)*$",
    r"^[a-z0-9]+(?:[._-][a-z0-9]+)*$",
    r"^[^@]+@[^@]+\.[^@]+$",
    r"^[\w.+-]+@[\w-]+\.[\w.-]+$",
    r"^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)$",
    r"^(/[^/]+)+/?$",
    r"^v?(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?$",
    r"^(?=.*[A-Z])(?=.*\d).{8,}$",
    r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
    r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==)?$",
    r"^P(?!$)(\d+Y)?(\d+M)?(\d+D)?(T(\d+H)?(\d+M)?(\d+S)?)?$",
    r"^https?://[^\s/$.?#].[^\s]*$",
    r"^([A-Z][a-z]+)*$",
    r"^(foo|bar)+$",
    r"(?i)^[a-z]+$",
    ".*invoice.*",
    r"\.(jpg|png)$",
]


@pytest.mark.parametrize("pattern", ORDINARY)
def test_ordinary_patterns_take_texts_of_a_useful_length(pattern: str) -> None:
    assert longest_text(pattern) >= 500


@pytest.mark.parametrize(
    "pattern",
    [
        r"^(a+)+$",
        r"(a*)*b",
        r"(.*)*x",
        r"(a|aa)+$",
        r"^(a|a?)+$",
        r"^(?:.|\w)*x",
        r"^(\w+\s?)*$",
        r"((a+)b?)*c",
        r"(-a+a+)*!",
        r"(x+x+)+y",
        r"(a+){25}b",
        r"^(([a-z])+.)+[A-Z]([a-z])+$",
        r"(.*,){11}P",
        r".*.*.*.*x",
        "a?" * 30 + "a" * 30,
        "(?:ab|a.)" * 40,
        r"(?=(a+)+$)b",
        r"(?i)(A+a+)+$",
        r"([À-ÿ]+[é]+)+$",
        "((((a?){20}){20}){20}){20}",
        r"(\w+)\1",
        "x" * (MAX_PATTERN + 1),
        "[",
        "(?P<n>",
        "a{99999999999999999999}",
        "(?<=a+)b",
    ],
    ids=lambda v: v[:30],
)
def test_what_can_take_for_ever_or_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(Dangerous):
        longest_text(pattern)


@pytest.mark.parametrize("pattern", [r"^[^@]+@[^@]+\.[^@]+$", ".*invoice.*", "[a-z]+-", r"^a*a*b", r"(\w|\d)+-x"])
@pytest.mark.parametrize("unit", ["a", "a@", "@a.", "invoic", "1-"])
def test_the_worst_text_of_the_longest_length_is_matched_within_a_second(pattern: str, unit: str) -> None:
    text = (unit * 5_000)[: min(longest_text(pattern), 5_000)]
    started = time.perf_counter()
    re.search(pattern, text + "!")
    assert time.perf_counter() - started < 1


PIECES = st.sampled_from(["a", "b", "[ab]", ".", r"\w", "(?:ab)", "a?", "-"])
PATTERNS = st.recursive(
    PIECES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2,3}", "{0,9}"])).map(lambda t: f"(?:{t[0]}){t[1]}"),
        st.tuples(inner, inner).map(lambda t: f"(?:{t[0]}|{t[1]})"),
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=5_000)
@given(PATTERNS, st.sampled_from(["a", "ab", "b", "a-", "aab"]))
def test_what_is_accepted_is_fast_on_texts_that_fail_at_the_end(pattern: str, unit: str) -> None:
    try:
        longest = longest_text(f"^{pattern}$")
    except Dangerous:
        return
    started = time.perf_counter()
    re.search(f"^{pattern}$", (unit * 300)[: min(longest, 300)] + "!")
    assert time.perf_counter() - started < 2
