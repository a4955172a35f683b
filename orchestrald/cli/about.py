"""Where does orchestrald keep its things here, and which version is this?"""

from __future__ import annotations

import sys

from orchestrald.cli.command import OK, Command, add_json, print_json
from orchestrald.cli.text import safe
from orchestrald.paths import Paths
from orchestrald.version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace


def paths() -> int:
    found = Paths.find()
    for name, path in found.items():
        sys.stdout.write(f"{name:<14} {safe(path)}\n")
    if found.socket_problem:
        sys.stderr.write(safe(found.socket_problem) + "\n")
    return OK


def _paths(args: Namespace) -> int:
    if not args.json:
        return paths()
    print_json(dict(Paths.find().items()))
    return OK


def version() -> int:
    sys.stdout.write(f"orchestral {VERSION}\n")
    return OK


COMMANDS = {
    "paths": Command(
        help="the folders and files of this home",
        run=_paths,
        configure=add_json,
        examples='  orchestral paths\n  cp -r my-plugin "$(orchestral paths --json | jq -r .plugins_dir)"',
    ),
    "version": Command(help="which orchestral this is", run=lambda _: version(), examples="  orchestral version"),
}

QUICK = {"paths": paths, "version": version}
