"""How much of what an endpoint sends is held, and how long is it looked at?"""

import gzip
import json
import time
import tracemalloc
from typing import Any

import pytest
import trio

from models.asking import QUESTION, Asking
from orchestrald.core.redaction import Redaction
from orchestrald.errors import ModelMisconfigured, ModelUnavailable, OrchestralError
from orchestrald.models import body
from orchestrald.models.base import MOST_COUNTED, Tokens
from orchestrald.models.body import MAX_BODY, MAX_ERROR, _Events
from orchestrald.models.endpoint import Endpoint
from orchestrald.models.faults import MAX_TEXT
from orchestrald.models.known import Known
from orchestrald.models.profile import Profile
from orchestrald.models.reading import MAX_NAME, Gathered, NotAnAnswer
from support.chat_server import ChatServer, Send, say, sends, status

ENDLESS = {
    "data": b"data: aaaaaaaa\n",
    "data of nothing": b"data:\n",
    "data of little": b"data:x\r\n",
    "no line end": b"xxxx",
}


@pytest.mark.parametrize("case", ENDLESS)
def test_an_event_that_does_not_end_is_not_held(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    most = 100_000
    monkeypatch.setattr(body, "MAX_BODY", most)
    events = _Events(lambda event: True)
    piece = ENDLESS[case] * (8000 // len(ENDLESS[case]))
    tracemalloc.start()
    try:
        with pytest.raises(NotAnAnswer, match="an event that does not end"):
            _take_all(events, piece, 8 * most)
        assert tracemalloc.get_traced_memory()[1] < 3 * most
    finally:
        tracemalloc.stop()


def _take_all(events: _Events, piece: bytes, length: int) -> None:
    for _ in range(length // len(piece)):
        events.take(piece)


def test_a_line_that_comes_byte_by_byte_is_read_as_fast_as_any() -> None:
    events = _Events(lambda event: True)
    begun = time.process_time()
    for _ in range(400_000):
        events.take(b"x")
    assert time.process_time() - begun < 2


def test_pieces_without_anything_in_them_are_not_held() -> None:
    gathered = Gathered()
    tracemalloc.start()
    try:
        for _ in range(50_000):
            gathered.add({"choices": [{"delta": {"content": "", "tool_calls": [], "refusal": None}}]})
        assert tracemalloc.get_traced_memory()[1] < 50_000
    finally:
        tracemalloc.stop()


async def test_a_stream_of_an_event_that_does_not_end_is_an_outage(endpoint: Asking) -> None:
    sent = Send(200, (b"data: " + b"x" * 1000 + b"\n") * (MAX_BODY // 900), "text/event-stream")
    with (
        ChatServer([sent]) as server,
        trio.fail_after(5),
        pytest.raises(ModelUnavailable, match="an event that does not end"),
    ):
        await endpoint(server).ask(QUESTION, _deaf)


LARGE = {
    "a run": (500, "x" * 20_000_000, ModelUnavailable),
    "words": (400, "model " * 800_000, ModelMisconfigured),
    "limits": (400, "exceeds the max_tokens " * 200_000, ModelMisconfigured),
    "keys": (503, "sk-" + "0123456789" * 500_000, ModelUnavailable),
}


@pytest.mark.parametrize("case", LARGE)
@pytest.mark.parametrize("shape", ["text", "JSON"])
async def test_the_body_of_an_error_is_neither_held_nor_looked_at_whole(
    shape: str, case: str, endpoint: Asking
) -> None:
    code, text, expected = LARGE[case]
    answer = status(code, text) if shape == "JSON" else Send(code, text.encode(), "text/plain")
    with ChatServer([say("x"), answer]) as server, trio.fail_after(10):
        model = endpoint(server)
        await model.ask(QUESTION)  # what is loaded at the first question is not what is measured
        begun = time.thread_time()
        with pytest.raises(expected, match=f"HTTP {code}") as caught:
            await model.ask(QUESTION)
        assert time.thread_time() - begun < 0.5
    assert len(caught.value.message) < MAX_TEXT + 100 and "0123456789" not in caught.value.message


async def test_an_error_where_an_answer_belongs_is_not_looked_at_whole_either(endpoint: Asking) -> None:
    with ChatServer([say("x"), sends({"error": {"message": "exceeds the " * 300_000}})]) as server, trio.fail_after(10):
        model = endpoint(server)
        await model.ask(QUESTION)
        begun = time.thread_time()
        with pytest.raises(ModelUnavailable):
            await model.ask(QUESTION)
        assert time.thread_time() - begun < 0.5


async def test_the_body_of_an_error_may_be_compressed_and_may_be_a_bomb(endpoint: Asking) -> None:
    zipped = gzip.compress(b"y" * 50_000_000)
    with ChatServer([Send(500, zipped, "text/plain", {"Content-Encoding": "gzip"})]) as server, trio.fail_after(5):
        tracemalloc.start()
        try:
            with pytest.raises(ModelUnavailable, match=r"HTTP 500.*yyy"):
                await endpoint(server).ask(QUESTION)
            assert tracemalloc.get_traced_memory()[1] < 40_000_000
        finally:
            tracemalloc.stop()


async def test_the_body_of_an_error_that_is_cut_off_says_what_it_says(endpoint: Asking) -> None:
    with ChatServer([Send(503, b"Loading mo", "text/plain", missing=10)]) as server, trio.fail_after(5):
        with pytest.raises(ModelUnavailable, match=r"fails \(HTTP 503\): Loading mo") as caught:
            await endpoint(server).ask(QUESTION)
        assert "spent" not in caught.value.data


async def test_a_key_across_the_place_where_a_text_is_cut_is_in_no_message(endpoint: Asking) -> None:
    key = "a-key-that-looks-like-none"
    for before in (MAX_TEXT, 4 * MAX_TEXT, MAX_ERROR):
        for code in (400, 500):
            text = "y" * (before - 10) + key
            with ChatServer([Send(code, text.encode(), "text/plain")]) as server, trio.fail_after(5):
                with pytest.raises(OrchestralError) as caught:
                    await endpoint(server, api_key=key).ask(QUESTION)
                assert "a-key" not in f"{caught.value.to_wire()}"


async def test_what_stands_in_a_redirect_is_not_read(endpoint: Asking) -> None:
    with ChatServer([say("there")]) as second:
        where = {"Location": f"{second.base_url}/chat/completions", "Content-Encoding": "gzip"}
        with ChatServer([Send(307, b"x", headers=where, missing=1_000_000)]) as first, trio.fail_after(5):
            assert (await endpoint(first).ask(QUESTION)).text == "there"


# --- what must be written down ---------------------------------------------------------------------------------------

COUNTS: list[tuple[dict[str, Any], Tokens]] = [
    ({"prompt_tokens": 2**70, "completion_tokens": 2**64}, Tokens(MOST_COUNTED, 0, MOST_COUNTED)),
    ({"prompt_tokens": 5, "total_tokens": 2**80}, Tokens(5, 0, MOST_COUNTED - 5)),
    ({"prompt_tokens": 5, "completion_tokens": -3}, Tokens(5, 0, 0)),
    ({"prompt_tokens": 5, "completion_tokens": True}, Tokens(5, 0, 0)),
    (
        {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 2**90}},
        Tokens(5, 5, 1),
    ),
]


@pytest.mark.parametrize(("usage", "tokens"), COUNTS)
async def test_counts_are_such_as_can_be_written_down(usage: dict[str, Any], tokens: Tokens, endpoint: Asking) -> None:
    said = {"choices": [{"message": {"content": "hello"}}], "usage": usage}
    with ChatServer([sends(said)]) as server, trio.fail_after(5):
        assert (await endpoint(server).ask(QUESTION)).tokens == tokens


async def test_a_time_to_wait_is_such_as_can_be_written_down(endpoint: Asking) -> None:
    with ChatServer([status(429, retry_after="9" * 300)]) as server, trio.fail_after(5):
        with pytest.raises(ModelUnavailable) as caught:
            await endpoint(server).ask(QUESTION)
        assert caught.value.data["retry_after_ms"] == MOST_COUNTED


HALF = "\ud83d"

UNSTORABLE = {
    "a message": status(400, HALF),
    "a code": status(400, "x", error=HALF, param=HALF),
    "an error with 200": sends({"error": {"message": HALF, "code": HALF}}),
    "an error as a text": sends({"error": HALF}, 500),
    "a detail": sends({"detail": [{"msg": HALF}]}, 422),
    "keys": sends({HALF: 1}),
    "nested": Send(400, b'{"error": {"message": ' + b"[" * 900 + b'"\\ud83d"' + b"]" * 900 + b"}}"),
}


@pytest.mark.parametrize("case", UNSTORABLE)
async def test_no_error_holds_half_a_surrogate_pair(case: str, endpoint: Asking) -> None:
    with ChatServer([UNSTORABLE[case]]) as server, trio.fail_after(5), pytest.raises(OrchestralError) as caught:
        await endpoint(server, backend=HALF).ask(QUESTION)
    json.dumps(caught.value.to_wire(), ensure_ascii=False).encode()


async def test_no_reply_holds_half_a_surrogate_pair(endpoint: Asking) -> None:
    said = {"model": HALF + "m" * 1000, "choices": [{"message": {"content": HALF}}]}
    with ChatServer([sends(said)], models=[f"llama{HALF}"]) as server, trio.fail_after(5):
        reply = await endpoint(server, backend=f"b{HALF}", model="").ask(QUESTION)
        assert server.asked[0].json["model"] == "llama?"
    assert (reply.text, reply.backend, reply.model) == ("?", "b?", ("?" + "m" * 1000)[:MAX_NAME])


async def test_the_models_that_are_listed_are_told_in_a_message_of_some_length(endpoint: Asking) -> None:
    with (
        ChatServer(models=[HALF + "x" * 100_000, "y"]) as server,
        trio.fail_after(5),
        pytest.raises(ModelMisconfigured) as caught,
    ):
        await endpoint(server, model="").ask(QUESTION)
    caught.value.message.encode()
    assert len(caught.value.message) < 2 * MAX_TEXT


def test_a_profile_can_be_written_down() -> None:
    model = Endpoint(Profile(backend=HALF, model=HALF, base_url=f"http://{HALF}/v1"), Known(), Redaction())
    assert model.name == "?/?"
    f"{model.profile}".encode()


def _deaf(text: str) -> None:
    pass
