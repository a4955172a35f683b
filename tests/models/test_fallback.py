"""Who is asked after whom, how often, and after which pause?"""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from models.asking import QUESTION, Asking
from orchestrald.errors import ModelMisconfigured, ModelUnavailable, OrchestralError, PromptTooLong
from orchestrald.models.base import Hear, Price, Prompt, Reply, Tokens
from orchestrald.models.fallback import Fallback
from orchestrald.models.faults import QUOTA
from orchestrald.models.profile import Profile
from support.chat_server import ChatServer, Reset, cut, say, status


class Scripted:
    """A backend that answers from a list, at the moments that `asked` holds."""

    def __init__(self, *script: Reply | OrchestralError, window: int = 1000, **settings: Any) -> None:
        self.profile = Profile(**{"backend": "one", "window": window} | settings)
        self.name = self.profile.name
        self.window = window
        self.asked: list[float] = []
        self._script: Iterator[Reply | OrchestralError] = iter(script)

    def most(self, prompt: Prompt) -> tuple[int, int | None]:
        price = self.profile.price
        return self.window, None if price is None else price.of(Tokens(self.window))

    async def ask(self, prompt: Prompt, hear: Hear | None = None) -> Reply:
        self.asked.append(trio.current_time())
        answer = next(self._script)
        if isinstance(answer, OrchestralError):
            raise answer
        return answer


YES = Reply("yes", Tokens(1, 0, 1))


def down(what: str = "one is down.", wait: float | None = None) -> ModelUnavailable:
    return ModelUnavailable(what, data={} if wait is None else {"retry_after_ms": int(wait * 1000)})


async def test_the_first_that_answers_is_the_only_one_that_is_asked(autojump_clock: MockClock) -> None:
    first, second = Scripted(YES), Scripted()
    assert await Fallback([first, second]).ask(QUESTION) == YES
    assert len(first.asked) == 1 and second.asked == []


async def test_an_outage_is_waited_out_with_a_pause_that_doubles(autojump_clock: MockClock) -> None:
    model = Scripted(down(), down(), down(), YES, retries=3)
    begun = trio.current_time()
    assert await Fallback([model], jitter=lambda: 0.5).ask(QUESTION) == YES
    assert [moment - begun for moment in model.asked] == pytest.approx([0, 0.5, 1.5, 3.5])


async def test_the_pause_that_is_asked_for_is_kept(autojump_clock: MockClock) -> None:
    model = Scripted(down(wait=7), down(wait=0), YES)
    begun = trio.current_time()
    assert await Fallback([model], jitter=lambda: 0.5).ask(QUESTION) == YES
    assert [moment - begun for moment in model.asked] == pytest.approx([0, 7, 7])


async def test_the_next_one_is_asked_at_once_when_the_pause_is_not_worth_it(autojump_clock: MockClock) -> None:
    first, second = Scripted(down(wait=31), max_wait=30), Scripted(YES)
    begun = trio.current_time()
    assert await Fallback([first, second]).ask(QUESTION) == YES
    assert len(first.asked) == 1 and trio.current_time() == pytest.approx(begun)


async def test_the_next_one_is_asked_when_the_retries_are_used_up(autojump_clock: MockClock) -> None:
    first, second, third = Scripted(*[down()] * 3), Scripted(down(), retries=0), Scripted(YES)
    assert await Fallback([first, second, third], jitter=lambda: 0).ask(QUESTION) == YES
    assert [len(model.asked) for model in (first, second, third)] == [3, 1, 1]


async def test_when_all_fail_each_is_named_with_its_reason(autojump_clock: MockClock) -> None:
    models = [
        Scripted(*[down("one has not answered within 60 s.", 20)] * 3),
        Scripted(ModelMisconfigured("two does not accept the key.")),
        Scripted(*[down("three takes no more questions now.", 90)] * 3),
    ]
    with pytest.raises(ModelUnavailable) as caught:
        await Fallback(models, jitter=lambda: 0).ask(QUESTION)
    assert caught.value.message == (
        "one has not answered within 60 s (3 times); two does not accept the key; three takes no more questions now."
    )
    assert caught.value.data == {"retry_after_ms": 20_000}


