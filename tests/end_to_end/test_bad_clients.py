"""Is the daemon the same after everything that a client can do to it?

The fixture looks at the end of the file: the same process, a journal without a gap, and not one traceback in its log.
"""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from orchestrald.client import Refused
from support.daemon import PATIENCE_S, Daemon

pytestmark = pytest.mark.slow

ECHO = {"id": "a", "action": "echo", "params": {"message": "hello"}}


@pytest.fixture(autouse=True)
def _still_serves(place: Daemon) -> Iterator[None]:
    """After each test a stranger gets an answer, and work is still done."""
    yield
    assert place.run(ECHO)["state"] == "completed"


def lines_of(client: socket.socket) -> Iterator[dict[str, Any]]:
    """What comes, until the other side closes."""
    with client.makefile("rb") as stream:
        for line in stream:
            yield json.loads(line)


def ask(place: Daemon, line: bytes) -> dict[str, Any]:
    with place.raw() as client:
        client.sendall(line)
        return next(lines_of(client))


def request(method: str, id_: int = 1, **params: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": id_, "method": method, "params": params}).encode() + b"\n"


PING = request("system.ping", 99)


@pytest.mark.parametrize(
    "line",
    [
        b"{\n",
        b"\xff\xfe\n",
        b'{"jsonrpc":"2.0","id":1,"method":"\xc3\x28"}\n',
        b'{"jsonrpc":"2.0","id":1,"method":"system.ping","params":{"x":NaN}}\n',
        b'{"jsonrpc":"2.0","id":1,"id":2,"method":"system.ping"}\n',
        b"[" * 100_000 + b"\n",
        b"17\n",
        b'"system.ping"\n',
        b'[{"jsonrpc":"2.0","id":1,"method":"system.ping"}]\n',
        b'{"jsonrpc":"1.0","id":1,"method":"system.ping"}\n',
        b'{"jsonrpc":"2.0","id":{},"method":"system.ping"}\n',
        b'{"jsonrpc":"2.0","id":1,"method":7}\n',
        b'{"jsonrpc":"2.0","id":1,"method":"system.ping","params":[1]}\n',
        b'{"jsonrpc":"2.0","id":1,"method":"system.ping","params":{"unknown":1}}\n',
        b'{"jsonrpc":"2.0","id":1,"method":"system.pnig"}\n',
        b'{"jsonrpc":"2.0","id":1,"method":"interaction.get","params":{"interaction_id":""}}\n',
        b'{"jsonrpc":"2.0","id":1,"method":"interaction.get","params":{"interaction_id":"\\u0000"}}\n',
        b'{"jsonrpc":"2.0","id":1,"method":"interaction.list","params":{"cursor":"99999999999999999999:x"}}\n',
        b'{"jsonrpc":"2.0","id":1,"method":"events.list","params":{"after_seq":99999999999999999999}}\n',
        b'{"jsonrpc":"2.0","id":1,"method":"reference.get","params":{"digest":"../../../etc/passwd"}}\n',
    ],
    ids=lambda line: line[:60],
)
def test_a_bad_line_gets_an_error_and_the_next_good_one_its_answer(place: Daemon, line: bytes):
    with place.raw() as client:
        client.sendall(line + PING)
        answers = lines_of(client)
        bad, good = sorted((next(answers), next(answers)), key=lambda answer: answer["id"] == 99)
        assert bad["error"]["message"]
        assert bad["error"]["data"]["kind"]
        assert good == {"jsonrpc": "2.0", "id": 99, "result": {}}


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"intent": ""},
        {"intent": "say hi", "plan": {"steps": [ECHO]}},
        {"plan": None, "intent": " "},
        {"plan": []},
        {"plan": {"steps": []}},
        {"plan": {"steps": [None, 1, "x", [], {}]}},
        {"plan": {"steps": {"a": 1}}},
        {"plan": {"steps": [{**ECHO, "id": "a\x00b"}]}},
        {"plan": {"steps": [{**ECHO, "params": {"message": 5}}]}},
        {"plan": {"steps": [{**ECHO, "unheard": 1}]}},
        {"plan": {"steps": [{**ECHO, "timeout": "-5s"}]}},
        {"plan": {"steps": [{**ECHO, "for_each": "{{item}}"}]}},
        {"plan": {"steps": [{**ECHO, "params": {"message": "{{a.result}}"}}]}},
        {"plan": {"steps": [{**ECHO, "params": {"message": "{{"}}]}},
        {"intent": "say hi", "thread_id": "thr_of_nobody"},
        {"intent": "say hi", "request_id": ""},
        {"intent": "say hi", "workspace": 7},
        {"intent": "say hi", "labels": {"a": 1}},
    ],
    ids=str,
)
def test_a_submission_that_cannot_be_run_is_refused_in_words_and_leaves_nothing(place: Daemon, params: dict[str, Any]):
    before = place.call("system.info")["store"]["last_seq"]
    with pytest.raises(Refused) as caught:
        place.call("interaction.submit", **params)
    assert caught.value.message
    assert place.events(before) == []


