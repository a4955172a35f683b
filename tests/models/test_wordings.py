"""Are the sentences understood that servers really say?"""

import time

import pytest

from orchestrald.models import wordings

DECLINED = [
    ("limit", "", "Unsupported parameter: 'max_tokens' is not supported with this model."),
    ("limit", "max_completion_tokens", "Unrecognized request argument supplied: max_completion_tokens"),
    ("limit", "", "{'loc': ('body', 'max_completion_tokens'), 'msg': 'Extra inputs are not permitted'}"),
    (None, "max_tokens", "max_tokens is too large: 40960. This model supports at most 16384 completion tokens."),
    ("temperature", "temperature", "Unsupported value: 'temperature' does not support 0.16 with this model."),
    ("temperature", "", "`temperature` is deprecated for this model."),
    ("stream", "", "stream_options is not supported"),
    ("stream", "stream_options", "Unknown parameter: 'stream_options'."),
    ("shape", "", "This response_format type is unavailable now"),
    ("shape", "", "'response_format.type' must be 'json_schema' or 'text'"),
    ("shape", "", "'response_format.type' : value is not one of the allowed values ['text','json_object']"),
    ("shape", "response_format.type", "Invalid value: 'object'. Supported values are: 'json_object' and 'text'."),
    ("shape", "", "JSON schema conversion failed: Unrecognized schema"),
    ("shape", "", "Failed to parse grammar"),
    ("shape", "tool_choice", "Invalid value for 'tool_choice'."),
    ("shape", "", "tools param requires --jinja flag"),
    ("shape", "", "deepseek-reasoner does not support this tool_choice"),
    (None, "", "messages is too short"),
    (None, "", "Internal Server Error"),
]  # fmt: skip


@pytest.mark.parametrize(("trait", "param", "text"), DECLINED)
def test_what_was_declined_is_understood(trait: str | None, param: str, text: str) -> None:
    assert wordings.declined(text, param) == trait


TOO_LONG = [
    "This model's maximum context length is 16384 tokens. However, you requested 122946 tokens.",
    "the request exceeds the available context size. try increasing the context size or enable context shift",
    "request (14429 tokens) exceeds the available context size (8192 tokens), try increasing it",
    "Requested tokens (516) exceed context window of 512",
    "max_tokens must be at least 1, got -186.",
    "The decoder prompt (length 9000) is longer than the maximum model length of 8192.",
    "prompt is too long: 210000 tokens > 200000 maximum",
    "Trying to keep the first 9000 tokens when context the overflows. However, the model is loaded with 4096",
]


@pytest.mark.parametrize("text", TOO_LONG)
def test_that_a_question_is_too_long_is_understood(text: str) -> None:
    assert wordings.too_long(text, "")
    assert not wordings.unknown_model(text, "") and not wordings.unpaid(text, "")


UNKNOWN = [
    "The model `gpt-9` does not exist or you do not have access to it.",
    'model "llama9" not found, try pulling it first',
    "Model Not Exist",
    "Invalid model: mistral-9",
    "nobody/nothing is not a valid model ID",
]


@pytest.mark.parametrize("text", UNKNOWN)
def test_that_a_model_is_unknown_is_understood(text: str) -> None:
    assert wordings.unknown_model(text, "")
    assert not wordings.too_long(text, "") and wordings.declined(text, "") is None


UNPAID = [
    "You exceeded your current quota, please check your plan and billing details.",
    "Insufficient Balance",
    "Insufficient credits. Add more using https://openrouter.ai/settings/credits",
]


@pytest.mark.parametrize("text", UNPAID)
def test_that_an_account_is_empty_is_understood(text: str) -> None:
    assert wordings.unpaid(text, "") and not wordings.unpaid("Rate limit reached for requests", "rate_limit_exceeded")


@pytest.mark.parametrize(("trait", "param", "text"), DECLINED)
def test_what_was_declined_is_not_taken_for_anything_final(trait: str | None, param: str, text: str) -> None:
    assert not wordings.unknown_model(text, param) and not wordings.too_long(text, "") and not wordings.unpaid(text, "")


def test_a_model_is_missing_only_where_both_are_said_together() -> None:
    assert wordings.unknown_model(f"The model 'x', {'y' * 180}, was not found", "")
    assert wordings.unknown_model("No model.\nThe model\nx: not found", "")
    assert not wordings.unknown_model(f"The model 'x', {'y' * 200}, was not found", "")
    assert not wordings.unknown_model("A model:\nnot found", "")
    assert not wordings.unknown_model("not found: a model ", "")


HOSTILE = [
    "model ", "model not ", "model\n", "not found ", "exceed ", "exceeds the ", "exceed available ", "function ",
    "exceeds the model's maximum ", "maximum context ", "max_tokens ", "max_completion_", "stream_", "no such ",
    "max_completion_tokens must be at least 1, got ", "longer than the maximum ", "unknown ", "x", " ", "\n",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_no_text_takes_long_to_judge(piece: str) -> None:
    """Four times the text takes about four times as long, and 64 KiB next to nothing."""
    assert min(_seconds((piece * 65_536)[:65_536]) for _ in range(3)) < 1
    assert min(_seconds((piece * 262_144)[:262_144]) for _ in range(3)) < 4


def _seconds(text: str) -> float:
    begun = time.process_time()
    for judge in (wordings.unpaid, wordings.too_long, wordings.unknown_model, wordings.declined):
        judge(text, "")
    return time.process_time() - begun
