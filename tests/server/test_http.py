"""Do plain HTTP clients get what they ask for, and only that?"""

import http.client
import json
import shutil
import socket
from collections.abc import Callable
from functools import partial
from subprocess import PIPE
from typing import Any

import pytest
import trio
import trio.testing

from orchestrald.server.limits import Limits


class UnixHttp(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=10)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(self._path)


async def fetch(
    connection: UnixHttp, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[http.client.HTTPResponse, bytes]:
    def talk() -> tuple[http.client.HTTPResponse, bytes]:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response, response.read()

    return await trio.to_thread.run_sync(talk)


def request(method: str, **params: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


async def test_one_connection_serves_rpc_health_and_refusals_in_turn(site: Any) -> None:
    connection = UnixHttp(site.path)
    response, body = await fetch(connection, "POST", "/rpc", request("thread.list", limit=3))
    assert (response.status, json.loads(body)["result"]) == (200, {"limit": 3})
    response, body = await fetch(connection, "GET", "/healthz")
    assert (response.status, body) == (200, b'{"status":"ok"}')
    response, body = await fetch(connection, "GET", "/nothing")
    assert (response.status, json.loads(body)["error"]["data"]["kind"]) == (404, "not_found")
    response, body = await fetch(connection, "GET", "/rpc")
    assert (response.status, response.headers["Allow"]) == (405, "POST")
    assert json.loads(body)["error"]["message"] == "/rpc answers POST only."
    response, body = await fetch(connection, "DELETE", "/events")
    assert (response.status, response.headers["Allow"]) == (405, "GET")
    response, body = await fetch(connection, "POST", "/rpc", b'{"jsonrpc":"2.0","method":"system.ping"}')
    assert (response.status, body) == (204, b"")
    response, body = await fetch(connection, "POST", "/rpc", b"{nonsense")
    assert (response.status, json.loads(body)["error"]["code"]) == (200, -32700)
    connection.close()


async def test_a_browser_is_refused_whatever_it_asks(site: Any) -> None:
    for method, path in (("GET", "/healthz"), ("POST", "/rpc"), ("OPTIONS", "/rpc"), ("GET", "/nothing")):
        connection = UnixHttp(site.path)
        response, body = await fetch(connection, method, path, headers={"Origin": "http://localhost"})
        assert (response.status, json.loads(body)["error"]["data"]["kind"]) == (403, "denied")
        assert response.headers["Connection"] == "close"
        connection.close()


async def test_a_body_beyond_the_limit_is_refused_also_for_clients_that_send_it_all_first(site: Any) -> None:
    connection = UnixHttp(site.path)
    response, body = await fetch(connection, "POST", "/rpc", b" " * (5 * 1024 * 1024))
    assert (response.status, json.loads(body)["error"]["data"]["kind"]) == (413, "frame_too_large")
    connection.close()


async def test_a_body_without_announced_length_is_limited_too(site: Any) -> None:
    client = await site.client()
    await client.say(b"POST /rpc HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    piece = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    for _ in range(5):
        await client.say(piece)
    assert (await client.stream.receive_some()).startswith(b"HTTP/1.1 413 ")


async def test_a_body_that_is_announced_as_too_long_is_refused_before_it_is_sent(site: Any) -> None:
    client = await site.client()
    head = b"POST /rpc HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    await client.say(head % (5 * 1024 * 1024))
    assert (await client.stream.receive_some()).startswith(b"HTTP/1.1 413 ")


async def test_a_client_that_asks_before_it_sends_is_told_to_go_on(site: Any) -> None:
    client = await site.client()
    body = request("system.ping")
    head = b"POST /rpc HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    await client.say(head % len(body))
    with trio.fail_after(5):
        assert (await client.stream.receive_some()).startswith(b"HTTP/1.1 100 ")
        await client.say(body)
        assert (await client.stream.receive_some()).startswith(b"HTTP/1.1 200 ")


async def test_what_is_not_http_is_refused_as_http(site: Any) -> None:
    client = await site.client()
    await client.say(b"hello daemon\r\n\r\n")
    assert (await client.stream.receive_some()).startswith(b"HTTP/1.1 400 ")


async def test_half_an_http_request_ends_after_a_minute(site: Any, autojump_clock: Any) -> None:
    client = await site.client()
    await client.say(b"POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
    with trio.fail_after(70):
        assert (await client.stream.receive_some()).startswith(b"HTTP/1.1 408 ")


async def test_a_subscription_by_post_is_refused_with_the_way_that_works(site: Any) -> None:
    connection = UnixHttp(site.path)
    _, body = await fetch(connection, "POST", "/rpc", request("events.subscribe"))
    assert "GET /events" in json.loads(body)["error"]["data"]["hint"]
    connection.close()


async def test_a_wait_by_post_ends_when_its_client_hangs_up(site: Any) -> None:
    client = await site.client()
    body = request("interaction.wait", interaction_id="i")
    await client.say(b"POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    await trio.testing.wait_all_tasks_blocked()
    assert len(site.handlers.waiting) == 1
    await client.stream.aclose()
    await trio.testing.wait_all_tasks_blocked()
    assert len(site.handlers.waiting) == 0


class EventSource:
    """What a browser's EventSource does, over a Unix socket: frames out of a chunked stream."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._data = b""

    async def open(self, target: str, *headers: str) -> bytes:
        lines = [f"GET {target} HTTP/1.1", "Host: x", *headers, "", ""]
        await self._client.say("\r\n".join(lines).encode())
        return await self._until(b"\r\n\r\n")

    async def frame(self) -> dict[str, str]:
        """The next frame, by field; a comment has the name "". The chunks' own lines stand between the frames."""
        raw = await self._until(b"\n\n")
        lines = [line for line in raw.split(b"\n") if not line.endswith(b"\r")]
        return dict(line.decode().split(": ", 1) for line in lines if b": " in line)

    async def _until(self, end: bytes) -> bytes:
        while end not in self._data:
            chunk = await self._client.stream.receive_some()
            if not chunk:
                raise EOFError
            self._data += chunk
        head, self._data = self._data.split(end, 1)
        return head


async def test_events_are_streamed_with_their_seq_as_the_id(open_site: Callable[..., Any]) -> None:
    async with open_site(events=3) as site:
        source = EventSource(await site.client())
        head = await source.open("/events?after_seq=1")
        assert b"200" in head.split(b"\r\n")[0]
        assert b"text/event-stream" in head
        await source.frame()
        for seq in (2, 3):
            frame = await source.frame()
            assert (frame["id"], frame["event"], json.loads(frame["data"])["seq"]) == (str(seq), "step.started", seq)
        site.log.commit(1)
        assert (await source.frame())["id"] == "4"


async def test_a_reconnect_goes_on_after_its_last_event(open_site: Callable[..., Any]) -> None:
    async with open_site(events=9) as site:
        source = EventSource(await site.client())
        await source.open("/events?after_seq=0&interaction_id=i1&types=step.started,step.failed", "Last-Event-ID: 8")
        await source.frame()
        assert (await source.frame())["id"] == "9"


async def test_a_stream_may_be_of_one_interaction(site: Any) -> None:
    source = EventSource(await site.client())
    await source.open("/events?after_seq=0&interaction_id=i2")
    await source.frame()
    site.log.commit(2)
    site.log.commit(1, "i2")
    assert (await source.frame())["id"] == "3"


async def test_a_silent_stream_says_that_it_is_alive(site: Any, autojump_clock: Any) -> None:
    source = EventSource(await site.client())
    await source.open("/events")
    assert await source.frame() == {"": "orchestrald"}
    began = trio.current_time()
    assert await source.frame() == {"": "keepalive"}
    assert trio.current_time() - began == pytest.approx(15)


@pytest.mark.parametrize("query", ["after_seq=-1", "after_seq=x", "since=4"])
async def test_a_wrong_query_is_refused_in_words(site: Any, query: str) -> None:
    connection = UnixHttp(site.path)
    response, body = await fetch(connection, "GET", f"/events?{query}")
    assert response.status == 400
    assert query.split("=", maxsplit=1)[0] in json.loads(body)["error"]["message"]
    connection.close()


async def test_a_stream_whose_client_hangs_up_is_closed_without_waiting_for_an_event(site: Any) -> None:
    client = await site.client()
    source = EventSource(client)
    await source.open("/events")
    await source.frame()
    site.log.commit(1)
    await source.frame()
    await client.stream.aclose()
    await trio.testing.wait_all_tasks_blocked()
    assert site.log.ring.lines == []


@pytest.mark.parametrize("last", [[], ["1"]], ids=["silent", "with an event"])
async def test_a_stream_ends_properly_when_the_daemon_stops(site: Any, last: list[str]) -> None:
    source = EventSource(await site.client())
    await source.open("/events")
    await source.frame()
    await trio.testing.wait_all_tasks_blocked()
    site.log.commit(len(last))
    site.server.finish()
    with trio.fail_after(5):
        assert [(await source.frame())["id"] for _ in last] == last
        with pytest.raises(EOFError):
            await source.frame()
    assert source._data.endswith(b"0\r\n\r\n")


async def test_an_idle_http_connection_is_closed_after_a_minute(
    open_site: Callable[..., Any], autojump_clock: Any
) -> None:
    async with open_site(Limits(first_request_s=5)) as site:
        client = await site.client()
        await client.say(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200" in await client.stream.receive_some()
        assert await client.stream.receive_some() == b""


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl_gets_an_answer_and_a_stream(open_site: Callable[..., Any]) -> None:
    async with open_site(events=2) as site:
        curl = ["curl", "-sS", "--no-buffer", "--max-time", "10", "--unix-socket", site.path]
        done = await trio.run_process(
            [*curl, "http://x/rpc", "-d", request("system.ping").decode()], capture_stdout=True
        )
        assert json.loads(done.stdout) == {"jsonrpc": "2.0", "id": 1, "result": {}}
        body = b" " * 2_000_000 + request("system.ping")  # long enough that curl asks before it sends
        done = await trio.run_process([*curl, "http://x/rpc", "--data-binary", "@-"], stdin=body, capture_stdout=True)
        assert json.loads(done.stdout)["result"] == {}
        seen = b""
        async with trio.open_nursery() as nursery:
            stream = partial(trio.run_process, [*curl, "http://x/events?after_seq=0"], stdout=PIPE, check=False)
            process = await nursery.start(stream)
            while b"id: 2\n" not in seen:
                seen += await process.stdout.receive_some()
            process.terminate()
        assert b"event: step.started\n" in seen
