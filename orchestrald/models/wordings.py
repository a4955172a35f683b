"""In which words do endpoints say the few things that we must understand?

The API has no codes that everybody uses: the same fault is a `code` at OpenAI, a `type` at llama.cpp and a sentence at
most others. Every pattern here was taken from what a server really says; the tests hold those sentences. The server may
mean harm, too: no pattern looks at the same run of characters from two places.
"""

import re

from orchestrald.models.dialect import Trait

_UNPAID = re.compile(
    r"insufficient_quota|exceeded your current quota|insufficient (balance|credits?)|billing_hard", re.I
)

_TOO_LONG = re.compile(
    r"""
      context_length_exceeded | exceed_context_size          # OpenAI and many who copied it; llama.cpp
    | maximum\scontext\slength                               # OpenAI, vLLM, TGI, OpenRouter
    | exceeds?\s(the\s)?(available\s|model's\s|maximum\s)*(context|input)\s(size|length|window|limit)   # llama.cpp
    | exceed\scontext\swindow                                # llama-cpp-python
    | longer\sthan\sthe\s(maximum\s)?(model|context)\slength # vLLM
    | max_(completion_)?tokens\smust\sbe\sat\sleast\s1,\sgot\s-   # vLLM, when the prompt alone is too long
    | (prompt|input)\sis\stoo\slong | reduce\sthe\slength\sof\sthe\s(messages|prompt|input)
    | context\sthe\soverflows | greater\sthan\sthe\scontext\slength      # LM Studio
    """,
    re.IGNORECASE | re.VERBOSE,
)

_UNKNOWN_MODEL = re.compile(
    r"""
      model_not_found | model_not_exist
    | (no\ssuch|unknown|invalid|not\sa\svalid)\smodel
    """,
    re.IGNORECASE | re.VERBOSE,
)

_MISSING = re.compile(r"(?P<model>model\W)|(?P<missing>does\snot\sexist|not\sfound|not\sexist)|\n", re.IGNORECASE)
_NEAR = 200
"""Characters between a model and that it is missing, in one line."""

_NOT_TAKEN = re.compile(
    r"unsupported|not support|unrecogni[sz]ed|unknown|not permitted|extra|unexpected|not allowed|instead|deprecated",
    re.I,
)

_NAMED: tuple[tuple[Trait, re.Pattern[str], bool], ...] = (
    # The bool: the text must also say that it is not taken at all, for "max_tokens is too large" names it as well.
    ("limit", re.compile(r"\bmax_(completion_)?tokens\b"), True),
    ("temperature", re.compile(r"\btemperature\b"), False),
    ("stream", re.compile(r"\bstream(_options|ing)?\b", re.I), True),
    (
        "shape",
        re.compile(
            r"response_format|json_schema|json_object|tool_choice|\btools?\b|\bfunction.?call|grammar|guided|schema"
            r"|structured output|json mode",
            re.I,
        ),
        False,
    ),
)


def unpaid(text: str, code: str) -> bool:
    """Whether only money helps. `code` is whatever the endpoint gives beside the text."""
    return bool(_UNPAID.search(code) or _UNPAID.search(text))


def too_long(text: str, code: str) -> bool:
    return bool(_TOO_LONG.search(code) or _TOO_LONG.search(text))


def unknown_model(text: str, code: str) -> bool:
    return bool(_UNKNOWN_MODEL.search(code) or _UNKNOWN_MODEL.search(text)) or _says_missing(text)


def _says_missing(text: str) -> bool:
    named: int | None = None
    for found in _MISSING.finditer(text):
        if found["model"]:
            named = found.end()
        elif not found["missing"]:
            named = None
        elif named is not None and found.start() - named <= _NEAR:
            return True
    return False


def declined(text: str, param: str) -> Trait | None:
    """Which trait of the request is named as the reason; `param` is the endpoint's word for it and wins."""
    for place in (param, text):
        for trait, name, must_say in _NAMED:
            if name.search(place) and (not must_say or _NOT_TAKEN.search(text)):
                return trait
    return None
