"""How does a client stay with an interaction until it ends: through questions, Ctrl-C and the daemon's death?"""

from __future__ import annotations

import signal
import sys
import time

from orchestrald.cli.ask import ask, read_line
from orchestrald.cli.board import Board
from orchestrald.cli.command import CANCELLED, FAILED, INTERRUPTED, OK, WAITS
from orchestrald.cli.subscription import Subscription
from orchestrald.cli.text import plural, safe
from orchestrald.client import Refused, Unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType

    from orchestrald.cli.board import Row
    from orchestrald.cli.display import Quiet
    from orchestrald.cli.terminal import Terminal
    from orchestrald.client import Client

TICK_S = 0.1
SETTLE_S = 0.5
"""How long the stream must be silent before an end counts although its last events were not seen."""
SHOWN_QUESTIONS = 5

ENDS = frozenset({"interaction.completed", "interaction.failed", "interaction.cancelled"})
EXIT = {"completed": OK, "failed": FAILED, "cancelled": CANCELLED}


class Interrupts:
    """Ctrl-C as a question to be asked between two items, so that no half-read line is ever lost."""

    def __init__(self) -> None:
        self.pending = False

    def __enter__(self) -> Interrupts:
        self._int = signal.signal(signal.SIGINT, self._note)
        self._term = signal.signal(signal.SIGTERM, _leave)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        signal.signal(signal.SIGINT, self._int)
        signal.signal(signal.SIGTERM, self._term)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        if self.pending:  # the first one was not looked at yet: we are stuck in a call
            raise KeyboardInterrupt
        self.pending = True


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + signal.SIGTERM)


