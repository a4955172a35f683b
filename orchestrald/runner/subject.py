"""Which program stands for an action when no attempt of it is made: to explain what it may touch, or to try another?"""

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrald.actions import LoadedAction
from orchestrald.hookspecs import ActionError, Confinement
from orchestrald.manifest import ExternalAction
from orchestrald.protocol import action as protocol
from orchestrald.runner.external import RESULT, command_of
from orchestrald.runner.grants import Command
from orchestrald.runner.scratch import scratch_folder

TRUSTED = "It runs inside the daemon: a package that the administrator installed and trusts. It is not sandboxed."
_EXAMPLE = ("sh",)
"""The program of an action that starts what a plan says: any will do, and every system has this one."""


@dataclass(frozen=True, slots=True)
class Subject:
    """An action, the operator's word for its plugin, and what its programs run under. `command` missing: it is not
    known to start any."""

    action: LoadedAction
    operator: Confinement
    used: Confinement
    command: Command | None

    @property
    def external(self) -> ExternalAction | None:
        return self.action.how if isinstance(self.action.how, ExternalAction) else None


class Subjects:
    """`confinement_of` is the operator's word for a plugin, by its name; `scratch` is where attempts have folders."""

    def __init__(
        self, scratch: Path, confinement_of: Callable[[str], Confinement], environ: Mapping[str, str] | None
    ) -> None:
        self._scratch = scratch
        self._confinement_of = confinement_of
        self._path = (os.environ if environ is None else environ).get("PATH", "")

    def folder(self, action: LoadedAction) -> AbstractAsyncContextManager[str]:
        """A scratch folder as an attempt has one, with a name that none has."""
        run_as = self._confinement_of(plugin_of(action)).run_as
        return scratch_folder(self._scratch, f"try-{os.urandom(8).hex()}", run_as)

    def of(self, action: LoadedAction, scratch: str, workspace: str) -> Subject:
        """ActionError: the plugin, which is asked for its confinement, has none to give."""
        operator, how = self._confinement_of(plugin_of(action)), action.how
        if isinstance(how, ExternalAction):
            command = command_of(how, operator, scratch, workspace, self._path)
            return Subject(action, operator, operator, replace(command, env=_environment(how, command)))
        if how.confinement is None:
            return Subject(action, operator, operator, None)
        try:
            used = how.confinement(operator, workspace)
        except ActionError:
            raise
        except Exception as error:
            raise ActionError(f"the plugin cannot say: {type(error).__name__}: {error}") from error
        # The plugin would add variables to those of the sandbox; which ones, it is not asked.
        command = Command(
            argv=_EXAMPLE, confinement=used, scratch=scratch, workspace=workspace, env={}, path=self._path
        )
        return Subject(action, operator, used, command)


def plugin_of(action: LoadedAction) -> str:
    """The plugin whose grants count, as the runners have it."""
    return action.how.plugin if isinstance(action.how, ExternalAction) else action.spec.plugin


def _environment(how: ExternalAction, command: Command) -> dict[str, str]:
    """The variables that an attempt finds."""
    name = os.path.basename(command.scratch)
    standard = protocol.environment(
        action=how.name,
        execution_id=name,
        idempotency_key=name,
        result=f"{command.scratch}/{RESULT}",
        scratch=command.scratch,
        workspace=command.workspace,
    )
    return {**how.env, **standard}
