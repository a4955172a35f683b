"""Who is let in, who is turned away, and does the daemon outlive both?"""

import contextlib
import errno
import os
import resource
import socket
import sys
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from orchestrald.server.limits import Limits


async def test_handlers_learn_who_asks(site: Any) -> None:
    client = await site.client()
    assert (await client.ask("system.hello"))["result"] == {"by": f"uid:{os.geteuid()}", "pid": os.getpid()}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_another_user_is_closed_without_a_word(site: Any) -> None:
    # The modes of folder and socket would stop it first; the check must hold without them.
    for path, mode in ((os.path.dirname(os.path.dirname(site.path)), 0o755), (os.path.dirname(site.path), 0o755)):
        os.chmod(path, mode)
    os.chmod(site.path, 0o666)  # noqa: S103 - that others can come this far is the point
    program = (
        "import os, socket, sys\n"
        "os.setuid(12345)\n"
        "s = socket.socket(socket.AF_UNIX)\n"
        "s.connect(sys.argv[1])\n"
        "try: print(s.recv(100))\n"
        "except ConnectionResetError: print(b'')\n"
    )
    done = await trio.run_process([sys.executable, "-IS", "-c", program, site.path], capture_stdout=True)
    assert done.stdout == b"b''\n"
    assert (await (await site.client()).ask("system.ping"))["result"] == {}


async def test_one_connection_too_many_is_turned_away_in_words_and_a_slot_is_used_again(
    open_site: Callable[..., Any],
) -> None:
    async with open_site(Limits(connections=3)) as site:
        clients = [await site.client() for _ in range(3)]
        for client in clients:
            await client.ask("system.ping")
        extra = await site.client()
        message = await extra.hear()
        assert (message["id"], message["error"]["code"]) == (None, -32001)
        assert message["error"]["message"] == "Server overloaded; retry later."
        assert message["error"]["data"]["retry_after_ms"] == 1000
        assert await extra.closed()
        await clients[0].stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert (await (await site.client()).ask("system.ping"))["result"] == {}


async def test_two_thousand_connections_leave_the_daemon_alive_and_all_accepted_clients_served(site: Any) -> None:
    accepted, refused = [], 0
    for n in range(2000):
        client = await site.client()
        if n < 64:
            assert (await client.ask("system.ping"))["result"] == {}
            accepted.append(client)
        else:
            try:
                assert (await client.hear())["error"]["code"] == -32001
            finally:
                await client.stream.aclose()
            refused += 1
        if n % 100 == 0:
            assert (await accepted[n // 100].ask("system.ping"))["result"] == {}
    assert refused == 1936
    for client in accepted:
        assert (await client.ask("system.ping"))["result"] == {}


async def test_two_thousand_connections_at_once_are_each_served_or_told(site: Any) -> None:
    outcome = {"served": 0, "told": 0}
    gate = trio.CapacityLimiter(500)

    async def one() -> None:
        async with gate:
            client = await site.client()
            async with client.stream:
                # It may be told before it speaks; the words are there all the same.
                with contextlib.suppress(trio.BrokenResourceError):
                    await client.send("system.ping")
                message = await client.hear()
            outcome["told" if "error" in message else "served"] += 1

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            for _ in range(2000):
                nursery.start_soon(one)
    assert sum(outcome.values()) == 2000
    assert outcome["served"] >= 64
    assert (await (await site.client()).ask("system.ping"))["result"] == {}


async def test_running_out_of_file_descriptors_is_survived(site: Any, caplog: pytest.LogCaptureFixture) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    waiting = socket.socket(socket.AF_UNIX)
    waiting.setblocking(False)
    probe = os.dup(0)
    os.close(probe)  # the lowest free descriptor, and with that the limit, there is none
    resource.setrlimit(resource.RLIMIT_NOFILE, (probe, before[1]))
    try:
        waiting.connect(site.path)
        with trio.fail_after(5):
            while os.strerror(errno.EMFILE) not in caplog.text:
                await trio.testing.wait_all_tasks_blocked(0.01)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    stream = trio.SocketStream(trio.socket.from_stdlib_socket(waiting))
    await stream.send_all(b'{"jsonrpc":"2.0","id":1,"method":"system.ping"}\n')
    with trio.fail_after(5):
        assert b'"result":{}' in await stream.receive_some()
    await stream.aclose()


async def test_a_client_that_never_says_a_word_is_closed_after_a_minute(site: Any, autojump_clock: Any) -> None:
    client = await site.client()
    with trio.fail_after(61):
        assert await client.closed()


async def test_finish_answers_what_was_asked_and_takes_nothing_more(open_site: Callable[..., Any]) -> None:
    async with open_site() as site:
        silent, asking, watching = await site.client(), await site.client(), await site.client()
        await asking.send("interaction.wait", interaction_id="i")
        await watching.ask("events.subscribe")
        await trio.testing.wait_all_tasks_blocked()
        site.log.commit(2)
        site.server.finish()
        assert await silent.closed()
        assert [(await watching.hear())["params"]["event"]["seq"] for _ in range(2)] == [1, 2]
        assert await watching.closed()
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(OSError, match="refused"):
            await site.client()
        site.handlers.release.set()
        assert (await asking.hear())["result"] == {"state": "completed"}
        assert await asking.closed()
