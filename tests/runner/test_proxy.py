"""Does the proxy let through what is listed, nothing else, and survive whoever speaks to it?"""

import errno
import os
import resource
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import trio
import trio.testing

from orchestrald.runner.proxy import MOST_CONNECTIONS, MOST_DENIALS_TOLD
from support.proxying import Recorder, all_of, connected, echo, proxying, upstream


@pytest.fixture
def lookups(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names that are looked up. What the system's resolver says of a name is set here; it knows no other."""
    known: dict[str, Any] = {"asked": []}

    def resolve(host: str, port: int, *_: object, **__: object) -> list[tuple[Any, ...]]:
        known["asked"].append(host)
        if host not in known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, (address, port)) for address in known[host]]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return known


@pytest.mark.parametrize("shape", ["no list", "an empty one", "an empty manifest", "an empty operator's"])
async def test_nothing_listed_is_nothing_allowed(shape: str) -> None:
    seen = Recorder()
    async with upstream(seen.talk) as port:
        place = f"127.0.0.1:{port}"
        empty = {"no list": [], "an empty one": [[]], "an empty manifest": [[place], []]}.get(shape, [[], [place]])
        async with proxying(*empty) as through:
            for request in (f"CONNECT {place} HTTP/1.1\r\n\r\n", f"GET http://{place}/ HTTP/1.1\r\n\r\n"):
                answer = await through.ask(request.encode())
                assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n"), answer
            assert len(through.denied) == 2
    assert seen.count == 0


async def test_a_refused_name_is_never_looked_up_and_no_other_entry_is_told(lookups: dict[str, Any]) -> None:
    async with proxying(["*.allowed.example:443", "10.0.0.0/8:443"]) as through:
        answer = await through.ask(b"CONNECT c2VjcmV0.evil.example:443 HTTP/1.1\r\n\r\n")
    assert lookups["asked"] == []
    head, _, body = answer.partition(b"\r\n\r\n")
    why = "c2vjcmv0.evil.example:443 is not in the list of destinations"
    told = f'{why}. The operator can add "c2vjcmv0.evil.example:443".\n'
    assert body.decode() == told and b"Content-Length: %d\r\n" % len(body) in head and b"Connection: close" in head
    assert through.denied == [why]


async def test_a_name_that_leads_to_a_private_address_is_refused_until_the_address_is_listed() -> None:
    async with upstream(echo) as port:
        async with proxying([f"localhost:{port}"]) as through:
            answer = await through.ask(f"CONNECT localhost:{port} HTTP/1.1\r\n\r\n".encode())
            assert answer.startswith(b"HTTP/1.1 403 ") and b"127.0.0.1" not in answer and b"::1" not in answer
            assert len(through.denied) == 1 and "1:" in through.denied[0] and "is not public" in through.denied[0]
        async with proxying([f"localhost:{port}", f"127.0.0.1:{port}"]) as through:
            async with await through.tunnel(f"localhost:{port}") as stream:
                await stream.send_all(b"x")
                assert await stream.receive_some() == b"x"
            assert through.denied == []


async def test_the_connection_goes_to_the_judged_address_and_the_name_is_asked_once(lookups: dict[str, Any]) -> None:
    good, decoy = Recorder(), Recorder()
    async with upstream(good.talk) as port, upstream(decoy.talk, "127.0.0.2", port):
        lookups["a.example"] = ["127.0.0.2", "127.0.0.1", "127.0.0.3"]
        async with proxying([f"a.example:{port}", f"127.0.0.1:{port}"]) as through:
            answer = await through.ask(f"GET http://a.example:{port}/ HTTP/1.1\r\n\r\n".encode())
    assert answer.endswith(b"ok")
    assert (good.count, decoy.count, lookups["asked"]) == (1, 0, ["a.example"])


@pytest.mark.parametrize("address", ["10.0.0.1", "169.254.169.254", "127.0.0.1", "0.0.0.0"])  # noqa: S104 - not bound
async def test_a_public_name_with_a_private_address_is_refused(lookups: dict[str, Any], address: str) -> None:
    lookups["rebinding.example"] = [address]
    async with proxying(["rebinding.example:80"]) as through:
        answer = await through.ask(b"GET http://rebinding.example/latest/meta-data/ HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 403 ") and address.encode() not in answer
    (told,) = through.denied
    assert told.startswith(f"rebinding.example:80 was looked up: {address}:80 is not public")


