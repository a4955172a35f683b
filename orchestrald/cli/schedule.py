"""What starts by itself, when, and how is that arranged?"""

from __future__ import annotations

import os
import sys
import time

from orchestrald.cli.command import OK, BadInput, Command, add_json, connect, print_json, verb_of
from orchestrald.cli.run import labels, workspace
from orchestrald.cli.schedule_text import describe, listing
from orchestrald.cli.terminal import Terminal
from orchestrald.cli.text import safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any

    from orchestrald.client import Client

VERBS = ("list", "add", "show", "pause", "resume", "run", "remove")

_OF_ADD = ("every", "cron", "tz", "at", "folder", "glob", "settle", "depth", "name", "misfire", "plan", "thread")


def _configure(parser: ArgumentParser) -> None:
    parser.usage = "orchestral schedule [list] | add WHEN INTENT... | show|pause|resume|run|remove NAME  [options]"
    parser.add_argument("words", nargs="*", metavar="WHAT", help="list (the default), add, or show and so on of a NAME")
    when = parser.add_argument_group("when, for add: exactly one of")
    when.add_argument("--every", metavar="TIME", help="again and again: 30s, 10m, 24h")
    when.add_argument("--cron", metavar="FIELDS", help="minute, hour, day of month, month, day of week: '0 9 * * 1-5'")
    when.add_argument("--at", metavar="MOMENT", help="once: 2026-12-01T09:00:00Z")
    when.add_argument("--folder", metavar="DIR", help="for each file that comes into a folder, or changes there")
    more = parser.add_argument_group("more, for add")
    more.add_argument("--tz", metavar="ZONE", help="of --cron, such as Europe/Berlin (default: this machine's)")
    more.add_argument("--glob", metavar="PATTERN", help="of --folder: only files with such names, as '*.pdf'")
    more.add_argument("--settle", metavar="TIME", help="of --folder: how long a file must not change (default: 2s)")
    more.add_argument("--depth", metavar="N", type=int, help="of --folder: so many folders down (default: 0)")
    more.add_argument("--existing", action="store_true", help="of --folder: also for files that are there already")
    more.add_argument("--name", help="what it is called (default: its id)")
    more.add_argument(
        "--misfire",
        choices=("once", "skip", "all"),
        help="for moments that passed while no daemon ran: one start for all of them (the default), none, or one each",
    )
    more.add_argument("--plan", metavar="FILE", help="start this plan (YAML or JSON; - is stdin) instead of an intent")
    more.add_argument(
        "--workspace",
        metavar="DIR",
        help="the folder that steps may see (default: that of --folder, else the current one)",
    )
    more.add_argument("--thread", metavar="ID", help="the thread of all it starts (default: a new one each time)")
    more.add_argument("--label", metavar="K=V", action="append", default=[], help="a label; may be repeated")
    parser.add_argument("--path", metavar="FILE", help="for run, of a schedule with --folder: the file to start it for")
    add_json(parser)


def _run(args: Namespace) -> int:
    verb, rest = verb_of(args, VERBS, "A schedule cannot")
    if verb != "add" and (given := [name for name in _OF_ADD if getattr(args, name) is not None]):
        raise BadInput(f"--{given[0]} belongs to `schedule add`.")
    if args.path is not None and verb != "run":
        raise BadInput("--path belongs to `schedule run`.")
    if verb == "list":
        return _list(args)
    if verb == "add":
        return _add(args, " ".join(rest))
    if len(rest) != 1:
        raise BadInput(f"Which one? orchestral schedule {verb} NAME; orchestral schedule lists them.")
    return _one(args, verb, rest[0])


def _list(args: Namespace) -> int:
    rows = connect(args).call("schedule.list")["schedules"]
    if args.json:
        print_json({"schedules": rows})
        return OK
    out = Terminal(sys.stdout)
    out.print(*(listing(rows, _now(), out.columns) if rows else ["No schedules."]))
    return OK


def _add(args: Namespace, intent: str) -> int:
    if bool(intent) == bool(args.plan):
        raise BadInput("Say what to start in words, or hand over a plan with --plan: one of the two.")
    request: dict[str, Any] = {
        "trigger": trigger(args),
        "name": args.name,
        "workspace": workspace(args.workspace or args.folder),
        "thread_id": args.thread,
        "labels": labels(args.label) or None,
        "misfire": args.misfire,
    }
    if args.plan:
        from orchestrald.cli.plan_file import read_plan

        request["plan"] = read_plan(args.plan)
    else:
        request["intent"] = intent
    return _said(args, connect(args).call("schedule.create", **request))


def trigger(args: Namespace) -> dict[str, Any]:
    """The trigger that the options say. Raises BadInput when they say none, or two."""
    said = [name for name in ("every", "cron", "at", "folder") if getattr(args, name) is not None]
    if len(said) != 1:
        raise BadInput("When? Give exactly one of --every, --cron, --at and --folder.")
    of_folder = {name: getattr(args, name) for name in ("glob", "settle", "depth") if getattr(args, name) is not None}
    if said != ["folder"] and (of_folder or args.existing):
        raise BadInput(f"--{next(iter(of_folder), 'existing')} belongs to --folder.")
    if said != ["cron"] and args.tz is not None:
        raise BadInput("--tz belongs to --cron.")
    if args.folder is not None:
        folder = os.path.abspath(os.path.expanduser(args.folder))
        return {"folder": folder, **of_folder, **({"existing": True} if args.existing else {})}
    if args.cron is not None:
        return {"cron": args.cron, "tz": args.tz or local_zone()}
    return {said[0]: getattr(args, said[0])}


def local_zone() -> str:
    """This machine's time zone by name; UTC where it has none that the daemon would know."""
    name = os.environ.get("TZ", "").removeprefix(":")
    if not name:
        name = os.path.realpath("/etc/localtime").partition("/zoneinfo/")[2]
    return name or "UTC"


def _one(args: Namespace, verb: str, name: str) -> int:
    client = connect(args)
    if verb == "show":
        return _said(args, client.call("schedule.get", schedule=name))
    if verb == "run":
        return _fired(args, client, name)
    found = client.call(f"schedule.{'delete' if verb == 'remove' else verb}", schedule=name)
    if args.json:
        print_json(found)
    else:
        state = "removed" if verb == "remove" else safe(found["state"])
        sys.stdout.write(f"{safe(found['name'])} is {state}.\n")
    return OK


def _fired(args: Namespace, client: Client, name: str) -> int:
    path = None if args.path is None else os.path.abspath(os.path.expanduser(args.path))
    found = client.call("schedule.run", schedule=name, path=path)
    if args.json:
        print_json(found)
    else:
        sys.stdout.write(found["interaction_id"] + "\n")
        sys.stderr.write(f"It runs. orchestral watch {safe(found['interaction_id'])} looks at it.\n")
    return OK


def _said(args: Namespace, found: dict[str, Any]) -> int:
    if args.json:
        print_json(found)
    else:
        Terminal(sys.stdout).print(*describe(found, _now()))
    return OK


def _now() -> int:
    return time.time_ns() // 1000


COMMANDS = {
    "schedule": Command(
        help="what starts by itself: again and again, at a moment, or for files that come",
        run=_run,
        configure=_configure,
        examples="""  orchestral schedule
  orchestral schedule add --cron '0 9 * * 1-5' --name mornings survey the house
  orchestral schedule add --folder ~/inbox --glob '*.pdf' 'read {path}'
  orchestral schedule show mornings""",
        epilog="In the intent of a --folder schedule {path} is the file, quoted; in its plan {{trigger.path}} is.",
    ),
}
