"""Do lines come out whole, in order and in linear time, however the bytes arrive?"""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrald.errors import FrameTooLarge
from orchestrald.protocol.framing import LineBuffer


def fed(chunks: list[bytes], max_bytes: int) -> tuple[list[bytes], bool]:
    buffer, lines = LineBuffer(max_bytes), []
    try:
        for chunk in chunks:
            for line in buffer.feed(chunk):
                lines.append(line)  # noqa: PERF402  what came before the exception must be kept
    except FrameTooLarge:
        return lines, True
    return lines, False


def naive(data: bytes, max_bytes: int) -> tuple[list[bytes], bool]:
    *lines, rest = data.split(b"\n")
    for i, line in enumerate(lines):
        if len(line) > max_bytes:
            return lines[:i], True
    return lines, len(rest) > max_bytes


@given(st.lists(st.text(alphabet="ab\n", max_size=12).map(str.encode), max_size=12), st.integers(0, 8))
def test_any_chunking_gives_the_lines_of_the_whole(chunks: list[bytes], max_bytes: int) -> None:
    assert fed(chunks, max_bytes) == naive(b"".join(chunks), max_bytes)


def test_a_line_is_too_large_before_it_ends() -> None:
    buffer = LineBuffer(4)
    assert list(buffer.feed(b"abcd")) == []
    with pytest.raises(FrameTooLarge) as caught:
        list(buffer.feed(b"e"))
    assert caught.value.data == {"max_bytes": 4}


def test_lines_before_the_one_that_is_too_large_still_come_out() -> None:
    assert fed([b"a\nb\nccccc\n"], 4) == ([b"a", b"b"], True)


def test_an_iterator_that_is_given_up_loses_no_line() -> None:
    buffer = LineBuffer(10)
    assert list(buffer.feed(b"xxa")) == []
    lines = buffer.feed(b"\nb\nc")
    assert next(lines) == b"xxa"
    lines.close()  # type: ignore[attr-defined]
    assert list(buffer.feed(b"\n")) == [b"b", b"c"]
    assert len(buffer) == 0


def test_one_line_of_8_mib_in_small_chunks_is_linear() -> None:
    buffer, chunk = LineBuffer(16 << 20), b"x" * 4096
    started = time.perf_counter()
    for _ in range(2048):
        assert list(buffer.feed(chunk)) == []
    assert [len(line) for line in buffer.feed(b"\n")] == [8 << 20]
    assert time.perf_counter() - started < 0.25  # quadratic: more than 2 s
