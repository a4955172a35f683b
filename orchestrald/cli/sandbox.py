"""What may an action touch, and what becomes of a command that may touch no more?

Words come before bwrap's own: whoever wonders why something was denied reads the first screen, whoever doubts the words
reads the rest.
"""

from __future__ import annotations

import sys

from orchestrald.cli.command import BAD_REQUEST, EXIT_CODES, FAILED, OK, BadInput, Command, connect, print_json
from orchestrald.cli.run import workspace
from orchestrald.cli.terminal import Terminal
from orchestrald.cli.text import cells, safe, safe_lines, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterable
    from typing import Any

    from orchestrald.cli.terminal import Line

MARGIN_S = 20.0
"""How much longer than the command the daemon may take: it waits for a free place, and ends what will not end."""
WIDEST = 44


def _configure(parser: ArgumentParser) -> None:
    parser.usage = "orchestral sandbox explain ACTION | sandbox try ACTION -- COMMAND...  [options]"
    parser.add_argument("what", choices=("explain", "try"), help="say what is allowed, or run a command within it")
    parser.add_argument("action", help="its name, as `orchestral actions` lists it")
    parser.add_argument("--workspace", metavar="DIR", help="the folder that a step sees (default: the current one)")
    parser.add_argument("--timeout", metavar="S", type=float, default=30.0, help="of `try`, in seconds (default: 30)")
    parser.add_argument("--json", action="store_true", help="print the daemon's answer as JSON")


def _run(args: Namespace) -> int:
    folder = workspace(args.workspace)
    if args.what == "try":
        return _try(args, folder)
    if args.tail:
        raise BadInput("`explain` runs nothing. orchestral sandbox try ACTION -- COMMAND does.")
    found = connect(args).call("sandbox.explain", action=args.action, workspace=folder)
    if args.json:
        print_json(found)
    else:
        Terminal(sys.stdout).print(*describe(found))
    return OK


def _try(args: Namespace, folder: str) -> int:
    if not args.tail:
        raise BadInput("Which command? orchestral sandbox try ACTION -- COMMAND...")
    if not 0.001 <= args.timeout <= 600:
        raise BadInput("--timeout must be between 0.001 and 600 seconds.")
    # Once: what a dropped connection leaves open is not done again, since the command may change the workspace.
    found = connect(args).call_once(
        "sandbox.try",
        timeout=args.timeout + MARGIN_S,
        action=args.action,
        argv=args.tail,
        workspace=folder,
        timeout_ms=int(args.timeout * 1000),
    )
    if args.json:
        print_json(found)
    else:
        out, err = Terminal(sys.stdout), Terminal(sys.stderr)
        _pass_on(out, found.get("stdout", ""))
        _pass_on(err, found.get("stderr", ""))
        err.print(*verdict(found, args.action))
    return _code(found)


def _code(found: dict[str, Any]) -> int:
    if "error" in found:
        return BAD_REQUEST if found["error"]["code"] == "cannot_run" else FAILED
    return FAILED if found.get("timed_out") else int(found.get("status", FAILED))


def _pass_on(to: Terminal, text: str) -> None:
    """As it came where a program reads it; where a person does, nothing in it speaks to the terminal."""
    if not to.is_terminal:
        to.stream.write(text)
        to.stream.flush()
    elif text:
        to.print(*safe_lines(text))


def verdict(found: dict[str, Any], action: str) -> list[Line]:
    """What the sandbox has to say about a command that was tried; nothing when all was well."""
    lines: list[Line] = []
    if "error" in found:
        lines.append([("orchestral: ", "bad"), (safe(found["error"]["message"]), "")])
    if found.get("timed_out"):
        lines.append([("orchestral: ", "bad"), ("its time was up, so it was stopped", "")])
    cut = [name for name in ("stdout", "stderr") if found.get(f"{name}_truncated")]
    if cut:
        lines.append([("orchestral: ", "wait"), (f"only the beginning of {' and '.join(cut)} was kept", "")])
    told = {safe((found.get("error") or {}).get("message", ""))}
    for seen in found.get("violations") or []:
        if safe(seen["evidence"]) in told:
            continue
        sure = "" if seen.get("certain", True) else "perhaps "
        lines.append([("sandbox: ", "wait"), (f"{sure}{safe(seen['kind'])}: ", ""), (safe(seen["evidence"]), "")])
    if any(seen["kind"] != "exec_failed" for seen in found.get("violations") or []):
        lines.append([(f"  orchestral sandbox explain {safe(action)} says what is allowed, and why.", "dim")])
    return lines


