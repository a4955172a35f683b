"""How is one endpoint asked?

Rules of this file:

- A question is one request, plus those that find out how this endpoint wants to be asked: once, kept in `known`.
- What was learnt may become wrong: the endpoint declines it, or its answers are no JSON twice in a row. Then it is
  forgotten, and found out again at most once in a question. From there it only gets weaker, so it ends.
- Trying again after an outage is not done here: `fallback` does that.
"""

import logging

import trio

from orchestrald.core.redaction import Redaction
from orchestrald.errors import BadAnswer, ModelMisconfigured, OrchestralError
from orchestrald.models.base import Hear, Prompt, Reply, Tokens
from orchestrald.models.connection import connect
from orchestrald.models.dialect import MODES, Dialect, Mode, Trait, guess, size
from orchestrald.models.exchange import Exchange
from orchestrald.models.extract import read_object
from orchestrald.models.faults import Declined
from orchestrald.models.known import Known
from orchestrald.models.probe import MOST, strongest
from orchestrald.models.profile import Profile
from orchestrald.models.reading import Answer
from orchestrald.models.taken import Taken, tell

log = logging.getLogger("orchestrald.models")

STRAYS = 2
"""Answers in a row without JSON, in a mode that should enforce it, after which the mode is not believed any more."""


class Endpoint:
    """A `base.Model`. Its own key is hidden in every error, whether or not `redact` knows it."""

    def __init__(self, profile: Profile, known: Known, redact: Redaction) -> None:
        self.profile = profile
        self.name = profile.name
        self.window = profile.window
        self._known = known
        hide = Redaction([profile.api_key])
        self._redact = lambda text: redact(hide(text))
        self._listed = ""
        self._strays = 0

    def most(self, prompt: Prompt) -> tuple[int, int | None]:
        tokens = Tokens(size(prompt), 0, prompt.max_tokens)
        if prompt.shape is not None and self._spoken(self.profile.model or self._listed).mode is None:
            tokens += MOST
        return tokens.total, self._cost(tokens)

    async def ask(self, prompt: Prompt, hear: Hear | None = None) -> Reply:
        """`tokens` include what it took to find out how to ask; so does `data["spent"]` of an error."""
        started = trio.current_time()
        async with connect(self.profile) as client:
            exchange = Exchange(client, self.profile, self._redact)
            try:
                model = self._listed = self.profile.model or self._listed or await exchange.only_model()
                dialect, answer = await self._answered(exchange, model, prompt, hear)
            except Declined as no:
                raise self._billed(no.error, exchange.bill) from None
            except OrchestralError as error:
                if isinstance(error, ModelMisconfigured):
                    # A local server that was started with another model lists another.
                    self._listed = ""
                self._billed(error, exchange.bill)
                raise
        return Reply(
            answer.text,
            exchange.bill,
            answer.finish,
            self.profile.backend,
            answer.model or model,
            (dialect.mode or "plain") if prompt.shape is not None else "plain",
            self._cost(exchange.bill),
            round((trio.current_time() - started) * 1000),
        )

    async def _answered(
        self, exchange: Exchange, model: str, prompt: Prompt, hear: Hear | None
    ) -> tuple[Dialect, Answer]:
        begun = dialect = self._spoken(model)
        modes = MODES
        declined: set[Trait] = set()
        while True:
            if prompt.shape is not None and dialect.mode is None:
                dialect = await self._found_out(exchange, model, dialect, modes)
                declined.add("shape")
            try:
                answer = await exchange.ask(model, prompt, dialect, hear)
            except Declined as no:
                if no.trait == "shape" and dialect.mode not in (None, "plain"):
                    log.info("%s does not take %s any more: %s", self.name, dialect.mode, no)
                    self._known.forget(self.profile, model)
                    if "shape" in declined:
                        # It takes the mode, but not for this schema: finding out again would find the same.
                        modes = MODES[MODES.index(dialect.mode) + 1 :]
                elif no.trait in (None, "shape") or no.trait in declined:
                    raise
                declined.add(no.trait)
                dialect = dialect.without(no.trait)
                continue
            if dialect != begun:
                # Only then: another question may have learnt more meanwhile.
                self._known.remember(self.profile, model, dialect)
            if prompt.shape is not None and answer.finish == "stop":
                self._heed(model, dialect, answer)
            return dialect, answer

    def _spoken(self, model: str) -> Dialect:
        return self._known.get(self.profile, model) or guess(self.profile.base_url)

    async def _found_out(self, exchange: Exchange, model: str, dialect: Dialect, modes: tuple[Mode, ...]) -> Dialect:
        dialect = await strongest(exchange, model, dialect, modes)
        if dialect.mode != "plain":
            # That nothing worked may be an outage: it is believed once plain words have been answered.
            self._known.remember(self.profile, model, dialect)
        return dialect

    def _heed(self, model: str, dialect: Dialect, answer: Answer) -> None:
        if dialect.mode == "plain":
            return
        try:
            read_object(answer.text)
            self._strays = 0
        except BadAnswer as error:
            self._strays += 1
            if self._strays == STRAYS:
                log.info("%s takes %s, and answers without it: %s", self.name, dialect.mode, error)
                self._known.forget(self.profile, model)
                self._strays = 0

    def _billed(self, error: OrchestralError, bill: Tokens) -> OrchestralError:
        tell(error, Taken(bill.total, self._cost(bill)))
        return error

    def _cost(self, tokens: Tokens) -> int | None:
        return None if self.profile.price is None else self.profile.price.of(tokens)
