"""Which interactions are there, and how is one stopped?"""

from __future__ import annotations

import sys
import time

from orchestrald.cli.command import OK, Command, add_json, connect, print_json
from orchestrald.cli.find import find_interaction, find_thread
from orchestrald.cli.terminal import Terminal
from orchestrald.cli.text import ago, duration, fit, safe, table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any

STATES = ("queued", "planning", "executing", "waiting", "paused", "cancelling", "completed", "failed", "cancelled")


def _configure_list(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--state", action="append", choices=STATES, metavar="STATE", help=f"only these: {', '.join(STATES)}"
    )
    parser.add_argument("--thread", metavar="ID", help="only this thread's (orchestral threads lists them)")
    parser.add_argument(
        "--limit", "-n", type=int, default=20, metavar="N", help="at most this many, 1 to 500 (default: 20)"
    )
    parser.add_argument("--cursor", metavar="WORD", help="go on where a list ended")
    add_json(parser)


def _list(args: Namespace) -> int:
    client = connect(args)
    thread_id = find_thread(client, args.thread) if args.thread else None
    found = client.call("interaction.list", state=args.state, thread_id=thread_id, limit=args.limit, cursor=args.cursor)
    if args.json:
        print_json(found)
        return OK
    out = Terminal(sys.stdout)
    rows = found["interactions"]
    if not rows:
        out.print("Nothing yet." if not (args.state or args.thread) else "None.")
        return OK
    out.print(*listing(rows, time.time_ns() // 1000, out.columns))
    if found.get("cursor"):
        out.print(f"Older ones: orchestral list --cursor {safe(found['cursor'])}")
    return OK


def listing(rows: list[dict[str, Any]], now: int, width: int) -> list[str]:
    """A table, newest first as they came. `now` is in UTC microseconds."""
    return table([_row(row, now) for row in rows], ["INTERACTION", "STATE", "BEGAN", "TOOK", "STEPS", "INTENT"], width)


def _row(row: dict[str, Any], now: int) -> list[str]:
    created = row.get("created_at", now)
    took = duration(((row.get("ended_at") or now) - created) / 1e6)
    asks = ", ".join(safe(step) for step in row.get("waiting") or [])
    intent = safe(row.get("intent") or f"({row.get('source', 'plan')})")
    return [
        safe(row["interaction_id"]),
        safe(row.get("state", "")),
        ago(created, now),
        took,
        f"{row.get('finished', 0)}/{row.get('steps', 0)}",
        fit(intent, 200) + (f"  [asks: {asks}]" if asks else ""),
    ]


def _configure_cancel(parser: ArgumentParser) -> None:
    parser.add_argument("interaction", help="its id, or the start of it")
    parser.add_argument("--reason", default="", help="why; it is kept with the interaction")
    add_json(parser)


def _cancel(args: Namespace) -> int:
    client = connect(args)
    interaction_id = find_interaction(client, args.interaction)
    found = client.call("interaction.cancel", interaction_id=interaction_id, reason=args.reason)
    if args.json:
        print_json(found)
    else:
        sys.stdout.write(f"{safe(interaction_id)} is {safe(found.get('state', 'cancelling'))}.\n")
    return OK


COMMANDS = {
    "list": Command(
        help="interactions, newest first",
        run=_list,
        configure=_configure_list,
        examples="""  orchestral list
  orchestral list --state waiting --state failed
  orchestral list --json -n 500 | jq -r '.interactions[].intent'""",
    ),
    "cancel": Command(
        help="stop an interaction and all its processes",
        run=_cancel,
        configure=_configure_cancel,
        examples="  orchestral cancel 0198c1 --reason 'wrong folder'",
    ),
}
