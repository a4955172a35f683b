"""How is the body of a response read, without ever holding more than we want?

Rules of this file:

- The bytes are read here and not by the SDK: it holds whatever comes, takes a web page for an answer, and leaves the
  generators of a stream to the garbage collector.
- Reading is ended early by cancelling it, never by leaving the loop: cancelled, every generator beneath it is closed
  then and there.
"""

import json
from collections.abc import Callable
from typing import Any

import trio

from orchestrald.models.reading import NotAnAnswer

MAX_BODY = 4 * 1024 * 1024
"""Bytes of a whole body, or of one event in a stream: an answer of the longest kind, escaped, many times over."""


async def whole(response: Any) -> Any:
    """The JSON in the body. Raises NotAnAnswer."""
    held = bytearray()

    def take(data: bytes) -> bool:
        held.extend(data)
        return len(held) <= MAX_BODY

    await _read(response, take)
    if len(held) > MAX_BODY:
        raise NotAnAnswer(f"more than {MAX_BODY // 2**20} MiB")
    return _json(bytes(held))


async def events(response: Any, heed: Callable[[Any], bool]) -> None:
    """Hands the JSON of each event to `heed`, until it wants no more or the stream says that it is done. Raises
    NotAnAnswer."""
    await _read(response, _Events(heed).take)


async def _read(response: Any, take: Callable[[bytes], bool]) -> None:
    failed: Exception | None = None
    with trio.CancelScope() as enough:
        wanted = True
        async for data in response.iter_bytes():
            # What had arrived before the cancellation still comes.
            try:
                wanted = wanted and take(data)
            except Exception as error:  # noqa: BLE001 - raised below
                failed, wanted = error, False
            if not wanted:
                enough.cancel()
    if failed is not None:
        raise failed


class _Events:
    """Server-sent events, of which only the data matters here."""

    def __init__(self, heed: Callable[[Any], bool]) -> None:
        self._heed = heed
        self._partial = b""
        self._data: list[bytes] = []

    def take(self, data: bytes) -> bool:
        *lines, self._partial = (self._partial + data).split(b"\n")
        if len(self._partial) > MAX_BODY:
            raise NotAnAnswer("an event that does not end")
        return all(self._line(line.rstrip(b"\r")) for line in lines)

    def _line(self, line: bytes) -> bool:
        if line.startswith(b"data:"):
            self._data.append(line[5:].strip())
        if line or not self._data:
            return True
        data, self._data = b"\n".join(self._data), []
        return not data.startswith(b"[DONE]") and self._heed(_json(data))


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        is_page = b"<html" in data[:2000].lower()
        raise NotAnAnswer("a web page" if is_page else "something that is not JSON") from None
