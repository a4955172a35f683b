"""What may failed tries have taken, and who is told?"""

import socket
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from models.asking import QUESTION, Asking
from models.test_fallback import YES, Scripted, down
from orchestrald.errors import ModelMisconfigured, ModelUnavailable, OrchestralError
from orchestrald.models.base import Price, Tokens
from orchestrald.models.dialect import size
from orchestrald.models.fallback import Fallback
from orchestrald.models.faults import QUOTA
from support.chat_server import Answer, ChatServer, Hang, Reset, Send, cut, html, say, sends, stall, status

ASKED = size(QUESTION)
BEGUN = b'data: {"choices": [{"delta": {"content": "One"}}]}\n\n'
THOUGHT = b'data: {"choices": [{"delta": {"reasoning_content": "One two three four five"}}]}\n\n'
COUNTED = b'data: {"choices": [], "usage": {"prompt_tokens": 90, "completion_tokens": 8}}\n\n'
FAILED = b'data: {"error": {"message": "Oops."}}\n\n'

PAID: dict[str, tuple[Answer, int]] = {
    "nothing in time": (Hang(), 0),
    "a stream that stops": (stall("one two three four"), 2 * 2),
    "a stream that is cut off": (cut("one two three four"), 2 * 2),
    "a connection that breaks": (Reset(), 0),
    "a stream without a last piece": (Send(200, BEGUN, "text/event-stream"), 1),
    "a stream of thoughts": (Send(200, THOUGHT, "text/event-stream"), 8),
    "a stream that was counted": (Send(200, BEGUN + COUNTED, "text/event-stream"), 90 - ASKED + 8),
    "an error in a stream": (Send(200, BEGUN + FAILED, "text/event-stream"), 1),
    "an answer that cannot be read": (Send(200, b'{"choices": [{"mess'), 0),
}


@pytest.mark.parametrize("case", PAID)
async def test_what_was_sent_may_be_paid_although_it_failed(case: str, endpoint: Asking) -> None:
    answer, heard = PAID[case]
    with ChatServer([answer]) as server, trio.fail_after(5), pytest.raises(ModelUnavailable) as caught:
        await endpoint(server, timeout=0.4).ask(QUESTION, _deaf)
    assert caught.value.data["spent"] == {"tokens": ASKED + heard}


async def test_with_a_price_it_is_told_in_money_too(endpoint: Asking) -> None:
    with ChatServer([Reset()]) as server, trio.fail_after(5), pytest.raises(ModelUnavailable) as caught:
        await endpoint(server, price=Price(3.0, 8.0)).ask(QUESTION)
    assert caught.value.data["spent"] == {"tokens": ASKED, "cost": 3 * ASKED}


FREE: dict[str, Answer] = {
    "429": status(429),
    "500": status(500),
    "503": html(503),
    "401": status(401),
    "400": status(400, "temperature"),
    "an error with 200": sends({"error": {"message": "Upstream is down.", "code": 502}}),
}


@pytest.mark.parametrize("case", FREE)
async def test_a_status_that_is_none_of_an_answer_costs_nothing(case: str, endpoint: Asking) -> None:
    with ChatServer([FREE[case]] * 3) as server, trio.fail_after(5), pytest.raises(OrchestralError) as caught:
        await endpoint(server).ask(QUESTION)
    assert "spent" not in caught.value.data


async def test_where_nobody_listens_nothing_is_paid(endpoint: Asking) -> None:
    server = ChatServer()
    with server:
        pass
    with trio.fail_after(5), pytest.raises(ModelUnavailable, match="cannot be reached") as caught:
        await endpoint(server).ask(QUESTION)
    assert "spent" not in caught.value.data


async def test_a_connection_that_does_not_come_about_is_told_from_an_answer_that_does_not(endpoint: Asking) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        # A queue that is full takes no more, and does not say so.
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(address)
        try:
            with (
                ChatServer() as server,
                trio.fail_after(5),
                pytest.raises(ModelUnavailable, match="the connection timed out") as caught,
            ):
                await endpoint(server, base_url=f"http://127.0.0.1:{address[1]}/v1", timeout=0.6).ask(QUESTION)
        finally:
            for each in waiting:
                each.close()
    assert "spent" not in caught.value.data


async def test_a_list_of_models_is_not_paid(endpoint: Asking) -> None:
    with ChatServer() as server, trio.fail_after(5):
        server.listing = html()
        with pytest.raises(ModelUnavailable) as caught:
            await endpoint(server, model="").ask(QUESTION)
    assert "spent" not in caught.value.data


# --- all tries together ----------------------------------------------------------------------------------------------


def paid(tokens: int, cost: int | None = None, **data: Any) -> ModelUnavailable:
    spent = {"tokens": tokens} | ({} if cost is None else {"cost": cost})
    return ModelUnavailable("one has not answered.", data={"spent": spent, **data})


async def test_a_reply_costs_what_the_failed_tries_before_it_may_have_cost(autojump_clock: MockClock) -> None:
    first = Scripted(paid(100, 30), down(), paid(50, 20))
    second = Scripted(paid(7), YES._replace(tokens=Tokens(10, 4, 5), cost=3))
    reply = await Fallback([first, second]).ask(QUESTION)
    assert (reply.tokens, reply.cost) == (Tokens(10 + 157, 4, 5), 53)


async def test_what_has_a_price_is_told_although_the_answer_has_none(autojump_clock: MockClock) -> None:
    assert (await Fallback([Scripted(paid(100, 30), YES)]).ask(QUESTION)).cost == 30
    assert (await Fallback([Scripted(paid(100), YES)]).ask(QUESTION)).cost is None
    assert (await Fallback([Scripted(paid(100), YES._replace(cost=3))]).ask(QUESTION)).cost == 3


async def test_when_all_fail_the_error_says_what_it_may_have_cost(autojump_clock: MockClock) -> None:
    models = [Scripted(*[paid(100, 30)] * 3), Scripted(ModelMisconfigured("two.")), Scripted(*[paid(7)] * 3)]
    with pytest.raises(ModelUnavailable) as caught:
        await Fallback(models).ask(QUESTION)
    assert caught.value.data == {"spent": {"tokens": 3 * 107, "cost": 90}}


@pytest.mark.parametrize("retries", [0, 1])
async def test_it_is_told_once_when_there_is_only_one_to_ask(retries: int, autojump_clock: MockClock) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        await Fallback([Scripted(paid(5), paid(5), retries=retries)]).ask(QUESTION)
    assert caught.value.data == {"spent": {"tokens": 5 * (retries + 1)}}


async def test_an_empty_account_says_what_was_spent_before_it(autojump_clock: MockClock) -> None:
    poor = ModelMisconfigured("two is out of credit.", data={"reason": QUOTA})
    with pytest.raises(ModelMisconfigured) as caught:
        await Fallback([Scripted(paid(5), retries=0), Scripted(paid(7), poor)]).ask(QUESTION)
    assert caught.value.data == {"reason": QUOTA, "spent": {"tokens": 12}}


async def test_a_real_stream_that_broke_is_on_the_bill(endpoint: Asking) -> None:
    with ChatServer([cut("one two three four"), say("yes", tokens=(10, 0, 5))]) as server, trio.fail_after(5):
        model = endpoint(server, price=Price(1.0, 2.0))
        reply = await Fallback([model], jitter=lambda: 0).ask(QUESTION, _deaf)
    assert reply.tokens == Tokens(10 + ASKED + 4, 0, 5)
    assert reply.cost == (10 + 2 * 5) + (ASKED + 2 * 4)


def _deaf(text: str) -> None:
    pass
