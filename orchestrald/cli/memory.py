"""What is kept in the working set, and how is it changed by hand?"""

from __future__ import annotations

import json
import sys
import time

from orchestrald.cli.call import pairs
from orchestrald.cli.command import OK, BadInput, Command, add_json, connect, print_json, verb_of
from orchestrald.cli.find import find_interaction
from orchestrald.cli.terminal import Terminal
from orchestrald.cli.text import ago, safe, safe_lines, size, table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any

    from orchestrald.client import Client

VERBS = ("list", "get", "set", "delete")


def _configure(parser: ArgumentParser) -> None:
    parser.usage = "orchestral memory [list] | get KEY | set KEY=VALUE... | delete KEY...  [options]"
    parser.add_argument(
        "words", nargs="*", metavar="WHAT", help="list (the default), get, set (KEY=text, KEY:=JSON) or delete"
    )
    whose = parser.add_argument_group("whose (default: everybody's, {{memory.global.key}})")
    whose.add_argument("--thread", metavar="ID", help="a thread's: {{memory.thread.key}}")
    whose.add_argument("--interaction", metavar="ID", help="an interaction's, by its id or the start of it")
    whose.add_argument("--step", metavar="ID", help="with --interaction: a step's output, which cannot be changed")
    add_json(parser)


def _run(args: Namespace) -> int:
    verb, rest = verb_of(args, VERBS, "Memory cannot be asked to")
    if bool(rest) == (verb == "list") or (verb == "get" and len(rest) != 1):
        raise BadInput(f"orchestral memory {verb} takes {_TAKES[verb]}.")
    values = pairs(rest) if verb == "set" else {}
    client = connect(args)
    where = _where(client, args)
    if verb == "list":
        return _list(client, args, where)
    if verb == "get":
        return _get(client, args, where, rest[0])
    changed = [
        client.call("memory.set", key=key, value=value, **where) if verb == "set" else _delete(client, key, where)
        for key, value in (values.items() if verb == "set" else ((key, None) for key in rest))
    ]
    if args.json:
        print_json({"changed": changed})
    else:
        kept = "is kept" if verb == "set" else "is kept no more"
        sys.stdout.write("".join(f"{safe(each['scope'])}.{safe(each['key'])} {kept}.\n" for each in changed))
    return OK


_TAKES = {"list": "no key", "get": "one key", "set": "KEY=VALUE (text) or KEY:=VALUE (JSON)", "delete": "keys"}


def _delete(client: Client, key: str, where: dict[str, Any]) -> dict[str, Any]:
    deleted: dict[str, Any] = client.call("memory.delete", key=key, **where)
    return deleted


def _where(client: Client, args: Namespace) -> dict[str, Any]:
    if args.thread and args.interaction:
        raise BadInput("Give --thread or --interaction, not both.")
    if args.step and not args.interaction:
        raise BadInput("--step needs --interaction.")
    if args.thread:
        return {"scope": "thread", "owner": args.thread}
    if not args.interaction:
        return {"scope": "global", "owner": ""}
    owner = find_interaction(client, args.interaction)
    return {"scope": "step", "owner": f"{owner}/{args.step}"} if args.step else {"scope": "interaction", "owner": owner}


def _list(client: Client, args: Namespace, where: dict[str, Any]) -> int:
    found = client.call("memory.list", **where)
    if args.json:
        print_json(found)
        return OK
    out = Terminal(sys.stdout)
    out.print(*(listing(found["keys"], time.time_ns() // 1000, out.columns) if found["keys"] else ["Nothing is kept."]))
    return OK


def listing(keys: list[dict[str, Any]], now: int, width: int) -> list[str]:
    """A table of keys. Those of a step have no size and nobody who wrote them."""
    rows = [
        [
            safe(row["key"]),
            size(row["size"]) if "size" in row else "",
            ago(row["at"], now) if "at" in row else "",
            safe(row.get("by", "")),
        ]
        for row in keys
    ]
    return table(rows, ["KEY", "SIZE", "WRITTEN", "BY"], width)


def _get(client: Client, args: Namespace, where: dict[str, Any], key: str) -> int:
    found = client.call("memory.get", key=key, **where)
    if args.json:
        print_json(found)
        return OK
    value = found["value"]
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    sys.stdout.write("".join(f"{line}\n" for line in safe_lines(text)))
    return OK


COMMANDS = {
    "memory": Command(
        help="what plans keep for later, and what you keep for them",
        run=_run,
        configure=_configure,
        examples="""  orchestral memory
  orchestral memory set city=Berlin limits:='{"pages": 20}'
  orchestral memory get report --thread thr_01k
  orchestral memory delete city""",
        epilog="A plan reads {{memory.global.city}}, and a step keeps a part of its output with\n"
        '"remember": {"thread.report": "path.to[0].value"}.',
    ),
}
