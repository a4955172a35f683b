"""How is one action run by hand?"""

from __future__ import annotations

import json
import sys

from orchestrald.cli.command import EXIT_CODES, OK, BadInput, Command, connect, print_json
from orchestrald.cli.display import Live, Quiet
from orchestrald.cli.follow import Follower
from orchestrald.cli.run import somebody, workspace
from orchestrald.cli.terminal import Terminal
from orchestrald.cli.text import safe, safe_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any

    from orchestrald.client import Client


def _configure(parser: ArgumentParser) -> None:
    parser.add_argument("action", help="its name, as `orchestral actions` lists it")
    parser.add_argument("params", nargs="*", metavar="KEY=VALUE", help="text with KEY=VALUE, JSON with KEY:=VALUE")
    parser.add_argument(
        "--params", dest="json_params", metavar="JSON", help="all parameters as one JSON object; - is stdin"
    )
    parser.add_argument(
        "--workspace", metavar="DIR", help="the folder that the action may see (default: the current one)"
    )
    parser.add_argument("--json", action="store_true", help="print the final snapshot as JSON; never asks anything")


def _run(args: Namespace) -> int:
    params = {**object_of(args.json_params), **pairs(args.params)}
    folder = workspace(args.workspace)
    client = connect(args)
    # the daemon does not wait: we follow, so that Ctrl-C, questions and a restart are handled as they are for `run`
    called = client.call("action.call", name=args.action, params=params, workspace=folder, timeout_ms=0)
    interaction_id = called["interaction_id"]
    out, err = Terminal(sys.stdout), Terminal(sys.stderr)
    silent = args.json or not err.live
    display = Quiet(out, answers=False) if silent else Live(out, err, answers=False)
    code = Follower(client, interaction_id, display, somebody(err, asks=not args.json)).follow(0)
    snapshot = client.call("interaction.get", interaction_id=interaction_id, outputs=True)
    if args.json:
        print_json(snapshot)
        return code
    for step in snapshot.get("steps", [])[:1]:
        print_output(client, step)
    if code != OK:
        err.print(*safe_lines(snapshot.get("answer") or ""))
    return code


def print_output(client: Client, step: dict[str, Any]) -> None:
    """The step's output as indented JSON; one that is kept apart is fetched. A step without one prints nothing."""
    value = step.get("output")
    if value is None and step.get("stored") and not step["stored"].get("pruned"):
        value = stored_output(client, step["stored"])
    if value is not None:
        sys.stdout.write("\n".join(safe_lines(json.dumps(value, indent=2, ensure_ascii=False))) + "\n")


def stored_output(client: Client, stored: dict[str, Any]) -> Any:
    """The value behind a reference; what is no JSON stays text."""
    text = client.call("reference.get", digest=stored["digest"]).get("text")
    try:
        return json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return text


def object_of(text: str | None) -> dict[str, Any]:
    """The JSON object in `text` (or on stdin for `-`); missing means empty. Raises BadInput."""
    if text is None:
        return {}
    if text == "-":
        text = sys.stdin.read()
    value = json_value(text, "--params")
    if not isinstance(value, dict):
        raise BadInput("--params must be one JSON object.")
    return value


def pairs(words: list[str]) -> dict[str, Any]:
    """`KEY=VALUE` as text, `KEY:=VALUE` as JSON. Raises BadInput."""
    found: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        is_json = key.endswith(":")
        key = key.removesuffix(":")
        if not equals or not key:
            raise BadInput(f"A parameter is KEY=VALUE (text) or KEY:=VALUE (JSON), not {safe(word)}.")
        found[key] = json_value(value, key) if is_json else value
    return found


def json_value(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise BadInput(f"{safe(name)} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from None


COMMANDS = {
    "call": Command(
        help="run one action, and print what it gives",
        run=_run,
        configure=_configure,
        examples="""  orchestral call echo message='Hello'
  orchestral call shell command='ls -l' timeout:=5 --workspace ~/project
  orchestral call file_read --params '{"path": "README.md"}' --json | jq '.steps[0].output'""",
        epilog=EXIT_CODES,
    ),
}
