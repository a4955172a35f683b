"""What did the operator configure about language models: who is asked, where, and for how much?

The sections `planner`, `interpreter`, `providers` and `budgets` of the settings. Names follow the original's, so that
its files need few changes. Which endpoints follow from them is said in `providers`.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from orchestrald.core.model import Seconds


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Asked(Section):
    """Who is asked, as it may stand in `planner` and in `interpreter`.

    `model_profile` names one of `providers.models`, else `backend` and `model` say it, else the defaults. The
    temperature is kept within what the profile allows. `fallbacks` are names of profiles or backends, asked in this
    order when the first does not answer.
    """

    backend: str | None = None
    model_profile: str | None = None
    model: str | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    fallbacks: tuple[str, ...] = ()


class Planner(Asked):
    """`max_history` is how many messages of a thread the planner is told, `max_repairs` how often a model is told what
    is wrong with its plan. For one intent it is asked at most `max_rounds` times, for `max_time` (waiting for people
    does not count), and plans at most `max_steps`. Of more than `max_actions` actions a choice is shown to it."""

    mode: Literal["auto", "llm", "deterministic"] = "auto"
    max_history: int = Field(20, ge=0, le=1000)
    max_repairs: int = Field(2, ge=0, le=10)
    max_rounds: int = Field(6, ge=1, le=1000)
    max_steps: int = Field(200, ge=1, le=20_000)
    max_time: Seconds = 3600.0
    max_actions: int = Field(30, ge=1, le=1000)
    skills: tuple[str, ...] = ()


class Interpreter(Asked):
    mode: Literal["auto", "llm", "rules"] = "auto"


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class Backend(Section):
    """Where models are asked: anything that speaks OpenAI's chat completions. `base_url` missing: OpenAI itself.

    `api_key_env` is the variable that holds the key; missing: none is sent. `max_wait` is the longest pause, of the
    server's or our own choice, before a call is tried again; what asks for more is taken for an outage.
    """

    name: Name
    base_url: str | None = Field(None, pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$")
    api_key_env: str | None = Field(None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    timeout: Seconds = 60.0
    retries: int = Field(2, ge=0, le=10)
    max_wait: Seconds = 30.0


class Prices(Section):
    """US dollars for a million tokens. `cached` missing: as `input`."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached: float | None = Field(None, ge=0)


class TemperaturePolicy(Section):
    temperature_min: float = Field(0, ge=0, le=2)
    temperature_max: float = Field(2, ge=0, le=2)


class ModelProfile(Section):
    """A model of a backend. `window` is how many tokens question and answer may have together. `temperature` missing:
    the endpoint's own. `price` missing: nobody knows what it costs."""

    name: Name
    backend: str | None = None
    model: str
    temperature: float | None = Field(None, ge=0, le=2)
    window: int = Field(32_768, ge=2048, le=100_000_000)
    price: Prices | None = None
    policy: TemperaturePolicy = TemperaturePolicy()


class Providers(Section):
    """`backends` empty: OpenAI, where `OPENAI_API_KEY` or `OPENAI_BASE_URL` is set. `default_model` missing: the only
    one that the backend lists; for OpenAI itself gpt-4o-mini."""

    default_backend: str | None = None
    default_model: str | None = None
    backends: tuple[Backend, ...] = ()
    models: tuple[ModelProfile, ...] = ()


class BudgetLimits(Section):
    """`cost` in US dollars. Missing: without end."""

    tokens: int | None = Field(None, ge=0)
    cost: float | None = Field(None, ge=0)


class Budgets(Section):
    """What may be spent on models: by one interaction, and by all together in any 24 hours."""

    interaction: BudgetLimits = BudgetLimits()
    day: BudgetLimits = BudgetLimits()
