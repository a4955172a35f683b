"""Does every line get its answer, and does whatever a client sends end no more than that client?"""

import json
import socket
import struct
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from orchestrald.server.limits import Limits

PING = b'{"jsonrpc":"2.0","id":7,"method":"system.ping"}\n'


def code(message: dict[str, Any]) -> int:
    return int(message["error"]["code"])


async def test_requests_of_one_read_are_answered_in_order(site: Any) -> None:
    client = await site.client()
    await client.say(b"".join(b'{"jsonrpc":"2.0","id":%d,"method":"system.ping"}\n' % n for n in range(500)))
    assert [(await client.hear())["id"] for _ in range(500)] == list(range(500))


async def test_a_request_may_arrive_byte_by_byte_with_blank_lines_around_it(site: Any) -> None:
    client = await site.client()
    for byte in b"\n\r\n" + PING + b"\n":
        await client.say(bytes([byte]))
    assert (await client.hear())["id"] == 7


async def test_a_notification_gets_no_answer(site: Any) -> None:
    client = await site.client()
    await client.say(b'{"jsonrpc":"2.0","method":"system.ping"}\n{"jsonrpc":"2.0","method":"nope"}\n')
    await client.say(b'{"jsonrpc":"2.0","method":"interaction.wait","params":{"interaction_id":"i"}}\n' + PING)
    assert (await client.hear())["id"] == 7
    site.handlers.release.set()
    assert (await client.ask("system.ping"))["result"] == {}


HOSTILE = {
    "not json": (b"hello", -32700),
    "cut off": (b'{"jsonrpc":"2.0","id":', -32700),
    "invalid utf-8": (b'{"jsonrpc":"2.0","id":1,"method":"\xff\xfe"}', -32700),
    "NaN": (b'{"jsonrpc":"2.0","id":1,"method":"system.ping","params":{"x":NaN}}', -32700),
    "100,000 levels deep": (b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"x":' + b"[" * 100_000, -32700),
    "a batch": (b"[" + PING[:-1] + b"]", -32600),
    "a number": (b"42", -32600),
    "another version": (b'{"jsonrpc":"1.0","id":1,"method":"system.ping"}', -32600),
    "positional parameters": (b'{"jsonrpc":"2.0","id":1,"method":"system.ping","params":[1]}', -32602),
    "an unknown parameter": (b'{"jsonrpc":"2.0","id":1,"method":"system.ping","params":{"x":1}}', -32602),
    "an unknown method": (b'{"jsonrpc":"2.0","id":1,"method":"system.pong"}', -32601),
    "control bytes": (b"\x00\x01\x02", -32700),
}


@pytest.mark.parametrize(("line", "expected"), HOSTILE.values(), ids=HOSTILE.keys())
async def test_a_hostile_line_is_answered_and_the_next_one_too(site: Any, line: bytes, expected: int) -> None:
    client = await site.client()
    await client.say(PING + line + b"\n" + PING)
    assert (await client.hear())["id"] == 7
    assert code(await client.hear()) == expected
    assert (await client.hear())["id"] == 7


async def test_an_unknown_method_is_answered_with_the_nearest(site: Any) -> None:
    client = await site.client()
    error = (await client.ask("system.pong"))["error"]
    assert error["message"] == "There is no method 'system.pong'. Did you mean system.ping?"


@pytest.mark.parametrize("size", [5 * 1024 * 1024, 4 * 1024 * 1024 + 1])
async def test_a_line_beyond_the_limit_is_refused_and_the_connection_closed(site: Any, size: int) -> None:
    client = await site.client()
    await client.say(b'{"x":"' + b"x" * (size - 8) + b'"}\n')  # a plain blocking client sends it all before it reads
    message = await client.hear()
    assert (message["id"], message["error"]["data"]["kind"]) == (None, "frame_too_large")
    assert await client.closed()
    assert (await (await site.client()).ask("system.ping"))["result"] == {}


async def test_a_line_of_exactly_the_limit_is_served(site: Any) -> None:
    client = await site.client()
    head, tail = b'{"jsonrpc":"2.0","id":1,"method":"system.ping","params":{"x":"', b'"}}'
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.say, head + b"x" * (4 * 1024 * 1024 - len(head) - len(tail)) + tail + b"\n")
        assert code(await client.hear()) == -32602


async def test_a_bug_in_a_handler_is_logged_and_the_connection_lives_on(
    site: Any, caplog: pytest.LogCaptureFixture
) -> None:
    client = await site.client()
    error = (await client.ask("system.info"))["error"]
    assert (error["code"], error["data"]["kind"]) == (-32603, "internal_error")
    assert "a detail of ours" not in json.dumps(error)
    assert "RuntimeError: a detail of ours" in caplog.text
    assert code(await client.ask("system.schema")) == -32603  # a result that JSON cannot carry
    assert code(await client.ask("action.list")) == -32603  # an error that JSON cannot carry
    assert code(await client.ask("thread.get", thread_id="t9")) == 4004
    assert (await client.ask("system.ping"))["result"] == {}


