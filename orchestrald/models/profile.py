"""What is configured about one endpoint?"""

from dataclasses import dataclass, field, fields
from urllib.parse import urlsplit, urlunsplit

from orchestrald.models.base import Price, storable

OPENAI = "https://api.openai.com/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One model at one address.

    `backend` is its name in the configuration. An empty `model` means the only one that the endpoint lists, an empty
    `base_url` OpenAI's, an empty `api_key` that none is needed. `api_key_env` is where the key came from: it is told to
    people, never read here. `timeout` and `max_wait` in seconds; `max_wait` is the longest pause that is worth waiting
    for before the next endpoint is tried. No `temperature`: none is sent. `window` in tokens, question and answer
    together. No `price`: it is unknown, which is not the same as nothing.
    """

    backend: str
    model: str = ""
    base_url: str = ""
    api_key: str = field(default="", repr=False)
    api_key_env: str = ""
    timeout: float = 60
    temperature: float | None = None
    window: int = 32_768
    price: Price | None = None
    retries: int = 2
    max_wait: float = 30

    def __post_init__(self) -> None:
        # Each of them becomes a part of messages, which are written down.
        for each in fields(self):
            if isinstance(value := getattr(self, each.name), str):
                object.__setattr__(self, each.name, storable(value))

    @property
    def name(self) -> str:
        return f"{self.backend}/{self.model}" if self.model else self.backend

    @property
    def address(self) -> str:
        return self.base_url or OPENAI

    @property
    def shown_address(self) -> str:
        """The address without a user, a password or a query, any of which may be a secret."""
        parts = urlsplit(self.address)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
