"""Which commands does `orchestral` have, and how does one word become a running command?

Rules of this file:

- A command's module is imported only when the command is used, argparse only when there is something to parse.
- Errors that a person can act on are printed as a sentence and a hint; a traceback is always a bug of ours.
"""

from __future__ import annotations

import os
import sys

from orchestrald.cli.command import BAD_REQUEST, INTERRUPTED
from orchestrald.client import ClientError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from orchestrald.cli.command import Command

GROUPS: dict[str, dict[str, str]] = {
    "do something": {
        "run": "run",
        "repl": "repl",
        "plan": "plan",
        "call": "call",
        "schedule": "schedule",
    },
    "see what happened": {
        "list": "interactions",
        "threads": "threads",
        "show": "show",
        "watch": "run",
        "events": "events",
        "memory": "memory",
        "references": "references",
        "usage": "usage",
    },
    "take part": {
        "approvals": "answers",
        "approve": "answers",
        "deny": "answers",
        "respond": "answers",
        "emit": "emit",
        "pause": "steer",
        "resume": "steer",
        "skip": "steer",
        "retry": "steer",
        "fork": "steer",
        "cancel": "interactions",
    },
    "know your tools": {
        "actions": "catalogue",
        "plugins": "catalogue",
        "sandbox": "sandbox",
    },
    "the daemon": {
        "status": "status",
        "start": "daemon",
        "stop": "daemon",
        "paths": "about",
        "version": "about",
    },
}
"""Groups of commands, each with the module that holds it, in the order of `orchestral --help`."""

MODULES = {name: module for group in GROUPS.values() for name, module in group.items()}

EXAMPLES = """examples:
  orchestral run read README.md               run what a playbook knows as "read {path}", and watch it
  orchestral call shell command='uname -a'    run one action; orchestral actions lists them
  orchestral show --graph                     draw the DAG of the newest interaction"""


def main() -> None:
    """The console script. Leaves with os._exit, which saves what tearing the interpreter down costs."""
    try:
        code = dispatch(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        code = 141
    sys.stderr.flush()
    os._exit(code)


def dispatch(argv: Sequence[str]) -> int:
    """Run one command line; the exit code."""
    try:
        return _dispatch(list(argv))
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return INTERRUPTED
    except SystemExit as leaving:  # argparse's way to say that it has printed the help or a usage error
        return leaving.code if isinstance(leaving.code, int) else 0
    except ClientError as error:
        from orchestrald.cli.problems import complain

        return complain(error)


def _dispatch(argv: list[str]) -> int:
    name = argv[0] if argv else "--help"
    if name in {"-h", "--help"} or (name == "help" and len(argv) == 1):
        return _help()
    if name == "help":
        argv = [argv[1], "--help"]
        name = argv[0]
    if name in {"-V", "--version"}:
        name, argv = "version", ["version"]
    if name not in MODULES:
        return _unknown(name)
    module = _load(MODULES[name])
    quick = getattr(module, "QUICK", {}).get(name)
    if quick is not None and len(argv) == 1:
        return int(quick())
    return _run(name, module.COMMANDS[name], argv[1:])


def _run(name: str, command: Command, rest: list[str]) -> int:
    from argparse import ArgumentParser, RawDescriptionHelpFormatter

    parser = ArgumentParser(
        prog=f"orchestral {name}",
        description=command.help,
        epilog="\n\n".join(part for part in ("examples:\n" + command.examples.rstrip(), command.epilog) if part),
        formatter_class=lambda prog: RawDescriptionHelpFormatter(prog, max_help_position=28, width=100),
        allow_abbrev=False,
    )
    if command.configure is not None:
        command.configure(parser)
    parser.add_argument(
        "--no-start",
        action="store_true",
        help="do not start the daemon when none runs (also ORCHESTRAL_NO_START=1)",
    )
    tail: list[str] = []
    if command.tail and "--" in rest:
        cut = rest.index("--")
        rest, tail = rest[:cut], rest[cut + 1 :]
    args = parser.parse_intermixed_args(rest)
    args.tail = tail
    return command.run(args)


def _load(module: str) -> Any:
    # importlib.import_module would do, and costs the milliseconds of importing importlib
    return __import__(f"orchestrald.cli.{module}", fromlist=["COMMANDS"])


def _help() -> int:
    out = [
        "orchestral: turn an intent into a durable, resumable run of sandboxed plugins.",
        "",
        "usage: orchestral COMMAND [...]      orchestral COMMAND --help explains one and shows examples",
    ]
    for group, names in GROUPS.items():
        out += ["", f"{group}:"]
        for name, module in names.items():
            says = _load(module).COMMANDS[name].help.split("\n")[0]
            out.append(f"  {name:<11} {says}")
    out += [
        "",
        EXAMPLES,
        "",
        "The daemon starts by itself when a command needs it; ORCHESTRAL_NO_START=1 forbids that.",
    ]
    sys.stdout.write("\n".join(out) + "\n")
    return 0


def _unknown(name: str) -> int:
    from orchestrald.cli.text import nearest, safe

    near = nearest(name, MODULES)
    says = f"Did you mean {' or '.join(near)}?" if near else "orchestral --help lists the commands."
    if name.startswith("-"):
        says = "Options follow the command; orchestral --help lists the commands."
    sys.stderr.write(f"orchestral: there is no command {safe(name)}. {says}\n")
    return BAD_REQUEST
