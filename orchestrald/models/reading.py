"""What does an endpoint's answer say?

Pure. Everything is optional: endpoints leave out what they like, and put null or an empty list where others put
nothing. What must be there is a list of choices; without it the JSON is no answer, and NotAnAnswer says so.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from orchestrald.models.base import MOST_COUNTED, Finish, Tokens, estimate, storable

MAX_TEXT = 256 * 1024
"""Bytes of an answer that are kept. The longest plan that we take is far shorter."""

MAX_NAME = 200
"""Characters of a model's name."""


class NotAnAnswer(ValueError):
    """What came is not a completion; the message says what it is instead."""


class ErrorInside(NotAnAnswer):
    """An error where an answer belongs: with status 200, or in the middle of a stream. `code` is the endpoint's;
    `late`: a part of an answer came before it."""

    def __init__(self, text: str, code: str, late: bool) -> None:
        self.code = code
        self.late = late
        super().__init__(text)


class Answer(NamedTuple):
    """`tokens` is missing where the endpoint did not count. `model` is its own word for who answered."""

    text: str
    finish: Finish
    model: str = ""
    tokens: Tokens | None = None


def read_completion(data: Any) -> Answer:
    """A whole completion. Raises NotAnAnswer."""
    gathered = Gathered()
    gathered.add(data, "message")
    if not gathered.begun:
        raise NotAnAnswer("a completion without a choice")
    return gathered.answer()


class Gathered:
    """An answer that comes in pieces. `begun`: a choice was seen; `ended`: its last piece was; `full`: enough is
    held. `heard`: tokens that were written so far, thoughts included, as estimated: a piece is at least one."""

    def __init__(self) -> None:
        self.begun = self.ended = self.full = False
        self.heard = 0
        self._text: list[str] = []
        self._called: list[str] = []
        self._refused: list[str] = []
        self._held = 0
        self._finish = ""
        self._model = ""
        self._tokens: Tokens | None = None

    def add(self, data: Any, where: str = "delta") -> str:
        """Take a piece in; returns the text in it. Raises NotAnAnswer."""
        choices = data.get("choices") if isinstance(data, Mapping) else None
        if isinstance(data, Mapping) and not choices and (error := data.get("error")):
            raise _inside(error, self.begun)
        if not isinstance(data, Mapping) or not isinstance(choices, list | None):
            raise NotAnAnswer(f"JSON that is no completion: {_shown(data)}")
        self._model = _text(data.get("model"))[:MAX_NAME] or self._model
        self._tokens = _tokens(data.get("usage")) or self._tokens
        if not choices:
            if where == "message" and choices is None:
                raise NotAnAnswer(f"JSON that is no completion: {_shown(data)}")
            return ""
        choice = choices[0] if isinstance(choices[0], Mapping) else {}
        self.begun = True
        self._finish = _text(choice.get("finish_reason")) or self._finish
        self.ended = self.ended or bool(self._finish)
        said = choice.get(where)
        return self._take(said) if isinstance(said, Mapping) else ""

    def _take(self, said: Mapping[str, Any]) -> str:
        called = [part for call in _list(said.get("tool_calls")) if (part := _arguments(call))]
        # Only the first function counts: it was the only one that was offered, and asked for once.
        pieces = ((self._text, _text(said.get("content"))), (self._called, called[0] if called else ""))
        self.heard += estimate(_text(said.get("reasoning_content") or said.get("reasoning")))
        shown = ""
        for kept, piece in ((self._refused, _text(said.get("refusal"))), *pieces):
            if not piece:
                # Nor is it kept: a stream can consist of pieces without anything in them, and never end.
                continue
            self.heard += estimate(piece)
            room = MAX_TEXT - self._held
            fits = piece if len(piece) * 4 <= room else piece.encode()[:room].decode(errors="ignore")
            self.full = self.full or len(fits) < len(piece)
            self._held += len(fits.encode())
            kept.append(fits)
            shown = fits or shown
        return shown

    def answer(self) -> Answer:
        refusal = "".join(self._refused)
        text = refusal or "".join(self._called) or "".join(self._text)
        finish: Finish = "stop"
        if refusal or self._finish == "content_filter":
            finish = "refused"
        elif self.full or self._finish == "length":
            finish = "length"
        return Answer(text, finish, self._model, self._tokens)


def _text(value: Any) -> str:
    """Text, or the text in a list of parts. Half a surrogate pair, which JSON can write, cannot be kept."""
    if isinstance(value, list):
        texts = (part.get("text") for part in value if isinstance(part, Mapping))
        return storable("".join(text for text in texts if isinstance(text, str)))
    return storable(value) if isinstance(value, str) else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _arguments(call: Any) -> str:
    if not isinstance(call, Mapping) or call.get("index") not in (None, 0):
        return ""
    function = call.get("function")
    return _text(function.get("arguments")) if isinstance(function, Mapping) else ""


def _tokens(usage: Any) -> Tokens | None:
    """What was counted; nothing where the count is empty, as several servers send it."""
    if not isinstance(usage, Mapping) or not (read := _count(usage.get("prompt_tokens"))):
        return None
    details = usage.get("prompt_tokens_details")
    cached = _count(details.get("cached_tokens")) if isinstance(details, Mapping) else 0
    cached = cached or _count(usage.get("prompt_cache_hit_tokens"))  # DeepSeek
    # Some count what was thought in the total alone.
    written = max(_count(usage.get("completion_tokens")), _count(usage.get("total_tokens")) - read)
    return Tokens(read, min(cached, read), written)


def _count(value: Any) -> int:
    return min(max(value, 0), MOST_COUNTED) if isinstance(value, int) and not isinstance(value, bool) else 0


def _inside(error: Any, late: bool) -> ErrorInside:
    if not isinstance(error, Mapping):
        return ErrorInside(_text(error), "", late)
    return ErrorInside(_text(error.get("message")), f"{word(error.get('code'))} {word(error.get('type'))}", late)


def word(value: Any) -> str:
    """A text or a number, as one of an error's codes may be either; empty for anything else."""
    return storable(str(value)) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _shown(data: Any) -> str:
    if isinstance(data, Mapping):
        return f"an object with {', '.join(map(storable, list(data)[:5])) or 'nothing'}"
    return f"a {type(data).__name__}"
