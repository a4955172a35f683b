"""How does one endpoint behave from question to question?"""

import subprocess
import sys

import pytest
import trio
import trio.testing

from models.asking import QUESTION, SHAPED, Asking
from orchestrald.core.redaction import Redaction
from orchestrald.errors import ModelMisconfigured, ModelUnavailable
from orchestrald.models.base import Price, Tokens
from orchestrald.models.endpoint import Endpoint
from orchestrald.models.known import Known
from orchestrald.models.profile import Profile
from support.chat_server import ChatServer, Hang, Say, html, say, sends, stall, status


async def test_a_reply_says_who_answered_and_what_it_cost(endpoint: Asking) -> None:
    with ChatServer([say("hello", tokens=(1000, 400, 200), model="fake-7")]) as server, trio.fail_after(5):
        reply = await endpoint(server, price=Price(2.0, 8.0, 0.5)).ask(QUESTION)
    assert (reply.text, reply.backend, reply.model, reply.mode) == ("hello", "fake", "fake-7", "plain")
    assert reply.tokens == Tokens(1000, 400, 200)
    assert reply.cost == 600 * 2 + 400 * 0.5 + 200 * 8
    assert 0 < reply.ms < 5000


async def test_without_a_price_there_is_no_cost(endpoint: Asking) -> None:
    with ChatServer() as server, trio.fail_after(5):
        assert (await endpoint(server).ask(QUESTION)).cost is None
        assert endpoint(server).most(QUESTION) == (26 + 4096, None)
        assert endpoint(server, price=Price(1.0, 2.0)).most(QUESTION) == (26 + 4096, 26 + 2 * 4096)


async def test_a_question_is_one_request_and_holds_what_was_configured(endpoint: Asking) -> None:
    with ChatServer() as server, trio.fail_after(5):
        await endpoint(server, api_key="sk-mine", temperature=0.25).ask(QUESTION._replace(max_tokens=7))
        (asked,) = server.asked
    assert asked.headers["authorization"] == "Bearer sk-mine"
    assert asked.json == {
        "model": "fake",
        "messages": [{"role": "system", "content": "You are terse."}, {"role": "user", "content": "What is there?"}],
        "max_tokens": 7,
        "temperature": 0.25,
    }


async def test_nothing_of_the_environment_goes_to_an_endpoint_that_was_configured(
    endpoint: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "sk-of-somebody-else")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    with ChatServer() as server, trio.fail_after(5):
        await endpoint(server).ask(QUESTION)
        assert "sk-of-somebody-else" not in str(server.asked)


# --- the model -------------------------------------------------------------------------------------------------------


async def test_the_only_model_that_is_listed_is_taken_and_not_asked_for_twice(endpoint: Asking) -> None:
    with ChatServer(models=["llama"]) as server, trio.fail_after(5):
        model = endpoint(server, model="")
        assert model.name == "fake"
        assert (await model.ask(QUESTION)).model == "llama"
        server.models = ["another"]
        assert (await model.ask(QUESTION)).model == "llama"
        assert [asked.json["model"] for asked in server.asked] == ["llama", "llama"]


async def test_a_listed_model_that_is_gone_is_looked_for_again(endpoint: Asking) -> None:
    with ChatServer([say("x"), status(404, "model 'llama' not found"), say("x")], models=["llama"]) as server:
        model = endpoint(server, model="")
        with trio.fail_after(5):
            await model.ask(QUESTION)
            server.models = ["gemma"]
            with pytest.raises(ModelMisconfigured):
                await model.ask(QUESTION)
            assert (await model.ask(QUESTION)).model == "gemma"


@pytest.mark.parametrize(
    ("models", "says"),
    [
        (["b", "a"], "fake lists several models: a, b."),
        ([], "fake lists no model."),
        ([f"m{number:03}" for number in range(500)], "m019 and others."),
    ],
)
async def test_several_models_or_none_are_a_question_to_the_operator(
    models: list[str], says: str, endpoint: Asking
) -> None:
    with ChatServer(models=models) as server, trio.fail_after(5):
        with pytest.raises(ModelMisconfigured) as caught:
            await endpoint(server, model="").ask(QUESTION)
        assert caught.value.message.endswith(says) and "Name one as `model`" in caught.value.advice
        assert server.asked == []


@pytest.mark.parametrize("listed", [html(), sends([]), sends({"data": None}), sends({"models": ["x"]})], ids=str)
async def test_a_list_of_models_that_is_none_is_an_outage(listed: object, endpoint: Asking) -> None:
    with ChatServer() as server, trio.fail_after(5):
        server.listing = listed  # type: ignore[assignment]
        with pytest.raises(ModelUnavailable):
            await endpoint(server, model="").ask(QUESTION)


