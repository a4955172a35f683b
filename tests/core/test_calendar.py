"""When is the next moment, and what becomes of those that have passed?"""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from orchestrald.core.calendar import CAUGHT_UP, COUNTED, GRACE, due, following, next_after
from orchestrald.core.triggers import EPOCH, At, Cron, Every, Misfire, Moments, kept, microseconds, read
from orchestrald.errors import InvalidParams

SECOND = 1_000_000
DAY = 86_400 * SECOND
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia"]

moments = st.integers(0, 4_000_000_000 * SECOND)


@st.composite
def crons(draw: st.DrawFn) -> Cron:
    minute = draw(st.sampled_from(["*", "0", "30", "15,45", "*/7", "59"]))
    hour = draw(st.sampled_from(["*", "0", "1", "2", "2,3", "*/5", "23"]))
    day = draw(st.sampled_from(["*", "1", "31", "*/2", "L"]))
    month = draw(st.sampled_from(["*", "3", "10", "2,12"]))
    weekday = draw(st.sampled_from(["*", "0", "1-5", "SUN", "MON#1"]))
    try:
        return Cron(cron=f"{minute} {hour} {day} {month} {weekday}", tz=draw(st.sampled_from(ZONES)))
    except ValueError:  # the 31st of February
        assume(False)
        raise


everies = st.builds(Every, every=st.integers(1, 10_000_000), anchor=moments)
ats = moments.map(lambda at: At(at=(EPOCH + timedelta(microseconds=at)).isoformat()))
triggers = st.one_of(everies, crons(), ats)
rules = st.sampled_from(["once", "skip", "all"])


@given(triggers, moments)
def test_the_next_moment_is_after_now_and_each_one_after_the_one_before(trigger: Moments, now: int) -> None:
    found = [now, *islice(following(trigger, now), 5)]
    assert all(earlier < later for earlier, later in pairwise(found))


@given(triggers, moments, st.integers(1, 400 * DAY))
def test_whoever_looks_later_but_not_too_late_finds_the_same_moment(trigger: Moments, now: int, later: int) -> None:
    upcoming = next_after(trigger, now)
    assume(upcoming is not None)
    assert upcoming is not None
    between = now + later % (upcoming - now)
    assert next_after(trigger, between) == upcoming


@given(triggers, moments, st.integers(0, 20 * DAY), rules)
def test_every_moment_that_passed_is_fired_or_counted_and_none_twice(
    trigger: Moments, before: int, slept: int, rule: Misfire
) -> None:
    first = next_after(trigger, before)
    assume(first is not None)
    assert first is not None
    now = first + slept
    found = due(trigger, first, now, rule)
    passed = list(islice(takewhile(lambda moment: moment <= now, following(trigger, before)), COUNTED))
    assert len(found.firings) + found.missed == len(passed)
    assert all(first <= moment <= now and next_after(trigger, moment - 1) == moment for moment in found.firings)
    assert list(found.firings) == sorted(set(found.firings))
    assert found.next_at is None or found.next_at > now
    assert len(found.firings) <= {"once": 1, "skip": 1, "all": CAUGHT_UP}[rule]
    if rule == "once":
        assert found.firings == (first,)
    if rule == "skip":
        assert all(moment >= now - GRACE for moment in found.firings)
    if rule == "all":
        assert list(found.firings) == passed[:CAUGHT_UP]


@given(triggers, moments, moments, rules)
def test_a_clock_that_was_set_back_fires_nothing(trigger: Moments, next_at: int, now: int, rule: Misfire) -> None:
    assume(next_at > now)
    assert due(trigger, next_at, now, rule) == ((), 0, next_at)


@given(triggers, moments, st.integers(0, 20 * DAY), st.integers(0, 5 * DAY))
def test_one_firing_for_all_has_the_same_name_however_late_it_is_looked_at(
    trigger: Moments, before: int, slept: int, longer: int
) -> None:
    first = next_after(trigger, before)
    assume(first is not None)
    assert first is not None
    early = due(trigger, first, first + slept, "once")
    late = due(trigger, first, first + slept + longer, "once")
    assert early.firings == late.firings == (first,)


