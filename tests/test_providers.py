"""Which models are asked, by the settings and the environment; and what is refused at start?"""

from collections.abc import Mapping

import pytest

from orchestrald.config import Config
from orchestrald.config_file import parse
from orchestrald.errors import ConfigError
from orchestrald.models.base import Price
from orchestrald.models.profile import Profile
from orchestrald.providers import OPENAI_MODEL, check, profiles, redaction

KEY = "sk-of-the-environment-0123456789"
TWO = """
providers:
  default_model: big
  backends:
    - {name: cloud, api_key_env: CLOUD_KEY}
    - {name: local, base_url: "http://127.0.0.1:8080/v1", timeout: 5m, retries: 0}
  models:
    - {name: cheap, backend: cloud, model: small-1, window: 128000, price: {input: 0.1, output: 0.4},
       policy: {temperature_min: 0.5, temperature_max: 1}}
"""


def config(text: str = "") -> Config:
    return parse(text, {}, "test")


def asked(text: str = "", environ: Mapping[str, str] | None = None) -> tuple[Profile, ...]:
    read = config(text)
    check(read, environ or {})
    return profiles(read, read.planner, environ or {})


def who(text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    return [profile.name for profile in asked(text, environ)]


def test_nothing_configured_and_nothing_set_is_nobody() -> None:
    assert asked() == ()
    assert asked(environ={"OPENAI_API_KEY": ""}) == ()


def test_a_key_in_the_environment_is_enough() -> None:
    (profile,) = asked(environ={"OPENAI_API_KEY": KEY})
    assert (profile.name, profile.api_key, profile.base_url) == (f"openai/{OPENAI_MODEL}", KEY, "")


def test_an_address_in_the_environment_is_enough_and_its_only_model_is_asked() -> None:
    (profile,) = asked(environ={"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"})
    assert (profile.model, profile.api_key, profile.base_url) == ("", "", "http://127.0.0.1:1/v1")


def test_the_settings_win_over_the_environment() -> None:
    assert who(TWO, {"OPENAI_API_KEY": KEY}) == ["cloud/big"]


def test_a_section_says_whom_it_asks() -> None:
    assert who(f"{TWO}\nplanner: {{backend: local, model: m}}") == ["local/m"]
    assert who(f"{TWO}\nplanner: {{model_profile: cheap}}") == ["cloud/small-1"]
    assert who(f"{TWO}\nplanner: {{model_profile: cheap, fallbacks: [local, cloud]}}") == [
        "cloud/small-1",
        "local/big",
        "cloud/big",
    ]


def test_what_is_known_of_a_model_goes_with_it_and_bounds_the_temperature() -> None:
    (profile,) = asked(f"{TWO}\nplanner: {{model: small-1, backend: cloud, temperature: 0.1}}", {"CLOUD_KEY": "k"})
    assert (profile.window, profile.price, profile.temperature) == (128_000, Price(0.1, 0.4), 0.5)
    assert (profile.api_key, profile.api_key_env) == ("k", "CLOUD_KEY")
    (other,) = asked(f"{TWO}\nplanner: {{backend: local}}")
    assert (other.timeout, other.retries, other.temperature, other.price) == (300.0, 0, 0.2, None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"{TWO}\nplanner: {{model_profile: dear}}", "no model or backend dear; known: cheap, cloud, local"),
        (f"{TWO}\nplanner: {{backend: moon}}", "no backend moon; known: cloud, local"),
        (f"{TWO}\nplanner: {{fallbacks: [moon]}}", "no model or backend moon"),
        (f"{TWO}\ninterpreter: {{backend: moon}}", "no backend moon"),
        ("planner: {backend: moon}", "no backends, so there is no moon"),
        ("planner: {mode: llm}", "planner.mode is llm, and there is no model to ask"),
        (f"{TWO}\nbudgets: {{day: {{cost: 5}}}}", "budgets.day.cost is set, and cloud/big has no price"),
        ("providers: {backends: [{name: a}, {name: a}]}", "two backends or models are called a"),
        (
            "providers: {backends: [{name: a}], models: [{name: m, model: m, policy: {temperature_min: 2, "
            "temperature_max: 1}}]}",
            "temperature_min is above temperature_max",
        ),
    ],
)
def test_words_that_lead_nowhere_are_told_at_start(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        asked(text)


def test_a_budget_in_money_is_taken_where_every_model_has_a_price() -> None:
    cheap = "planner: {model_profile: cheap}\ninterpreter: {model_profile: cheap}"
    assert who(f"{TWO}\n{cheap}\nbudgets: {{day: {{cost: 5}}}}") == ["cloud/small-1"]


def test_a_key_that_is_not_there_is_none_and_playbooks_go_on() -> None:
    (profile,) = asked(TWO)
    assert (profile.api_key, profile.api_key_env) == ("", "CLOUD_KEY")


def test_every_key_is_hidden() -> None:
    redact = redaction(config(TWO), {"CLOUD_KEY": "the key of the cloud", "OPENAI_API_KEY": "another known key"})
    assert redact("the key of the cloud, another known key") == "[redacted], [redacted]"


@pytest.mark.parametrize("url", ["ftp://x", "127.0.0.1:80", "http://x/v1?key=1", "http://", "http://x/v1#a"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        config(f'providers: {{backends: [{{name: a, base_url: "{url}"}}]}}')
