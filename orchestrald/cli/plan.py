"""What would be run?"""

from __future__ import annotations

import os
import sys

from orchestrald.cli.command import BAD_REQUEST, OK, BadInput, Command, connect, print_json
from orchestrald.cli.plan_file import SUFFIXES, read_plan
from orchestrald.cli.preview import foresee, show
from orchestrald.cli.problems import problem_lines
from orchestrald.cli.run import workspace
from orchestrald.cli.show import FORMATS, print_graph
from orchestrald.cli.terminal import Terminal
from orchestrald.cli.text import plural

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any

    from orchestrald.client import Client


def _configure(parser: ArgumentParser) -> None:
    parser.usage = "orchestral plan INTENT... | plan validate FILE | plan graph FILE|INTENT...  [options]"
    parser.add_argument(
        "words", nargs="+", metavar="INTENT", help="what you want; or `validate FILE`; or `graph FILE|INTENT`"
    )
    parser.add_argument(
        "--format", choices=FORMATS, default="terminal", help="how `graph` prints it (default: drawn here)"
    )
    parser.add_argument("--workspace", metavar="DIR", help="the folder that steps would see (default: the current one)")
    parser.add_argument("--json", action="store_true", help="print JSON: the plan, or the problems")


def _run(args: Namespace) -> int:
    first, *rest = args.words
    if first == "validate" and (not rest or (len(rest) == 1 and is_file(rest[0]))):
        if not rest:
            raise BadInput("Which plan? orchestral plan validate FILE")
        return _validate(connect(args), read_plan(rest[0]), args)
    if first == "graph":
        if not rest:
            raise BadInput("Which plan? orchestral plan graph FILE, or an intent")
        return _graph(connect(args), rest, args)
    return _preview(connect(args), args)


def is_file(word: str) -> bool:
    """Whether the word means a plan's file and not an intent."""
    return word == "-" or word.endswith(SUFFIXES) or os.path.isfile(word)


def _validate(client: Client, plan: Any, args: Namespace) -> int:
    found = client.call("plan.validate", plan=plan)
    if args.json:
        print_json(found)
    elif found["valid"]:
        steps = (found.get("plan") or plan).get("steps", [])
        sys.stdout.write(f"The plan can be run: {plural(len(steps), 'step')}.\n")
    else:
        problems = found.get("problems") or []
        out = Terminal(sys.stdout)
        out.print(f"The plan cannot be run: {plural(len(problems), 'problem')}.", *problem_lines(problems))
    return OK if found["valid"] else BAD_REQUEST


def _graph(client: Client, rest: list[str], args: Namespace) -> int:
    if len(rest) == 1 and is_file(rest[0]):
        plan = read_plan(rest[0])
    else:
        found = foresee(client, _request(rest, args), Terminal(sys.stderr))
        if "plan" not in found:
            raise BadInput("The planner answers without a plan.", str(found.get("answer") or ""))
        plan = found["plan"]
    form = "json" if args.json else args.format
    found = client.call("plan.graph", plan=plan, format=form if form in {"mermaid", "dot"} else "json")
    print_graph(found["graph"], form)
    return OK


def _request(words: list[str], args: Namespace) -> dict[str, Any]:
    return {"intent": " ".join(words), "workspace": workspace(args.workspace)}


def _preview(client: Client, args: Namespace) -> int:
    request = _request(args.words, args)
    found = foresee(client, request, Terminal(sys.stderr))
    return show(found, request["intent"], Terminal(sys.stdout), as_json=args.json)


COMMANDS = {
    "plan": Command(
        help="what would be run, and who must agree to it; check or draw a plan",
        run=_run,
        configure=_configure,
        examples="""  orchestral plan read README.md
  orchestral plan validate plan.yaml
  orchestral plan graph plan.yaml
  orchestral plan graph read README.md --format mermaid
  orchestral plan --json tidy up | jq .actions""",
        epilog="Where a model plans, each preview is paid for; `orchestral usage` counts it.\n\n"
        "exit codes: 0 it can be run, 1 the planner says that it cannot be done, 2 there is no plan that can be run\n"
        "(such as when nothing plans the intent), 70 no model answers",
    ),
}
