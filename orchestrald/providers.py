"""Which models are asked, in which order, according to the settings and the environment?

Rules of this file:

- Nothing is configured and nothing is set: nobody is asked. `OPENAI_API_KEY`, or `OPENAI_BASE_URL` for a server of
  one's own, is enough to have one.
- A name that leads nowhere is an error at start, in words, not a surprise at the first intent. A key that is not there
  is none: playbooks go on working, and whoever asks a model hears what is missing.
"""

from collections.abc import Iterator, Mapping

from orchestrald.config import Config
from orchestrald.config_models import Asked, Backend, BudgetLimits, ModelProfile, Prices
from orchestrald.core.redaction import Redaction
from orchestrald.errors import ConfigError
from orchestrald.models.base import Price
from orchestrald.models.profile import Profile

OPENAI = "openai"
OPENAI_MODEL = "gpt-4o-mini"

TEMPERATURE = 0.2
"""Plans should be dull. Where the profile and the section say nothing."""


def backends(config: Config, environ: Mapping[str, str]) -> dict[str, Backend]:
    """By name; empty when there is none. Without any in the settings, the one that the environment speaks of."""
    if config.providers.backends:
        return {backend.name: backend for backend in config.providers.backends}
    key, url = environ.get("OPENAI_API_KEY"), environ.get("OPENAI_BASE_URL")
    if not key and not url:
        return {}
    return {OPENAI: Backend(name=OPENAI, base_url=url or None, api_key_env="OPENAI_API_KEY" if key else None)}


def profiles(config: Config, asked: Asked, environ: Mapping[str, str]) -> tuple[Profile, ...]:
    """Whom the section asks, in order; empty when there is nobody. Raises ConfigError for names that lead nowhere."""
    known = backends(config, environ)
    if not known:
        _refuse_names_without_backends(config, asked)
        return ()
    names = (asked.model_profile or "", *asked.fallbacks)
    return tuple(_profile(config, asked, known, name, environ) for name in names)


def check(config: Config, environ: Mapping[str, str]) -> None:
    """Raises ConfigError for whatever of this would only be found wrong when a model is asked."""
    names = [backend.name for backend in config.providers.backends]
    names += [model.name for model in config.providers.models]
    for name in sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"providers: two backends or models are called {name}")
    for model in config.providers.models:
        if model.policy.temperature_min > model.policy.temperature_max:
            raise ConfigError(f"providers.models: {model.name}: temperature_min is above temperature_max")
    for asked in (config.planner, config.interpreter):
        found = profiles(config, asked, environ)
        _refuse_unpriced(config, found)
    if config.planner.mode == "llm" and not profiles(config, config.planner, environ):
        raise ConfigError(
            "planner.mode is llm, and there is no model to ask",
            hint="Set OPENAI_API_KEY, or add a backend to the section `providers`.",
        )


def redaction(config: Config, environ: Mapping[str, str]) -> Redaction:
    """Hides every key that the settings speak of."""
    names = {backend.api_key_env for backend in backends(config, environ).values()} | {"OPENAI_API_KEY"}
    return Redaction(environ.get(name or "", "") for name in names)


def _profile(
    config: Config, asked: Asked, known: Mapping[str, Backend], name: str, environ: Mapping[str, str]
) -> Profile:
    """`name` is a profile's or a backend's; empty: as the section says."""
    models = {model.name: model for model in config.providers.models}
    chosen = models.get(name)
    if name and chosen is None and name not in known:
        raise ConfigError(f"providers knows no model or backend {name}; known: {_known([*models, *known])}")
    whose = (chosen.backend if chosen else name or asked.backend) or config.providers.default_backend
    backend = known.get(whose) if whose else next(iter(known.values()))
    if backend is None:
        raise ConfigError(f"providers knows no backend {whose}; known: {_known(known)}")
    own = None if name else asked.model
    model = own or (chosen.model if chosen else config.providers.default_model) or _usual(backend)
    described = chosen or next((each for each in models.values() if each.model == model), None)
    return Profile(
        backend=backend.name,
        model=model,
        base_url=backend.base_url or "",
        api_key=environ.get(backend.api_key_env or "", ""),
        api_key_env=backend.api_key_env or "",
        timeout=backend.timeout,
        temperature=_temperature(asked, described),
        window=described.window if described else 32_768,
        price=_price(described.price) if described and described.price else None,
        retries=backend.retries,
        max_wait=backend.max_wait,
    )


def _usual(backend: Backend) -> str:
    """Empty: the only one that the server lists."""
    return OPENAI_MODEL if backend.base_url is None else ""


def _temperature(asked: Asked, described: ModelProfile | None) -> float:
    wanted = asked.temperature
    if described is None:
        return TEMPERATURE if wanted is None else wanted
    if wanted is None:
        wanted = TEMPERATURE if described.temperature is None else described.temperature
    return min(max(wanted, described.policy.temperature_min), described.policy.temperature_max)


def _price(prices: Prices) -> Price:
    return Price(prices.input, prices.output, prices.cached)


def _refuse_names_without_backends(config: Config, asked: Asked) -> None:
    for name in (asked.backend, asked.model_profile, *asked.fallbacks, config.providers.default_backend):
        if name:
            raise ConfigError(f"providers has no backends, so there is no {name}")


def _refuse_unpriced(config: Config, found: tuple[Profile, ...]) -> None:
    """A budget in money over a model without a price would be no budget."""
    limited = [name for name, limits in _budgets(config) if limits.cost is not None]
    for profile in found if limited else ():
        if profile.price is None:
            who = f"{profile.backend}/{profile.model or 'its model'}"
            raise ConfigError(
                f"{limited[0]}.cost is set, and {who} has no price",
                hint="Add the model to providers.models with its price, or limit the tokens instead.",
            )


def _budgets(config: Config) -> Iterator[tuple[str, BudgetLimits]]:
    yield "budgets.interaction", config.budgets.interaction
    yield "budgets.day", config.budgets.day


def _known(names: "Mapping[str, object] | list[str]") -> str:
    return ", ".join(sorted(names)) or "none"
