"""What is a command of `orchestral`, and with which numbers does it end?

A module of commands holds `COMMANDS`, a table from a command's name to a `Command`; `QUICK` (optional) names functions
that serve a command without any argument, because even importing argparse would double what the call costs.
"""

from __future__ import annotations

import os
import sys

from orchestrald.client import Client, ClientError
from orchestrald.paths import Paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Iterable
    from typing import Any

OK = 0
FAILED = 1
BAD_REQUEST = 2
CANCELLED = 3
WAITS = 4
UNREACHABLE = 69
DAEMON_TROUBLE = 70
INTERRUPTED = 130

EXIT_CODES = """exit codes:
    0  the interaction completed (or the command did what it was asked)
    1  the interaction failed
    2  the request is wrong: usage, an invalid plan, an unknown id
    3  the interaction was cancelled
    4  it waits for a person, and this is no terminal to ask on
   69  the daemon cannot be reached or started
   70  the daemon has a problem of its own: its store, its sandbox, its models, a bug
  130  interrupted by Ctrl-C; the interaction goes on without us"""

AT_FAULT_IS_DAEMON = frozenset(
    {
        "store_error",
        "internal_error",
        "error",
        "sandbox_unavailable",
        "planner_unavailable",
        "model_unavailable",
        "model_misconfigured",
        "prompt_too_long",
        "budget_exhausted",
    }
)
"""Another request would not help: whoever runs the daemon must act."""


class Command:
    """`help` is one line for the list and more for `--help`; `examples` are shown as they are.

    `tail`: what follows the first `--` is somebody else's command line. It is not looked at, and given as `args.tail`.
    """

    def __init__(
        self,
        *,
        help: str,  # noqa: A002 -- argparse calls it so
        run: Callable[[Namespace], int],
        configure: Callable[[ArgumentParser], None] | None = None,
        examples: str = "",
        epilog: str = "",
        tail: bool = False,
    ) -> None:
        self.help = help
        self.run = run
        self.configure = configure
        self.examples = examples
        self.epilog = epilog
        self.tail = tail


class BadInput(ClientError):
    """What was typed or handed over cannot be used; nothing was sent."""


def connect(args: Namespace | None = None) -> Client:
    """A client for this home. It starts the daemon when none runs, unless that is forbidden."""
    forbidden = os.environ.get("ORCHESTRAL_NO_START", "") not in {"", "0"} or getattr(args, "no_start", False)
    if forbidden:
        return Client(Paths.find())
    from orchestrald.cli.starting import start_daemon

    return Client(Paths.find(), start_daemon)


def print_json(value: Any) -> None:
    """One JSON value on one line, in ASCII: nothing in it can speak to a terminal."""
    import json

    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def add_json(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON for programs instead of text for people")


def verb_of(args: Namespace, verbs: Iterable[str], whose: str) -> tuple[str, list[str]]:
    """Which of its verbs a command with several was given (`list` when none), and the words behind it."""
    verb, *rest = args.words or ["list"]
    known = list(verbs)
    if verb not in known:
        from orchestrald.cli.text import nearest, safe

        near = nearest(verb, known)
        hint = f"Did you mean {near[0]}?" if near else f"There is {', '.join(known[:-1])} and {known[-1]}."
        raise BadInput(f"{whose} {safe(verb)}.", hint)
    return verb, rest
