"""What in a text is a secret, and must not be shown, logged, sent to a model or exported?

The one place: values that are known to be secrets, wherever they turn up and however they are written there, and words
that look like a credential, whoever wrote them. Data that is stored for its own sake (a step's output, a reference) is
not changed.

Rules of this file:

- Whoever wrote the text may mean harm: no pattern looks at the same run of characters from two places, so the time
  grows with the length alone. Each begins with a literal, which is what makes looking for it cheap.
- What is hidden is found in the text as it came, and hidden in one go: where two secrets overlap, nothing is left of
  either.
- A text is redacted before it is cut. Half a secret is not recognized as one.
"""

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

HIDDEN = "[redacted]"

SHORTEST = 8
"""Characters. A shorter secret would turn ordinary words into riddles, and hides little."""

LONGEST_KEY = 100
"""Characters of a key that is looked at for what it says of its value."""

_Span = tuple[int, int]


class Redaction:
    """`redact(text)`."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {secret.strip() for secret in secrets}
        self._known = sorted({form for secret in known if len(secret) >= SHORTEST for form in _written(secret)})

    def __call__(self, text: str) -> str:
        spans = sorted([*self._values(text), *_looks(text)])
        if not spans:
            return text
        kept, end = [], 0
        for start, stop in spans:
            if start >= end:
                kept += [text[end:start], HIDDEN]
            end = max(end, stop)
        return "".join([*kept, text[end:]])

    def _values(self, text: str) -> Iterator[_Span]:
        for value in self._known:
            at = text.find(value)
            while at >= 0:
                yield at, at + len(value)
                at = text.find(value, at + len(value))

    def deep(self, value: Any) -> Any:
        """The same for every text in a JSON value, keys included, and for texts whose key says that they are secret."""
        if isinstance(value, str):
            return self(value)
        if isinstance(value, Mapping):
            return {self(str(key)): self._under(str(key), item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.deep(item) for item in value]
        return value

    def _under(self, key: str, value: Any) -> Any:
        secret = len(key) <= LONGEST_KEY and _SECRET_KEY.fullmatch(key)
        if secret and isinstance(value, str) and len(value) >= SHORTEST and not value.startswith(_REFERENCES):
            return HIDDEN
        return self.deep(value)


# --- known values -----------------------------------------------------------------------------------------------------


def _written(secret: str) -> Iterator[str]:
    """The value as it stands, in an address, in JSON, and within base64 wherever it begins there."""
    yield secret
    for escaped in (quote(secret, safe=""), quote_plus(secret)):
        yield escaped
        yield re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), escaped)
    for ascii_only in (True, False):
        yield json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
    data = secret.encode("utf-8", "surrogatepass")
    for before in range(3):
        # Of what stands beside the secret the first and the last character know something: those are left out.
        first, last = -(-before * 8 // 6), (before + len(data)) * 8 // 6
        inside = b64encode(bytes(before) + data).decode()[first:last]
        yield inside
        yield inside.translate(_URL_SAFE)


_URL_SAFE = str.maketrans("+/", "-_")


# --- what looks like a credential -------------------------------------------------------------------------------------

_BEGINS = r"(?:(?<![A-Za-z0-9]{0})|(?<=\\[nrt]{0})|(?<=%[0-9A-Fa-f][0-9A-Fa-f]{0}))"
"""Nothing but the literal itself may stand before it in a word; an escaped line feed or `=` is no word."""


def _token(literal: str, rest: str, before: str = "") -> tuple[str, re.Pattern[str]]:
    """`before` are characters besides letters and digits that it does not follow: those that `rest` has without end."""
    begins = _BEGINS.replace("{0}", re.escape(literal)).replace("A-Za-z0-9]", f"A-Za-z0-9{before}]", 1)
    return literal, re.compile(re.escape(literal) + begins + rest)


_TOKENS = (
    _token("sk-", r"[A-Za-z0-9_-]{20,}+"),  # OpenAI, Anthropic, OpenRouter, DeepSeek
    _token("sk_live_", r"[A-Za-z0-9]{16,}+"),  # Stripe
    _token("gsk_", r"[A-Za-z0-9]{30,}+"),  # Groq
    _token("xai-", r"[A-Za-z0-9]{30,}+"),  # xAI
    _token("pplx-", r"[A-Za-z0-9]{30,}+"),  # Perplexity
    _token("nvapi-", r"[A-Za-z0-9_-]{30,}+"),  # NVIDIA
    _token("hf_", r"[A-Za-z0-9]{30,}+"),  # Hugging Face
    _token("AIza", r"[A-Za-z0-9_-]{35}"),  # Google
    _token("gh", r"[pousr]_[A-Za-z0-9]{30,}+"),  # GitHub
    _token("github_pat_", r"[A-Za-z0-9_]{30,}+"),
    _token("glpat-", r"[A-Za-z0-9_-]{20,}+"),  # GitLab
    _token("xox", r"[a-z]-[A-Za-z0-9-]{10,}+"),  # Slack
    _token("AKIA", r"[0-9A-Z]{16}(?![A-Za-z0-9])"),  # AWS
    _token("ASIA", r"[0-9A-Z]{16}(?![A-Za-z0-9])"),
    # JSON Web Token
    _token("eyJ", r"[A-Za-z0-9_-]{10,}+\.eyJ[A-Za-z0-9_-]{10,}+\.[A-Za-z0-9_-]*+", before="_.-"),
    (
        "-----BEGIN ",
        re.compile(
            r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,4}PRIVATE KEY(?: BLOCK)?-----"
            r"[^-]*+(?:-(?!----END )[^-]*+)*+(?:-----END [A-Z0-9 ]{0,60}-----)?"
        ),
    ),
    ("://", re.compile(r"://(?P<hidden>[^\s/:@]*+:[^\s/@]++)@")),  # user:password@ in an address
)

_REFERENCES = ("{{", "$")
"""What a value begins with that only says where the secret is."""

_SAYS = (
    r"""\\{0,2}["']?[ ]?[:=][ ]?\\{0,2}["']?(?:(?:bearer|basic|token)[ ]+)?"""
    r"""(?P<hidden>(?!\{\{|\$)[^\s"'\\,;&<>]{8,}+)"""
)
"""From a name to its value: as in JSON, in JSON within JSON, in Python, in a header, a file of settings, an address."""

