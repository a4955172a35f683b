"""How are tokens counted, estimated and paid?"""

import time

import pytest

from orchestrald.models.base import MOST_COUNTED, Price, Tokens, estimate, storable

ESTIMATES = {
    "": 0,
    "a": 1,
    "abc": 1,
    "abcd": 2,
    "7": 1,
    "2026": 4,
    "abc 2026": 4 + 2,
    "ü": 1,
    "üü": 2,
    "漢": 2,
    "漢字": 3,
    "𓀀": 2,
    "a1漢": 1 + 1 + 2,
    "\ud83d": 1,
}


@pytest.mark.parametrize("text", ESTIMATES)
def test_digits_and_foreign_scripts_count_for_more(text: str) -> None:
    assert estimate(text) == ESTIMATES[text]


@pytest.mark.parametrize("text", ["a", "1", "漢", "a1漢 ", "\ud83d"])
def test_megabytes_are_estimated_at_once(text: str) -> None:
    begun = time.process_time()
    estimate(text * 1_000_000)
    assert time.process_time() - begun < 1  # a loop over its characters: more


def test_no_sum_and_no_price_is_too_large_to_be_written_down() -> None:
    most = Tokens(MOST_COUNTED, 0, MOST_COUNTED)
    assert (most + most, most.total) == (most, MOST_COUNTED)
    assert Price(1e6, 1e6).of(most) == MOST_COUNTED


def test_half_a_surrogate_pair_is_replaced() -> None:
    assert storable("a\ud83d\U0001f600") == "a?\U0001f600"
