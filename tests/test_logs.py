"""Is the log readable for whom it is meant, and does no secret reach it?"""

import io
import json
import logging
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrald import logs
from orchestrald.core.redaction import HIDDEN, Redaction
from orchestrald.errors import ConfigError

KEY = "a key that-looks-like-none"
LOOKS = "sk-proj-Zm9vYmFyYmF6cXV4MDEyMzQ1Njc4OQ"

log = logging.getLogger("orchestrald.tests")

FORMS: list[logs.Form] = ["human", "json"]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[logs.Form], io.StringIO]]:
    """What a configured log writes to stderr; afterwards pytest has its own again."""
    root, ours = logging.getLogger(), logging.getLogger("orchestrald")
    before = (root.handlers[:], root.level, ours.level)

    def configure(form: logs.Form) -> io.StringIO:
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        logs.configure("info", None, form, Redaction([KEY]))
        assert isinstance(sys.stderr, io.StringIO)
        return sys.stderr

    yield configure
    root.handlers[:], level, own = before[0], before[1], before[2]
    root.setLevel(level)
    ours.setLevel(own)
    logging.captureWarnings(False)


def refused() -> None:
    """As a server that echoes what it was sent, with the reason beneath."""
    try:
        raise ValueError(f"401: no account has the key {KEY}")
    except ValueError as error:
        raise RuntimeError(f"the request with {LOOKS} failed") from error


@pytest.mark.parametrize("form", FORMS)
def test_a_key_that_a_server_echoes_never_reaches_the_log(form, said):
    written = said(form)
    log.error("the endpoint said: %s", f"invalid key {KEY} or {LOOKS}")
    log.warning("the parameters were %r", {"key": KEY, "nested": [LOOKS]})
    try:
        refused()
    except RuntimeError:
        log.exception("asking with %s failed", LOOKS)
    try:
        raise BaseExceptionGroup("several", [ValueError(KEY), ExceptionGroup(LOOKS, [OSError(KEY)])])
    except* (ValueError, OSError):
        log.exception("a group")
    text = written.getvalue()
    assert KEY not in text and LOOKS not in text
    assert text.count(HIDDEN) >= 10
    assert "no account has the key" in text and "Traceback" in text


@pytest.mark.parametrize("form", FORMS)
def test_what_a_library_says_leaves_by_the_same_door(form, said):
    written = said(form)
    logging.getLogger("httpx2").warning("sent %s", KEY)
    logging.getLogger("httpx2").info("a request")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"the address holds {LOOKS}", stacklevel=1)
    text = written.getvalue()
    assert KEY not in text and LOOKS not in text
    assert text.count(HIDDEN) >= 2 and "a request" not in text


def test_lines_of_json_stay_json_when_a_secret_is_hidden(said):
    written = said("json")
    log.info('a "quoted" %s\nand a second line', KEY)
    try:
        refused()
    except RuntimeError:
        log.exception("failed")
        trace = traceback.format_exc()
    first, second = map(json.loads, written.getvalue().splitlines())
    assert first["message"] == f'a "quoted" {HIDDEN}\nand a second line'
    assert second["exception"] == Redaction([KEY])(trace).rstrip()


def test_a_line_for_people_is_one_that_a_terminal_can_bear(said):
    written = said("human")
    log.warning("\x1b[31m%s", KEY)
    assert written.getvalue()[9:] == f"W tests: \\x1b[31m{HIDDEN}\n"


def test_without_known_secrets_what_looks_like_one_is_hidden(tmp_path: Path, said):
    said("json")
    logs.configure("info", str(tmp_path / "deep" / "log"), "auto")
    log.info("with %s", LOOKS)
    logging.getLogger().handlers[0].close()
    assert json.loads((tmp_path / "deep" / "log").read_text("utf-8"))["message"] == f"with {HIDDEN}"
    assert (tmp_path / "deep" / "log").stat().st_mode & 0o777 == 0o600


def test_a_log_file_that_cannot_be_opened_is_the_operator_s(tmp_path: Path):
    with pytest.raises(ConfigError, match="cannot be opened"):
        logs.configure("info", str(tmp_path), "auto")
