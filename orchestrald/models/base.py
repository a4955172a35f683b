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

MOST_COUNTED = 2**53
"""Of tokens, and of micro-dollars. An endpoint may count what it likes: a greater number could not be written down."""

_DIGITS = b"0123456789"
_ASCII = bytes(range(128))


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
        return min(self.input + self.output, MOST_COUNTED)

    def __add__(self, other: object) -> "Tokens":
        if not isinstance(other, Tokens):
            return NotImplemented
        return Tokens(*(min(one + more, MOST_COUNTED) for one, more in zip(self, other, strict=True)))


class Price(NamedTuple):
    """US dollars for a million tokens."""

    input: float
    output: float
    cached: float | None = None

    def of(self, tokens: Tokens) -> int:
        """In micro-dollars, rounded up."""
        cached = self.input if self.cached is None else self.cached
        exact = (tokens.input - tokens.cached) * self.input + tokens.cached * cached + tokens.output * self.output
        return min(-int(-exact // 1), MOST_COUNTED)


class Reply(NamedTuple):
    """An answer. `text` is as it came: it need not have the shape that was asked for, and may be empty.

    `finish` is `length` when it was cut off, `refused` when the model declined (then `text` is its words). `backend`
    and `model` are who answered, in the endpoint's own words; `mode` how the shape was asked for. `cost` in
    micro-dollars, of whatever has a price; missing when nothing has. `tokens` are the endpoint's own count, or an
    estimate where it gives none. Both include, as `input`, what failed tries may have taken before this answer came.
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
        """Tokens and micro-dollars to set aside, as estimated; no money when no price is known.

        It is the most for one request, and for finding out how to ask where nobody knows yet. A question may take
        several requests when some fail, and what these may have taken is only known afterwards: it is in the reply, or
        in the error.
        """
        ...

    async def ask(self, prompt: Prompt, hear: Hear | None = None) -> Reply:
        """Raises ModelUnavailable (try again later), ModelMisconfigured (never without a person), PromptTooLong.

        `data["spent"]` of the error is what may have been paid all the same, see `models.taken`.
        """
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
    """Tokens that the text has, roughly, and for most texts rather too many.

    Three bytes of ASCII are taken for one, but each digit for one of its own, as many tokenizers have it; of everything
    else two bytes. A script that a tokenizer has hardly seen, which it takes byte by byte, may have twice as many.
    """
    data = text.encode("utf-8", "replace")
    plain = len(data.translate(None, _DIGITS))
    foreign = 0 if text.isascii() else len(data.translate(None, _ASCII))
    return len(data) - plain + (plain - foreign + 2) // 3 + (foreign + 1) // 2


def storable(text: str) -> str:
    """The text with a question mark for each half of a surrogate pair, which UTF-8 has no form for."""
    return text.encode("utf-8", "replace").decode()
