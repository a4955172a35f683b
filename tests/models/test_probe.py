"""Which mode is found, and when is it found anew?"""

import pytest
import trio

from models.asking import QUESTION, SHAPED, Asking
from orchestrald.errors import ModelMisconfigured, ModelUnavailable
from orchestrald.models.base import Price, Tokens
from orchestrald.models.dialect import MODES
from orchestrald.models.known import Known
from support.chat_server import Answer, ChatServer, Hang, Reset, no_usage, say, status

DEMANDING = MODES[:-1]
THING = {"there": "a lamp"}


@pytest.mark.parametrize("code", [400, 404, 415, 422, 500, 501])
@pytest.mark.parametrize("mode", MODES)
async def test_the_first_mode_that_is_not_refused_is_taken(mode: str, code: int, endpoint: Asking) -> None:
    refuses = dict.fromkeys(DEMANDING, code)
    with ChatServer([say(THING)], supports={mode}, refuses=refuses) as server, trio.fail_after(10):
        reply = await endpoint(server).ask(SHAPED)
        assert (reply.mode, reply.text) == (mode, '{"there": "a lamp"}')
        assert [asked.mode for asked in server.probes] == list(DEMANDING[: MODES.index(mode) + 1])  # type: ignore[arg-type]
        assert [asked.mode for asked in server.questions] == [mode]


@pytest.mark.parametrize("mode", MODES)
async def test_a_mode_that_is_taken_and_ignored_is_seen_through(mode: str, endpoint: Asking) -> None:
    ignored = DEMANDING[: MODES.index(mode)]  # type: ignore[arg-type]
    with ChatServer([say(THING)], supports={mode}, ignores=ignored) as server, trio.fail_after(10):
        assert (await endpoint(server).ask(SHAPED)).mode == mode


async def test_a_tool_s_arguments_are_the_answer_also_in_a_stream(endpoint: Asking) -> None:
    heard: list[str] = []
    with ChatServer([say(THING), say(THING)], supports={"tool"}) as server, trio.fail_after(5):
        model = endpoint(server)
        assert (await model.ask(SHAPED)).text == '{"there": "a lamp"}'
        reply = await model.ask(SHAPED, heard.append)
    assert reply.text == "".join(heard) == '{"there": "a lamp"}'
    assert (reply.finish, reply.mode) == ("stop", "tool")


async def test_what_finding_out_cost_is_in_the_first_reply_only(endpoint: Asking) -> None:
    script = [say(THING, tokens=(100, 0, 50))] * 2
    with ChatServer(script, supports={"tool"}, ignores={"json_schema", "json_object"}) as server, trio.fail_after(5):
        model = endpoint(server)
        before = model.most(SHAPED)[0]
        assert (await model.ask(SHAPED)).tokens == Tokens(100 + 3 * 10, 0, 50 + 3 * 5)
        assert (await model.ask(SHAPED)).tokens == Tokens(100, 0, 50)
        assert before - model.most(SHAPED)[0] > 4 * 1024


async def test_what_finding_out_cost_is_not_forgotten_when_the_question_fails(endpoint: Asking) -> None:
    with ChatServer([status(503), no_usage(THING)]) as server, trio.fail_after(5):
        model = endpoint(server)
        with pytest.raises(ModelUnavailable) as caught:
            await model.ask(SHAPED)
        assert caught.value.data["spent"] == {"tokens": 10 + 5}
        reply = await model.ask(SHAPED)
        assert reply.tokens.output == 7
        assert len(server.probes) == 1


async def test_what_finding_out_cost_is_not_forgotten_when_it_fails_in_the_middle(endpoint: Asking) -> None:
    class Failing(ChatServer):
        def _refused(self, asked: object) -> Answer | None:
            return status(503) if len(self.asked) == 3 else None

    with Failing(ignores=DEMANDING, supports=()) as server, trio.fail_after(5):
        with pytest.raises(ModelUnavailable) as caught:
            await endpoint(server, price=Price(1.0, 2.0)).ask(SHAPED)
        assert caught.value.data["spent"] == {"tokens": 2 * 15, "cost": 2 * (10 + 2 * 5)}
        assert len(server.probes) == 3


@pytest.mark.parametrize("outage", [status(429), status(502), status(503), Hang(), Reset()], ids=str)
async def test_an_outage_is_no_verdict(outage: Answer, endpoint: Asking) -> None:
    known = Known()
    with _Broken(outage) as server, trio.fail_after(5):
        model = endpoint(server, known, timeout=0.3)
        with pytest.raises(ModelUnavailable):
            await model.ask(SHAPED)
        assert len(server.asked) == 1 and known.get(model.profile, "fake") is None
        server.mended = True
        assert (await model.ask(SHAPED)).mode == "json_schema"


async def test_that_every_mode_fails_is_not_believed_until_plain_words_are_answered(endpoint: Asking) -> None:
    known = Known()
    with _Broken(status(500)) as server, trio.fail_after(5):
        model = endpoint(server, known)
        with pytest.raises(ModelUnavailable, match="HTTP 500"):
            await model.ask(SHAPED)
        assert known.get(model.profile, "fake") is None
        server.mended = True
        assert (await model.ask(SHAPED)).mode == "json_schema"


async def test_a_model_that_is_unknown_is_no_verdict_either(endpoint: Asking) -> None:
    with _Broken(status(404, "The model `fake` does not exist.")) as server, trio.fail_after(5):
        with pytest.raises(ModelMisconfigured):
            await endpoint(server).ask(SHAPED)
        assert len(server.asked) == 1


