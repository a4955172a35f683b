"""Which actions can be used, and which plugins offer them?"""

from __future__ import annotations

import json
import sys

from orchestrald.cli.command import OK, Command, add_json, connect, print_json
from orchestrald.cli.terminal import Terminal
from orchestrald.cli.text import nearest, safe, safe_lines, table
from orchestrald.client import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any

    from orchestrald.cli.terminal import Line
    from orchestrald.client import Client


def _configure_actions(parser: ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", help="show this one with its schemas")
    add_json(parser)


def _actions(args: Namespace) -> int:
    client = connect(args)
    if args.name:
        found = _action(client, args.name)
        if args.json:
            print_json(found)
        else:
            Terminal(sys.stdout).print(*describe(found))
        return OK
    found = client.call("action.list")
    out = Terminal(sys.stdout)
    if args.json:
        print_json(found)
    elif not found["actions"]:
        out.print("No plugin offers an action. orchestral plugins says why; orchestral paths says where they go.")
    else:
        rows = [
            (
                safe(row["name"]),
                safe(row.get("effects", "")),
                safe(row.get("plugin", "")),
                safe(row.get("description", "")),
            )
            for row in found["actions"]
        ]
        out.print(*table(rows, ("ACTION", "EFFECTS", "PLUGIN", "WHAT IT DOES"), out.columns))
    return OK


def _action(client: Client, name: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = client.call("action.get", name=name)
    except Refused as error:
        if error.kind == "not_found" and not error.hint:
            known = [row["name"] for row in client.call("action.list")["actions"]]
            near = nearest(name, known)
            error.hint = f"Did you mean {' or '.join(near)}?" if near else "orchestral actions lists them."
        raise
    return found


def describe(action: dict[str, Any]) -> list[Line]:
    """One action for a person: what it does, what it takes, what it gives."""
    lines: list[Line] = [
        [
            (safe(action["name"]), "bold"),
            (f"  {safe(action.get('plugin', ''))} {safe(action.get('version', ''))}", "dim"),
        ]
    ]
    lines += [[("  " + text, "")] for text in safe_lines(action.get("description") or "")]
    facts = [
        f"effects: {safe(action.get('effects', 'destructive'))}",
        "may be repeated" if action.get("idempotent") else "never repeated by itself",
    ]
    if action.get("approval") == "always":
        facts.append("always asks for approval")
    if action.get("timeout"):
        facts.append(f"at most {action['timeout']:g} s")
    lines.append([("  " + ", ".join(facts), "dim")])
    lines += _schema("takes", action.get("input_schema") or {}) + _schema("gives", action.get("output_schema") or {})
    return lines


def _schema(title: str, schema: dict[str, Any]) -> list[Line]:
    """The properties of an object schema, a line each; any other schema as it is. Empty accepts anything."""
    properties = schema.get("properties")
    if not schema:
        return [[(f"{title} anything", "")]]
    if not isinstance(properties, dict) or not all(isinstance(value, dict) for value in properties.values()):
        return [
            [(f"{title}", "")],
            *([("  " + text, "")] for text in safe_lines(json.dumps(schema, indent=2, ensure_ascii=False))),
        ]
    required = set(schema.get("required") or [])
    lines: list[Line] = [[(title, "")]]
    for name, value in properties.items():
        kind = value.get("type") or ("one of " + ", ".join(map(str, value["enum"])) if "enum" in value else "anything")
        notes = [safe(kind if isinstance(kind, str) else " or ".join(map(str, kind)))]
        notes += ["required"] if name in required else []
        notes += [f"default {safe(json.dumps(value['default'], ensure_ascii=False))}"] if "default" in value else []
        says = f"  {safe(value['description'])}" if value.get("description") else ""
        lines.append([(f"  {safe(name):<18} ", "bold"), (", ".join(notes), "dim"), (says, "")])
    return lines


def _plugins(args: Namespace) -> int:
    found = connect(args).call("plugin.list")
    if args.json:
        print_json(found)
        return OK
    out = Terminal(sys.stdout)
    rows = [
        (
            safe(row["name"]),
            safe(row.get("version", "")),
            safe(row.get("state", "")),
            safe(str(row.get("kind", "")).replace("_", " ")),
            ", ".join(safe(name) for name in row.get("actions") or []),
        )
        for row in found["plugins"]
    ]
    out.print(*table(rows, ("PLUGIN", "VERSION", "STATE", "KIND", "ACTIONS"), out.columns))
    for row in found["plugins"]:
        if row.get("problem"):
            first, *more = safe_lines(row["problem"]) or [""]
            out.print(
                "", [(safe(row["name"]), "bold"), (": ", ""), (first, "bad")], *([("  " + text, "")] for text in more)
            )
            if row.get("path"):
                out.print([("  " + safe(row["path"]), "dim")])
            out.print(*([("  " + text, "dim")] for text in safe_lines(row.get("hint") or "")))
    return OK


COMMANDS = {
    "actions": Command(
        help="every action that a plan may use; with a name, its schemas",
        run=_actions,
        configure=_configure_actions,
        examples="""  orchestral actions
  orchestral actions shell
  orchestral actions shell --json | jq .input_schema""",
    ),
    "plugins": Command(
        help="every plugin, and what is wrong with the broken ones",
        run=_plugins,
        configure=add_json,
        examples="""  orchestral plugins
  cp -r my-plugin "$(orchestral paths --json | jq -r .plugins_dir)" && sleep 2 && orchestral plugins""",
    ),
}
