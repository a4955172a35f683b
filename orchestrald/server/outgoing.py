"""How do many speakers share one stream without a queue between them?

Everybody waits until their own bytes are with the kernel, so what a client that does not read can hold is one piece
per speaker. Whoever gets the stream takes along what the others have ready: many replies, one system call.
"""

import trio


class Outgoing:
    def __init__(self, stream: trio.abc.SendStream, write_s: float) -> None:
        self._stream = stream
        self._write_s = write_s
        self._turn = trio.Lock()
        self._ready: list[bytes] = []

    async def send(self, data: bytes) -> None:
        """Whole messages, in the order of the calls. Raises BrokenResourceError when the client has gone, or has
        not taken all of it within `write_s`; a piece may then be half sent, so nothing further can be."""
        self._ready.append(data)
        async with self._turn:
            if not self._ready:
                return
            piece = b"".join(self._ready)
            self._ready.clear()
            with trio.move_on_after(self._write_s) as patience:
                await self._stream.send_all(piece)
            if patience.cancelled_caught:
                raise trio.BrokenResourceError(
                    f"the client has not taken {len(piece)} bytes within {self._write_s:g} s"
                )
