"""Which of several endpoints answers?

They are asked in their order. An outage or a rate limit is waited out a few times, unless the wait is longer than it is
worth; then the next one is asked. A retry asks everything again: what was shown of a broken answer was only shown. But
it may have to be paid: what failed tries may have taken is added to the reply that comes in the end, or to the error.
"""

import logging
import random
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import trio

from orchestrald.errors import ModelMisconfigured, ModelUnavailable, OrchestralError, PromptTooLong
from orchestrald.models.base import Hear, Model, Prompt, Reply
from orchestrald.models.faults import QUOTA
from orchestrald.models.profile import Profile
from orchestrald.models.taken import Taken, taken, tell

log = logging.getLogger("orchestrald.models")

FIRST_PAUSE = 1.0
"""Seconds, the ceiling of the first pause; each further one has twice the ceiling."""


class Backend(Model, Protocol):
    """A model that says how patient one should be with it."""

    @property
    def profile(self) -> Profile: ...


class _Failure(NamedTuple):
    error: OrchestralError
    tries: int
    taken: Taken

    def told(self) -> str:
        times = f" ({self.tries} times)" if self.tries > 1 else ""
        return f"{self.error.message.rstrip('.')}{times}"


class Fallback:
    """A `base.Model` of one or more endpoints. `jitter` draws from [0, 1)."""

    def __init__(self, endpoints: Sequence[Backend], jitter: Callable[[], float] = random.random) -> None:
        if not endpoints:
            raise ValueError("a fallback of no endpoints")
        self._endpoints = tuple(endpoints)
        self._jitter = jitter
        self.name = endpoints[0].name
        self.window = min(endpoint.window for endpoint in endpoints)

    def most(self, prompt: Prompt) -> tuple[int, int | None]:
        """For one request, to whichever of them: not for every try, of which there may be many and hardly ever are."""
        tokens, costs = zip(*(endpoint.most(prompt) for endpoint in self._endpoints), strict=True)
        return max(tokens), None if None in costs else max(costs)

    async def ask(self, prompt: Prompt, hear: Hear | None = None) -> Reply:
        """Raises ModelUnavailable, with every endpoint's reason, or what all of them raise when that is the same."""
        failures: list[_Failure] = []
        before = Taken()
        for endpoint in self._endpoints:
            answer = await self._patiently(endpoint, prompt, hear)
            if isinstance(answer, Reply):
                return before.on(answer)
            before = before.plus(answer.taken)
            if answer.error.data.get("reason") == QUOTA:
                tell(answer.error, before)
                raise answer.error
            failures.append(answer)
            if len(self._endpoints) > 1:
                log.warning("the next model is asked: %s", answer.told())
        error = _summary(failures)
        tell(error, before)
        raise error

    async def _patiently(self, endpoint: Backend, prompt: Prompt, hear: Hear | None) -> Reply | _Failure:
        tries = 0
        before = Taken()
        while True:
            tries += 1
            try:
                return before.on(await endpoint.ask(prompt, hear))
            except (ModelMisconfigured, PromptTooLong) as error:
                return _Failure(error, tries, before.plus(taken(error)))
            except ModelUnavailable as error:
                before = before.plus(taken(error))
                pause = self._pause(tries, error)
                if tries > endpoint.profile.retries or pause > endpoint.profile.max_wait:
                    return _Failure(error, tries, before)
                log.info("%s is asked again in %.1f s: %s", endpoint.name, pause, error)
            await trio.sleep(pause)

    def _pause(self, tries: int, error: ModelUnavailable) -> float:
        """Seconds: what the endpoint asked for, else full jitter below a ceiling that doubles."""
        asked: int | None = error.data.get("retry_after_ms")
        # Past a few hundred doublings the float overflows.
        return asked / 1000 if asked is not None else FIRST_PAUSE * 2 ** min(tries - 1, 60) * self._jitter()


def _summary(failures: list[_Failure]) -> OrchestralError:
    if len(failures) == 1 and failures[0].tries == 1:
        return failures[0].error
    kinds = {type(failure.error) for failure in failures}
    kind = kinds.pop() if len(kinds) == 1 else ModelUnavailable
    hint = failures[0].error.advice if kind is not ModelUnavailable else ""
    waits = [wait for failure in failures if (wait := failure.error.data.get("retry_after_ms")) is not None]
    data = {"retry_after_ms": min(waits)} if waits and kind is ModelUnavailable else {}
    return kind("; ".join(failure.told() for failure in failures) + ".", hint=hint, data=data)
