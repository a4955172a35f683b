"""What becomes of everything that an endpoint can do wrong?"""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import trio

from models.asking import QUESTION, SHAPED, Asking
from orchestrald.core.redaction import Redaction
from orchestrald.errors import ModelMisconfigured, ModelUnavailable, OrchestralError, PromptTooLong
from orchestrald.models.base import Tokens
from orchestrald.models.endpoint import Endpoint
from orchestrald.models.faults import MAX_TEXT, QUOTA
from orchestrald.models.known import Known
from orchestrald.models.profile import Profile
from orchestrald.models.reading import MAX_TEXT as LONGEST_ANSWER
from support.chat_server import (
    Answer,
    ChatServer,
    Hang,
    Reset,
    Send,
    cut,
    html,
    no_usage,
    not_json,
    null_content,
    refusal,
    say,
    sends,
    status,
    truncated,
)

KEY = "sk-test-not-a-real-key-0123456789abcdef"

FAULTS: dict[str, tuple[Answer, type[OrchestralError], str]] = {
    "429": (status(429, "Slow down."), ModelUnavailable, r"takes no more questions now \(HTTP 429\): Slow down\."),
    "429 as text": (Send(429, b"busy", "text/plain"), ModelUnavailable, r"\(HTTP 429\): busy"),
    "429 of the quota": (status(429, "You exceeded your current quota."), ModelMisconfigured, "out of credit"),
    "429 by its code": (status(429, "No.", error="insufficient_quota"), ModelMisconfigured, "out of credit"),
    "402": (status(402, "Insufficient Balance"), ModelMisconfigured, "out of credit"),
    "500": (status(500, "Oops."), ModelUnavailable, r"fails \(HTTP 500\): Oops\."),
    "502 as a page": (html(502), ModelUnavailable, r"fails \(HTTP 502\)"),
    "503": (status(503, "Loading model"), ModelUnavailable, r"fails \(HTTP 503\): Loading model"),
    "529": (status(529, "Overloaded"), ModelUnavailable, r"fails \(HTTP 529\): Overloaded"),
    "401": (status(401, "Bad key."), ModelMisconfigured, r"does not accept the key \(HTTP 401\): Bad key\."),
    "403": (status(403, "Country."), ModelMisconfigured, r"denies access \(HTTP 403\): Country\."),
    "404 of the model": (
        status(404, "The model `fake` does not exist or you do not have access to it.", error="model_not_found"),
        ModelMisconfigured,
        "fake does not know the model fake",
    ),
    "404 of Ollama": (status(404, 'model "fake" not found, try pulling it first'), ModelMisconfigured, "does not know"),
    "400 of DeepSeek": (status(400, "Model Not Exist"), ModelMisconfigured, "does not know the model"),
    "404 of the path": (status(404, "Not Found"), ModelMisconfigured, r"does not take the request \(HTTP 404\)"),
    "400": (status(400, "messages is too short"), ModelMisconfigured, "does not take the request .*too short"),
    "418": (status(418, "teapot"), ModelMisconfigured, "does not take the request .*teapot"),
    "LM Studio's shape of an error": (
        sends({"error": "No models loaded"}, 400),
        ModelMisconfigured,
        "No models loaded",
    ),
    "FastAPI's shape of an error": (sends({"detail": "Not here"}, 422), ModelMisconfigured, "Not here"),
    "hang": (Hang(), ModelUnavailable, r"has not answered within 0\.3 s"),
    "reset": (Reset(), ModelUnavailable, "broke off the connection .*reset"),
    "cut body": (cut("A long answer that does not end."), ModelUnavailable, "broke off the connection"),
    "HTML with 200": (html(), ModelUnavailable, "answered with a web page"),
    "not JSON": (not_json(), ModelUnavailable, "something that is not JSON"),
    "text": (Send(200, b"It works!", "text/plain"), ModelUnavailable, "something that is not JSON"),
    "empty body": (Send(200, b""), ModelUnavailable, "something that is not JSON"),
    "nested too deep": (Send(200, b"[" * 100_000), ModelUnavailable, "something that is not JSON"),
    "a list": (sends([1]), ModelUnavailable, "no completion: a list"),
    "a text": (sends("hello"), ModelUnavailable, "no completion: a str"),
    "no completion": (sends({"ok": True}), ModelUnavailable, "no completion: an object with ok"),
    "choices that are none": (sends({"choices": "many"}), ModelUnavailable, "no completion"),
    "no choices": (sends({"choices": []}), ModelUnavailable, "a completion without a choice"),
    "an error with 200": (
        sends({"error": {"message": "Upstream is down.", "code": 502}}),
        ModelUnavailable,
        "Upstream",
    ),
    "more than anybody wants": (Send(200, b" " * 5_000_000), ModelUnavailable, "more than 4 MiB"),
}


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_becomes_an_error_that_says_what_happened(fault: str, streaming: bool, endpoint: Asking) -> None:
    answer, expected, message = FAULTS[fault]
    with ChatServer([answer]) as server, trio.fail_after(10):
        model = endpoint(server, timeout=0.3 if isinstance(answer, Hang) else 5)
        with pytest.raises(expected, match=message) as caught:
            await model.ask(QUESTION, _deaf if streaming else None)
    assert type(caught.value) is expected
    assert caught.value.message.startswith(("fake", "The "))


