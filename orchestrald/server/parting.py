"""Has the client gone or only finished speaking, and how do we go so that our last words arrive?

To a reader both are the end of the stream. But `printf ... | nc -N -U` still wants its answer, while a client that was
interrupted must not keep a slot until its hour-long wait is over. The kernel reports POLLHUP for the second only.
"""

import contextlib
import select
import socket

import trio

_LOOK_AGAIN_S = 1.0
"""Nothing wakes a reader when a half closed stream is closed for good, so it is looked at."""

_LINGER_S = 2.0
_LINGER_BYTES = 64 * 1024 * 1024


def hung_up(stream: trio.abc.Stream) -> bool:
    """Whether nobody can read an answer any more. False where it cannot be told (streams that are not sockets)."""
    if not isinstance(stream, trio.SocketStream):
        return False
    poll = select.poll()
    poll.register(stream.socket.fileno(), 0)  # hang-ups and errors are reported unasked
    return bool(poll.poll(0))


async def until_hung_up(stream: trio.abc.Stream) -> None:
    """Returns once the client has gone. Reads nothing: what the client sends meanwhile stays to be read."""
    if not isinstance(stream, trio.SocketStream):
        await trio.sleep_forever()
    try:
        await stream.socket.recv(1, socket.MSG_PEEK)
    except OSError:
        return
    while not hung_up(stream):  # noqa: ASYNC110 - the kernel has no event for it
        await trio.sleep(_LOOK_AGAIN_S)


async def leave(stream: trio.abc.Stream) -> None:
    """Call it after the last words to a client that may still be sending. Closing at once would fail its send, and
    most clients never read once that has happened; so what it sends is thrown away for a moment. Raises nothing."""
    with trio.move_on_after(_LINGER_S), contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        if isinstance(stream, trio.abc.HalfCloseableStream):
            await stream.send_eof()
        dropped = 0
        while dropped < _LINGER_BYTES and (chunk := await stream.receive_some()):
            dropped += len(chunk)
