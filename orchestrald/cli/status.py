"""How is the daemon?

Rules of this file:

- Asking never starts a daemon: the answer would no longer be about what was asked.
- It is the command that people put into prompts and loops: nothing is imported here that the answer does not need.
"""

from __future__ import annotations

import sys
import time

from orchestrald.cli.command import OK, UNREACHABLE, Command, add_json, print_json
from orchestrald.cli.text import ago, duration, plural, safe
from orchestrald.client import Client, Unreachable
from orchestrald.paths import Paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

ALIVE = ["queued", "planning", "executing", "waiting", "paused", "cancelling"]
SHOWN = 8


def status() -> int:
    return _status(as_json=False)


def _status(*, as_json: bool) -> int:
    client = Client(Paths.find())
    try:
        info, rows = ask(client)
    except Unreachable as error:
        if as_json:
            print_json({"running": False, "problem": error.message})
        else:
            sys.stdout.write(
                f"{safe(error.message)}\n  orchestral start starts it; so does any command that needs it.\n"
            )
        return UNREACHABLE
    if as_json:
        print_json({"running": True, **info, "alive": rows})
    else:
        sys.stdout.write("\n".join(describe(info, rows, time.time_ns() // 1000)) + "\n")
    return OK


def ask(client: Client) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What `system.info` says, and the newest interactions that are not final (asked for only when there are any)."""
    info = client.call("system.info")
    counts = info.get("interactions", {})
    rows: list[dict[str, Any]] = []
    if counts.get("active") or counts.get("waiting") or counts.get("queued"):
        rows = client.call("interaction.list", state=ALIVE, limit=50)["interactions"]
    return info, rows


def describe(info: dict[str, Any], rows: list[dict[str, Any]], now: int) -> list[str]:
    """The answer in a few lines. `now` is in UTC microseconds."""
    lines = [
        f"orchestrald {safe(info.get('version', '?'))} is {safe(info.get('state', 'running'))}: "
        f"pid {info.get('pid', '?')}, up {duration(info.get('uptime_s', 0))}, "
        f"{plural(info.get('plugins', 0), 'plugin')} with {plural(info.get('actions', 0), 'action')}",
        *_sandbox(info.get("sandbox") or {}),
        *_store(info.get("store") or {}),
        *_planner(info),
    ]
    paused = [row for row in rows if row.get("state") == "paused"]
    queued = [row for row in rows if row.get("state") == "queued"]
    waiting = [row for row in rows if row.get("state") == "waiting"]
    running = [row for row in rows if row.get("state") not in {"paused", "queued", "waiting"}]
    counts = info.get("interactions", {})
    steps = info.get("steps", {}).get("running", 0)
    if running:
        active = counts.get("active", len(running))
        lines.append(f"runs      {plural(active, 'interaction')}, {plural(steps, 'step')} at this moment")
        lines += _interactions(running, now)
    if waiting:
        asked = max(len(waiting), counts.get("waiting", 0) - len(paused))  # the daemon counts both as waiting
        lines.append(f"waits     {plural(asked, 'interaction')} for an answer")
        lines += _interactions(waiting, now)
    for word, standing in (("paused", paused), ("queued", queued)):
        if standing:
            lines.append(f"{word}    {plural(max(len(standing), counts.get(word, 0)), 'interaction')}")
            lines += _interactions(standing, now)
    if not rows:
        lines.append("idle      nothing runs and nothing waits")
    return lines


def _sandbox(sandbox: dict[str, Any]) -> list[str]:
    name = safe(sandbox.get("backend", "?"))
    if not sandbox.get("ok"):
        lines = [
            f"sandbox   {name} is unusable, so sandboxed steps fail: {safe(sandbox.get('reason', 'no reason given'))}"
        ]
        return lines + ([f"          {safe(sandbox['hint'])}"] if sandbox.get("hint") else [])
    weaker = [f"          weaker here: {safe(word)}" for word in sandbox.get("weaker") or []]
    return [f"sandbox   {name}, ready", *_limits(sandbox.get("limits") or {}), *weaker]


def _limits(limits: dict[str, Any]) -> list[str]:
    """What holds each limit, in a line; nothing when nobody has found out."""
    held = [f"{name} by {safe(limits[name])}" for name in ("memory", "processes", "cpu", "files") if name in limits]
    why = f" ({safe(limits['problem'])})" if limits.get("problem") else ""
    return [f"          limits: {'; '.join(held)}{why}"] if held else []


def _store(store: dict[str, Any]) -> list[str]:
    if store.get("failed"):
        return [f"store     CANNOT BE WRITTEN: {safe(store['failed'])}", f"          {safe(store.get('path', ''))}"]
    safety = {"power_loss": "survives a power loss", "process_crash": "survives a crash of the daemon"}
    known = safety.get(str(store.get("durability")), safe(store.get("durability", "")))
    return [f"store     {plural(store.get('last_seq', 0), 'event')} in {safe(store.get('path', '?'))}, {known}"]


def _planner(info: dict[str, Any]) -> list[str]:
    """Who plans; nothing of a daemon that does not say so."""
    if "skills" not in info:
        return []
    books = plural(info.get("playbooks", 0), "playbook")
    if not info.get("model"):
        return [f"planner   no model: playbooks only ({books})"]
    return [f"planner   {safe(info['model'])}; {books}, {plural(info['skills'], 'skill')}"]


def _interactions(rows: list[dict[str, Any]], now: int) -> list[str]:
    lines = []
    for row in rows[:SHOWN]:
        done = f"{row.get('finished', 0)} of {plural(row.get('steps', 0), 'step')}"
        waits = [safe(step) for step in row.get("waiting") or []]
        asks = f"; {', '.join(waits[:3])}{' and others' if len(waits) > 3 else ''} waiting" if waits else ""
        begun = ago(row.get("created_at", now), now)
        lines.append(
            f"  {safe(row['interaction_id'])}  {safe(row.get('intent') or 'a plan')[:60]}  ({done}, {begun}{asks})"
        )
    if len(rows) > SHOWN:
        lines.append(f"  and {len(rows) - SHOWN} more: orchestral list")
    return lines


def _run(args: Namespace) -> int:
    return _status(as_json=args.json)


COMMANDS = {
    "status": Command(
        help="how the daemon is: sandbox, store, what runs and what waits",
        run=_run,
        configure=add_json,
        examples="  orchestral status\n  orchestral status --json | jq .sandbox.ok",
        epilog="exit codes: 0 it runs, 69 it does not",
    ),
}

QUICK = {"status": status}