TOO_LONG = {
    "OpenAI": status(
        400,
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens. "
        "Please reduce the length of the messages.",
        error="context_length_exceeded",
        param="messages",
    ),
    "vLLM": status(
        400,
        "This model's maximum context length is 16384 tokens. However, you requested 122946 tokens (112946 in the "
        "messages, 10000 in the completion).",
    ),
    "vLLM, of the prompt alone": sends({"object": "error", "message": "max_tokens must be at least 1, got -186."}, 400),
    "llama.cpp": sends(
        {
            "error": {
                "code": 400,
                "message": "the request exceeds the available context size. try increasing the context size or enable "
                "context shift",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 14429,
                "n_ctx": 8192,
            }
        },
        400,
    ),
    "llama.cpp, before it had a status for it": status(500, "the request exceeds the available context size."),
    "llama-cpp-python": status(400, "Requested tokens (516) exceed context window of 512"),
    "a proxy": Send(413, b"<html>Request Entity Too Large</html>", "text/html"),
}


@pytest.mark.parametrize("server_s", TOO_LONG)
async def test_a_question_that_does_not_fit_is_told_apart(server_s: str, endpoint: Asking) -> None:
    with ChatServer([TOO_LONG[server_s]]) as server, trio.fail_after(5):
        with pytest.raises(PromptTooLong, match="The question is too long for fake/fake"):
            await endpoint(server).ask(QUESTION)
        assert len(server.asked) == 1


async def test_a_rate_limit_that_speaks_of_length_is_a_rate_limit(endpoint: Asking) -> None:
    told = status(429, "Request too large: reduce the length of the messages. Limit 10000 tokens per minute.")
    with ChatServer([told]) as server, trio.fail_after(5), pytest.raises(ModelUnavailable):
        await endpoint(server).ask(QUESTION)