def local(trigger: Cron, start: str, count: int) -> list[str]:
    at = microseconds(datetime.fromisoformat(start))
    found = islice(following(trigger, at), count)
    return [datetime.fromtimestamp(moment / SECOND, UTC).isoformat(timespec="minutes")[:16] for moment in found]


def test_a_moment_in_the_hour_that_does_not_exist_comes_when_the_clock_goes_on() -> None:
    trigger = Cron(cron="30 2 * * *", tz="Europe/Berlin")
    assert local(trigger, "2026-03-28T12:00:00Z", 2) == ["2026-03-29T01:00", "2026-03-30T00:30"]


def test_a_moment_in_the_hour_that_comes_twice_comes_once() -> None:
    trigger = Cron(cron="30 2 * * *", tz="Europe/Berlin")
    assert local(trigger, "2026-10-24T12:00:00Z", 2) == ["2026-10-25T00:30", "2026-10-26T01:30"]
    assert local(trigger, "2026-10-25T01:10:00Z", 1) == ["2026-10-26T01:30"], "asked in the second of the two hours"


def test_two_moments_of_an_hour_that_does_not_exist_become_one() -> None:
    trigger = Cron(cron="15,45 2 * * *", tz="Europe/Berlin")
    assert local(trigger, "2026-03-28T12:00:00Z", 2) == ["2026-03-29T01:00", "2026-03-30T00:15"]


def test_an_hourly_moment_comes_in_both_of_the_hours_that_have_one_name() -> None:
    trigger = Cron(cron="*/30 * * * *", tz="Europe/Berlin")
    assert local(trigger, "2026-10-25T00:10:00Z", 3) == ["2026-10-25T00:30", "2026-10-25T01:00", "2026-10-25T01:30"]


def test_no_firing_moves_the_moments_of_an_interval() -> None:
    trigger = Every(every=600, anchor=7)
    period = 600 * SECOND
    found = [next_after(trigger, at) for at in (0, 7, period + 6, period + 7, 9 * period)]
    assert found == [period + 7, period + 7, period + 7, 2 * period + 7, 9 * period + 7]


def test_a_machine_that_slept_for_a_year_counts_no_further_than_matters() -> None:
    trigger = Cron(cron="* * * * *", tz="Europe/Berlin")
    found = due(trigger, next_after(trigger, 0), 365 * DAY, "all")
    assert (len(found.firings), found.missed) == (CAUGHT_UP, COUNTED - CAUGHT_UP)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ({}, "exactly one"),
        ({"every": "1m", "cron": "* * * * *"}, "exactly one"),
        ({"every": "now and then"}, "500ms"),
        ({"every": 0.5}, "greater"),
        ({"every": "1m", "tz": "UTC"}, "takes every"),
        ({"cron": "* * * * * *"}, "five fields"),
        ({"cron": "61 * * * *"}, "minute"),
        ({"cron": "0 0 30 2 *"}, "day"),
        ({"cron": "0 0 31 2,4 */8"}, "day"),
        ({"cron": "0 0 * * *", "tz": "Europe/Nowhere"}, "Europe/Berlin"),
        ({"cron": "0 0 * * *", "tz": "../../etc/passwd"}, "Europe/Berlin"),
        ({"at": "2026-12-01T09:00:00"}, "time zone"),
        ({"at": "tomorrow"}, "2026-12-01T09:00:00Z"),
        ({"at": "2001-12-01T09:00:00Z"}, "passed"),
        ({"folder": "in"}, "pattern"),
        ({"folder": "/in", "glob": "a/b"}, "pattern"),
    ],
)
def test_a_trigger_that_cannot_be_used_is_told_what_is_wrong(raw: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidParams) as refused:
        read(raw, 1_700_000_000 * SECOND)
    assert says in refused.value.message + refused.value.advice


@given(st.text(alphabet="0123456789*/,-LW#? MONJAN", max_size=40))
def test_whatever_is_written_as_cron_is_read_or_refused(text: str) -> None:
    try:
        made = read({"cron": text}, 0)
    except InvalidParams:
        return
    assert isinstance(made, Cron)
    assert next_after(made, 0) is not None


@given(triggers)
def test_a_trigger_is_read_back_as_it_was_kept(trigger: Moments) -> None:
    assert kept(trigger.model_dump()) == trigger
