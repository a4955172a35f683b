"""Which facts did the daemon write down, and which follow now?"""

from __future__ import annotations

import json
import sys
import time

from orchestrald.cli.command import OK, Command, connect, print_json
from orchestrald.cli.find import find_interaction
from orchestrald.cli.subscription import Subscription
from orchestrald.cli.terminal import Terminal
from orchestrald.cli.text import fit, safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any

    from orchestrald.cli.terminal import Line
    from orchestrald.client import Client

PAGE = 1000


def _configure(parser: ArgumentParser) -> None:
    parser.add_argument("interaction", nargs="?", default="", help="only this interaction's (default: everything)")
    parser.add_argument("--after", type=int, metavar="SEQ", help="begin after this event (default: at the beginning)")
    parser.add_argument(
        "--follow", "-f", action="store_true", help="stay and print what happens; begins now without --after"
    )
    parser.add_argument("--type", action="append", metavar="TYPE", help="only these types, such as step.failed")
    parser.add_argument("--json", action="store_true", help="one event per line, as the daemon stored it")


def _run(args: Namespace) -> int:
    client = connect(args)
    interaction_id = find_interaction(client, args.interaction) if args.interaction else None
    printer = _json if args.json else _human
    out = Terminal(sys.stdout)
    if args.follow:
        return _follow(
            Subscription(client, interaction_id=interaction_id, after_seq=args.after, types=args.type), out, printer
        )
    return _past(client, args.after or 0, interaction_id, args.type, out, printer)


def _past(
    client: Client, after: int, interaction_id: str | None, types: list[str] | None, out: Terminal, printer: Any
) -> int:
    while True:
        page = client.call("events.list", after_seq=after, interaction_id=interaction_id, types=types, limit=PAGE)[
            "events"
        ]
        for event in page:
            printer(event, out)
        if len(page) < PAGE:
            return OK
        after = page[-1]["seq"]


def _follow(subscription: Subscription, out: Terminal, printer: Any) -> int:
    while True:
        item = subscription.next(3600)
        if item is None:
            continue
        word, data = item
        if word == "event":
            printer(data, out)
        elif word == "lost":
            sys.stderr.write("The daemon is gone; starting it again.\n")
        elif word == "gap":
            sys.stderr.write("Some earlier events are no longer kept.\n")


def _json(event: dict[str, Any], _out: Terminal) -> None:
    print_json(event)


def _human(event: dict[str, Any], out: Terminal) -> None:
    out.print(describe(event, out.columns))


def describe(event: dict[str, Any], width: int) -> Line:
    """One event in one line: when, its number, its type, what it is about, its data as far as they fit."""
    at = event.get("at", 0)
    clock = time.strftime("%H:%M:%S", time.localtime(at // 1_000_000)) + f".{at % 1_000_000 // 1000:03d}"
    about = safe(event.get("step_id") or event.get("interaction_id") or event.get("thread_id") or "")
    head = f"{clock} {event.get('seq', 0):>6} {safe(event.get('type', '')):<22} {about:<20} "
    data = safe(json.dumps(event.get("data") or {}, ensure_ascii=False))
    return [(head, ""), (fit(data, max(20, width - len(head) - 1)), "dim")]


COMMANDS = {
    "events": Command(
        help="every fact that was written down, in order",
        run=_run,
        configure=_configure,
        examples="""  orchestral events --follow
  orchestral events 0198c1 --json
  orchestral events --after 4711 --type step.failed --type step.violation""",
        epilog="--follow survives restarts of the daemon: every event is printed once, in order.",
    ),
}