@pytest.mark.parametrize("error", [ModelMisconfigured("one needs a key.", hint="Set KEY."), PromptTooLong("Too long.")])
async def test_what_a_retry_cannot_mend_ends_the_only_endpoint_at_once(error: OrchestralError) -> None:
    model = Scripted(error)
    with pytest.raises(type(error)) as caught:
        await Fallback([model]).ask(QUESTION)
    assert caught.value is error and len(model.asked) == 1


async def test_a_misconfigured_one_is_skipped_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    first, second = Scripted(ModelMisconfigured("one does not accept the key.")), Scripted(YES)
    assert await Fallback([first, second]).ask(QUESTION) == YES
    assert [(entry.levelno, entry.message) for entry in caplog.records] == [
        (logging.WARNING, "the next model is asked: one does not accept the key")
    ]


async def test_a_question_too_long_for_one_may_fit_another() -> None:
    assert await Fallback([Scripted(PromptTooLong()), Scripted(YES)]).ask(QUESTION) == YES


@pytest.mark.parametrize("kind", [ModelMisconfigured, PromptTooLong])
async def test_what_all_fail_of_is_what_is_reported(kind: type[OrchestralError]) -> None:
    with pytest.raises(kind) as caught:
        await Fallback([Scripted(kind("one.", hint="Do it.")), Scripted(kind("two."))]).ask(QUESTION)
    assert (caught.value.message, caught.value.advice) == ("one; two.", "Do it.")


async def test_an_empty_account_is_not_hidden_by_the_next_endpoint() -> None:
    poor, second = Scripted(ModelMisconfigured("one is out of credit.", data={"reason": QUOTA})), Scripted(YES)
    with pytest.raises(ModelMisconfigured, match="out of credit"):
        await Fallback([poor, second]).ask(QUESTION)
    assert second.asked == []


async def test_a_pause_can_be_cancelled(autojump_clock: MockClock) -> None:
    model = Scripted(down(wait=20), YES)
    with trio.move_on_after(1) as scope:
        await Fallback([model]).ask(QUESTION)
    assert scope.cancelled_caught and len(model.asked) == 1


def test_it_has_the_first_name_the_smallest_window_and_the_dearest_price() -> None:
    cheap = Scripted(backend="cheap", window=4000, price=Price(1.0, 1.0))
    dear = Scripted(backend="dear", window=2000, price=Price(10.0, 1.0))
    free = Scripted(backend="local", window=8000)
    both = Fallback([cheap, dear])
    assert (both.name, both.window, both.most(QUESTION)) == ("cheap", 2000, (4000, 20_000))
    assert Fallback([cheap, dear, free]).most(QUESTION) == (8000, None)


def test_nobody_to_ask_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="no endpoints"):
        Fallback([])


# --- with real servers -----------------------------------------------------------------------------------------------


async def test_a_real_rate_limit_is_waited_out(endpoint: Asking) -> None:
    with ChatServer([status(429, retry_after=0.02), status(503, retry_after=0.02), say("yes")]) as server:
        with trio.fail_after(5):
            assert (await Fallback([endpoint(server)]).ask(QUESTION)).text == "yes"
        assert len(server.asked) == 3


async def test_a_real_outage_leads_to_the_next_server(endpoint: Asking) -> None:
    with ChatServer([Reset(), Reset()]) as first, ChatServer([say("yes")]) as second, trio.fail_after(5):
        models = [endpoint(first, retries=1), endpoint(second, backend="second")]
        reply = await Fallback(models, jitter=lambda: 0).ask(QUESTION)
        assert (reply.text, reply.backend, len(first.asked)) == ("yes", "second", 2)


async def test_a_stream_that_broke_is_asked_for_again_from_the_start(endpoint: Asking) -> None:
    heard: list[str] = []
    with ChatServer([cut("one two three four"), say("one two three four")]) as server, trio.fail_after(5):
        reply = await Fallback([endpoint(server)], jitter=lambda: 0).ask(QUESTION, heard.append)
    assert reply.text == "one two three four"
    assert "".join(heard).endswith(reply.text) and len("".join(heard)) > len(reply.text)
