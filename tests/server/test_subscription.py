"""Does a subscription say what it should, begin after its reply and end when it should?"""

from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from orchestrald.server.ephemera import Ephemera
from orchestrald.server.limits import Limits
from orchestrald.server.subscription import Subscription


async def test_a_subscription_begins_after_the_reply_that_names_it(open_site: Callable[..., Any]) -> None:
    async with open_site(events=300) as site:
        client = await site.client()
        reply = await client.ask("events.subscribe", after_seq=0)
        assert reply["result"] == {"subscription": "s1", "last_seq": 300}
        site.log.commit(5)
        for seq in range(1, 306):
            message = await client.hear()
            assert message["method"] == "events.event"
            assert message["params"]["subscription"] == "s1"
            assert message["params"]["event"]["seq"] == seq


async def test_a_slow_request_in_the_same_breath_does_not_put_events_before_the_reply(
    open_site: Callable[..., Any],
) -> None:
    async with open_site(events=3) as site:
        client = await site.client()
        await client.say(
            b'{"jsonrpc":"2.0","id":1,"method":"events.subscribe","params":{"after_seq":0}}\n'
            b'{"jsonrpc":"2.0","id":2,"method":"thread.list"}\n'
        )
        assert [(await client.hear()).get("id") for _ in range(3)] == [1, 2, None]


class Recorder:
    """Where a subscription sends to; it takes a piece when `room` is set."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.room = trio.Event()

    async def send(self, data: bytes) -> None:
        self.pieces.append(data)
        await self.room.wait()


def subscribe(log: Any, **wanted: Any) -> Subscription:
    wanted = {"after_seq": None, "interaction_id": None, "types": None, **wanted}
    return Subscription("s1", log.ring, Ephemera(log.ring), **wanted)


async def test_an_event_published_during_a_fruitless_replay_is_not_overlooked(make_log: Callable[..., Any]) -> None:
    log, recorder = make_log(50), Recorder()
    log.after_read = lambda: log.commit(1, "i2")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(subscribe(log, after_seq=0, interaction_id="i2").run, recorder.send)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert [b'"seq":51' in piece for piece in recorder.pieces] == [True]


async def test_a_subscription_stopped_while_it_reads_the_store_sends_nothing_more(make_log: Callable[..., Any]) -> None:
    log, recorder = make_log(5), Recorder()
    subscription = subscribe(log, after_seq=0)
    log.after_read = subscription.stop
    with trio.fail_after(5):
        await subscription.run(recorder.send)
    assert recorder.pieces == []


async def test_a_subscription_stopped_while_it_sends_ends_after_that_piece(make_log: Callable[..., Any]) -> None:
    log, recorder = make_log(5), Recorder()
    subscription = subscribe(log, after_seq=0)
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(subscription.run, recorder.send)
            await trio.testing.wait_all_tasks_blocked()
            subscription.stop()
            log.commit(5)
            recorder.room.set()
    assert [piece.count(b"\n") for piece in recorder.pieces] == [5]


async def test_without_after_seq_it_begins_with_the_next_event(open_site: Callable[..., Any]) -> None:
    async with open_site(events=10) as site:
        client = await site.client()
        await client.ask("events.subscribe")
        site.log.commit(1)
        assert (await client.hear())["params"]["event"]["seq"] == 11


async def test_two_subscriptions_of_a_connection_keep_their_own_filters(site: Any) -> None:
    client = await site.client()
    assert (await client.ask("events.subscribe", interaction_id="i1"))["result"]["subscription"] == "s1"
    assert (await client.ask("events.subscribe", interaction_id="i2"))["result"]["subscription"] == "s2"
    site.log.commit(1, "i2")
    site.log.commit(1, "i3")
    site.log.commit(1, "i1")
    got = [(await client.hear())["params"] for _ in range(2)]
    assert sorted((g["subscription"], g["event"]["seq"]) for g in got) == [("s1", 3), ("s2", 1)]


async def test_nothing_follows_the_reply_to_unsubscribe(site: Any) -> None:
    client = await site.client()
    await client.ask("events.subscribe")
    site.log.commit(1)
    assert (await client.hear())["method"] == "events.event"
    await client.ask("events.unsubscribe", subscription="s1")
    site.log.commit(5)
    assert (await client.ask("system.ping"))["result"] == {}
    error = (await client.ask("events.unsubscribe", subscription="s1"))["error"]
    assert (error["code"], error["data"]["kind"]) == (4004, "not_found")
    assert site.log.ring.lines == []
    assert not site.ephemera.watched


async def test_progress_and_log_lines_are_shown_between_the_events(site: Any) -> None:
    client = await site.client()
    await client.ask("events.subscribe", interaction_id="i1")
    await trio.testing.wait_all_tasks_blocked()
    site.ephemera.progress("i1", "a", 1, 4, "quarter")
    site.ephemera.progress("i2", "a", 1, 4)
    message = await client.hear()
    assert message["method"] == "events.progress"
    assert message["params"] == {
        "subscription": "s1",
        "interaction_id": "i1",
        "step_id": "a",
        "done": 1,
        "total": 4,
        "message": "quarter",
    }
    site.log.commit(1)
    assert (await client.hear())["params"]["event"]["seq"] == 1


async def test_a_client_that_only_stopped_speaking_gets_everything_up_to_now_and_then_the_end(
    open_site: Callable[..., Any],
) -> None:
    async with open_site(events=700) as site:
        client = await site.client()
        await client.say(b'{"jsonrpc":"2.0","id":1,"method":"events.subscribe","params":{"after_seq":0}}\n')
        await client.stream.send_eof()
        assert (await client.hear())["id"] == 1
        assert [(await client.hear())["params"]["event"]["seq"] for _ in range(700)] == list(range(1, 701))
        with pytest.raises(EOFError):
            await client.hear()


async def test_subscriptions_of_one_connection_are_limited(open_site: Callable[..., Any]) -> None:
    async with open_site(Limits(subscriptions=2)) as site:
        client = await site.client()
        await client.ask("events.subscribe")
        await client.ask("events.subscribe")
        assert (await client.ask("events.subscribe"))["error"]["code"] == -32001
        await client.ask("events.unsubscribe", subscription="s1")
        assert (await client.ask("events.subscribe"))["result"]["subscription"] == "s3"


async def test_a_client_that_never_reads_delays_nobody_and_holds_no_memory(open_site: Callable[..., Any]) -> None:
    async with open_site(ring={"max_events": 256}) as site:
        deaf, keen = await site.client(), await site.client()
        await deaf.ask("events.subscribe")
        await keen.ask("events.subscribe")
        for n in range(200):
            site.log.commit(100, text="x" * 100)
            for k in range(100):
                assert (await keen.hear())["params"]["event"]["seq"] == 100 * n + k + 1
        assert len(site.log.ring.lines) <= 256
        # What it missed was never lost: it is read from the store once it reads.
        for seq in range(1, 20_001):
            assert (await deaf.hear())["params"]["event"]["seq"] == seq


async def test_a_client_that_never_reads_is_dropped_after_the_write_timeout(
    open_site: Callable[..., Any], autojump_clock: Any
) -> None:
    async with open_site(Limits(write_s=15)) as site:
        deaf = await site.client()
        await deaf.ask("events.subscribe")
        site.log.commit(100, text="x" * 50_000)
        await trio.sleep(14)
        assert site.log.ring.lines
        await trio.sleep(2)
        assert site.log.ring.lines == []  # its cursor is closed
        other = await site.client()
        assert (await other.ask("system.ping"))["result"] == {}
