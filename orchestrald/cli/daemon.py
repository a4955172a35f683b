"""How is the daemon started and stopped by hand?"""

from __future__ import annotations

import sys
import time

from orchestrald.cli.command import OK, UNREACHABLE, Command
from orchestrald.client import Client, Dropped, Unreachable
from orchestrald.paths import Paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

MARGIN_S = 15.0
"""What a daemon may need beyond its drain: stopping processes, closing the store."""


def _start(args: Namespace) -> int:
    from orchestrald.cli.starting import is_listening, start_daemon

    found = Paths.find()
    if found.socket_problem:
        raise Unreachable(found.socket_problem)
    known = "was running already" if is_listening(found) else "runs now"
    if args.no_start and known == "runs now":
        raise Unreachable("orchestrald is not running, and --no-start forbids to start it.")
    if known == "runs now":
        start_daemon(found)
    info = Client(found).call("system.info")
    sys.stdout.write(f"orchestrald {known}, pid {info.get('pid', '?')}.\n")
    return OK


def _stop(args: Namespace) -> int:
    from orchestrald.cli.starting import is_held, is_listening

    found = Paths.find()
    client = Client(found)
    if not is_listening(found):
        sys.stdout.write("orchestrald is not running.\n")
        return OK
    params = {} if args.drain is None else {"drain_s": args.drain}
    try:
        client.call_once("system.shutdown", **params)
    except (Dropped, Unreachable):
        if is_listening(found):
            raise
    deadline = time.monotonic() + (args.drain or 0) + MARGIN_S
    while is_listening(found) or is_held(found.lock):
        if time.monotonic() > deadline:
            sys.stderr.write("orchestrald was told to stop and still runs; its log says why.\n")
            return UNREACHABLE
        time.sleep(0.05)
    sys.stdout.write("orchestrald has stopped. What was unfinished goes on when it is started again.\n")
    return OK


def _drain(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--drain",
        type=float,
        metavar="SECONDS",
        help="how long running steps may take to end (default: what the configuration says)",
    )


COMMANDS = {
    "start": Command(
        help="start the daemon, if none runs",
        run=_start,
        examples="  orchestral start\n  ORCHESTRAL_HOME=/tmp/try orchestral start",
    ),
    "stop": Command(
        help="stop the daemon; nothing is lost",
        run=_stop,
        configure=_drain,
        examples="  orchestral stop\n  orchestral stop --drain 0",
    ),
}
