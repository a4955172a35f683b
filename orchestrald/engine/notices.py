"""Who is told that a step waits for a person, and what if they cannot be?

Rules of this file:

- A question is told once, when it has become durable. A restart tells nothing: what waited before was told before.
- Telling is a courtesy: it holds nothing up, has a time limit, and what a notifier raises is logged and no more.
- Never more than a few at once. Of a flood what does not fit `WAITING` is not told, and the log says so.
"""

import logging
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
    def __init__(self, notifiers: Notifiers) -> None:
        self._notifiers = notifiers
        self._send, self._receive = trio.open_memory_channel[tuple[Notifier, Notice]](WAITING)

    def waits_began(self, state: Interaction, waits: Sequence[WaitRow], new: Sequence[WaitRow]) -> None:
        """`new` are those of `waits` that nobody knew of, without their questions. Never waits."""
        notifiers = self._notifiers()
        if not notifiers:
            return
        began = {row.step_id for row in new if row.kind in FOR_A_PERSON}
        told = [(notifier, _notice(state, row)) for row in waits if row.step_id in began for notifier in notifiers]
        for number, each in enumerate(told):
            try:
                self._send.send_nowait(each)
            except trio.WouldBlock:
                log.warning("%d notices of %s are not told: too many wait", len(told) - number, state.id)
                return

    async def run(self) -> None:
        """Tell, until cancelled."""
        async with trio.open_nursery() as nursery:
            for _ in range(AT_ONCE):
                nursery.start_soon(self._tell_one_by_one)

    async def _tell_one_by_one(self) -> None:
        async for notifier, notice in self._receive:
            await _tell(notifier, notice)


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
