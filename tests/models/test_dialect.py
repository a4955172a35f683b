"""What is sent in each dialect?"""

from typing import Any

import pytest

from models.asking import QUESTION, SHAPED
from orchestrald.models.base import estimate
from orchestrald.models.dialect import MODES, Dialect, Mode, arguments, guess, in_words, size
from support.chat_server import mode_of


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_demands_the_shape_in_its_own_way(mode: Mode) -> None:
    asked = arguments(SHAPED, Dialect(mode), None)
    assert mode_of(asked) == mode
    named = {"name": "thing", "schema": SHAPED.shape, "strict": False}
    said: dict[str, Any] = {
        "json_schema": {"type": "json_schema", "json_schema": named},
        "json_object_schema": {"type": "json_object", "schema": SHAPED.shape},
        "json_object": {"type": "json_object"},
    }
    assert asked.get("response_format") == said.get(mode)
    if mode == "tool":
        assert asked["tools"][0]["function"]["parameters"] == SHAPED.shape
        assert asked["tool_choice"] == {"type": "function", "function": {"name": "reply"}}


@pytest.mark.parametrize("mode", MODES)
def test_the_schema_is_said_in_words_where_nothing_enforces_it(mode: Mode) -> None:
    words = arguments(SHAPED, Dialect(mode), None)["messages"][-1]["content"]
    if mode in ("json_object", "plain"):
        assert words == f"What is there?{in_words(SHAPED.shape or {})}"
        assert "JSON" in words and '"required":["there"]' in words
    else:
        assert words == "What is there?"


@pytest.mark.parametrize("mode", [None, *MODES])
def test_without_a_shape_plain_words_are_asked_for(mode: Mode | None) -> None:
    assert arguments(QUESTION, Dialect(mode), None) == {
        "messages": [
            {"role": "system", "content": "You are terse."},
            {"role": "user", "content": "What is there?"},
        ],
        "max_tokens": 4096,
    }


def test_making_a_request_leaves_the_question_as_it_was() -> None:
    arguments(SHAPED, Dialect("plain"), None)
    assert SHAPED.messages[-1].text == "What is there?"


def test_a_temperature_is_sent_where_one_is_set_and_taken() -> None:
    assert arguments(QUESTION, Dialect(), 0.0)["temperature"] == 0
    assert "temperature" not in arguments(QUESTION, Dialect(), None)
    assert "temperature" not in arguments(QUESTION, Dialect().without("temperature"), 0.0)


def test_openai_is_asked_in_its_newer_word_and_everybody_else_in_the_old_one() -> None:
    assert guess("").limit == "max_completion_tokens"
    assert guess("http://127.0.0.1:8080/v1").limit == "max_tokens"
    assert guess("").without("limit").limit == "max_tokens"
    assert guess("").without("limit").without("limit") == guess("")


def test_the_size_of_a_question_counts_its_shape() -> None:
    assert size(SHAPED) == size(QUESTION) + estimate(in_words(SHAPED.shape or {}))


def test_what_the_model_must_read_of_the_shape_may_be_shorter_than_what_is_enforced() -> None:
    prompt = SHAPED._replace(outline={"type": "object"})
    words = arguments(prompt, Dialect("json_object"), None)["messages"][-1]["content"]
    assert words.endswith(in_words({"type": "object"}))
    enforced = arguments(prompt, Dialect("json_schema"), None)["response_format"]["json_schema"]["schema"]
    assert enforced == SHAPED.shape