class Follower:
    """One interaction, followed to its end. `screen` is where questions are asked; None means that nobody is there.

    `advice` says how what stays open can be answered. `lets_go`: a wait for an external event ends the following too,
    as somebody who can only type here could never cause it otherwise.
    """

    def __init__(
        self,
        client: Client,
        interaction_id: str,
        display: Quiet,
        screen: Terminal | None,
        *,
        advice: Callable[[str, Row], str] | None = None,
        lets_go: bool = False,
    ) -> None:
        self.board = Board(interaction_id)
        self._client = client
        self._id = interaction_id
        self._display = display
        self._screen = screen
        self._advice = advice or how_to_answer
        self._lets_go = lets_go
        self._left_open: set[tuple[str, int, int, str]] = set()
        self._past_end = False
        self._heard_at = time.monotonic()
        self._lost = False

    def follow(self, after_seq: int | None) -> int:
        """Show everything after `after_seq` until the end; the exit code."""
        subscription = Subscription(self._client, interaction_id=self._id, after_seq=after_seq)
        with Interrupts() as interrupts:
            try:
                return self._loop(subscription, interrupts)
            except KeyboardInterrupt:
                return self._detach()
            except Unreachable as error:
                error.hint = (
                    f"{error.hint}\nThe interaction goes on when a daemon runs: orchestral watch {self._id}".strip()
                )
                raise
            finally:
                subscription.close()
                self._display.close()

    def _loop(self, subscription: Subscription, interrupts: Interrupts) -> int:
        while True:
            self._receive(subscription)
            self._display.tick(self.board)
            if interrupts.pending:
                interrupts.pending = False
                code = self._interrupted()
                if code is not None:
                    return code
            if self._ended():
                return self._finish()
            if self._stuck():
                return self._waits()

    def _receive(self, subscription: Subscription) -> None:
        item = subscription.next(TICK_S)
        if item is None:
            return
        word, data = item
        self._heard_at = time.monotonic()
        if word == "lost":
            if not self._lost:  # a dying daemon may take a connection and drop it again
                self._display.notice("The daemon is gone; starting it again.")
            self._lost = True
        elif word == "gap":
            self._display.notice("Some earlier events are no longer kept.")
        elif word == "snapshot" and self._lost:
            self._lost = False
            self._display.notice("The daemon is back; going on from where it was.")
        self.board.take(word, data)
        if word == "event" and data.get("type") in ENDS:
            # One that was retried has ended before: the events up to the snapshot's belong to what is to be shown.
            self._past_end = int(data.get("seq", 0)) >= self.board.last_seq
        self._display.item(word, data, self.board)

    def _ended(self) -> bool:
        if not self.board.final:
            return False
        seen = self._past_end or not self._display.wants_events
        if seen and self.board.answer is not None:
            return True
        return time.monotonic() - self._heard_at > SETTLE_S

    def _finish(self) -> int:
        snapshot = self._client.call("interaction.get", interaction_id=self._id)
        self.board.snapshot(snapshot)
        self._display.finish(snapshot, self.board)
        return EXIT.get(self.board.state, FAILED)

    def _stuck(self) -> bool:
        """Ask what can be asked; True when only a person could go on and none is here (or wants to)."""
        asking = [row for row in self.board.asking if self._key(row) not in self._left_open]
        if self._screen is not None and asking:
            self._display.pause()
            row = asking[0]
            if ask(self._client, self._id, row, self._screen):
                row.state, row.question = "pending", None  # its events follow
            else:
                self._left_open.add(self._key(row))
            return False
        if self.board.state != "waiting":
            return False
        silent = time.monotonic() - self._heard_at > SETTLE_S
        if self.board.asking:
            return silent or not self._display.wants_events
        return silent and self._lets_go and bool(self._expecting())

    def _expecting(self) -> list[Row]:
        """The steps that wait for an external event."""
        rows = self.board.rows.values()
        return [row for row in rows if row.state == "waiting" and (row.question or {}).get("kind") == "event"]

    def _waits(self) -> int:
        self._display.pause()
        snapshot = self._client.call("interaction.get", interaction_id=self._id)
        self._display.finish(snapshot, self.board)
        asking = self.board.asking
        for row in asking[:SHOWN_QUESTIONS]:
            sys.stderr.write(f"{safe(row.step_id)} waits for a person: {self._advice(self._id, row)}\n")
        if len(asking) > SHOWN_QUESTIONS:
            more = plural(len(asking) - SHOWN_QUESTIONS, "step")
            sys.stderr.write(f"and {more} more: orchestral show {self._id}\n")
        for row in self._expecting()[:SHOWN_QUESTIONS]:
            sys.stderr.write(f"{safe(row.step_id)} waits for an event: {self._advice(self._id, row)}\n")
        return WAITS

    def _interrupted(self) -> int | None:
        """What Ctrl-C means: None to go on, else the exit code."""
        self._display.pause()
        if self._screen is None:
            return self._detach()
        answer = read_line(self._screen, "Ctrl-C: [c]ancel the interaction, [d]etach and let it run, Enter goes on: ")
        match answer.strip().lower()[:1]:
            case "c":
                self._cancel()
                return None
            case "d":
                return self._detach()
            case _:
                return None

    def _cancel(self) -> None:
        try:
            self._client.call("interaction.cancel", interaction_id=self._id, reason="Ctrl-C in orchestral")
        except Refused as error:  # it ended while we asked
            self._display.notice(error.message)

    def _detach(self) -> int:
        self._display.close()
        sys.stderr.write(
            f"\nDetached; it goes on.\n  orchestral watch {self._id}    looks again\n"
            f"  orchestral cancel {self._id}   stops it\n"
        )
        return INTERRUPTED

    @staticmethod
    def _key(row: Row) -> tuple[str, int, int, str]:
        """What tells two questions of one step apart."""
        return row.step_id, row.revision, row.attempt, str((row.question or {}).get("digest", ""))


def how_to_answer(interaction_id: str, row: Row) -> str:
    """The command that answers a waiting step."""
    kind = (row.question or {}).get("kind")
    step = safe(row.step_id)
    step = f"'{step}'" if "[" in step else step
    if kind == "approval":
        return f"orchestral approve {interaction_id} {step}   (or deny; orchestral approvals shows what will run)"
    if kind == "interrupted":
        return f"orchestral respond {interaction_id} --step {step} --retry   (or --skip, --fail)"
    if kind == "event":
        return "orchestral emit " + safe((row.question or {}).get("event_kind") or "KIND")
    return f"orchestral respond {interaction_id} --step {step} YOUR ANSWER"
