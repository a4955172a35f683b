"""A model that answers what a test wants, at the seam where a real one answers over HTTP.

An answer is a text, an object (sent as JSON), a whole `Reply`, or an error to raise. Answers come from a list, in their
order, or from a function of the prompt. Every prompt is kept.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any

from orchestrald.errors import OrchestralError
from orchestrald.models.base import Calls, Hear, Model, Prompt, Reply, Tokens, estimate

Answer = str | dict[str, Any] | Reply | OrchestralError


class ScriptedModel:
    """`models.base.Model`. Asked more often than it has answers, it fails the test."""

    def __init__(
        self, answers: Iterable[Answer] | Callable[[Prompt], Answer], *, window: int = 32_000, name: str = "scripted"
    ) -> None:
        self.name = name
        self.window = window
        self.prompts: list[Prompt] = []
        self._next = answers if callable(answers) else _in_order(list(answers))

    def most(self, prompt: Prompt) -> tuple[int, int | None]:
        return size(prompt), None

    async def ask(self, prompt: Prompt, hear: Hear | None = None) -> Reply:
        self.prompts.append(prompt)
        answer = self._next(prompt)
        if isinstance(answer, OrchestralError):
            raise answer
        reply = answer if isinstance(answer, Reply) else _reply(answer, prompt, self.name)
        if hear is not None:
            hear(reply.text)
        return reply


class ScriptedCalls(Calls):
    """`models.base.Calls` without a journal: asks the model, and keeps what each call was for and what was answered.

    `answered` are replies that are written down already, as after a restart: those calls do not reach the model.
    """

    def __init__(self, answered: Iterable[Reply] = ()) -> None:
        self.purposes: list[str] = []
        self.replies: list[Reply] = []
        self._answered = list(answered)

    async def ask(self, purpose: str, model: Model, prompt: Prompt, hear: Hear | None = None) -> Reply:
        self.purposes.append(purpose)
        reply = self._answered.pop(0) if self._answered else await model.ask(prompt, hear)
        self.replies.append(reply)
        return reply


def size(prompt: Prompt) -> int:
    """Tokens that a prompt and its answer take at most: messages, the shape in words, and the room for the answer."""
    told = prompt.outline or prompt.shape
    shape = estimate(json.dumps(told, ensure_ascii=False, separators=(",", ":"))) if told else 0
    return sum(estimate(message.text) for message in prompt.messages) + shape + prompt.max_tokens


def _in_order(answers: list[Answer]) -> Callable[[Prompt], Answer]:
    def following(prompt: Prompt) -> Answer:
        assert answers, f"nobody expected to be asked this:\n{prompt.messages[-1].text}"
        return answers.pop(0)

    return following


def _reply(answer: str | dict[str, Any], prompt: Prompt, name: str) -> Reply:
    text = answer if isinstance(answer, str) else json.dumps(answer)
    read = sum(estimate(message.text) for message in prompt.messages)
    return Reply(text, Tokens(input=read, output=estimate(text)), backend="script", model=name)
