"""How does a person, or a script, tell the daemon that something has happened?"""

from __future__ import annotations

import json
import sys

from orchestrald.cli.command import OK, Command, add_json, connect, print_json
from orchestrald.cli.find import find_thread
from orchestrald.cli.text import safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any


def _configure(parser: ArgumentParser) -> None:
    parser.add_argument("kind", help="what has happened, such as payment.received; steps wait for it by this word")
    parser.add_argument("payload", nargs="*", help="what there is to say: JSON if it is, else text; - reads stdin")
    parser.add_argument("--correlation", metavar="WORD", help="whose it is; only a step that names the same takes it")
    parser.add_argument("--thread", metavar="ID", help="only for a step of this thread (default: of any)")
    add_json(parser)


def _run(args: Namespace) -> int:
    payload = payload_of(sys.stdin.read() if args.payload == ["-"] else " ".join(args.payload))
    client = connect(args)
    thread_id = find_thread(client, args.thread) if args.thread else None
    found = client.call(
        "event.emit", kind=args.kind, payload=payload, correlation=args.correlation, thread_id=thread_id
    )
    if args.json:
        print_json(found)
    else:
        sys.stdout.write(safe(found["event_id"]) + "\n")
    return OK


def payload_of(words: str) -> Any:
    """The JSON value that the words are, or else the words; nothing when there are none."""
    if not words.strip():
        return None

    def refuse(word: str) -> None:
        raise ValueError(word)  # NaN and Infinity are no JSON: they are words

    try:
        return json.loads(words, parse_constant=refuse)
    except (ValueError, RecursionError):
        return words.removesuffix("\n")


COMMANDS = {
    "emit": Command(
        help="an external event, for the step that waits for it now or later",
        run=_run,
        configure=_configure,
        examples="""  orchestral emit door.opened
  orchestral emit payment.received '{"amount": 12}' --correlation order-17
  curl -s https://example.org/state.json | orchestral emit state.changed -""",
    ),
}
