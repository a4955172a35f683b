"""What does each line of a conversation do on its thread?

A line is submitted as an intent, or answers what the thread waits for (the daemon decides, and never takes text for an
approval); one that begins with `/` is a command of ours. What it leads to is followed until it ends or waits.
"""

from __future__ import annotations

import sys
import time

from orchestrald.cli.command import INTERRUPTED, OK, WAITS, BadInput
from orchestrald.cli.display import choose
from orchestrald.cli.emit import payload_of
from orchestrald.cli.follow import Follower, how_to_answer
from orchestrald.cli.submission import became, newest_seq, submit
from orchestrald.cli.terminal import Terminal
from orchestrald.cli.text import nearest, safe
from orchestrald.cli.threads import listing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrald.cli.board import Row
    from orchestrald.client import Client

HELP = {
    "/event KIND [PAYLOAD]": "something happened: for the step of this thread that waits for it",
    "/cancel": "stop what is unfinished here, the newest first",
    "/policy NAME": "what becomes of a line while something is active here (default: as configured)",
    "/threads": "the newest threads",
    "/help": "this",
    "/quit": "leave, as /exit and Ctrl-D do; what runs goes on",
}
WORDS = ("/event", "/cancel", "/policy", "/threads", "/help", "/quit", "/exit")


class Conversation:
    """On `thread_id`; empty means a new thread, made by the first line. `code` is how the last line ended."""

    def __init__(
        self, client: Client, thread_id: str, workspace: str, screen: Terminal | None, *, quiet: bool = False
    ) -> None:
        self.thread_id = thread_id
        self.code = OK
        self._client = client
        self._workspace = workspace
        self._screen = screen
        self._quiet = quiet
        self._open = ""
        """The interaction that was left unfinished last; empty when none was."""

    def take(self, line: str) -> bool:
        """Do what the line says; False to leave. Raises ClientError."""
        if line.startswith("/"):
            return self._command(line)
        if line.strip():
            self._say(line.strip())
        else:
            self._ask_again()
        return True

    def _say(self, intent: str) -> None:
        request = {"intent": intent, "thread_id": self.thread_id or None, "workspace": self._workspace}
        submitted, after = submit(self._client, request)
        self.thread_id = str(submitted["thread_id"])
        said = became(self._client, submitted)
        if said and not self._quiet:
            sys.stderr.write(said + "\n")
        self._follow(str(submitted["interaction_id"]), after)

    def _ask_again(self) -> None:
        """Enter alone: whatever waits here, the newest first. In a pipe an empty line is nothing."""
        waiting = [each for each in self._unfinished() if each["standing"] == "waiting"]
        if self._screen is not None and waiting:
            self._follow(str(waiting[-1]["interaction_id"]), newest_seq(self._client))

    def _follow(self, interaction_id: str, after: int) -> None:
        display = choose(Terminal(sys.stdout), Terminal(sys.stderr), as_json=False, quiet=self._quiet)
        follower = Follower(
            self._client, interaction_id, display, self._screen, advice=self._how_to_answer, lets_go=True
        )
        self.code = follower.follow(after)
        self._open = interaction_id if self.code in {WAITS, INTERRUPTED} else ""

    def _how_to_answer(self, interaction_id: str, row: Row) -> str:
        """For somebody who sits here. An approval is never given by a line, so a pipe is told the command."""
        question = row.question or {}
        if question.get("kind") == "event":
            return f"/event {safe(question.get('event_kind') or 'KIND')}"
        if question.get("kind") in {"input", "clarification"}:
            return "the next line answers it" + ("; Enter asks again" if self._screen is not None else "")
        return "Enter asks again" if self._screen is not None else how_to_answer(interaction_id, row)

    def _unfinished(self) -> list[dict[str, Any]]:
        if not self.thread_id:
            return []
        found: list[dict[str, Any]] = self._client.call("thread.get", thread_id=self.thread_id)["unfinished"]
        return found

    # --- commands -----------------------------------------------------------------------------------------------

    def _command(self, line: str) -> bool:
        word, _, rest = line.partition(" ")
        rest = rest.strip()
        match word:
            case "/quit" | "/exit":
                return False
            case "/help":
                sys.stderr.write("".join(f"  {usage:<22} {says}\n" for usage, says in HELP.items()))
            case "/threads":
                rows = self._client.call("thread.list", limit=20)["threads"]
                err = Terminal(sys.stderr)
                err.print(*listing(rows, time.time_ns() // 1000, err.columns))
            case "/policy":
                self._set_policy(rest)
            case "/event":
                self._emit(rest)
            case "/cancel":
                self._cancel()
            case _:
                near = nearest(word, WORDS)
                says = f"Did you mean {near[0]}?" if near else "/help lists them."
                raise BadInput(
                    f"There is no command {safe(word)} here.", f"{says} A line that begins with a space is an intent."
                )
        return True

    def _set_policy(self, name: str) -> None:
        if not name:
            raise BadInput("Which policy?", "/policy NAME; orchestral threads --help explains them.")
        policy = None if name == "default" else name
        if self.thread_id:
            self._client.call("thread.set_policy", thread_id=self.thread_id, policy=policy)
        else:
            self.thread_id = str(self._client.call("thread.create", policy=policy)["thread_id"])
        sys.stderr.write(f"policy: {safe(name)}\n")

    def _emit(self, rest: str) -> None:
        kind, _, payload = rest.partition(" ")
        if not kind:
            raise BadInput("Which event?", "/event KIND [PAYLOAD]")
        after = newest_seq(self._client)
        thread_id = self.thread_id or None
        self._client.call("event.emit", kind=kind, payload=payload_of(payload), thread_id=thread_id)
        self.code = OK
        if self._open:
            self._follow(self._open, after)

    def _cancel(self) -> None:
        unfinished = [str(each["interaction_id"]) for each in self._unfinished()]
        if not unfinished:
            raise BadInput("Nothing is unfinished here.")
        target = self._open if self._open in unfinished else unfinished[-1]
        after = newest_seq(self._client)
        self._client.call("interaction.cancel", interaction_id=target, reason="/cancel in orchestral repl")
        self._follow(target, after)
