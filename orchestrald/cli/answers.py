"""How does a person answer what a step waits for?

Approving prints what will run first, and approves exactly that: were the step's parameters to change meanwhile, the
digest would not fit and the daemon would refuse.
"""

from __future__ import annotations

import sys

from orchestrald.cli.ask import about, approval_lines, decide, read_line
from orchestrald.cli.call import json_value
from orchestrald.cli.command import OK, BadInput, Command, add_json, connect, print_json
from orchestrald.cli.find import find_interaction
from orchestrald.cli.terminal import Terminal
from orchestrald.cli.text import safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any


def _approvals(args: Namespace) -> int:
    rows = connect(args).call("approval.list")["approvals"]
    if args.json:
        print_json({"approvals": rows})
        return OK
    out = Terminal(sys.stdout)
    if not rows:
        out.print("Nothing waits for an approval.")
    for row in rows:
        out.print([(f"{safe(row['interaction_id'])} {safe(row['step_id'])}", "bold")], *about(row))
        out.print(*approval_lines(row))
        out.print(
            [(f"  orchestral approve {safe(row['interaction_id'])} {safe(row['step_id'])}   (or deny)", "dim")], ""
        )
    return OK


def _configure_decision(parser: ArgumentParser) -> None:
    parser.add_argument("interaction", help="its id, or the start of it")
    parser.add_argument("step", nargs="?", default="", help="the step (may be left out when only one waits)")
    parser.add_argument("--note", default="", help="why; it is kept with the decision, and the planner is told")
    parser.add_argument("--digest", metavar="WORD", help="decide only if the approval still has this digest")
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask again")
    add_json(parser)


def _decide(args: Namespace, decision: str) -> int:
    client = connect(args)
    interaction_id = find_interaction(client, args.interaction)
    rows = [row for row in client.call("approval.list")["approvals"] if row["interaction_id"] == interaction_id]
    rows = [row for row in rows if args.step in {"", row["step_id"]}]
    if len(rows) != 1:
        steps = ", ".join(safe(row["step_id"]) for row in rows)
        raise BadInput(
            f"Several approvals wait: {steps}." if rows else "No such approval waits.",
            "Name the step: orchestral approve INTERACTION STEP" if rows else "orchestral approvals lists what waits.",
        )
    approval = rows[0]
    if args.digest and args.digest != approval["digest"]:
        raise BadInput(
            "What waits now is not what that digest was made from.", "orchestral approvals shows what waits."
        )
    screen = Terminal(sys.stderr)
    if not args.json:
        screen.print(*approval_lines(approval), *about(approval))
    if decision == "approve" and not (args.yes or args.digest) and not _confirmed(screen):
        raise BadInput("Not approved; it still waits.", "Without a terminal, say --yes or --digest to approve.")
    decide(client, approval, decision, args.note)
    if args.json:
        print_json({"interaction_id": interaction_id, "step_id": approval["step_id"], "decision": decision})
    else:
        sys.stdout.write(f"{safe(approval['step_id'])}: {'approved' if decision == 'approve' else 'denied'}.\n")
    return OK


def _confirmed(screen: Terminal) -> bool:
    if not (sys.stdin and sys.stdin.isatty()):
        return False
    return read_line(screen, "Run it? [y/N] ").strip().lower() in {"y", "yes"}


def _configure_respond(parser: ArgumentParser) -> None:
    parser.add_argument("interaction", help="its id, or the start of it")
    parser.add_argument("answer", nargs="*", help="the answer as text")
    parser.add_argument("--step", metavar="ID", help="the step (may be left out when only one waits)")
    parser.add_argument("--payload", metavar="JSON", help="the answer as JSON, instead of text")
    choice = parser.add_mutually_exclusive_group()
    for word, says in (
        ("retry", "for a step that the daemon's death interrupted: run it again"),
        ("skip", "for such a step: go on without it (with --value)"),
        ("fail", "for such a step: count it as failed"),
    ):
        choice.add_argument(f"--{word}", dest="decision", action="store_const", const=word, help=says)
    parser.add_argument(
        "--value", metavar="JSON", help="with --skip: what the steps after it get instead of its output"
    )
    add_json(parser)


def _respond(args: Namespace) -> int:
    payload = payload_of(args)
    client = connect(args)
    interaction_id = find_interaction(client, args.interaction)
    found = client.call("interaction.respond", interaction_id=interaction_id, step_id=args.step, payload=payload)
    if args.json:
        print_json(found)
    else:
        sys.stdout.write(f"{safe(found.get('step_id', 'The step'))} has its answer.\n")
    return OK


def payload_of(args: Namespace) -> Any:
    """The answer: exactly one of words, --payload and a decision. Raises BadInput."""
    given = [bool(args.answer), args.payload is not None, args.decision is not None]
    if sum(given) != 1:
        raise BadInput("Answer with words, with --payload, or with one of --retry, --skip and --fail.")
    if args.value is not None and args.decision != "skip":
        raise BadInput("--value belongs to --skip.")
    if args.decision is not None:
        decision: dict[str, Any] = {"decision": args.decision}
        if args.value is not None:
            decision["value"] = json_value(args.value, "--value")
        return decision
    return " ".join(args.answer) if args.answer else json_value(args.payload, "--payload")


_DECISION_EXAMPLES = """  orchestral {word} 0198c1
  orchestral {word} 0198c1 publish --note 'checked with the team'"""

COMMANDS = {
    "approvals": Command(
        help="what waits for an approval, and exactly what would run",
        run=_approvals,
        configure=add_json,
        examples="  orchestral approvals",
    ),
    "approve": Command(
        help="let one exact step run",
        run=lambda args: _decide(args, "approve"),
        configure=_configure_decision,
        examples=_DECISION_EXAMPLES.format(word="approve"),
    ),
    "deny": Command(
        help="refuse one exact step; it fails as denied",
        run=lambda args: _decide(args, "deny"),
        configure=_configure_decision,
        examples=_DECISION_EXAMPLES.format(word="deny"),
    ),
    "respond": Command(
        help="answer a step that asks something",
        run=_respond,
        configure=_configure_respond,
        examples="""  orchestral respond 0198c1 the second one
  orchestral respond 0198c1 --step choose --payload '{"branch": "main"}'
  orchestral respond 0198c1 --step upload --retry""",
    ),
}