ODD: dict[str, tuple[Answer, dict[str, Any]]] = {
    "text": (say("hello"), {"text": "hello", "finish": "stop"}),
    "empty text": (say(""), {"text": "", "finish": "stop"}),
    "null content": (null_content(), {"text": "", "finish": "stop"}),
    "refusal": (refusal("I would rather not."), {"text": "I would rather not.", "finish": "refused"}),
    "content filter": (say("Well,", finish="content_filter"), {"text": "Well,", "finish": "refused"}),
    "truncated": (truncated("One two th"), {"text": "One two th", "finish": "length"}),
    "other model": (say("hello", model="fake-2026-11-01"), {"text": "hello", "model": "fake-2026-11-01"}),
    "cached tokens": (say("hello", tokens=(100, 80, 7)), {"tokens": Tokens(100, 80, 7)}),
    "more cached than read": (say("hello", tokens=(100, 800, 7)), {"tokens": Tokens(100, 100, 7)}),
    "no usage": (no_usage("hello"), {"text": "hello", "tokens": Tokens(26, 0, 2)}),
    "usage of zeros": (say("hello", tokens=(0, 0, 0)), {"tokens": Tokens(26, 0, 2)}),
    "unknown finish": (say("hello", finish="eos"), {"text": "hello", "finish": "stop"}),
    "far too much": (say("ü" * 200_000), {"text": "ü" * (LONGEST_ANSWER // 2), "finish": "length"}),
}


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("case", ODD)
async def test_an_odd_answer_becomes_a_reply(case: str, streaming: bool, endpoint: Asking) -> None:
    answer, expected = ODD[case]
    heard: list[str] = []
    with ChatServer([answer]) as server, trio.fail_after(5):
        reply = await endpoint(server).ask(QUESTION, heard.append if streaming else None)
    assert {name: getattr(reply, name) for name in expected} == expected
    assert (reply.backend, reply.mode) == ("fake", "plain")
    if streaming:
        assert "".join(heard) == reply.text


BODIES: dict[str, tuple[dict[str, Any], str]] = {
    "content in parts": (
        {"choices": [{"message": {"content": [{"type": "text", "text": "hel"}, {"text": "lo"}]}}]},
        "hello",
    ),
    "no finish_reason": ({"choices": [{"message": {"content": "hello"}}]}, "hello"),
    "no message": ({"choices": [{"finish_reason": "stop"}]}, ""),
    "half a surrogate pair": ({"choices": [{"message": {"content": "hello \ud83d"}}]}, "hello ?"),
    "usage of nonsense": ({"choices": [{"message": {"content": "hello"}}], "usage": {"prompt_tokens": "ten"}}, "hello"),
    "thoughts apart": ({"choices": [{"message": {"reasoning_content": "Hm.", "content": "hello"}}]}, "hello"),
}


@pytest.mark.parametrize("case", BODIES)
async def test_what_endpoints_leave_out_or_shape_otherwise_is_read(case: str, endpoint: Asking) -> None:
    body, text = BODIES[case]
    with ChatServer([sends(body)]) as server, trio.fail_after(5):
        assert (await endpoint(server).ask(QUESTION)).text == text


async def test_an_endpoint_that_does_not_stream_is_heard_at_the_end(endpoint: Asking) -> None:
    heard: list[str] = []
    body = {"choices": [{"message": {"content": "All at once."}, "finish_reason": "stop"}]}
    with ChatServer([sends(body)]) as server, trio.fail_after(5):
        assert (await endpoint(server).ask(QUESTION, heard.append)).text == "All at once."
    assert heard == ["All at once."]


async def test_an_error_in_the_middle_of_a_stream_is_told(endpoint: Asking) -> None:
    events = [
        {"choices": [{"delta": {"content": "One"}}]},
        {"error": {"message": "the request exceeds the available context size", "type": "exceed_context_size_error"}},
    ]
    body = "".join(f"data: {json.dumps(event)}\r\n\r\n" for event in events).encode()
    with ChatServer([Send(200, body, "text/event-stream")]) as server, trio.fail_after(5), pytest.raises(PromptTooLong):
        await endpoint(server).ask(QUESTION, _deaf)


async def test_a_stream_that_ends_politely_without_a_last_piece_was_cut_off(endpoint: Asking) -> None:
    body = b'data: {"choices": [{"delta": {"content": "One"}}]}\n\ndata: [DONE]\n\n'
    with (
        ChatServer([Send(200, body, "text/event-stream")]) as server,
        trio.fail_after(5),
        pytest.raises(ModelUnavailable, match="a stream that was cut off"),
    ):
        await endpoint(server).ask(QUESTION, _deaf)


def _in_two_seconds() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)


WAITS: dict[str, tuple[dict[str, Any], tuple[int, int] | None]] = {
    "seconds": ({"retry_after": 7}, (7000, 7000)),
    "a part of a second": ({"retry_after": 0.5}, (500, 500)),
    "milliseconds": ({"headers": {"Retry-After-Ms": "250"}, "retry_after": 9}, (250, 250)),
    "a date": ({"retry_after": _in_two_seconds()}, (0, 2000)),
    "a date in the past": ({"retry_after": "Fri, 01 Jan 2021 00:00:00 GMT"}, (0, 0)),
    "nonsense": ({"retry_after": "soon"}, None),
    "a negative number": ({"retry_after": -5}, None),
    "nothing": ({}, None),
}


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize("case", WAITS)
async def test_how_long_to_wait_is_read(case: str, code: int, endpoint: Asking) -> None:
    given, expected = WAITS[case]
    with ChatServer([status(code, **given)]) as server, trio.fail_after(5), pytest.raises(ModelUnavailable) as caught:
        await endpoint(server).ask(QUESTION)
    found = caught.value.data.get("retry_after_ms")
    assert found is None if expected is None else expected[0] <= found <= expected[1]


async def test_out_of_credit_is_marked_so_that_no_fallback_hides_it(endpoint: Asking) -> None:
    with (
        ChatServer([status(429, "x", error="insufficient_quota", retry_after=1)]) as server,
        trio.fail_after(5),
        pytest.raises(ModelMisconfigured) as caught,
    ):
        await endpoint(server).ask(QUESTION)
    assert caught.value.data == {"reason": QUOTA}


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"api_key": KEY, "api_key_env": "MY_KEY"}, "Check the key in MY_KEY"),
        ({"api_key_env": "MY_KEY"}, "The variable MY_KEY is not set in the daemon's environment"),
        ({}, "No key is set: name the variable that holds it in api_key_env of the backend fake"),
    ],
)
async def test_a_refused_key_says_where_the_key_comes_from(
    settings: dict[str, str], hint: str, endpoint: Asking
) -> None:
    with ChatServer(key="another") as server, trio.fail_after(5), pytest.raises(ModelMisconfigured) as caught:
        await endpoint(server, **settings).ask(SHAPED)
    assert hint in caught.value.advice


