"""How is something run and watched from the command line?"""

from __future__ import annotations

import os
import sys

from orchestrald.cli.command import CANCELLED, EXIT_CODES, FAILED, OK, BadInput, Command, connect, print_json
from orchestrald.cli.display import choose
from orchestrald.cli.find import find_interaction, find_thread
from orchestrald.cli.follow import Follower
from orchestrald.cli.submission import became, submit
from orchestrald.cli.terminal import Terminal
from orchestrald.cli.text import safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any

    from orchestrald.client import Client

PLAN_EXAMPLE = """a plan (YAML or JSON), for --plan:
  goal: measure two files
  steps:
    - {id: count, action: shell, for_each: [README.md, LICENSE], params: {command: "wc -l {{item}}"}}
    - {id: report, action: echo, params: {message: "The second one: {{count.1.stdout}}"}}"""

CTRL_C = """Ctrl-C asks whether to cancel the interaction or to detach from it; pressed again, it detaches."""


def _configure_run(parser: ArgumentParser) -> None:
    parser.add_argument("intent", nargs="*", help="what you want, in your words")
    parser.add_argument("--plan", metavar="FILE", help="run this plan (YAML or JSON; - is stdin) instead of an intent")
    look = parser.add_mutually_exclusive_group()
    look.add_argument("--plan-only", action="store_true", help="only show what would be run, as orchestral plan does")
    look.add_argument("--approve-plan", action="store_true", help="show the plan, ask, and run exactly that")
    look.add_argument(
        "--plan-hash", metavar="HASH", help="run --plan only if it is the plan with this hash, which was agreed to"
    )
    parser.add_argument("--workspace", metavar="DIR", help="the folder that steps may see (default: the current one)")
    parser.add_argument("--thread", metavar="ID", help="the thread it belongs to (default: a new one)")
    parser.add_argument(
        "--policy", metavar="NAME", help="what becomes of it while the thread is busy (default: as the thread's policy)"
    )
    parser.add_argument("--unattended", action="store_true", help="nobody is there to be asked for approvals")
    parser.add_argument("--label", metavar="K=V", action="append", default=[], help="a label; may be repeated")
    parser.add_argument("--detach", action="store_true", help="print the interaction's id and leave it running")
    configure_display(parser)


def configure_display(parser: ArgumentParser) -> None:
    parser.add_argument("--quiet", "-q", action="store_true", help="print nothing but the answer")
    parser.add_argument(
        "--json", action="store_true", help="one event per line as JSON, then the final snapshot; never asks anything"
    )


def _run(args: Namespace) -> int:
    request = _request(args)
    if args.plan_only:
        from orchestrald.cli.preview import foresee, show

        found = foresee(_connected(request, args), request, Terminal(sys.stderr))
        return show(found, request.get("intent", ""), Terminal(sys.stdout), as_json=args.json)
    if not args.approve_plan:
        return _submit(_connected(request, args), request, args)
    from orchestrald.cli.agree import agree, place_to_ask

    screen = place_to_ask(as_json=args.json)
    client = _connected(request, args)
    found, agreed = agree(client, request, screen)
    if agreed:
        return _submit(client, {**request, "plan": found["plan"], "plan_hash": found["hash"]}, args)
    if "plan" in found:
        screen.print("Nothing was run.")
        return CANCELLED
    return OK if found.get("achieved", True) else FAILED


def _request(args: Namespace) -> dict[str, Any]:
    """What is to be submitted. Raises BadInput when it is not one thing."""
    if args.plan_hash and not args.plan:
        raise BadInput("--plan-hash goes with --plan: the plan that it is the hash of.")
    if (bool(args.intent) == bool(args.plan)) and not (args.intent and args.plan_hash):
        raise BadInput("Say what you want in words, or hand over a plan with --plan: one of the two.")
    if args.approve_plan and args.plan == "-":
        raise BadInput("--approve-plan asks on the terminal, and the plan comes from there.", "Put it into a file.")
    request: dict[str, Any] = {
        "workspace": workspace(args.workspace),
        "labels": labels(args.label) or None,
        "policy": args.policy,
        "unattended": args.unattended or None,
        "plan_hash": args.plan_hash,
    }
    if args.plan:
        from orchestrald.cli.plan_file import read_plan

        request["plan"] = read_plan(args.plan)
    if args.intent:
        request["intent"] = " ".join(args.intent)
    return request