async def test_a_manifest_narrows_what_the_operator_lists(lookups: dict[str, Any]) -> None:
    lookups["a.example"] = ["127.0.0.1"]
    async with upstream(echo) as port:
        operator, manifest = [f"*.example:{port}", f"127.0.0.1:{port}"], [f"a.example:{port}"]
        async with proxying(operator, manifest) as through:
            await (await through.tunnel(f"a.example:{port}")).aclose()
            for target in (f"b.example:{port}", f"127.0.0.1:{port}"):
                assert b"manifest must ask for" in await through.ask(f"CONNECT {target} HTTP/1.1\r\n\r\n".encode())


async def test_the_nul_trick_is_a_bad_request_and_is_told(lookups: dict[str, Any]) -> None:
    async with proxying(["*.allowed.com:443"]) as through:
        for bad in (b"evil.example\0.allowed.com", b"evil.example%00.allowed.com", b"evil.example\x1b[2J.allowed.com"):
            answer = await through.ask(b"CONNECT " + bad + b":443 HTTP/1.1\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert lookups["asked"] == [] and len(through.denied) == 3
    assert all(told.isprintable() and len(told) < 500 for told in through.denied)


async def test_denials_are_told_a_hundred_times_and_answered_always(lookups: dict[str, Any]) -> None:
    async with proxying([]) as through:
        for _ in range(MOST_DENIALS_TOLD + 5):
            assert b" 403 " in await through.ask(b"CONNECT a.example:1 HTTP/1.1\r\n\r\n")
    assert len(through.denied) == MOST_DENIALS_TOLD


async def test_one_connection_carries_one_request_and_its_host_is_the_judged_one() -> None:
    seen = Recorder()
    async with upstream(seen.talk) as port, proxying([f"127.0.0.1:{port}"]) as through:
        second = f"GET http://127.0.0.1:{port}/second HTTP/1.1\r\nHost: inner.example\r\n\r\n".encode()
        first = (
            f"POST http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: inner.example\r\nContent-Length: 4\r\n\r\nbody".encode()
        )
        await through.ask(first + second)
        await seen.ended.wait()
    assert (
        seen.seen
        == b"POST / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody" % port
    )


async def test_a_chunked_body_arrives_and_a_broken_one_ends_the_connection() -> None:
    seen, broken = Recorder(), Recorder()
    head = "POST http://127.0.0.1:{} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with upstream(seen.talk) as port, proxying([f"127.0.0.1:{port}"]) as through:
        answer = await through.ask(head.format(port).encode() + b"3\r\nabc\r\n0\r\n\r\n")
        assert answer.endswith(b"ok") and seen.seen.endswith(b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    async with upstream(broken.talk) as port, proxying([f"127.0.0.1:{port}"]) as through:
        assert await through.ask(head.format(port).encode() + b"3;x\r\nabc\r\n0\r\n\r\n") == b""
        assert b" 403 " in await through.ask(b"CONNECT a.example:1 HTTP/1.1\r\n\r\n")  # it ended that one only
    assert b"abc" not in broken.seen


async def test_a_client_that_has_said_all_still_gets_its_answer(autojump_clock: trio.testing.MockClock) -> None:
    seen = Recorder()
    async with (
        upstream(seen.talk) as port,
        proxying([f"127.0.0.1:{port}"]) as through,
        await connected(through.port) as stream,
    ):
        await stream.send_all(f"GET http://127.0.0.1:{port}/ HTTP/1.1\r\n\r\n".encode())
        await stream.send_eof()
        assert (await all_of(stream)).endswith(b"ok")


async def test_an_upstream_that_refuses_a_large_body_is_heard() -> None:
    async def too_large(stream: trio.SocketStream) -> None:
        await stream.receive_some(10)
        await stream.send_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await stream.send_eof()

    async with upstream(too_large) as port, proxying([f"127.0.0.1:{port}"]) as through:
        head = f"POST http://127.0.0.1:{port}/ HTTP/1.1\r\nContent-Length: 3000000\r\n\r\n".encode()
        for _ in range(20):
            assert b" 413 " in await through.ask(head + bytes(3_000_000))


async def test_a_second_request_on_a_connection_that_stayed_open_ends_it() -> None:
    async def keep_open(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        seen.append(await all_of(stream))

    seen: list[bytes] = []
    async with upstream(keep_open) as port, proxying([f"127.0.0.1:{port}"]) as through:
        async with await connected(through.port) as stream:
            await stream.send_all(f"GET http://127.0.0.1:{port}/ HTTP/1.1\r\n\r\n".encode())
            assert (await stream.receive_some()).endswith(b"ok")
            await stream.send_all(f"GET http://127.0.0.1:{port}/second HTTP/1.1\r\n\r\n".encode())
            assert await all_of(stream) == b""
        with trio.fail_after(5):
            while not seen:
                await trio.testing.wait_all_tasks_blocked(0.01)
    assert seen == [b""]


async def test_an_upstream_that_resets_ends_the_tunnel() -> None:
    async def reset(stream: trio.SocketStream) -> None:
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await stream.receive_some()

    async with upstream(reset) as port, proxying([f"127.0.0.1:{port}"]) as through:
        stream = await through.tunnel(f"127.0.0.1:{port}")
        await stream.send_all(b"x")
        with trio.fail_after(5):
            assert await all_of(stream) == b""
        await stream.aclose()


async def test_a_tunnel_closes_one_direction_at_a_time() -> None:
    async def answer_at_the_end(stream: trio.SocketStream) -> None:
        await stream.send_all(b"hello ")
        data = await all_of(stream)
        await stream.send_all(b"%d bytes" % len(data))

    async with (
        upstream(answer_at_the_end) as port,
        proxying([f"127.0.0.1:{port}"]) as through,
        await through.tunnel(f"127.0.0.1:{port}") as stream,
    ):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, bytes(3_000_000))
            assert await stream.receive_some() == b"hello "
        await stream.send_eof()
        assert await all_of(stream) == b"3000000 bytes"

    async def silent_at_once(stream: trio.SocketStream) -> None:
        await stream.send_eof()
        heard.append(await all_of(stream))

    heard: list[bytes] = []
    async with (
        upstream(silent_at_once) as port,
        proxying([f"127.0.0.1:{port}"]) as through,
        await through.tunnel(f"127.0.0.1:{port}") as stream,
    ):
        assert await all_of(stream) == b""
        await stream.send_all(b"still talking")
        await stream.send_eof()
        with trio.fail_after(5):
            while not heard:
                await trio.testing.wait_all_tasks_blocked(0.01)
    assert heard == [b"still talking"]


async def test_bytes_behind_a_connect_are_the_first_of_the_tunnel() -> None:
    async with (
        upstream(echo) as port,
        proxying([f"127.0.0.1:{port}"]) as through,
        await connected(through.port) as stream,
    ):
        await stream.send_all(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\nGET / early\r\n".encode())
        await stream.send_eof()
        assert (await all_of(stream)).endswith(b"established\r\n\r\nGET / early\r\n")


async def test_a_client_that_does_not_read_stops_its_upstream() -> None:
    sent = 0

    async def pour(stream: trio.SocketStream) -> None:
        nonlocal sent
        with suppress(trio.BrokenResourceError):
            while True:
                await stream.send_all(bytes(64 * 1024))
                sent += 64 * 1024

    async with (
        upstream(pour) as port,
        proxying([f"127.0.0.1:{port}"]) as through,
        await through.tunnel(f"127.0.0.1:{port}"),
    ):
        before = -1
        while sent != before and sent < 64 << 20:
            before = sent
            await trio.testing.wait_all_tasks_blocked(0.2)
    assert sent < 32 << 20  # what kernels keep in four buffers


# --- clients that mean no good ---------------------------------------------------------------------------------------


async def test_a_head_that_comes_a_byte_at_a_time_is_cut_off_after_ten_seconds(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with proxying([]) as through, await connected(through.port) as stream:
        started = trio.current_time()

        async def drip() -> None:
            await stream.send_all(b"GET http://a.example/ HTTP/1.1\r\nX: ")
            while True:
                await stream.send_all(b"x")
                await trio.sleep(1)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(drip)
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 408 ")
            assert 9 < trio.current_time() - started < 11
            nursery.cancel_scope.cancel()
    assert through.denied == []


async def test_a_head_without_an_end_is_refused_and_the_client_can_read_why() -> None:
    async with proxying([]) as through:
        answer = await through.ask(b"GET http://a.example/ HTTP/1.1\r\nX: " + b"a" * 1_000_000)
    assert answer.startswith(b"HTTP/1.1 431 ") and b"longer than 16384 bytes" in answer


async def test_a_client_that_says_nothing_or_resets_ends_only_its_own_connection() -> None:
    reset = struct.pack("ii", 1, 0)
    async with upstream(echo) as port, proxying([f"127.0.0.1:{port}"]) as through:
        target = f"127.0.0.1:{port}"
        for talk in (
            b"",
            b"GET htt",
            b"CONNECT evil.example:1 HTTP/1.1\r\n\r\n",
            f"GET http://{target}/ HTTP/1.1\r\n\r\n".encode(),
        ):
            stream = await connected(through.port)
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            if talk:
                await stream.send_all(talk)
            await stream.aclose()
        stream = await through.tunnel(target)
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        await stream.aclose()
        await trio.testing.wait_all_tasks_blocked(0.05)
        async with await through.tunnel(target) as stream:
            await stream.send_all(b"alive")
            assert await stream.receive_some() == b"alive"


async def test_the_65th_client_waits_and_is_served_when_another_has_gone() -> None:
    async with upstream(echo) as port, proxying([f"127.0.0.1:{port}"]) as through:
        open_ones = [await through.tunnel(f"127.0.0.1:{port}") for _ in range(MOST_CONNECTIONS)]
        late = await connected(through.port)
        await late.send_all(b"CONNECT a.example:1 HTTP/1.1\r\n\r\n")
        with trio.move_on_after(0.2) as waited:
            await late.receive_some()
        assert waited.cancelled_caught
        await open_ones.pop().aclose()
        with trio.fail_after(5):
            assert b" 403 " in await all_of(late)
        for stream in (*open_ones, late):
            await stream.aclose()


async def test_names_that_are_slow_to_look_up_take_no_thread_of_the_daemon(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    answered = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answered.wait(20) and [])
    try:
        async with proxying(["*.slow.example:443"]) as through:
            streams = [await connected(through.port) for _ in range(20)]
            for number, stream in enumerate(streams):
                await stream.send_all(f"CONNECT n{number}.slow.example:443 HTTP/1.1\r\n\r\n".encode())
            await trio.testing.wait_all_tasks_blocked()
            assert trio.to_thread.current_default_thread_limiter().borrowed_tokens == 0
            for stream in streams:
                assert (await all_of(stream)).startswith(b"HTTP/1.1 502 ")
                await stream.aclose()
    finally:
        answered.set()


# --- upstreams -------------------------------------------------------------------------------------------------------


async def test_an_upstream_that_is_not_there_is_told_from_a_denial(lookups: dict[str, Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    async with proxying([f"127.0.0.1:{port}", "none.example:80"]) as through:
        answer = await through.ask(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 502 ") and b"Connection refused" in answer
        assert (await through.ask(b"GET http://none.example/ HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 502 ")
    assert through.denied == [] and lookups["asked"] == ["none.example"]


async def test_an_upstream_that_does_not_answer_is_left_after_ten_seconds(
    autojump_clock: trio.testing.MockClock,
) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, unanswered(full) as port:
        async with proxying([f"127.0.0.1:{port}"]) as through:
            started = trio.current_time()
            answer = await through.ask(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
            assert answer.startswith(b"HTTP/1.1 504 ")
            assert 9 < trio.current_time() - started < 13


@contextmanager
def unanswered(server: socket.socket) -> Iterator[int]:
    """Fills the server's queue, so that the kernel drops whoever comes next."""
    waiting = [socket.socket() for _ in range(4)]
    for each in waiting:
        each.setblocking(False)
        assert each.connect_ex(server.getsockname()) in (0, errno.EINPROGRESS)
    yield server.getsockname()[1]
    for each in waiting:
        each.close()


# --- what is left ----------------------------------------------------------------------------------------------------


async def test_cancelling_leaves_no_descriptor_and_no_listener(lookups: dict[str, Any]) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, unanswered(full) as silent:
        before = os.listdir("/proc/self/fd")
        ours: list[trio.SocketStream] = []
        async with upstream(echo) as port:
            async with proxying([f"127.0.0.1:{port}", f"127.0.0.1:{silent}"]) as through:
                ours += [await through.tunnel(f"127.0.0.1:{port}") for _ in range(5)]
                for unfinished in (
                    b"", b"GET ht", b"CONNECT evil.example:1 HTTP/1.1\r\n\r\n",
                    b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n\r\n" % silent,
                    b"POST http://127.0.0.1:%d/ HTTP/1.1\r\nContent-Length: 9\r\n\r\n1" % port,
                ):  # fmt: skip
                    ours.append(await connected(through.port))
                    if unfinished:
                        await ours[-1].send_all(unfinished)
                await trio.testing.wait_all_tasks_blocked(0.05)
            with pytest.raises(ConnectionRefusedError):
                await connected(through.port)
        for stream in ours:
            await stream.aclose()
        assert sorted(os.listdir("/proc/self/fd")) == sorted(before)


async def test_a_daemon_out_of_descriptors_serves_again_when_it_has_some(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with proxying([]) as through:
        stream = trio.SocketStream(trio.socket.socket())
        most, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest = os.dup(0)
        os.close(lowest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
        try:
            await stream.socket.connect(("127.0.0.1", through.port))
            await stream.send_all(b"CONNECT a.example:1 HTTP/1.1\r\n\r\n")
            await trio.sleep(1)
            assert through.denied == []
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        assert b" 403 " in await all_of(stream)
        await stream.aclose()