# --- ending ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("answer", [Hang(), stall("one two three four")], ids=["before", "in the middle"])
async def test_a_question_that_is_cancelled_leaves_the_endpoint_usable(
    answer: Hang | Say, streaming: bool, endpoint: Asking
) -> None:
    with ChatServer([answer, say("still here")]) as server, trio.fail_after(5):
        model = endpoint(server)
        await _cancelled_once_asked(model, server, streaming)
        assert (await model.ask(QUESTION)).text == "still here"


async def _cancelled_once_asked(model: Endpoint, server: ChatServer, streaming: bool) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(model.ask, QUESTION, print if streaming else None)
        while not server.asked:
            await trio.sleep(0.005)  # another thread has no event that trio could wait for
        nursery.cancel_scope.cancel()


async def test_a_stream_is_heard_piece_by_piece_and_its_tokens_are_counted(endpoint: Asking) -> None:
    heard: list[str] = []
    with ChatServer([say("one two three four", tokens=(9, 3, 4))]) as server, trio.fail_after(5):
        reply = await endpoint(server).ask(QUESTION, heard.append)
        assert server.asked[0].json["stream_options"] == {"include_usage": True}
    assert len(heard) == 4 and "".join(heard) == reply.text == "one two three four"
    assert reply.tokens == Tokens(9, 3, 4)


async def test_a_listener_that_fails_is_not_taken_for_a_fault_of_the_endpoint(endpoint: Asking) -> None:
    def fails(piece: str) -> None:
        raise KeyError(piece)

    with ChatServer([say("hello")]) as server, trio.fail_after(5), pytest.raises(KeyError):
        await endpoint(server).ask(QUESTION, fails)


async def test_questions_at_the_same_time_do_not_disturb_each_other(endpoint: Asking) -> None:
    replies: list[str] = []
    with ChatServer(lambda asked: say({"there": asked["messages"][-1]["content"]})) as server, trio.fail_after(10):
        model = endpoint(server)

        async def ask(number: int) -> None:
            replies.append((await model.ask(SHAPED)).text)

        async with trio.open_nursery() as nursery:
            for number in range(8):
                nursery.start_soon(ask, number)
    assert replies == ['{"there": "What is there?"}'] * 8


async def test_a_stream_that_drips_ends_with_the_timeout_too(endpoint: Asking) -> None:
    with (
        ChatServer([say("one two three", pause=0.12)]) as server,
        trio.fail_after(5),
        pytest.raises(ModelUnavailable, match=r"has not answered within 0\.3 s"),
    ):
        await endpoint(server, timeout=0.3).ask(QUESTION, print)


async def test_a_stream_that_stops_ends_with_the_timeout(endpoint: Asking) -> None:
    with (
        ChatServer([stall("one two three")]) as server,
        trio.fail_after(5),
        pytest.raises(ModelUnavailable, match=r"has not answered within 0\.2 s"),
    ):
        await endpoint(server, timeout=0.2).ask(QUESTION, print)


# --- loading ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_sdk_is_loaded_by_the_first_question_and_not_before() -> None:
    code = """
import sys, threading, trio
import orchestrald.models.base, orchestrald.models.endpoint, orchestrald.models.extract, orchestrald.models.fallback
from orchestrald.core.redaction import Redaction
from orchestrald.models.base import Message, Prompt
from orchestrald.models.endpoint import Endpoint
from orchestrald.models.known import Known
from orchestrald.models.profile import Profile
heavy = {"openai", "httpx2", "anyio"}
model = Endpoint(Profile(backend="x", model="m", base_url="http://127.0.0.1:9/v1"), Known(), Redaction())
model.most(Prompt((Message("user", "x"),)))
assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()

class Where:
    def find_spec(self, name, path=None, target=None):
        if name == "openai":
            where.append(threading.current_thread() is threading.main_thread())
where = []
sys.meta_path.insert(0, Where())
try:
    trio.run(model.ask, Prompt((Message("user", "x"),)))
except Exception as error:
    assert type(error).__name__ == "ModelUnavailable", error
assert where == [False], where
"""
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_an_endpoint_has_the_name_and_the_window_of_its_profile() -> None:
    model = Endpoint(Profile(backend="local", model="m", window=8192), Known(), Redaction())
    assert (model.name, model.window) == ("local/m", 8192)
