"""Is what a program says kept in bounds, and its stderr told line by line?"""

from hypothesis import given
from hypothesis import strategies as st

from orchestrald.runner.output import LINE_BYTES, Capture, LogLines
from support.bench import Notes

WORDS = st.characters(codec="utf-8", exclude_categories=["C", "Z"])
CHUNKS = st.lists(st.binary(max_size=40), max_size=20)


@given(CHUNKS, st.integers(0, 60))
def test_the_head_is_what_came_first_and_the_total_what_came(chunks: list[bytes], limit: int):
    capture, whole = Capture(limit), b"".join(chunks)
    for chunk in chunks:
        capture.feed(chunk)
    assert (capture.value(), capture.total, capture.truncated) == (whole[:limit], len(whole), len(whole) > limit)


@given(CHUNKS, st.integers(0, 60))
def test_the_tail_is_what_came_last(chunks: list[bytes], limit: int):
    capture, whole = Capture(limit, "tail"), b"".join(chunks)
    for chunk in chunks:
        capture.feed(chunk)
    assert capture.value() == (whole[-limit:] if limit else b"")


@given(st.lists(st.text(WORDS, min_size=1), max_size=8), st.data())
def test_lines_are_the_same_however_they_were_cut(lines: list[str], data: st.DataObject):
    text = "\n".join(lines).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    whole, pieces = Notes(), Notes()
    _feed(whole, [text])
    _feed(pieces, [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)])
    assert pieces.logs == whole.logs
    assert len(whole.logs) == len(lines)


def _feed(notes: Notes, pieces: list[bytes]) -> None:
    log = LogLines(notes)
    for piece in pieces:
        log.feed(piece)
    log.end()


def test_a_line_that_never_ends_is_not_held():
    notes = Notes()
    _feed(notes, [b"x" * 1000] * (3 * LINE_BYTES // 1000))
    assert len(notes.logs) >= 2


def test_levels_progress_and_plain_lines_are_told_apart():
    notes = Notes()
    _feed(notes, [b'<3>bad\nW! careful\nplain\n\n::progress {"done":3,"total":3,"message":"page 3"}\n::progress no\n'])
    assert notes.logs == [("error", "bad"), ("warning", "careful"), ("info", "plain"), ("info", "::progress no")]
    assert notes.reports == [(3, 3, "page 3")]


def test_progress_is_told_at_most_ten_times_a_second_and_its_end_always():
    notes = Notes()
    _feed(notes, [b"".join(b'::progress {"done":%d,"total":500}\n' % n for n in range(1, 501))])
    assert len(notes.reports) < 20
    assert notes.reports[-1] == (500, 500, "")


def test_no_line_can_drive_the_terminal():
    notes = Notes()
    _feed(notes, [b"\x1b[2Jhello\n"])
    assert "\x1b" not in notes.logs[0][1]
