"""How does a person talk to one thread, line by line?"""

from __future__ import annotations

import os
import sys
import time

from orchestrald.cli.command import EXIT_CODES, OK, UNREACHABLE, Command, connect
from orchestrald.cli.conversation import HELP, Conversation
from orchestrald.cli.find import find_thread
from orchestrald.cli.lines import Lines
from orchestrald.cli.problems import complain
from orchestrald.cli.run import CTRL_C, somebody, workspace
from orchestrald.cli.terminal import Terminal
from orchestrald.client import ClientError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from orchestrald.client import Client

PROMPT = "> "
HISTORY = "repl_history"


def _configure(parser: ArgumentParser) -> None:
    parser.add_argument("--thread", metavar="ID", help="go on with this thread (default: a new one)")
    parser.add_argument("--workspace", metavar="DIR", help="the folder that steps may see (default: the current one)")
    parser.add_argument("--quiet", "-q", action="store_true", help="print nothing but the answers")


def _run(args: Namespace) -> int:
    folder = workspace(args.workspace)
    client = connect(args)
    screen = somebody(Terminal(sys.stderr), asks=True)
    thread_id = find_thread(client, args.thread) if args.thread else ""
    if thread_id and screen is not None:
        _introduce(client, thread_id, screen)
    elif screen is not None:
        screen.print([("A new thread. /help lists the commands, Ctrl-D leaves.", "dim")])
    conversation = Conversation(client, thread_id, folder, screen, quiet=args.quiet)
    lines = Lines(screen, os.path.join(client.paths.state_dir, HISTORY))
    try:
        code = _converse(client, conversation, lines, interactive=screen is not None)
    finally:
        lines.close()
    if screen is not None and conversation.thread_id:
        screen.print([(f"orchestral repl --thread {conversation.thread_id}   goes on here", "dim")])
    return code


def _introduce(client: Client, thread_id: str, screen: Terminal) -> None:
    from orchestrald.cli.threads import describe

    thread = client.call("thread.get", thread_id=thread_id)
    screen.print(*describe(thread, time.time_ns() // 1000))
    waits = any(each["standing"] == "waiting" for each in thread["unfinished"])
    screen.print([("/help lists the commands" + (", Enter asks what waits." if waits else "."), "dim")])


def _converse(client: Client, conversation: Conversation, lines: Lines, *, interactive: bool) -> int:
    """Line by line to the end; in a pipe the last one's exit code."""
    code = OK
    while True:
        try:
            line = lines.next(PROMPT)
            if line is None or not conversation.take(line):
                return OK if interactive else code
            code = conversation.code if line.strip() else code
        except ClientError as error:
            code = complain(error)
            if code == UNREACHABLE:
                return code
        except KeyboardInterrupt:
            if not interactive:
                raise
            sys.stderr.write("\n")  # as a shell: the line is dropped
            client.close()  # a request may have been cut off in the middle


COMMANDS = {
    "repl": Command(
        help="talk to one thread, line by line",
        run=_run,
        configure=_configure,
        examples="""  orchestral repl
  orchestral repl --thread 01m8
  printf 'read README.md\\nread LICENSE\\n' | orchestral repl --quiet""",
        epilog="on its lines:\n"
        + "\n".join(f"  {usage:<22} {says}" for usage, says in HELP.items())
        + "\n\nA line answers what the thread waits for, if exactly one step asks for text. Approvals are asked one by"
        + f"\none, with what will run; no line ever gives one.\n\n{CTRL_C}"
        + f"\n\n{EXIT_CODES}",
    ),
}