def _connected(request: dict[str, Any], args: Namespace) -> Client:
    """A client that has found the thread that is meant, if any."""
    client = connect(args)
    if args.thread:
        request["thread_id"] = find_thread(client, args.thread)
    return client


def _submit(client: Client, request: dict[str, Any], args: Namespace) -> int:
    submitted, after = submit(client, request)
    said = became(client, submitted)
    if said and not args.quiet:
        sys.stderr.write(said + "\n")
    if args.detach:
        return _detached(submitted, as_json=args.json)
    return follow(client, submitted["interaction_id"], after, args)


def _detached(submitted: dict[str, Any], *, as_json: bool) -> int:
    if as_json:
        print_json(submitted)
    else:
        sys.stdout.write(submitted["interaction_id"] + "\n")
        sys.stderr.write(f"orchestral watch {submitted['interaction_id']} looks at it.\n")
    return OK


def follow(client: Client, interaction_id: str, after_seq: int | None, args: Namespace) -> int:
    """Stay with an interaction as the options say; the exit code."""
    out, err = Terminal(sys.stdout), Terminal(sys.stderr)
    display = choose(out, err, as_json=args.json, quiet=args.quiet)
    return Follower(client, interaction_id, display, somebody(err, asks=not args.json)).follow(after_seq)


def somebody(screen: Terminal, *, asks: bool) -> Terminal | None:
    """The screen to ask a person on; None when nobody sits there, or must not be asked."""
    return screen if asks and screen.is_terminal and sys.stdin is not None and sys.stdin.isatty() else None


def workspace(given: str | None) -> str:
    """The folder as an absolute path. Raises BadInput when it is none: the daemon has another current folder."""
    path = os.path.abspath(os.path.expanduser(given or "."))
    if not os.path.isdir(path):
        raise BadInput(f"The workspace {safe(path)} is not a folder.")
    return path


def labels(pairs: list[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise BadInput(f"A label is KEY=VALUE, not {safe(pair)}.")
        found[key] = value
    return found


def _configure_watch(parser: ArgumentParser) -> None:
    parser.add_argument("interaction", nargs="?", default="", help="its id or the start of it (default: the newest)")
    parser.add_argument("--after", type=int, metavar="SEQ", help="with --json or in a pipe: begin after this event")
    configure_display(parser)


def _watch(args: Namespace) -> int:
    client = connect(args)
    interaction_id = find_interaction(client, args.interaction)
    return follow(client, interaction_id, args.after or 0, args)


COMMANDS = {
    "run": Command(
        help="run an intent or a plan, and watch it",
        run=_run,
        configure=_configure_run,
        examples="""  orchestral run read README.md
  orchestral run --plan plan.yaml --workspace ~/project
  orchestral run --approve-plan tidy up the folder of downloads
  jq '...' | orchestral run --plan - --json | tail -1 | jq -r .answer
  orchestral run --detach --label team=docs --plan plan.yaml
  orchestral run --thread 01m8 --policy queue read LICENSE""",
        epilog=f"{PLAN_EXAMPLE}\n\n{CTRL_C}\n\n{EXIT_CODES}",
    ),
    "watch": Command(
        help="watch an interaction until it ends",
        run=_watch,
        configure=_configure_watch,
        examples="  orchestral watch\n  orchestral watch 0198c1 --json",
        epilog=f"{CTRL_C}\n\n{EXIT_CODES}",
    ),
}
