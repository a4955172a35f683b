"""What is in the reference store, and how does something get in or out of it by hand?"""

from __future__ import annotations

import base64
import os
import sys
import time

from orchestrald.cli.call import pairs
from orchestrald.cli.command import OK, BadInput, Command, add_json, connect, print_json, verb_of
from orchestrald.cli.terminal import Terminal
from orchestrald.cli.text import ago, safe, safe_lines, size, table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any

    from orchestrald.client import Client

VERBS = ("list", "get", "put", "delete")
MAX_CONTENT = 3 * 1024 * 1024


def _configure(parser: ArgumentParser) -> None:
    parser.usage = "orchestral references [list] | get DIGEST | put FILE | delete DIGEST  [options]"
    parser.add_argument("words", nargs="*", metavar="WHAT", help="list (the default), get, put (- is stdin) or delete")
    parser.add_argument("--thread", metavar="ID", help="for list: only this thread's; for put: the thread it is of")
    parser.add_argument(
        "--type", metavar="TYPE", help="image, document, file, text, code, url, summary, embedding, ..."
    )
    parser.add_argument("--output", "-o", metavar="FILE", help="of get: write it to a file")
    parser.add_argument("--limit", "-n", type=int, default=20, metavar="N", help="of list: at most this many (20)")
    parser.add_argument("--cursor", type=int, metavar="N", help="of list: go on where a list ended")
    parser.add_argument("--media-type", metavar="TYPE", help="of put: such as image/png (default: by the file's name)")
    parser.add_argument("--metadata", metavar="K=V", action="append", default=[], help="of put; may be repeated")
    parser.add_argument("--keep", action="store_true", help="of put: for ever, whatever the configuration says")
    add_json(parser)


def _run(args: Namespace) -> int:
    verb, rest = verb_of(args, VERBS, "References cannot be asked to")
    if len(rest) != (verb != "list"):
        raise BadInput(f"orchestral references {verb} takes {_TAKES[verb]}.")
    if verb == "list":
        return _list(args)
    if verb == "put":
        return _put(args, rest[0])
    client = connect(args)
    digest = _digest(client, rest[0])
    if verb == "get":
        return _get(client, args, digest)
    found = client.call("reference.delete", digest=digest)
    if args.json:
        print_json(found)
    else:
        sys.stdout.write(f"{safe(digest)} is deleted.\n")
    return OK


_TAKES = {"list": "nothing more", "get": "one digest", "put": "one file", "delete": "one digest"}


def _digest(client: Client, word: str) -> str:
    """The digest: `word` itself, or the only one among the newest that starts with it. Raises BadInput."""
    word = word if word.startswith("sha256:") else f"sha256:{word}"
    if len(word) == len("sha256:") + 64:
        return word
    known = {str(row["digest"]) for row in client.call("reference.list", limit=500)["references"]}
    close = sorted(digest for digest in known if digest.startswith(word))
    if len(close) != 1:
        how_many = f"{len(close)} of the newest references start" if close else "None of the newest references starts"
        raise BadInput(f"{how_many} with {safe(word)}.", "orchestral references lists them.")
    return close[0]


def _list(args: Namespace) -> int:
    found = connect(args).call(
        "reference.list", type=args.type, thread_id=args.thread, limit=args.limit, cursor=args.cursor
    )
    if args.json:
        print_json(found)
        return OK
    out = Terminal(sys.stdout)
    rows = found["references"]
    out.print(*(listing(rows, time.time_ns() // 1000, out.columns) if rows else ["Nothing is stored."]))
    if found.get("cursor"):
        out.print(f"Older ones: orchestral references --cursor {safe(found['cursor'])}")
    return OK


def listing(rows: list[dict[str, Any]], now: int, width: int) -> list[str]:
    """A table, newest first as they came. `now` is in UTC microseconds."""
    return table([_row(row, now) for row in rows], ["DIGEST", "TYPE", "SIZE", "STORED", "KEPT", "NAME"], width)


def _row(row: dict[str, Any], now: int) -> list[str]:
    return [
        safe(row["digest"])[:19],
        safe(row.get("type", "")),
        size(row.get("size", 0)),
        ago(row.get("created_at", now), now),
        "for ever" if row.get("until") is None else ago(row["until"], now),
        safe(row.get("name") or row.get("media_type", "")),
    ]


def _get(client: Client, args: Namespace, digest: str) -> int:
    found = client.call("reference.get", digest=digest)
    if args.json:
        print_json(found)
        return OK
    text = found.get("text")
    content = base64.b64decode(found["base64"]) if text is None else text.encode("utf-8")
    if args.output:
        _write(args.output, content)
    elif not sys.stdout.isatty():
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
    elif text is None:
        raise BadInput("This is no text.", "orchestral references get DIGEST --output FILE writes it to a file.")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in safe_lines(text)))
    return OK


def _write(path: str, content: bytes) -> None:
    try:
        with open(path, "wb") as file:
            file.write(content)
    except OSError as error:
        raise BadInput(f"{safe(path)} cannot be written: {error.strerror}.") from None


def _put(args: Namespace, path: str) -> int:
    content = _read(path)
    if len(content) > MAX_CONTENT:
        raise BadInput(f"{safe(path)} has {size(len(content))}, and {size(MAX_CONTENT)} are allowed.")
    name = "" if path == "-" else os.path.basename(path)
    found = connect(args).call(
        "reference.put",
        base64=base64.b64encode(content).decode("ascii"),
        name=name,
        media_type=args.media_type or _media_type(name),
        type=args.type,
        thread_id=args.thread,
        metadata=pairs(args.metadata) or None,
        keep=args.keep or None,
    )
    if args.json:
        print_json(found)
    else:
        sys.stdout.write(f"{safe(found['digest'])}\n")
    return OK


def _read(path: str) -> bytes:
    if path == "-":
        return sys.stdin.buffer.read(MAX_CONTENT + 1)
    try:
        with open(path, "rb") as file:
            return file.read(MAX_CONTENT + 1)
    except OSError as error:
        raise BadInput(f"{safe(path)} cannot be read: {error.strerror}.") from None


def _media_type(name: str) -> str:
    from mimetypes import guess_type

    return guess_type(name)[0] or "application/octet-stream"


COMMANDS = {
    "references": Command(
        help="stored content: large outputs, files of programs, and what you put there",
        run=_run,
        configure=_configure,
        examples="""  orchestral references
  orchestral references get 3f2a --output report.pdf
  orchestral references put photo.png --metadata place=Berlin
  orchestral references delete 3f2a""",
    ),
}
