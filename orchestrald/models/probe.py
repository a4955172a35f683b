"""Which is the strongest mode that an endpoint really supports?

It is asked a small question whose natural answer would not have the shape. Only an answer that has it shows that the
shape is enforced: llama.cpp, among others, takes `response_format` without a word and ignores it. An outage is no
verdict about a mode, and is raised.
"""

from dataclasses import replace

from orchestrald.core import schema
from orchestrald.errors import BadAnswer
from orchestrald.models.base import Message, Prompt, Tokens
from orchestrald.models.dialect import MODES, Dialect, Mode, size
from orchestrald.models.exchange import Exchange
from orchestrald.models.extract import read_object
from orchestrald.models.faults import Declined
from orchestrald.models.reading import Answer

PROBE = Prompt(
    (Message("user", "Say hello in one short sentence."),),
    shape={
        "type": "object",
        "properties": {"word": {"type": "string", "enum": ["okapi", "quoll", "axolotl"]}},
        "required": ["word"],
        "additionalProperties": False,
    },
    name="probe",
    # A model that thinks first must be able to finish: cut off, the mode would look as if it were not supported.
    max_tokens=1024,
)

MOST = Tokens((len(MODES) - 1) * size(PROBE), 0, (len(MODES) - 1) * PROBE.max_tokens)
"""What finding out can cost at most, as estimated."""


async def strongest(exchange: Exchange, model: str, dialect: Dialect, modes: tuple[Mode, ...]) -> Dialect:
    """The dialect with the first of the modes that works. Plain words always work.

    Raises ModelUnavailable, and ModelMisconfigured where no request at all would go through.
    """
    for mode in modes:
        dialect = replace(dialect, mode=mode)
        if mode == "plain":
            break
        dialect, answer = await _tried(exchange, model, dialect)
        if answer is not None and _conforms(answer):
            break
    return dialect


async def _tried(exchange: Exchange, model: str, dialect: Dialect) -> tuple[Dialect, Answer | None]:
    declined: set[str] = set()
    while True:
        try:
            return dialect, await exchange.ask(model, PROBE, dialect)
        except Declined as no:
            if no.trait not in ("limit", "temperature") or no.trait in declined:
                return dialect, None
            declined.add(no.trait)
            dialect = dialect.without(no.trait)


def _conforms(answer: Answer) -> bool:
    try:
        return answer.finish == "stop" and not schema.errors(PROBE.shape or {}, read_object(answer.text))
    except BadAnswer:
        return False
