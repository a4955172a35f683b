"""What do lines on stderr mean, and can they do harm?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrald.protocol.foreign_text import plain, tail
from orchestrald.protocol.stderr import Line, Progress, parse


@pytest.mark.parametrize(
    ("line", "parsed"),
    [
        (b"plain\n", Line("info", "plain")),
        (b"", Line("info", "")),
        (b"<0>emergency", Line("error", "emergency")),
        (b"<3>broken", Line("error", "broken")),
        (b"<4> careful", Line("warning", "careful")),
        (b"<5>note", Line("info", "note")),
        (b"<6>info", Line("info", "info")),
        (b"<7>detail\r\n", Line("debug", "detail")),
        (b"<8>no level", Line("info", "<8>no level")),
        (b"E! broken", Line("error", "broken")),
        (b"W! careful", Line("warning", "careful")),
        (b"I! info", Line("info", "info")),
        (b"D! detail", Line("debug", "detail")),
        (b"D!detail", Line("info", "D!detail")),
        (b" E! not at the start", Line("info", " E! not at the start")),
        (b'::progress {"done":3,"total":10,"message":"page 3"}', Progress(3, 10, "page 3")),
        (b'::progress {"done":0.5}\n', Progress(0.5, None, "")),
        (b'::progress {"message":"a\\nb"}', Progress(None, None, "a b")),
        (b"\xff\x1b[2J", Line("info", "\ufffd\\x1b[2J")),
    ],
)
def test_a_line_has_a_level_and_text_or_is_progress(line: bytes, parsed: Line | Progress) -> None:
    assert parse(line) == parsed


@pytest.mark.parametrize(
    "body",
    [b"x", b"[]", b'{"done":-1}', b'{"done":true}', b'{"done":"3"}', b'{"message":1}', b'{"done":1e999}', b"{" * 9],
)
def test_progress_that_is_none_is_a_log_line(body: bytes) -> None:
    assert isinstance(parse(b"::progress " + body), Line)


@given(st.binary(max_size=60))
def test_nothing_that_moves_a_cursor_gets_through(line: bytes) -> None:
    parsed = parse(line)
    text = parsed.text if isinstance(parsed, Line) else parsed.message
    assert not any((ord(c) < 0x20 and c not in "\t\n") or 0x7F <= ord(c) < 0xA0 for c in text)


def test_a_huge_line_is_cut() -> None:
    parsed = parse(b"x" * 1_000_000)
    assert isinstance(parsed, Line)
    assert parsed.text.endswith("more characters)")
    assert len(parsed.text) < 2_100


def test_foreign_text_is_escaped_and_shortened() -> None:
    assert plain("a\x1b]0;title\x07\tb\nc\u202eevil\x9b") == "a\\x1b]0;title\\x07\tb\nc\\u202eevil\\x9b"
    assert plain("abcdef", 4) == "abcd… (2 more characters)"
    assert plain("\udc80") == "\\udc80"


def test_the_tail_of_an_output_is_its_end() -> None:
    assert tail(b"") == ""
    assert tail(b" one\r\ntwo\n") == "one\ntwo"
    assert tail(b"x" * 3_000 + b"end", 10) == "…xxxxxxxend"
    assert tail("é".encode() * 100, 10) == "…" + "é" * 10
    assert tail(b"\xff" + b"\x07", 10) == "\ufffd\\x07"
