"""How does an endpoint want to be asked?

"OpenAI-compatible" leaves open how an answer's shape is demanded, what the bound of an answer is called, and whether a
temperature is taken. A dialect says it, and makes the arguments of a request from it; `probe` finds it out.
"""

import json
from dataclasses import dataclass, replace
from typing import Any, Literal

from orchestrald.models.base import Prompt, estimate

Mode = Literal["json_schema", "json_object_schema", "json_object", "tool", "plain"]

MODES: tuple[Mode, ...] = ("json_schema", "json_object_schema", "json_object", "tool", "plain")
"""From the strongest. `json_object_schema` is how llama-cpp-python takes a schema; others ignore or refuse it there."""

TOOL = "reply"

Trait = Literal["limit", "temperature", "stream", "shape"]
"""What an endpoint may decline of a request, in our words."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """`mode` is missing until a shape was demanded for the first time: plain words need no mode.

    `limit` is what the bound of an answer is called; `temperature` and `streams` whether they are taken.
    """

    mode: Mode | None = None
    limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    temperature: bool = True
    streams: bool = True

    def without(self, trait: Trait) -> "Dialect":
        """What to speak after the endpoint declined the trait; the same dialect when it has nothing left to change."""
        match trait:
            case "limit":
                newer = self.limit == "max_completion_tokens"
                return replace(self, limit="max_tokens" if newer else "max_completion_tokens")
            case "temperature":
                return replace(self, temperature=False)
            case "stream":
                return replace(self, streams=False)
            case "shape":
                return replace(self, mode=None)


def guess(base_url: str) -> Dialect:
    """What to begin with. OpenAI's newer models refuse `max_tokens`; everybody else knows it, and many ignore the other
    word without saying so, which would leave the answer unbounded."""
    return Dialect(limit="max_tokens" if base_url else "max_completion_tokens")


def arguments(prompt: Prompt, dialect: Dialect, temperature: float | None) -> dict[str, Any]:
    """Keyword arguments of `chat.completions.create`, all but the model and whether to stream."""
    mode: Mode = dialect.mode or "plain"
    messages = [{"role": message.role, "content": message.text} for message in prompt.messages]
    asked: dict[str, Any] = {"messages": messages, dialect.limit: prompt.max_tokens}
    if temperature is not None and dialect.temperature:
        asked["temperature"] = temperature
    if prompt.shape is None:
        return asked
    match mode:
        case "json_schema":
            # Strict would forbid schemas with optional properties, and most of the keywords that ours have.
            named = {"name": prompt.name, "schema": prompt.shape, "strict": False}
            asked["response_format"] = {"type": "json_schema", "json_schema": named}
        case "json_object_schema":
            asked["response_format"] = {"type": "json_object", "schema": prompt.shape}
        case "json_object":
            asked["response_format"] = {"type": "json_object"}
        case "tool":
            asked["tools"] = [{"type": "function", "function": _function(prompt.shape)}]
            asked["tool_choice"] = {"type": "function", "function": {"name": TOOL}}
    if mode in ("json_object", "plain"):
        messages[-1]["content"] += in_words(prompt.outline or prompt.shape)
    return asked


def size(prompt: Prompt) -> int:
    """Tokens that the question has at most, as estimated, whichever way its shape is demanded."""
    shape = in_words(prompt.shape) if prompt.shape is not None else ""
    # Every message is wrapped in a few tokens that say whose it is.
    return sum(estimate(message.text) + 8 for message in prompt.messages) + estimate(shape)


def in_words(shape: dict[str, Any]) -> str:
    """What is added to the last message where nothing enforces the shape. OpenAI also wants the word JSON to be there
    before it takes `json_object`."""
    schema = json.dumps(shape, ensure_ascii=False, separators=(",", ":"))
    return f"\n\nAnswer with one JSON object and nothing else. It must satisfy this JSON Schema:\n{schema}"


def _function(shape: dict[str, Any]) -> dict[str, Any]:
    return {"name": TOOL, "description": "Gives the answer. It is the only way to answer.", "parameters": shape}