@pytest.mark.parametrize(
    "text",
    [
        "\x00",
        "a\x00b",
        "\u202e\x1b[31m",
        "\N{OGHAM LETTER UATH}" * 1000,
        "x" * 100_000,
        "'; DROP TABLE events; --",
        "{{nobody}}",
        "{{",
    ],
)
def test_any_text_may_be_an_intent_and_is_answered_in_words(place: Daemon, text: str):
    submitted = place.call("interaction.submit", intent=text, workspace=text, labels={text[:100]: text[:1000]})
    shown = place.end_of(submitted["interaction_id"])
    assert shown["intent"] == text
    assert shown["answer"]


def test_an_unknown_method_names_the_nearest(place: Daemon):
    error = ask(place, request("interaction.sumbit"))["error"]
    assert error["code"] == -32601
    assert "interaction.submit" in error["message"]


def test_a_line_of_five_mebibytes_is_refused_and_its_sender_hears_it(place: Daemon):
    with place.raw() as client:
        with suppress(BrokenPipeError):  # it may be told before it has said all
            client.sendall(request("system.ping", x="y" * (5 << 20)))
        answers = list(lines_of(client))
    assert answers[0]["error"]["data"]["kind"] == "frame_too_large"


def test_half_a_request_and_then_silence_holds_up_nobody(place: Daemon):
    with ExitStack() as stack:
        for _ in range(20):
            client = stack.enter_context(place.raw())
            client.sendall(b'{"jsonrpc":"2.0","id":1,"meth')
        assert place.run(ECHO)["state"] == "completed"
        client.sendall(b'od":"system.ping"}\n')
        assert next(lines_of(client))["result"] == {}


def test_a_client_that_never_reads_its_subscription_holds_up_nobody(place: Daemon):
    with place.raw() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.sendall(request("events.subscribe", after_seq=0))
        big = {"id": "a", "action": "echo", "params": {"message": "x" * 50_000}}
        for _ in range(20):
            assert place.run(big)["state"] == "completed"


def test_a_client_that_hangs_up_in_the_middle_of_a_reply_is_nobodys_loss(place: Daemon):
    big = {"id": "a", "action": "echo", "params": {"message": "x" * 60_000}}
    interaction_id = place.run(*[{**big, "id": f"s{i}"} for i in range(20)])["interaction_id"]
    for _ in range(10):
        with place.raw() as client:
            client.sendall(request("interaction.get", interaction_id=interaction_id, outputs=True) * 5)
            client.recv(10)


def test_a_client_that_hangs_up_right_after_submitting_and_repeats_itself_starts_one_interaction(place: Daemon):
    seen = set()
    for i in range(30):
        line = request("interaction.submit", plan={"steps": [ECHO]}, request_id=f"hasty-{i}")
        with place.raw() as client:
            client.sendall(line)
        first = ask(place, line)["result"]["interaction_id"]
        assert ask(place, line)["result"]["interaction_id"] == first
        seen.add(first)
    assert len(seen) == 30
    hasty = [e for e in place.events(types=["interaction.submitted"]) if e["interaction_id"] in seen]
    assert len(hasty) == 30


def test_a_waiting_client_that_goes_away_leaves_the_interaction_running(place: Daemon):
    interaction_id = place.submit({"id": "w", "kind": "wait_user"})
    with place.raw() as client:
        client.sendall(request("interaction.wait", interaction_id=interaction_id, timeout_ms=60_000))
    place.call("interaction.respond", interaction_id=interaction_id, payload=1)
    assert place.end_of(interaction_id)["state"] == "completed"


def test_two_thousand_connections_are_served_or_told_to_come_back(place: Daemon):
    turned_away = 0
    with ExitStack() as stack:
        clients = []
        for _ in range(2_000):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(place.paths.socket)  # blocks while the queue is full; with a timeout it would fail instead
            client.settimeout(PATIENCE_S)
            clients.append(client)
        for client in clients:
            try:
                client.sendall(PING)
                answer = next(lines_of(client))
            except (BrokenPipeError, ConnectionResetError):
                answer = next(lines_of(client))  # it was told, and closed, before it spoke
            if "error" in answer:
                turned_away += 1
                assert answer["error"]["data"]["kind"] == "overloaded"
                assert answer["error"]["data"]["retry_after_ms"] > 0
    assert 1_800 < turned_away < 2_000


def test_more_requests_than_may_be_in_flight_are_each_answered(place: Daemon):
    interaction_id = place.submit({"id": "w", "kind": "wait_user"})
    place.end_of(interaction_id)
    with place.raw() as client:
        client.sendall(b"".join(request("events.list", i, after_seq=10**9, wait_ms=300) for i in range(500)))
        answers = lines_of(client)
        seen = {answer["id"]: answer for answer in (next(answers) for _ in range(500))}
    assert sorted(seen) == list(range(500))
    refused = [a for a in seen.values() if "error" in a]
    assert all(a["error"]["data"]["kind"] == "overloaded" for a in refused)
    assert 0 < len(refused) < 500
    place.call("interaction.cancel", interaction_id=interaction_id)


def test_http_that_is_none_gets_an_error(place: Daemon):
    for said in (
        b"GET / HTTP/9.9\r\n\r\n",
        b"FOO\r\n\r\n",
        b"POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"x" * 100_000,
    ):
        with place.raw() as client:
            try:
                client.sendall(said)
                client.shutdown(socket.SHUT_WR)
                heard = client.recv(1000)
            except (BrokenPipeError, ConnectionResetError):
                continue
            assert heard == b"" or heard.startswith(b"HTTP/1.1 4"), heard
