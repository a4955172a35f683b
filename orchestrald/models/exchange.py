"""What happens in one request?

Rules of this file: one request of ours is one request on the wire; it ends within the profile's timeout whatever the
endpoint does; what comes back is either an answer or one of the exceptions of `faults`; what either may be paid is
written on one bill.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import trio

from orchestrald.errors import ModelMisconfigured
from orchestrald.models.base import Hear, Prompt, Tokens, estimate
from orchestrald.models.body import MAX_ERROR, events, whole
from orchestrald.models.dialect import Dialect, arguments, size
from orchestrald.models.faults import shortened, translating
from orchestrald.models.profile import Profile
from orchestrald.models.reading import Answer, Gathered, NotAnAnswer, read_completion, word

if TYPE_CHECKING:
    from openai import AsyncOpenAI

SHOWN_MODELS = 20


class Exchange:
    """Requests over one connection. `bill`: what they took, and may have taken where they failed."""

    def __init__(self, client: "AsyncOpenAI", profile: Profile, redact: Callable[[str], str]) -> None:
        self._client = client
        self._profile = profile
        self._redact = redact
        self.bill = Tokens()

    async def only_model(self) -> str:
        """The one model that the endpoint lists. Raises ModelMisconfigured where it lists several or none."""
        with translating(self._profile, self._redact, lambda: None), trio.fail_after(self._profile.timeout):
            async with self._client.models.with_streaming_response.list() as response:
                listed = await whole(response)
            if not isinstance(listed, Mapping) or not isinstance(listed.get("data"), list):
                raise NotAnAnswer("something that is no list of models")
        names = [name for item in listed["data"] if isinstance(item, Mapping) and (name := word(item.get("id")))]
        if len(names) == 1:
            return names[0]
        shown = ", ".join(shortened(self._redact(name[:MAX_ERROR])) for name in sorted(names)[:SHOWN_MODELS])
        others = " and others" if len(names) > SHOWN_MODELS else ""
        has = f"lists several models: {shown}{others}" if names else "lists no model"
        raise ModelMisconfigured(
            f"{self._profile.backend} {has}.",
            hint=f"Name one as `model` of the backend {self._profile.backend}.",
        )

    async def ask(self, model: str, prompt: Prompt, dialect: Dialect, hear: Hear | None = None) -> Answer:
        """Raises what `faults.translating` raises."""
        gathered = Gathered()

        def paid() -> None:
            taken = counted(prompt, gathered.answer())
            self.bill += taken._replace(output=max(taken.output, gathered.heard))

        asked = {"model": model, **arguments(prompt, dialect, self._profile.temperature)}
        if hear is not None and dialect.streams:
            asked |= {"stream": True, "stream_options": {"include_usage": True}}
        create: Any = self._client.chat.completions.with_streaming_response.create
        with translating(self._profile, self._redact, paid), trio.fail_after(self._profile.timeout):
            async with create(**asked) as response:
                # An endpoint that does not stream says so by not doing it.
                if is_stream := "event-stream" in response.headers.get("content-type", ""):
                    answer = await _streamed(response, gathered, hear)
                else:
                    answer = read_completion(await whole(response))
        self.bill += counted(prompt, answer)
        if hear is not None and not is_stream:
            hear(answer.text)
        return answer


def counted(prompt: Prompt, answer: Answer) -> Tokens:
    """The endpoint's count, or an estimate."""
    if answer.tokens is not None:
        return answer.tokens
    return Tokens(size(prompt), 0, estimate(answer.text))


async def _streamed(response: Any, gathered: Gathered, hear: Hear | None) -> Answer:
    def heed(event: Any) -> bool:
        piece = gathered.add(event)
        if piece and hear is not None:
            hear(piece)
        return not gathered.full

    await events(response, heed)
    if not gathered.ended and not gathered.full:
        raise NotAnAnswer("a stream that was cut off" if gathered.begun else "a stream without an answer")
    return gathered.answer()
