"""Does a person see what models took, what that leaves open, and what may still be spent?"""

import json
from typing import Any

import pytest

from orchestrald.cli.command import BadInput
from orchestrald.cli.main import dispatch
from orchestrald.cli.usage import moment
from orchestrald.store.base_calls import UsageRow

NOW = 1_795_000_000_000_000
DAY = 86_400 * 1_000_000
ROW = UsageRow("2026-11-02", 3, 1, 0, 4000, 1200, 210, 0, 3100, 0, 62_000)._asdict()
LOST = UsageRow("2026-11-01", 2, 0, 1, 100, 0, 10, 8000, 0, 2, 400)._asdict()
UNLIMITED = {"interaction": {"tokens": None, "cost": None}, "day": {"tokens": None, "cost": None}}
LIMITED = {"interaction": {"tokens": 200_000, "cost": 1_000_000}, "day": {"tokens": 1_000_000, "cost": 5_000_000}}


def answer(*rows: dict[str, Any], by: str = "day", budgets: Any = UNLIMITED) -> dict[str, Any]:
    day = {"calls": 3, "tokens": 4210, "cost": 3100}
    return {"by": by, "usage": list(rows), "last_day": day, "budgets": budgets}


def test_usage_is_a_table_with_sums_and_what_they_leave_open(daemon: Any, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.answers["usage.get"] = answer(ROW, LOST)
    assert dispatch(["usage"]) == 0
    assert capsys.readouterr().out == (
        "DAY         CALLS  FAILED     IN  (CACHED)  OUT     COST        TIME\n"
        "2026-11-02      3       1  4,000   (1,200)  210  $0.0031  1 min 02 s\n"
        "2026-11-01      2       0    100       (0)   10        -       0.4 s\n"
        "together        5       1  4,100   (1,200)  220  $0.0031  1 min 02 s\n"
        "1 call has no answer (yet), as when the daemon was killed: counted with all it may take, 8,000 tokens.\n"
        "2 calls have no price, and no part in the cost.\n"
        "\n"
        "last 24 hours: 3 calls, 4,210 tokens, $0.0031 (no budget)\n"
        "an interaction has no budget of its own\n"
    )


def test_one_row_needs_no_sum_and_whole_figures_no_notes(daemon: Any, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.answers["usage.get"] = answer(ROW)
    dispatch(["usage"])
    out = capsys.readouterr().out
    assert "together" not in out
    assert "no price" not in out
    assert "no answer" not in out


def test_the_last_day_stands_beside_its_budget(daemon: Any, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.answers["usage.get"] = answer(ROW, budgets=LIMITED)
    dispatch(["usage"])
    assert capsys.readouterr().out.endswith(
        "last 24 hours: 3 calls, 4,210 tokens of 1,000,000, $0.0031 of $5\n"
        "an interaction may take 200,000 tokens and $1\n"
    )


def test_a_budget_of_nothing_is_a_budget(daemon: Any, capsys: pytest.CaptureFixture[str]) -> None:
    nothing = {"interaction": {"tokens": 0, "cost": None}, "day": {"tokens": 0, "cost": None}}
    daemon.answers["usage.get"] = answer(budgets=nothing)
    dispatch(["usage"])
    out = capsys.readouterr().out
    assert out.startswith("No model was asked.\n")
    assert "4,210 tokens of 0, $0.0031\n" in out
    assert "an interaction may take 0 tokens\n" in out


def test_calls_of_no_interaction_are_previews_and_ids_are_whole(
    daemon: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "int_01m8ezakkqvs2zh6e7tpjn7wv1"
    daemon.answers["usage.get"] = answer({**ROW, "key": name}, {**ROW, "key": ""}, by="interaction")
    dispatch(["usage", "--by", "interaction"])
    out = capsys.readouterr().out
    assert f"\n{name}  " in out
    assert "\n(previews)  " in out


def test_what_a_model_is_called_cannot_speak_to_the_terminal(daemon: Any, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.answers["usage.get"] = answer({**ROW, "key": "m\x1b[2J" + "x" * 100}, by="model")
    dispatch(["usage", "--by", "model"])
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert max(map(len, out.split("\n"))) < 120


def test_what_is_asked_is_what_was_typed(daemon: Any, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.answers["usage.get"] = answer(ROW)
    assert dispatch(["usage", "--by", "model", "--since", "2026-11-01", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == answer(ROW)
    assert daemon.params_of("usage.get") == [{"by": "model", "since": 1_793_491_200_000_000, "limit": 1000}]


@pytest.mark.parametrize(
    ("word", "at"),
    [
        ("7d", NOW - 7 * DAY),
        ("12h", NOW - DAY // 2),
        ("30m", NOW - DAY // 48),
        ("2w", NOW - 14 * DAY),
        ("90000d", 0),
        ("2026-11-01", 1_793_491_200_000_000),
        ("2026-11-01T01:00:00+01:00", 1_793_491_200_000_000),
    ],
)
def test_a_moment_is_a_time_ago_or_a_date(word: str, at: int) -> None:
    assert moment(word, NOW) == at


@pytest.mark.parametrize("word", ["", "d", "7", "7y", "yesterday", "2026-13-01", "-1d"])
def test_other_words_are_no_time(word: str) -> None:
    with pytest.raises(BadInput, match="no time"):
        moment(word, NOW)


def test_a_daemon_counts_what_nobody_was_asked(cli: Any) -> None:
    assert cli("usage", "--by", "model", "--since", "1d") == 0
    assert cli.out.startswith("No model was asked.\n\nlast 24 hours: 0 calls, 0 tokens (no budget)\n")
