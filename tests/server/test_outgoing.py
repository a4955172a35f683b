"""Can many speak on one stream, and can a client that does not read hold any of them for ever?"""

from typing import Any

import pytest
import trio
import trio.testing

from orchestrald.server.outgoing import Outgoing


class Recorder(trio.abc.SendStream):
    """A stream that takes each piece when it is told to."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.take = trio.Event()

    async def send_all(self, data: Any) -> None:
        await self.take.wait()
        self.pieces.append(bytes(data))

    async def wait_send_all_might_not_block(self) -> None: ...

    async def aclose(self) -> None: ...


async def test_what_is_ready_while_another_speaks_goes_out_in_one_piece_and_in_order() -> None:
    stream = Recorder()
    out = Outgoing(stream, 30)
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            for n in range(5):
                nursery.start_soon(out.send, b"%d" % n)
                await trio.testing.wait_all_tasks_blocked()
            assert stream.pieces == []
            stream.take.set()
    assert stream.pieces == [b"0", b"1234"]


async def test_everybody_waits_until_their_own_words_are_gone() -> None:
    stream = Recorder()
    out = Outgoing(stream, 30)
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(out.send, b"a")
            nursery.start_soon(out.send, b"b")
            await trio.testing.wait_all_tasks_blocked()
            assert len(nursery.child_tasks) == 2
            stream.take.set()


async def test_a_client_that_does_not_read_counts_as_gone_after_the_write_timeout(autojump_clock: Any) -> None:
    out = Outgoing(Recorder(), 30)
    began = trio.current_time()
    with pytest.raises(trio.BrokenResourceError, match="has not taken 1 bytes within 30 s"):
        await out.send(b"a")
    assert trio.current_time() - began == pytest.approx(30)
