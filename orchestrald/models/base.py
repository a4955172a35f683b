"""What is asked of a language model, and what comes back?

The seam between whoever asks (`planner.llm`, `interpreter.llm`) and whatever answers (`endpoint`, behind `fallback`).
`Calls` is the engine's: every call goes through it, so that it is paid from a budget, written down, and not made a
second time after a restart.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol

Hear = Callable[[str], None]
"""Gets the pieces of an answer as they come, to show them. Display only: what counts is the `Reply`."""

Finish = Literal["stop", "length", "refused"]


class Message(NamedTuple):
    role: Literal["system", "user", "assistant"]
    text: str


class Prompt(NamedTuple):
    """What is asked. `shape` is the JSON Schema that the answer shall satisfy; missing means plain words.

    `outline` is a shorter schema, to be read by the model where nothing enforces the shape and it takes up room;
    missing: the shape itself. `name` is what the shape is called where an endpoint wants a name. `max_tokens` bounds
    the answer.
    """

    messages: tuple[Message, ...]
    shape: dict[str, Any] | None = None
    name: str = "reply"
    max_tokens: int = 4096
    outline: dict[str, Any] | None = None


class Tokens(NamedTuple):
    """`input` includes `cached`, what the endpoint had read before; `output` includes what it thought."""

    input: int = 0
    cached: int = 0
    output: int = 0

    @property
    def total(self) -> int:
        return self.input + self.output

    def __add__(self, other: object) -> "Tokens":
        if not isinstance(other, Tokens):
            return NotImplemented
        return Tokens(self.input + other.input, self.cached + other.cached, self.output + other.output)


class Price(NamedTuple):
    """US dollars for a million tokens."""

    input: float
    output: float
    cached: float | None = None

    def of(self, tokens: Tokens) -> int:
        """In micro-dollars, rounded up."""
        cached = self.input if self.cached is None else self.cached
        exact = (tokens.input - tokens.cached) * self.input + tokens.cached * cached + tokens.output * self.output
        return -int(-exact // 1)


class Reply(NamedTuple):
    """An answer. `text` is as it came: it need not have the shape that was asked for, and may be empty.

    `finish` is `length` when it was cut off, `refused` when the model declined (then `text` is its words). `backend`
    and `model` are who answered, in the endpoint's own words; `mode` how the shape was asked for. `cost` in
    micro-dollars; missing when no price is known. `tokens` are the endpoint's own count, or an estimate where it gives
    none.
    """

    text: str
    tokens: Tokens
    finish: Finish = "stop"
    backend: str = ""
    model: str = ""
    mode: str = ""
    cost: int | None = None
    ms: int = 0


class Model(Protocol):
    """Something that can be asked. `name` is for people, `window` how many tokens fit into question and answer."""

    name: str
    window: int

    def most(self, prompt: Prompt) -> tuple[int, int | None]:
        """Tokens and micro-dollars that the call can cost at most, as estimated; no money when no price is known."""
        ...

    async def ask(self, prompt: Prompt, hear: Hear | None = None) -> Reply:
        """Raises ModelUnavailable (try again later), ModelMisconfigured (never without a person), PromptTooLong."""
        ...


class Calls(Protocol):
    """The model calls of one planning round, or of one explanation."""

    async def ask(self, purpose: str, model: Model, prompt: Prompt, hear: Hear | None = None) -> Reply:
        """As `Model.ask`, once: the answer that is already written down, if this call was finished before a restart.

        The order of the calls is what identifies them, so it must not depend on anything but earlier answers.
        Raises what `Model.ask` raises, and BudgetExhausted before anything is spent.
        """
        ...


def estimate(text: str) -> int:
    """Tokens that the text has, roughly and rather too many: every tokenizer in use does better than 3 bytes each."""
    return (len(text.encode("utf-8", "replace")) + 2) // 3