def describe(found: dict[str, Any]) -> list[Line]:
    """An explanation for a person: what is wrong, whose word it is, what may be touched, then the sandbox's words."""
    kind = "in the daemon" if found.get("runs") == "in_process" else "a program"
    lines: list[Line] = [[(safe(found["action"]), "bold"), (f"  {kind}, of the plugin {safe(found['plugin'])}", "dim")]]
    if found.get("problem"):
        lines.append([("  it would not run: ", "bad"), (safe(found["problem"]["message"]), "")])
        lines += [[(f"  {text}", "dim")] for text in safe_lines(found["problem"].get("hint") or "")]
    lines += [[(f"  {text}", "")] for text in safe_lines(found.get("says") or "")]
    if "mode" not in found:
        return lines
    lines += _section("whose word it is", [(f"{w['what']} {_word(w['value'])}", w["because"]) for w in found["why"]])
    lines += [[("  refused  ", "wait"), (safe(refused), "")] for refused in found.get("refused") or []]
    lines += _section("may read", _paths(found["reads"]))
    lines += _section("may write, and read", _paths(found["writes"]))
    if found.get("protected"):
        lines += _section("must not write, wherever they are in there", [(" ".join(found["protected"]), "")])
        lines += _section("  of these there are", [(path, "read-only") for path in found.get("protected_found") or []])
    lines += _section("hidden", [(path, "") for path in found["hidden"]])
    lines += _section("network", [(found["network"], found["network_says"]), *_destinations(found["destinations"])])
    granted = "those beneath what it sees can be connected to" if found["unix_sockets"] else "none can be made"
    lines += _section("Unix sockets", [("yes" if found["unix_sockets"] else "no", granted)])
    lines += _section("limits", [_limit(limit) for limit in found["limits"]])
    lines += _section("runs as", [(found["user"], "")])
    lines += _section("in", [(found["cwd"], "")])
    lines += _section("variables", [(" ".join(found["environment"]), "")] if found.get("environment") else [])
    lines += _section("weaker here", [(word, "") for word in found.get("weaker") or []])
    return lines + _argv(found)


def _section(title: str, rows: Iterable[tuple[str, str]]) -> list[Line]:
    """A heading with a row for each pair; nothing when there is no row."""
    shown = [(safe(what), safe(why)) for what, why in rows]
    if not shown:
        return []
    width = min(WIDEST, max(cells(what) for what, _ in shown))
    lines: list[Line] = [[(f"{title}", "bold")]]
    for what, why in shown:
        gap = " " * max(0, width - cells(what))
        lines.append([(f"  {what}", ""), (f"{gap}  {why}" if why else "", "dim")])
    return lines


def _paths(shown: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(each["path"], each["why"]) for each in shown]


def _destinations(lists: list[list[str]]) -> list[tuple[str, str]]:
    whose = ["the operator's list"] + ["the manifest's list"] * len(lists)
    return [(entry, whose[number]) for number, entries in enumerate(lists) for entry in entries]


def _limit(limit: dict[str, Any]) -> tuple[str, str]:
    name, _, unit = limit["name"].rpartition("_")
    value = limit["value"]
    if unit == "bytes":
        shown = f"{name.replace('_', ' ')} {size(value)}"
    elif unit in {"seconds", "percent"}:
        shown = f"{name.replace('_', ' ')} {value} {unit}"
    else:
        shown = f"{limit['name'].replace('_', ' ')} {value}"
    why = "" if limit["because"] == "the default" else f" ({limit['because']})"
    return shown, limit["by"] + why


def _word(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _argv(found: dict[str, Any]) -> list[Line]:
    if not found.get("argv"):
        return []
    lines: list[Line] = [[("what starts it", "bold")]]
    return [*lines, *([("  " + safe(" ".join(option)), "dim")] for option in found["argv"])]


COMMANDS = {
    "sandbox": Command(
        help="what an action may touch and why; try a command under its policy",
        run=_run,
        configure=_configure,
        tail=True,
        examples="""  orchestral sandbox explain shell
  orchestral sandbox explain words.count --workspace ~/project --json | jq .reads
  orchestral sandbox try words.count -- sh -c 'cat /etc/shadow; touch here'""",
        epilog="`try` ends as its command did (128 and the number, for a signal), or with one of these.\n\n"
        + EXIT_CODES,
    ),
}
