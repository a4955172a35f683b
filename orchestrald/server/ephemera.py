"""How do progress and log lines of running steps reach whoever looks on, and nobody else?

Display only: never stored, never replayed, at most five times a second, and the first thing to be dropped. Of progress
the newest counts; of log lines the newest few; of an answer that is being written all that came since the last time.
"""

from collections import deque
from typing import Any

import trio

from orchestrald.server.ring import Ring

INTERVAL_S = 0.2
_MOST_LOG_LINES = 256
_MOST_STEPS = 256
_MOST_ANSWER = 64 * 1024
"""Characters between two looks; whoever is slower sees the whole of it at the end."""

_Key = tuple[str, str]
_Note = tuple[str, dict[str, Any]]


class Mailbox:
    """What one subscriber has not yet been shown; of one interaction, or (missing) of all. Bounded, oldest dropped."""

    def __init__(self, interaction_id: str | None) -> None:
        self.interaction_id = interaction_id
        self._progress: dict[_Key, _Note] = {}
        self._log: deque[_Note] = deque(maxlen=_MOST_LOG_LINES)
        self._answers: dict[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self._progress or self._log or self._answers)

    def put(self, key: _Key, note: _Note) -> None:
        if note[0] == "events.log":
            self._log.append(note)
        elif note[0] == "events.answer":
            self._answers[key[0]] = (self._answers.get(key[0], "") + note[1]["text"])[:_MOST_ANSWER]
        elif key in self._progress or len(self._progress) < _MOST_STEPS:
            self._progress[key] = note

    def take(self) -> list[_Note]:
        """Everything, as (method, params without the subscription); it is empty afterwards."""
        answers = [_answer(interaction_id, text) for interaction_id, text in self._answers.items()]
        notes = [*self._log, *self._progress.values(), *answers]
        self._log.clear()
        self._progress.clear()
        self._answers.clear()
        return notes


class Ephemera:
    """Where the engine says what a running step shows. Saying it costs a dictionary entry, or nothing."""

    def __init__(self, ring: Ring) -> None:
        """`ring` wakes the subscribers, whose mailboxes are emptied between its events."""
        self._ring = ring
        self._mailboxes: set[Mailbox] = set()
        self._progress: dict[_Key, _Note] = {}
        self._log: deque[tuple[_Key, _Note]] = deque(maxlen=_MOST_LOG_LINES)
        self._answers: dict[str, str] = {}
        self._said = trio.Event()

    @property
    def watched(self) -> bool:
        """Whether anybody looks on. If not, saying something is of no use, though it does no harm."""
        return bool(self._mailboxes)

    def attach(self, mailbox: Mailbox) -> None:
        self._mailboxes.add(mailbox)

    def detach(self, mailbox: Mailbox) -> None:
        """Detaching twice is fine."""
        self._mailboxes.discard(mailbox)

    def progress(
        self, interaction_id: str, step_id: str, done: float | None, total: float | None, message: str = ""
    ) -> None:
        """How far a step is. `done` and `total` in the step's own unit; missing means unknown. Never waits."""
        if not self.watched:
            return
        key = interaction_id, step_id
        self._progress[key] = (
            "events.progress",
            _without_missing(
                interaction_id=interaction_id, step_id=step_id, done=done, total=total, message=message or None
            ),
        )
        self._said.set()

    def log(self, interaction_id: str, step_id: str, level: str, message: str) -> None:
        """A line that a step printed. Never waits."""
        if not self.watched:
            return
        params = {"interaction_id": interaction_id, "step_id": step_id, "level": level, "message": message}
        self._log.append(((interaction_id, step_id), ("events.log", params)))
        self._said.set()

    def answer(self, interaction_id: str, piece: str) -> None:
        """A piece of the answer that is being written. Never waits."""
        if not self.watched:
            return
        self._answers[interaction_id] = (self._answers.get(interaction_id, "") + piece)[:_MOST_ANSWER]
        self._said.set()

    async def run(self) -> None:
        """Hands out what was said, five times a second while something is; otherwise it sleeps. Until cancelled."""
        while True:
            await self._said.wait()
            self._said = trio.Event()
            self._hand_out()
            await trio.sleep(INTERVAL_S)

    def _hand_out(self) -> None:
        answers = [((name, ""), _answer(name, text)) for name, text in self._answers.items()]
        notes = [*self._log, *self._progress.items(), *answers]
        self._log.clear()
        self._progress.clear()
        self._answers.clear()
        for mailbox in self._mailboxes:
            for key, note in notes:
                if mailbox.interaction_id in (None, key[0]):
                    mailbox.put(key, note)
        self._ring.wake()


def _answer(interaction_id: str, text: str) -> _Note:
    return "events.answer", {"interaction_id": interaction_id, "text": text}


def _without_missing(**params: Any) -> dict[str, Any]:
    return {k: v for k, v in params.items() if v is not None}
