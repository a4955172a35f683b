"""Does a real daemon keep an API key to itself, when the server that it is meant for says it aloud?"""

from pathlib import Path
from typing import Any

import pytest

from support.chat_server import ChatServer, status
from support.collector import Collector
from support.daemon import Daemon, daemon

pytestmark = pytest.mark.slow

KEY = "a-key+that/looks=like-none"
LOOKS = "sk-proj-Zm9vYmFyYmF6cXV4MDEyMzQ1Njc4OQ"


def asking(place: Daemon, server: ChatServer, collector: Collector, form: str) -> None:
    place.configure(f"""
planner: {{mode: llm, backend: one, fallbacks: [two]}}
providers:
  backends:
    - {{name: one, base_url: "{server.base_url}", api_key_env: MY_OWN_KEY, retries: 1, max_wait: 1s}}
    - {{name: two, base_url: "{server.base_url}", api_key_env: MY_OWN_KEY, retries: 0}}
  default_model: m
observability: {{log_level: debug, log_format: {form}, traces: "{collector.address}"}}
""")
    quiet = {name: value for name, value in place.environment.items() if not name.lower().endswith("_proxy")}
    place.environment = {**quiet, "MY_OWN_KEY": KEY, "OTEL_BSP_SCHEDULE_DELAY": "50"}


@pytest.mark.parametrize("form", ["human", "json"])
@pytest.mark.parametrize("code", [401, 503])
def test_a_key_that_a_server_echoes_is_in_no_log_journal_answer_or_span(form: str, code: int):
    echo = status(code, f"No account has the key {KEY}; you sent Bearer {KEY} and {LOOKS}.", retry_after=0.01)

    def answer(_asked: Any) -> Any:
        return echo

    with Collector() as collector, ChatServer(answer) as server, daemon(started=False) as place:
        asking(place, server, collector, form)
        place.start()
        submitted = place.call("interaction.submit", intent="do something", workspace=str(place.workspace))
        shown = place.end_of(submitted["interaction_id"])
        assert shown["state"] == "failed"
        collector.wait_until(lambda: any(span.name.startswith("invoke_agent") for span in collector.spans))
        place.stop()
        said = "\n".join(place.log)
        assert server.asked and all(KEY in str(asked.headers) for asked in server.asked), "it was really sent"
        assert "the next model is asked" in said and "No account has the key [redacted]" in said
        assert any(span.name == "chat m" for span in collector.spans)
        kept = b"".join(path.read_bytes() for path in Path(place.paths.state_dir).rglob("*") if path.is_file())
        for secret in (KEY, LOOKS):
            assert secret not in said
            assert secret not in str(shown)
            assert not [body for body in collector.bodies if secret.encode() in body]
            assert secret.encode() not in kept


def test_a_key_in_the_settings_is_not_repeated_when_they_cannot_be_used():
    with daemon(started=False) as place:
        place.configure(f"providers:\n  backends:\n    - {{name: x, api_key: {LOOKS}}}\n  {LOOKS}: 1\n")
        place.spawn()
        assert place.gone() == 78
        assert "api_key" in place.said and LOOKS not in place.said
