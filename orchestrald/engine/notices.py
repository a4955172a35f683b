"""Who is told that a step waits for a person, and what if they cannot be?

Rules of this file:

- A question is told once, when it has become durable. A restart tells nothing: what waited before was told before.
- Telling is a courtesy: it holds nothing up, has a time limit, and what a notifier raises is logged and no more.
- Never more than a few at once. Of a flood what does not fit `WAITING` is not told, and the log says so.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence

import trio

from orchestrald.core.interaction import Interaction
from orchestrald.hookspecs import Notice, Notifier
from orchestrald.store.base import WaitRow

log = logging.getLogger("orchestrald.notices")

FOR_A_PERSON = frozenset({"input", "clarification", "approval", "interrupted"})
TIME_LIMIT_S = 10.0
AT_ONCE = 4
WAITING = 1000

Notifiers = Callable[[], Sequence[Notifier]]
NOBODY: Notifiers = tuple


class Notices:
    """Costs nothing while there is nothing to tell. `spawn` begins a function in the background."""

    def __init__(self, notifiers: Notifiers, spawn: Callable[..., None]) -> None:
        self._notifiers = notifiers
        self._spawn = spawn
        self._due: deque[tuple[Notifier, Notice]] = deque()
        self._telling = 0

    def waits_began(self, state: Interaction, began: Sequence[WaitRow]) -> None:
        """Never waits."""
        notifiers = self._notifiers()
        if not notifiers:
            return
        asked = [row for row in began if row.kind in FOR_A_PERSON]
        told = [(notifier, _notice(state, row)) for row in asked for notifier in notifiers]
        room = max(0, WAITING - len(self._due))
        if len(told) > room:
            log.warning("%d notices of %s are not told: too many wait", len(told) - room, state.id)
        self._due.extend(told[:room])
        for _ in range(min(AT_ONCE - self._telling, len(self._due))):
            self._telling += 1
            self._spawn(self._tell_one_by_one)

    async def _tell_one_by_one(self) -> None:
        try:
            while self._due:
                await _tell(*self._due.popleft())
        finally:
            self._telling -= 1


async def _tell(notifier: Notifier, notice: Notice) -> None:
    name = f"{notifier.__module__}.{getattr(notifier, '__qualname__', type(notifier).__name__)}"
    try:
        with trio.move_on_after(TIME_LIMIT_S) as scope:
            await notifier(notice)
        if scope.cancelled_caught:
            log.warning("the notifier %s took more than %g s, and was stopped", name, TIME_LIMIT_S)
    except Exception as error:  # noqa: BLE001  a plugin's bug must not stop the daemon, nor any interaction
        log.warning("the notifier %s failed: %s: %s", name, type(error).__name__, error)


def _notice(state: Interaction, row: WaitRow) -> Notice:
    title = state.intent or (state.graph.plan.goal if state.graph is not None else "")
    prompt = str(row.question.get("prompt", ""))
    return Notice(row.interaction_id, row.thread_id, row.step_id, row.kind, prompt, title)
