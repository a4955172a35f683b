"""What survives a restart, and what a damaged file does to it?"""

import json
import logging
from pathlib import Path

import pytest
import trio

from models.asking import SHAPED, Asking
from orchestrald.models.dialect import Dialect
from orchestrald.models.known import MOST, Known
from orchestrald.models.profile import Profile
from support.chat_server import ChatServer, say

PROFILE = Profile(backend="x", base_url="http://me:secret@127.0.0.1:8080/v1?key=hidden")
DIALECT = Dialect("tool", "max_completion_tokens", temperature=False, streams=False)


def test_what_was_remembered_is_known_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    Known(path).remember(PROFILE, "m", DIALECT)
    again = Known(path)
    assert again.get(PROFILE, "m") == DIALECT
    assert again.get(PROFILE, "n") is None
    assert again.get(Profile(backend="x"), "m") is None
    again.forget(PROFILE, "m")
    assert again.get(PROFILE, "m") is None and Known(path).get(PROFILE, "m") is None


def test_a_mode_that_was_never_needed_is_kept_as_missing(tmp_path: Path) -> None:
    Known(tmp_path / "k").remember(PROFILE, "m", Dialect(None, temperature=False))
    assert Known(tmp_path / "k").get(PROFILE, "m") == Dialect(None, temperature=False)


def test_the_file_is_private_and_holds_no_secret_of_an_address(tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    Known(path).remember(PROFILE, "m", DIALECT)
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(json.loads(path.read_text(encoding="utf-8"))) == ["http://127.0.0.1:8080/v1 m"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["models.json"]


def test_what_is_known_already_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    known = Known(path)
    known.remember(PROFILE, "m", DIALECT)
    path.unlink()
    known.remember(PROFILE, "m", DIALECT)
    known.forget(PROFILE, "another")
    assert not path.exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        '{"a": 1}',
        '{"http://127.0.0.1:8080/v1 m": {"mode": "magic", "limit": "max_tokens"}}',
        "\0\xff",
    ],
)
def test_a_damaged_file_is_an_empty_one(text: str, tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    path.write_text(text, encoding="latin-1")
    known = Known(path)
    assert known.get(PROFILE, "m") is None
    known.remember(PROFILE, "m", DIALECT)
    assert Known(path).get(PROFILE, "m") == DIALECT


def test_a_file_that_cannot_be_written_is_only_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    known = Known(tmp_path / "no such folder" / "models.json")
    with caplog.at_level(logging.WARNING):
        known.remember(PROFILE, "m", DIALECT)
    assert known.get(PROFILE, "m") == DIALECT
    assert "not kept across restarts" in caplog.text


def test_a_file_that_cannot_be_read_is_only_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert Known(tmp_path).get(PROFILE, "m") is None
    assert "cannot be read" in caplog.text


def test_it_does_not_grow_without_a_bound() -> None:
    known = Known()
    for number in range(MOST + 5):
        known.remember(PROFILE, f"m{number}", DIALECT)
    assert known.get(PROFILE, "m4") is None and known.get(PROFILE, "m5") is not None


async def test_an_endpoint_is_not_asked_again_after_a_restart(tmp_path: Path, endpoint: Asking) -> None:
    with ChatServer([say({"there": "x"})] * 2, supports={"json_object"}) as server, trio.fail_after(5):
        await endpoint(server, Known(tmp_path / "k")).ask(SHAPED)
        assert len(server.probes) == 3
        assert (await endpoint(server, Known(tmp_path / "k")).ask(SHAPED)).mode == "json_object"
        assert len(server.probes) == 3
