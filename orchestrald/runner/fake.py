"""What does a runner look like whose outcomes are written down beforehand? For tests of what drives one."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence

import trio

from orchestrald.actions import LoadedAction
from orchestrald.core.model import Failure
from orchestrald.runner.base import Attempt, Failed, Observer, Outcome

Scripted = Outcome | Callable[[Attempt, Observer], Awaitable[Outcome]]
"""An outcome, or a function that comes to one; it may wait, and is cancelled as a real action would be."""


class ScriptedRunner:
    """`base.Runner` without processes. `script` maps an action's name to what its attempts come to, in order.

    The last entry holds for all later attempts. An action that is not in the script fails with `not_scripted`.
    `started` and `stopped` list the attempts that began, and those that were cancelled.
    """

    def __init__(self, script: dict[str, Sequence[Scripted]]) -> None:
        self.script = script
        self.started: list[Attempt] = []
        self.stopped: list[Attempt] = []
        self._turns: defaultdict[str, int] = defaultdict(int)

    async def run(self, action: LoadedAction, attempt: Attempt, observer: Observer) -> Outcome:
        self.started.append(attempt)
        name = action.spec.name
        entries = self.script.get(name, ())
        if not entries:
            return Failed(Failure("not_scripted", f"the script says nothing about {name}"))
        entry = entries[min(self._turns[name], len(entries) - 1)]
        self._turns[name] += 1
        if not callable(entry):
            return entry
        try:
            return await self._bounded(entry, attempt, observer)
        except trio.Cancelled:
            self.stopped.append(attempt)
            raise
        except Exception as error:  # noqa: BLE001  as in the real one, an exception is an outcome
            return Failed(Failure("internal_plugin_error", f"{type(error).__name__}: {error}"))

    async def _bounded(
        self, entry: Callable[[Attempt, Observer], Awaitable[Outcome]], attempt: Attempt, observer: Observer
    ) -> Outcome:
        if attempt.timeout is None:
            return await entry(attempt, observer)
        with trio.move_on_after(attempt.timeout):
            return await entry(attempt, observer)
        return Failed(Failure("timeout", f"it was stopped after {attempt.timeout:g} s"))
