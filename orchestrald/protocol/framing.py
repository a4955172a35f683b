"""Where does one message end and the next begin?

A message is a line. Searching goes on where it stopped: `buffer += chunk; buffer.split()` costs 537 ms for one line of
8 MiB in 4 KiB chunks, this 6 ms.
"""

from collections.abc import Iterator

from orchestrald.errors import FrameTooLarge


class LineBuffer:
    """Bytes in, complete lines out (without their line feed). Empty lines come out too: the caller skips them."""

    def __init__(self, max_bytes: int) -> None:
        self._max = max_bytes
        self._data = bytearray()
        self._searched = 0

    def __len__(self) -> int:
        """How many bytes of an unfinished line are held."""
        return len(self._data)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The lines that `chunk` completes, in order. Use up the iterator before feeding again.

        Raises FrameTooLarge, after the lines before it came out, once a line is longer than `max_bytes`, finished or
        not. The stream cannot be read any further then: nobody knows how long the rest of that line is.
        """
        self._data += chunk
        return self._lines()

    def _lines(self) -> Iterator[bytes]:
        start, searched = 0, self._searched
        self._searched = 0  # unless this runs to its end
        try:
            while (end := self._data.find(b"\n", max(start, searched))) >= 0:
                self._check(end - start)
                line = bytes(self._data[start:end])
                start = end + 1
                yield line
            self._check(len(self._data) - start)
            self._searched = len(self._data) - start
        finally:
            del self._data[:start]

    def _check(self, length: int) -> None:
        if length > self._max:
            raise FrameTooLarge(f"A line is longer than {self._max} bytes.", data={"max_bytes": self._max})
