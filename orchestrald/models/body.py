"""How is the body of a response read, without ever holding more than we want?

Rules of this file:

- The bytes are read here and not by the SDK: it holds whatever comes, takes a web page for an answer, and leaves the
  generators of a stream to the garbage collector.
- Everything that is kept counts, whatever it is made of: a stream may never end, and consist of nothing at all.
- Reading is ended early by cancelling it, never by leaving the loop: cancelled, every generator beneath it is closed
  then and there.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from typing import Any

import trio

from orchestrald.models.reading import NotAnAnswer

MAX_BODY = 4 * 1024 * 1024
"""Bytes of a whole body, or of one event in a stream: an answer of the longest kind, escaped, many times over."""

MAX_ERROR = 64 * 1024
"""Bytes of an error's body that are kept. A reason has some hundred; what is more is a page, or malice."""

PATIENCE = 5.0
"""Seconds in which an error's body must have come. What it is about was said before it, by the status."""


class Refused(Exception):
    """The endpoint answered with a status that is none of an answer. `body` ends after MAX_ERROR bytes."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        super().__init__(f"HTTP {status}")


async def refuse(response: Any) -> None:
    """For every response before anybody else sees it. Raises Refused: the SDK would read an error's body to its end."""
    import httpx2  # noqa: PLC0415 - imported by now, see connection

    if response.is_success:
        return
    if response.has_redirect_location:
        # The client reads what nobody wants to see, to its end, and then goes where it is told to.
        await response.stream.aclose()
        response.headers.pop("content-encoding", None)
        response.stream = httpx2.ByteStream(b"")
        return
    held = bytearray()

    def take(data: bytes) -> bool:
        held.extend(data[: MAX_ERROR - len(held)])
        return len(held) < MAX_ERROR

    with trio.move_on_after(PATIENCE), suppress(httpx2.RequestError, httpx2.StreamError):
        await _read(response.aiter_bytes(), take)
    raise Refused(response.status_code, response.headers, bytes(held))


async def whole(response: Any) -> Any:
    """The JSON in the body. Raises NotAnAnswer."""
    held = bytearray()

    def take(data: bytes) -> bool:
        held.extend(data)
        return len(held) <= MAX_BODY

    await _read(response.iter_bytes(), take)
    if len(held) > MAX_BODY:
        raise NotAnAnswer(f"more than {MAX_BODY // 2**20} MiB")
    return _json(bytes(held))


async def events(response: Any, heed: Callable[[Any], bool]) -> None:
    """Hands the JSON of each event to `heed`, until it wants no more or the stream says that it is done. Raises
    NotAnAnswer."""
    await _read(response.iter_bytes(), _Events(heed).take)


async def _read(body: AsyncIterator[bytes], take: Callable[[bytes], bool]) -> None:
    failed: Exception | None = None
    with trio.CancelScope() as enough:
        wanted = True
        async for data in body:
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
        # Neither is a list: with its bookkeeping, lines of nothing would take many times what was counted.
        self._partial = bytearray()
        self._data = bytearray()

    def take(self, data: bytes) -> bool:
        *ends, begun = data.split(b"\n")
        for end in ends:
            line = bytes(self._partial + end)
            self._partial.clear()
            if not self._line(line.rstrip(b"\r")):
                return False
        self._partial += begun
        self._refuse_endless()
        return True

    def _line(self, line: bytes) -> bool:
        if line.startswith(b"data:"):
            self._data += line[5:].strip() + b"\n"
            self._refuse_endless()
        if line or not self._data:
            return True
        data = bytes(self._data)
        self._data.clear()
        return not data.startswith(b"[DONE]") and self._heed(_json(data))

    def _refuse_endless(self) -> None:
        if len(self._partial) + len(self._data) > MAX_BODY:
            raise NotAnAnswer("an event that does not end")


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        is_page = b"<html" in data[:2000].lower()
        raise NotAnAnswer("a web page" if is_page else "something that is not JSON") from None
