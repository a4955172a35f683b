"""How does a person agree to one exact plan before anything of it runs?

What was shown is what is submitted, with its hash: the daemon refuses any other plan, another folder, and another
plugin of the same name, when it is submitted and again when a step of it starts.
"""

from __future__ import annotations

import sys

from orchestrald.cli.ask import forget_typed_ahead, read_line
from orchestrald.cli.command import BadInput
from orchestrald.cli.preview import answer_lines, cost_lines, foresee, plan_lines
from orchestrald.cli.run import somebody
from orchestrald.cli.terminal import Terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrald.client import Client

FOR_SCRIPTS = """Without one, look at it first, and then run just that:
  orchestral plan --json INTENT > preview.json
  jq .plan preview.json > plan.json
  orchestral run --plan plan.json --plan-hash "$(jq -r .hash preview.json)\""""


def place_to_ask(*, as_json: bool) -> Terminal:
    """The screen of whoever is to agree. Raises BadInput when nobody can be asked: before a model is paid for."""
    screen = somebody(Terminal(sys.stderr), asks=not as_json)
    if screen is None:
        what = "--json never asks anything." if as_json else "There is no terminal to ask on."
        raise BadInput(f"--approve-plan asks a person. {what}", FOR_SCRIPTS)
    return screen


def agree(client: Client, request: dict[str, Any], screen: Terminal) -> tuple[dict[str, Any], bool]:
    """The preview, and whether it is to be run. One that is only an answer never is."""
    intent = request.get("intent", "")
    found: dict[str, Any] = foresee(client, request, screen)
    if "plan" not in found:
        Terminal(sys.stdout).print(*answer_lines(found))
        screen.print(*cost_lines(found), [("There is nothing to run.", "dim")])
        return found, False
    screen.print(*plan_lines(found, intent, screen), *cost_lines(found, rounds=False))
    if str(found.get("planner", "")).startswith("llm:"):
        screen.print([("This plan alone is run: its planner is not asked again, whatever comes of it.", "dim")])
    forget_typed_ahead()
    return found, read_line(screen, "Run exactly this plan? [y/N] ").strip().lower() in {"y", "yes"}