class _Broken(ChatServer):
    """One that answers everything, probes too, with an outage until it is `mended`."""

    def __init__(self, outage: Answer) -> None:
        super().__init__()
        self.mended = False
        self._outage = outage

    def _refused(self, asked: object) -> Answer | None:
        return None if self.mended else self._outage


# --- parameters ------------------------------------------------------------------------------------------------------


class _Picky(ChatServer):
    """One that refuses some words wherever they occur."""

    def __init__(
        self, *words: str, says: str = "Unsupported parameter: '{}' is not supported with this model."
    ) -> None:
        super().__init__()
        self._words = words
        self._says = says

    def _refused(self, asked: object) -> Answer | None:
        sent = asked.json  # type: ignore[attr-defined]
        found = [word for word in self._words if word in sent]
        return status(400, self._says.format(found[0])) if found else None


@pytest.mark.parametrize("shaped", [False, True])
async def test_refused_parameters_are_left_out_and_that_is_remembered(shaped: bool, endpoint: Asking) -> None:
    question = SHAPED if shaped else QUESTION
    with _Picky("max_tokens", "temperature", "stream_options") as server, trio.fail_after(5):
        model = endpoint(server, temperature=0.5)
        heard: list[str] = []
        assert (await model.ask(question, heard.append)).text == "ok"
        sent = server.asked[-1].json
        assert heard == ["ok"]
        assert sent["max_completion_tokens"] == 4096 and "temperature" not in sent and "stream" not in sent
        count = len(server.asked)
        await model.ask(question)
        assert len(server.asked) == count + 1


async def test_a_parameter_that_is_refused_under_both_its_names_ends_the_question(endpoint: Asking) -> None:
    with _Picky("max_tokens", "max_completion_tokens") as server, trio.fail_after(5):
        with pytest.raises(ModelMisconfigured, match="'max_completion_tokens' is not supported"):
            await endpoint(server).ask(QUESTION)
        assert len(server.asked) == 2


async def test_a_bound_that_is_too_large_is_not_tried_under_its_other_name(endpoint: Asking) -> None:
    with _Picky("max_tokens", says="{} is too large: 4096. This model writes at most 2048.") as server:
        with trio.fail_after(5), pytest.raises(ModelMisconfigured, match="too large"):
            await endpoint(server).ask(QUESTION)
        assert len(server.asked) == 1


async def test_plain_words_answered_late_do_not_undo_what_was_learnt_meanwhile(endpoint: Asking) -> None:
    known = Known()

    def slow_in_plain(asked: dict[str, object]) -> Answer:
        return say(THING, pause=0.0 if "response_format" in asked else 0.3)

    with ChatServer(slow_in_plain) as server, trio.fail_after(5):
        model = endpoint(server, known)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(model.ask, QUESTION)
            nursery.start_soon(model.ask, SHAPED)
        learnt = known.get(model.profile, "fake")
        assert learnt is not None and learnt.mode == "json_schema"


# --- forgetting ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [400, 422, 500, 501])
async def test_a_mode_that_is_refused_later_is_found_out_again(code: int, endpoint: Asking) -> None:
    with ChatServer([say(THING), say(THING)], refuses=dict.fromkeys(MODES, code)) as server, trio.fail_after(5):
        model = endpoint(server)
        assert (await model.ask(SHAPED)).mode == "json_schema"
        server.supports = {"json_object"}
        assert (await model.ask(SHAPED)).mode == "json_object"
        assert [asked.mode for asked in server.asked[2:]] == [
            "json_schema",
            "json_schema",
            "json_object_schema",
            "json_object",
            "json_object",
        ]


async def test_a_schema_that_no_mode_takes_is_asked_for_in_plain_words(endpoint: Asking) -> None:
    def only_plain(asked: dict[str, object]) -> Answer:
        enforced = "tools" in asked or "response_format" in asked
        return status(400, "Cannot convert this JSON schema to a grammar.") if enforced else say(THING)

    with ChatServer(only_plain) as server, trio.fail_after(5):
        model = endpoint(server)
        reply = await model.ask(SHAPED)
        assert (reply.mode, reply.text) == ("plain", '{"there": "a lamp"}')
        assert len(server.asked) < 10
        count = len(server.asked)
        await model.ask(SHAPED)
        assert len(server.asked) == count + 1


async def test_two_answers_in_a_row_without_json_end_the_trust_in_a_mode(endpoint: Asking) -> None:
    script = [say("Well."), say(THING), say("Well."), say("Hm."), say(THING)]
    with ChatServer(script) as server, trio.fail_after(5):
        model = endpoint(server)
        for probes in (1, 1, 1, 1):
            await model.ask(SHAPED)
            assert len(server.probes) == probes
        server.supports = {"tool"}
        server.ignores = {"json_schema"}
        assert (await model.ask(SHAPED)).mode == "tool"


async def test_answers_that_were_cut_off_or_refused_say_nothing_about_a_mode(endpoint: Asking) -> None:
    script = [say("{", finish="length"), say("No.", finish="content_filter")] * 2 + [say(THING)]
    with ChatServer(script) as server, trio.fail_after(5):
        model = endpoint(server)
        for _ in range(5):
            await model.ask(SHAPED)
        assert len(server.probes) == 1
