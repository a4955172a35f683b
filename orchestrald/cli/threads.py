"""Which threads are there, and how are they made, named and put away?"""

from __future__ import annotations

import json
import sys
import time

from orchestrald.cli.command import OK, BadInput, Command, add_json, connect, print_json, verb_of
from orchestrald.cli.find import find_thread
from orchestrald.cli.interactions import listing as interactions_listing
from orchestrald.cli.terminal import Terminal
from orchestrald.cli.text import ago, plural, safe, table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any

    from orchestrald.cli.terminal import Line
    from orchestrald.client import Client

VERBS = {"list": 0, "new": 0, "show": 1, "policy": 2, "title": 2, "archive": 1, "unarchive": 1}
"""Each with the number of words that follow it."""
SHOWN = 10

POLICIES = """What becomes of an input while something is active in the thread; a plugin may add others:
  interrupt_and_start_new  what runs is cancelled, and when its processes are gone the new one starts
  reject                   it is refused
  queue                    it waits its turn
  parallel                 it starts at once, beside what runs
  merge_into_running       it joins what runs, for its next planning round
`threads policy ID default` goes back to what the configuration says."""


def _configure(parser: ArgumentParser) -> None:
    parser.usage = (
        "orchestral threads [list] | new | show ID | policy ID NAME | title ID TEXT | archive ID | unarchive ID"
    )
    parser.add_argument("words", nargs="*", metavar="WHAT", help="list (the default), new, or show and so on of an ID")
    parser.add_argument("--archived", action="store_true", help="for list: those that are put away, too")
    parser.add_argument("--limit", "-n", type=int, metavar="N", help="for list: at most this many (default: 50)")
    parser.add_argument("--title", metavar="TEXT", help="for new: what it is about")
    parser.add_argument("--policy", metavar="NAME", help="for new: its policy (default: as the configuration says)")
    parser.add_argument(
        "--meta", metavar="K=V", action="append", default=[], help="for new: text with K=V, JSON with K:=V"
    )
    add_json(parser)


def _run(args: Namespace) -> int:
    verb, rest = verb_of(args, VERBS, "A thread cannot")
    for name, of in (("archived", "list"), ("limit", "list"), ("title", "new"), ("policy", "new"), ("meta", "new")):
        if getattr(args, name) and verb != of:
            raise BadInput(f"--{name} belongs to `threads {of}`.")
    if verb == "title" and len(rest) > 1:
        rest = [rest[0], " ".join(rest[1:])]
    if len(rest) != VERBS[verb]:
        raise BadInput(f"orchestral threads {verb} takes {plural(VERBS[verb], 'word')}.", "orchestral threads --help")
    client = connect(args)
    if verb == "list":
        return _list(client, args)
    if verb == "new":
        return _new(client, args)
    thread_id = find_thread(client, rest[0])
    if verb == "show":
        return _show(client, args, thread_id)
    return _said(args, _change(client, verb, thread_id, rest))


def _list(client: Client, args: Namespace) -> int:
    found = client.call("thread.list", archived=args.archived or None, limit=args.limit)
    if args.json:
        print_json(found)
        return OK
    out = Terminal(sys.stdout)
    rows = found["threads"]
    out.print(*(listing(rows, time.time_ns() // 1000, out.columns) if rows else ["No threads."]))
    return OK


def listing(rows: list[dict[str, Any]], now: int, width: int) -> list[str]:
    """A table, in the order in which they came. `now` is in UTC microseconds."""
    lines = [
        [
            safe(row["thread_id"]),
            str(len(row.get("unfinished") or [])),
            safe(row.get("policy") or "default"),
            ago(row.get("created_at", now), now),
            safe(row.get("title") or "-") + ("  [archived]" if row.get("archived_at") else ""),
        ]
        for row in rows
    ]
    return table(lines, ["THREAD", "UNFINISHED", "POLICY", "BEGAN", "TITLE"], width)


def _new(client: Client, args: Namespace) -> int:
    from orchestrald.cli.call import pairs

    metadata = pairs(args.meta) or None
    made = client.call("thread.create", title=args.title, policy=args.policy, metadata=metadata)
    if args.json:
        print_json(made)
    else:
        sys.stdout.write(safe(made["thread_id"]) + "\n")
    return OK


def _show(client: Client, args: Namespace, thread_id: str) -> int:
    thread = client.call("thread.get", thread_id=thread_id)
    if args.json:
        print_json(thread)
        return OK
    out = Terminal(sys.stdout)
    now = time.time_ns() // 1000
    out.print(*describe(thread, now))
    rows = client.call("interaction.list", thread_id=thread_id, limit=SHOWN)["interactions"]
    if rows:
        out.print("", *interactions_listing(rows, now, out.columns))
    if len(rows) == SHOWN:
        out.print([(f"All of them: orchestral list --thread {safe(thread_id)} -n 500", "dim")])
    return OK


def describe(thread: dict[str, Any], now: int) -> list[Line]:
    title = safe(thread.get("title") or "")
    lines: list[Line] = [[(safe(thread["thread_id"]), "bold"), (f"  {title}" if title else "", "")]]
    lines.append([(f"  began {ago(thread.get('created_at', now), now)}", "dim")])
    lines.append([("  policy: ", "dim"), (safe(thread.get("policy") or "as the configuration says"), "")])
    if thread.get("archived_at"):
        lines.append([(f"  archived {ago(thread['archived_at'], now)}: it takes no inputs", "wait")])
    for key, value in (thread.get("metadata") or {}).items():
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        lines.append([(f"  {safe(key)}: ", "dim"), (safe(shown), "")])
    unfinished = [f"{safe(each['interaction_id'])} {safe(each['standing'])}" for each in thread.get("unfinished") or []]
    return lines + [[("  unfinished: ", "dim"), (each, "")] for each in unfinished]


def _change(client: Client, verb: str, thread_id: str, words: list[str]) -> dict[str, Any]:
    found: dict[str, Any]
    if verb == "policy":
        name = None if words[1] == "default" else words[1]
        found = client.call("thread.set_policy", thread_id=thread_id, policy=name)
    elif verb == "title":
        found = client.call("thread.update", thread_id=thread_id, title=words[1])
    else:
        found = client.call("thread.archive", thread_id=thread_id, archived=verb == "archive")
    return found


def _said(args: Namespace, thread: dict[str, Any]) -> int:
    if args.json:
        print_json(thread)
    else:
        Terminal(sys.stdout).print(*describe(thread, time.time_ns() // 1000))
    return OK


COMMANDS = {
    "threads": Command(
        help="threads: the newest first, one of them, a new one; their titles and policies",
        run=_run,
        configure=_configure,
        examples="""  orchestral threads
  orchestral threads new --title 'The move' --policy queue --meta ticket:=17
  orchestral threads policy 01m8 merge_into_running""",
        epilog=POLICIES,
    ),
}
