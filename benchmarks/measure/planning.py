"""What does a planning round cost: in tokens with many actions, in time beside the model's own, in memory, in money?

The model takes no time here: what is left is ours. Sizes are estimates, as the planner itself makes them before it
asks; they are rather too large. Money is for the price of a small hosted model, which is named in the row.
"""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.daemon import Daemon, daemon
from benchmarks.rounds import Settings, compared, interleaved, limited
from benchmarks.row import Row
from benchmarks.targets import LIMIT, PROMPT_MS, ROUND_MS
from orchestrald.core.model import ActionSpec
from orchestrald.core.redaction import Redaction
from orchestrald.models.base import Hear, Model, Price, Prompt, Reply, Tokens, estimate
from orchestrald.planner.base import Request
from orchestrald.planner.llm import LlmPlanner
from orchestrald.planner.llm import Settings as Planning

WINDOW = 8_192
ACTIONS = (10, 100, 1_000)
DONE = json.dumps({"type": "DONE", "message": "Done."})
PRICE = Price(input=0.15, output=0.60)
TIMES = 30


async def measure(settings: Settings) -> list[Row]:
    return [*await _prompts(settings), *await _rounds(settings)]


# --- prompts --------------------------------------------------------------------------------------------------------


class _Catalog:
    """Actions as plugins have them: two sentences, three parameters, two outputs."""

    def __init__(self, count: int) -> None:
        verbs, things = ("read", "write", "list", "count", "convert"), ("file", "page", "table", "mail", "image")
        self.specs = {}
        for n in range(count):
            name = f"{things[n % 5]}s{n // 25}.{verbs[n // 5 % 5]}"
            about = f"{verbs[n // 5 % 5].title()}s a {things[n % 5]} of collection {n // 25}. It takes a moment."
            shape = {"path": {"type": "string"}, "limit": {"type": "integer"}, "format": {"enum": ["text", "json"]}}
            needs = {"type": "object", "properties": shape, "required": ["path"]}
            gives = {"type": "object", "properties": {"content": {"type": "string"}, "size": {"type": "integer"}}}
            self.specs[name] = ActionSpec(name, about, needs, gives, effects="read")


class _Listener:
    """`models.base.Model` and `Calls`: counts, and is done at once."""

    name = "none"
    window = WINDOW

    def __init__(self) -> None:
        self.tokens: list[int] = []

    def most(self, prompt: Prompt) -> tuple[int, int | None]:
        return 0, None

    async def ask(
        self, purpose: object, model: object = None, prompt: object = None, hear: Hear | None = None
    ) -> Reply:
        assert isinstance(prompt, Prompt)
        shape = estimate(json.dumps(prompt.outline or prompt.shape, separators=(",", ":")))
        self.tokens.append(sum(estimate(message.text) for message in prompt.messages) + shape)
        picked = json.dumps({"actions": ["files3.read", "files3.write"]})
        return Reply(picked if purpose == "select" else DONE, Tokens())


async def _plan(count: int) -> tuple[_Listener, float]:
    listener = _Listener()
    model: Model = listener  # type: ignore[assignment]  # `ask` is that of Calls: nothing else asks it
    planner = LlmPlanner(model, _Catalog(count), Planning(), Redaction())
    began = time.perf_counter()
    await planner.propose(Request("read the file a.txt of collection 3 and write its size to b.txt", calls=listener))
    return listener, time.perf_counter() - began


async def _prompts(settings: Settings) -> list[Row]:
    rows, times = [], []
    for count in ACTIONS:
        listener, _ = await _plan(count)
        rows.append(limited(f"prompt with {count:,} actions", "tokens", [float(max(listener.tokens))], WINDOW, LIMIT))
    for _ in range(max(3, settings.rounds)):
        listener, seconds = await _plan(ACTIONS[-1])
        times.append(seconds * 1000)
    rows.append(limited(f"choosing among {ACTIONS[-1]:,} actions", "ms", times, PROMPT_MS, LIMIT))
    cost = float(PRICE.of(Tokens(input=sum(listener.tokens), output=200)))
    about = f"a round with {ACTIONS[-1]:,} actions, ${PRICE.input}/${PRICE.output} a million"
    return [*rows, Row(what=about, unit="µ$", ours=cost, versus="", other=None, bound=None, absent=" ")]


# --- rounds ---------------------------------------------------------------------------------------------------------


@contextmanager
def _server() -> Iterator[int]:
    command = [sys.executable, "-m", "benchmarks.floors.chat", DONE]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parent.parent.parent)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


async def _rounds(settings: Settings) -> list[Row]:
    with _server() as port:
        home = settings.fresh("home")
        (home / "config").mkdir()
        text = (
            f'providers: {{backends: [{{name: none, base_url: "http://127.0.0.1:{port}/v1"}}], default_model: none}}\n'
        )
        (home / "config" / "orchestral.yaml").write_text(text, encoding="utf-8")
        with daemon(home) as running:
            before = running.megabytes()
            await _milliseconds(running)
            grown = running.megabytes() - before
            rounds, bare = await interleaved(
                max(3, settings.rounds), [partial(_milliseconds, running), partial(_bare, port)]
            )
    return [
        compared("intent → answer by one call of a model", "ms", rounds, "one HTTP request", bare, None),
        limited(
            "what a planning round adds", "ms", [o - b for o, b in zip(rounds, bare, strict=True)], ROUND_MS, LIMIT
        ),
        Row(
            what="memory that the first call takes",
            unit="MB",
            ours=grown,
            versus="",
            other=None,
            bound=None,
            absent=" ",
        ),
    ]


async def _milliseconds(running: Daemon) -> float:
    connection = running.connect()
    began = time.perf_counter()
    for _ in range(TIMES):
        said = connection.call("interaction.submit", {"intent": "something that no playbook knows"})
        done = connection.call("interaction.wait", {"interaction_id": said["interaction_id"]})
        assert (done["state"], done["answer"]) == ("completed", "Done."), done
    taken = time.perf_counter() - began
    connection.close()
    return taken / TIMES * 1000


async def _bare(port: int) -> float:
    """The same number of bytes, by the standard library, on one connection."""
    body = json.dumps({"model": "none", "messages": [{"role": "user", "content": "x" * 9_000}]})
    connection = http.client.HTTPConnection("127.0.0.1", port)
    began = time.perf_counter()
    for _ in range(TIMES):
        connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
        assert DONE in json.loads(connection.getresponse().read())["choices"][0]["message"]["content"]
    taken = time.perf_counter() - began
    connection.close()
    return taken / TIMES * 1000
