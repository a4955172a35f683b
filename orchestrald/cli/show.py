"""What happened in one interaction?"""

from __future__ import annotations

import sys
import time

from orchestrald.cli.board import Board
from orchestrald.cli.command import OK, BadInput, Command, connect, print_json
from orchestrald.cli.find import find_interaction
from orchestrald.cli.follow import how_to_answer
from orchestrald.cli.hands import TYPES, deeds
from orchestrald.cli.terminal import Terminal
from orchestrald.cli.text import ago, safe, safe_lines, size, spending
from orchestrald.cli.tree import Signs, tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterable
    from typing import Any

    from orchestrald.cli.terminal import Line
    from orchestrald.client import Client

FORMATS = ("terminal", "mermaid", "dot", "svg", "json")
WHOLE = 1_000_000
"""A height that nothing is folded for."""


def _configure(parser: ArgumentParser) -> None:
    parser.add_argument("interaction", nargs="?", default="", help="its id or the start of it (default: the newest)")
    parser.add_argument(
        "--graph",
        nargs="?",
        const="terminal",
        metavar="FORMAT",
        help="draw the DAG here, or print it as mermaid, dot, svg or json",
    )
    parser.add_argument("--outputs", action="store_true", help="what each step gave, too")
    parser.add_argument("--json", action="store_true", help="print the snapshot as JSON")


def _run(args: Namespace) -> int:
    given, form = args.interaction, args.graph
    if form not in {None, *FORMATS}:
        if given:
            raise BadInput(f"There is no graph format {safe(form)}.", f"Known: {', '.join(FORMATS)}.")
        given, form = form, "terminal"  # `show --graph ID` reads well, and argparse takes the id for the format
    client = connect(args)
    interaction_id = find_interaction(client, given)
    if form is not None:
        wire = form if form in {"mermaid", "dot"} else "json"
        found = client.call("interaction.graph", interaction_id=interaction_id, format=wire)
        print_graph(found["graph"], form)
        return OK
    snapshot = client.call("interaction.get", interaction_id=interaction_id, outputs=args.outputs or None)
    if args.json:
        print_json(snapshot)
        return OK
    out = Terminal(sys.stdout)
    now = time.time_ns() // 1000
    out.print(*describe(snapshot, now, out.columns, Signs(unicode=out.unicode), around(client, snapshot, now)))
    if args.outputs:
        _outputs(client, snapshot, out)
    return OK


def around(client: Client, snapshot: dict[str, Any], now: int) -> list[Line]:
    """What there is to know beside its steps: its thread, its place in the queue, what models took, what people did."""
    thread_id, interaction_id = snapshot.get("thread_id"), snapshot["interaction_id"]
    lines: list[Line] = [[(f"thread {safe(thread_id)}", "dim")]] if thread_id else []
    if snapshot.get("forked_from"):
        lines.append([(f"forked from {safe(snapshot['forked_from'])}", "dim")])
    if snapshot.get("spent"):
        lines.append([(f"model: {spending(snapshot['spent'])}", "dim")])
    if snapshot.get("state") == "queued" and thread_id:
        lines += place(client.call("thread.get", thread_id=thread_id).get("unfinished") or [], interaction_id)
    page = client.call("events.list", interaction_id=interaction_id, types=TYPES, limit=1000)
    return lines + deeds(page["events"], now)


def place(unfinished: list[dict[str, Any]], interaction_id: str) -> list[Line]:
    """Where it stands in its thread's queue; nothing when it has just left it. What waits for a person holds up
    nobody."""
    ahead: list[dict[str, Any]] = []
    for each in unfinished:
        if each["interaction_id"] == interaction_id:
            number = 1 + sum(one["standing"] == "queued" for one in ahead)
            behind = f", behind {safe(ahead[-1]['interaction_id'])}" if ahead else ""
            return [[(f"number {number} in the queue{behind}", "wait")]]
        if each["standing"] != "waiting":
            ahead.append(each)
    return []


def describe(snapshot: dict[str, Any], now: int, width: int, signs: Signs, beside: Iterable[Line] = ()) -> list[Line]:
    """The whole tree, full messages of what failed, how to answer what is open, and the answer."""
    board = Board(snapshot["interaction_id"])
    board.snapshot(snapshot)
    begun = ago(snapshot.get("created_at", now), now)
    where = f", on {safe(snapshot['workspace'])}" if snapshot.get("workspace") else ""
    lines: list[Line] = [[(f"{safe(snapshot['interaction_id'])}", "bold"), (f"  began {begun}{where}", "dim")]]
    lines += [[("  ", ""), *line] for line in beside]
    lines += tree(board, now, width, WHOLE, signs)
    for row in board.rows.values():
        if row.state == "failed" and row.error:
            message = safe_lines(row.error.get("message", ""))
            if len(message) > 1 or row.parent:
                lines += [[], [(f"{safe(row.step_id)} failed ({safe(row.error.get('code', ''))}):", "bad")]]
                lines += [[("  " + text, "")] for text in message]
    for row in board.asking:
        lines += [[], [(f"{safe(row.step_id)} waits: ", "wait"), (safe((row.question or {}).get("prompt", "")), "")]]
        lines.append([("  " + how_to_answer(board.interaction_id, row), "dim")])
    answer = safe_lines(snapshot.get("answer") or "")
    return lines + ([[], *([(text, "")] for text in answer)] if answer else [])


def _outputs(client: Any, snapshot: dict[str, Any], out: Terminal) -> None:
    from orchestrald.cli.ask import value_lines

    for step in snapshot.get("steps", []):
        if step.get("output") is not None:
            out.print("", *value_lines(safe(step["step_id"]), step["output"]))
        elif step.get("stored"):
            stored = step["stored"]
            where = "deleted since, as its time was over" if stored.get("pruned") else f"in {safe(stored['digest'])}"
            out.print(
                "",
                [
                    (f"  {safe(step['step_id'])}: ", "dim"),
                    (f"{size(stored.get('size', 0))}, {where}", ""),
                ],
            )


def print_graph(graph: Any, form: str) -> None:
    """A graph in one of FORMATS: text from the daemon is printed as it is, but for what a terminal would obey."""
    out = Terminal(sys.stdout)
    if form in {"mermaid", "dot"}:
        out.print(*safe_lines(graph))
    elif form == "json":
        print_json(graph)
    elif form == "svg":
        from orchestrald.cli.svg import svg

        out.print(svg(graph))
    else:
        from orchestrald.cli.draw import draw

        out.print(*draw(graph, out.columns, unicode=out.unicode))


COMMANDS = {
    "show": Command(
        help="one interaction: its steps, its answer, its DAG",
        run=_run,
        configure=_configure,
        examples="""  orchestral show
  orchestral show 0198c1 --outputs
  orchestral show 0198c1 --graph
  orchestral show --graph svg > plan.svg""",
    ),
}