_NAMES = {
    "authorization": "authorization",
    "passw": "passw(?:or)?d",
    "secret": "secret(?:[_-]?(?:access[_-]?)?key)?",
    "api": "api[_-]?key",
    "access": "access[_-]?(?:key|token)",
    "refresh": "refresh[_-]?token",
    "private": "private[_-]?key",
}
"""By what they begin with. Not `token` alone: lists that come page by page name their next page so."""

_NAMED = (
    ("bearer ", re.compile(r"bearer (?P<hidden>[a-z0-9._~+/=-]{20,}+)")),
    *((literal, re.compile(name + _SAYS)) for literal, name in _NAMES.items()),
)
"""Looked for in the text in lower case."""

_SECRET_KEY = re.compile(rf".*(?:{'|'.join(_NAMES.values())})", re.IGNORECASE | re.DOTALL)


def _looks(text: str) -> Iterator[_Span]:
    for literal, pattern in _TOKENS:
        if literal in text:
            yield from _found(pattern, text)
    # The one letter whose lower case is longer than itself would move all that follows.
    lower = text.replace("\u0130", "i").lower()
    for literal, pattern in _NAMED:
        if literal in lower:
            yield from _found(pattern, lower)


def _found(pattern: re.Pattern[str], text: str) -> Iterator[_Span]:
    group = "hidden" if "hidden" in pattern.groupindex else 0
    return (match.span(group) for match in pattern.finditer(text))