@pytest.mark.parametrize("code", [400, 401, 404, 429, 500, 502])
async def test_a_key_that_the_server_echoes_is_in_no_message(code: int, endpoint: Asking) -> None:
    key = "a-key-that-looks-like-none"
    told = status(code, f"You sent {key} and {KEY}, {'x' * 5000}")
    with ChatServer([told]) as server, trio.fail_after(5), pytest.raises(OrchestralError) as caught:
        await endpoint(server, api_key=key).ask(QUESTION)
    shown = f"{caught.value} {caught.value.to_wire()} {caught.value.__cause__!r} {Profile(backend='x', api_key=key)}"
    assert key not in shown and KEY not in shown and "[redacted]" in shown
    assert caught.value.__suppress_context__
    assert len(caught.value.message) < MAX_TEXT + 100


async def test_a_key_is_hidden_before_a_text_is_shortened(endpoint: Asking) -> None:
    key = "a-key-that-looks-like-none"
    for answer in (sends({"x" * (MAX_TEXT - 40) + key: 1}), status(500, "x" * (MAX_TEXT - 10) + key)):
        with ChatServer([answer]) as server, trio.fail_after(5):
            with pytest.raises(ModelUnavailable) as caught:
                await endpoint(server, api_key=key).ask(QUESTION)
            assert "a-key" not in caught.value.message


async def test_a_password_in_the_address_is_in_no_message() -> None:
    profile = Profile(
        backend="x", model="m", base_url="http://me:hunter2hunter2@127.0.0.1:9/v1?token=hidden", timeout=2
    )
    with pytest.raises(ModelUnavailable, match=r"cannot be reached at http://127\.0\.0\.1:9/v1: ") as caught:
        await Endpoint(profile, Known(), Redaction()).ask(QUESTION)
    assert "hunter2" not in str(caught.value) and "hidden" not in str(caught.value)


@pytest.mark.parametrize("address", ["127.0.0.1:8080/v1", "ftp://somewhere/v1", "http://[::1/v1"])
async def test_an_address_that_is_none_is_the_operator_s(address: str) -> None:
    with pytest.raises(ModelMisconfigured, match="base_url of x"):
        await Endpoint(Profile(backend="x", model="m", base_url=address), Known(), Redaction()).ask(QUESTION)


async def test_a_key_with_a_line_end_is_the_operator_s() -> None:
    with pytest.raises(ModelMisconfigured, match="holds characters that no key has"):
        await Endpoint(Profile(backend="x", model="m", api_key=f"{KEY}\n"), Known(), Redaction()).ask(QUESTION)


def _deaf(text: str) -> None:
    pass
