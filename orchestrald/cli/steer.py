"""How is the course of an interaction changed: paused, taken up again, tried again, forked?"""

from __future__ import annotations

import sys

from orchestrald.cli.command import EXIT_CODES, OK, Command, add_json, connect, print_json
from orchestrald.cli.find import find_interaction, find_thread
from orchestrald.cli.text import safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any


def _configure(parser: ArgumentParser) -> None:
    parser.add_argument("interaction", help="its id, or the start of it")
    add_json(parser)


def _steer(args: Namespace, word: str) -> int:
    client = connect(args)
    interaction_id = find_interaction(client, args.interaction)
    return _said(args, client.call(f"interaction.{word}", interaction_id=interaction_id))


def _said(args: Namespace, found: dict[str, Any], what: str = "") -> int:
    if args.json:
        print_json(found)
    else:
        sys.stdout.write(what or f"{safe(found['interaction_id'])} is {safe(found['state'])}.\n")
    return OK


def _configure_skip(parser: ArgumentParser) -> None:
    parser.add_argument("interaction", help="its id, or the start of it")
    parser.add_argument("step", help="a step that has not begun, or that waits")
    parser.add_argument("--value", metavar="JSON", help="what the steps after it get instead of its output")
    add_json(parser)


def _skip(args: Namespace) -> int:
    from orchestrald.cli.call import json_value

    value = None if args.value is None else json_value(args.value, "--value")
    client = connect(args)
    interaction_id = find_interaction(client, args.interaction)
    found = client.call("interaction.skip", interaction_id=interaction_id, step_id=args.step, value=value)
    return _said(args, found, f"{safe(args.step)} is skipped.\n")


def _configure_retry(parser: ArgumentParser) -> None:
    parser.add_argument("interaction", help="its id, or the start of it")
    parser.add_argument(
        "--from", dest="step", metavar="STEP", help="this step and all that depends on it (default: what went wrong)"
    )
    _configure_follow(parser)


def _configure_follow(parser: ArgumentParser) -> None:
    parser.add_argument("--follow", "-f", action="store_true", help="stay and watch it, as `run` does")
    parser.add_argument("--quiet", "-q", action="store_true", help="with --follow: print nothing but the answer")
    parser.add_argument(
        "--json", action="store_true", help="print JSON; with --follow one event per line, then the final snapshot"
    )


def _retry(args: Namespace) -> int:
    from orchestrald.cli.submission import newest_seq

    client = connect(args)
    interaction_id = find_interaction(client, args.interaction)
    after = newest_seq(client) if args.follow else 0
    found = client.call("interaction.retry", interaction_id=interaction_id, from_step=args.step)
    return _follow(client, args, interaction_id, after) if args.follow else _said(args, found)


def _configure_fork(parser: ArgumentParser) -> None:
    parser.add_argument("interaction", help="its id, or the start of it")
    parser.add_argument("--at", required=True, metavar="STEP", help="run again from this step on; the rest keeps")
    parser.add_argument(
        "--patch",
        action="append",
        default=[],
        metavar="WHAT",
        help="what is different: STEP.KEY=TEXT, STEP.KEY:=JSON, a JSON object by step, or @FILE with one",
    )
    parser.add_argument("--thread", metavar="ID", help="the thread of the new one (default: that of the old)")
    _configure_follow(parser)


def _fork(args: Namespace) -> int:
    from orchestrald.cli.patch import patch_of
    from orchestrald.cli.submission import became

    patch = patch_of(args.patch)
    client = connect(args)
    interaction_id = find_interaction(client, args.interaction)
    thread_id = find_thread(client, args.thread) if args.thread else None
    found = client.call(
        "interaction.fork", interaction_id=interaction_id, at_step=args.at, patch=patch or None, thread_id=thread_id
    )
    said = became(client, found)
    if said and not args.quiet:
        sys.stderr.write(said + "\n")
    if args.follow:
        return _follow(client, args, found["interaction_id"], 0)
    return _said(args, found, safe(found["interaction_id"]) + "\n")


def _follow(client: Any, args: Namespace, interaction_id: str, after: int) -> int:
    from orchestrald.cli.run import follow

    return follow(client, interaction_id, after, args)


COMMANDS = {
    "pause": Command(
        help="start no more steps of an interaction; what runs comes to its end",
        run=lambda args: _steer(args, "pause"),
        configure=_configure,
        examples="  orchestral pause 01m8",
    ),
    "resume": Command(
        help="go on with a paused interaction",
        run=lambda args: _steer(args, "resume"),
        configure=_configure,
        examples="  orchestral resume 01m8",
    ),
    "skip": Command(
        help="do not run a step, and go on as if it had given a value",
        run=_skip,
        configure=_configure_skip,
        examples="""  orchestral skip 01m8 upload
  orchestral skip 01m8 measure --value '{"words": 7}'""",
    ),
    "retry": Command(
        help="run again what went wrong, or everything from a step on; the rest keeps its results",
        run=_retry,
        configure=_configure_retry,
        examples="""  orchestral retry 01m8 --follow
  orchestral retry 01m8 --from build""",
        epilog=EXIT_CODES,
    ),
    "fork": Command(
        help="another interaction from a step on, with changes; the old one stays as it is",
        run=_fork,
        configure=_configure_fork,
        examples="""  orchestral fork 01m8 --at greet --patch greet.params.message='Good evening' --follow
  orchestral fork 01m8 --at build --patch build.timeout:=600 --patch @more.json
  orchestral fork 01m8 --at publish --patch publish:=null""",
        epilog=EXIT_CODES,
    ),
}
