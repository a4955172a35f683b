"""What does a test of an exporter need around it?"""

import logging
import os
from collections.abc import Iterator

import pytest

from support.collector import Collector


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("OTEL_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    # A batch is sent after so many milliseconds, not after five seconds.
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")


@pytest.fixture(autouse=True)
def _the_sdk_s_own_log() -> Iterator[None]:
    theirs = logging.getLogger("opentelemetry")
    before = (theirs.handlers[:], theirs.propagate)
    yield
    theirs.handlers[:], theirs.propagate = before


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        yield made