async def test_waits_run_beside_other_requests_and_only_so_many(site: Any) -> None:
    client = await site.client()
    for _ in range(33):
        await client.send("interaction.wait", interaction_id="i")
    refused = await client.hear()
    assert (refused["id"], code(refused)) == (33, -32001)
    assert refused["error"]["data"]["retry_after_ms"] == 1000
    assert (await client.ask("system.ping"))["result"] == {}
    site.handlers.release.set()
    assert {(await client.hear())["id"] for _ in range(32)} == set(range(1, 33))
    assert (await client.ask("interaction.wait", interaction_id="i"))["result"] == {"state": "completed"}


async def test_half_a_request_and_then_silence_ends_after_a_minute(site: Any, autojump_clock: Any) -> None:
    client = await site.client()
    await client.say(PING[:20])
    began = trio.current_time()
    with trio.fail_after(100):
        message = await client.hear()
        assert message["error"]["message"] == "No complete request came within 60 s."
        assert await client.closed()
    assert trio.current_time() - began == pytest.approx(60, abs=1)


async def test_half_a_request_after_whole_ones_ends_too_however_slowly_it_trickles(
    open_site: Callable[..., Any], autojump_clock: Any
) -> None:
    async with open_site(Limits(first_request_s=5)) as site:
        client = await site.client()
        await client.ask("system.ping")
        await trio.sleep(8)  # an idle connection is nobody's loss
        assert (await client.ask("system.ping"))["result"] == {}
        began = trio.current_time()

        async def trickle() -> None:
            for byte in PING:
                await client.say(bytes([byte]))
                await trio.sleep(1)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(trickle)
            assert code(await client.hear()) == -32600
            nursery.cancel_scope.cancel()
        assert trio.current_time() - began == pytest.approx(5, abs=0.5)
        assert await client.closed()


def reset(client: Any) -> None:
    """Closes so that the other side gets a reset: on a Unix socket, with something unread."""
    client.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.stream.socket.close()


async def test_a_client_that_resets_the_connection_ends_nobody_else(
    site: Any, caplog: pytest.LogCaptureFixture
) -> None:
    witness = await site.client()
    for _ in range(5):
        client = await site.client()
        await client.ask("events.subscribe")
        for _ in range(3):
            await client.send("interaction.wait", interaction_id="i")
            await client.send("interaction.graph", interaction_id="i")
        await trio.testing.wait_all_tasks_blocked()
        reset(client)
        site.log.commit(10)
        assert (await witness.ask("system.ping"))["result"] == {}
    await trio.testing.wait_all_tasks_blocked()
    assert len(site.handlers.waiting) == 0
    assert site.log.ring.lines == []
    assert "fault of ours" not in caplog.text


async def test_a_client_that_hangs_up_in_the_middle_of_a_wait_is_not_waited_for(site: Any) -> None:
    client = await site.client()
    await client.send("interaction.wait", interaction_id="i")
    await trio.testing.wait_all_tasks_blocked()
    assert len(site.handlers.waiting) == 1
    await client.stream.aclose()
    await trio.testing.wait_all_tasks_blocked()
    assert len(site.handlers.waiting) == 0


async def test_a_client_that_hangs_up_in_the_middle_of_a_line_leaves_no_trace(site: Any) -> None:
    client = await site.client()
    await client.say(PING + PING[:9])
    await client.hear()
    await client.stream.aclose()
    assert (await (await site.client()).ask("system.ping"))["result"] == {}


async def test_a_client_that_only_stopped_speaking_still_gets_its_answers(site: Any) -> None:
    client = await site.client()
    await client.send("interaction.wait", interaction_id="i")
    await client.stream.send_eof()
    await trio.testing.wait_all_tasks_blocked()
    site.handlers.release.set()
    assert (await client.hear())["result"] == {"state": "completed"}
    assert await client.closed()


async def test_a_client_that_stops_speaking_and_goes_later_is_noticed(site: Any, autojump_clock: Any) -> None:
    client = await site.client()
    await client.send("interaction.wait", interaction_id="i")
    await client.stream.send_eof()
    await trio.testing.wait_all_tasks_blocked()
    await client.stream.aclose()
    await trio.sleep(2)
    assert len(site.handlers.waiting) == 0


async def test_huge_answers_to_tiny_requests_wait_for_the_reader(site: Any) -> None:
    client = await site.client()
    line = b'{"jsonrpc":"2.0","id":1,"method":"interaction.graph","params":{"interaction_id":"i"}}\n'
    await client.say(line * 300)
    await trio.testing.wait_all_tasks_blocked()
    assert site.handlers.graphs < 10
    for _ in range(300):
        assert len((await client.hear())["result"]["graph"]) == 300_000
