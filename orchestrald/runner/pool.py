"""Which runner does an action get?"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrald.actions import LoadedAction
from orchestrald.config import Config
from orchestrald.hookspecs import Action, Confinement
from orchestrald.runner import scratch
from orchestrald.runner.base import Attempt, Observer, Outcome
from orchestrald.runner.confine import Confiner
from orchestrald.runner.explain import explain
from orchestrald.runner.external import ExternalRunner, StoreArtifact
from orchestrald.runner.inprocess import InProcessRunner
from orchestrald.runner.provenance import Provenance
from orchestrald.runner.subject import Subjects
from orchestrald.runner.trial import try_command
from orchestrald.runner.untouchable import Untouchable


class LocalRunner:
    """`base.Runner` on this machine.

    `state` is a folder of the daemon's own, 0700, that must exist: the staged /etc, scratch folders and quarantine go
    beneath it. `confinement_of` is the operator's word for a plugin, by its name, and `provenance_of` says where that
    was written. `private` are further folders that no policy may show (configuration, socket), `own` those that no
    in-process action may touch. `parallel` programs run at a time: missing means two per core, since more only wait
    for each other. `environ` is the daemon's environment, missing for the real one.
    """

    def __init__(
        self,
        state: Path,
        *,
        store_artifact: StoreArtifact,
        confinement_of: Callable[[str], Confinement] = lambda _: Confinement(),
        provenance_of: Callable[[str], Provenance] = lambda plugin: Provenance(Config(), plugin),
        private: Iterable[str] = (),
        own: Iterable[str] = (),
        parallel: int | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        folder = state / "scratch"
        folder.mkdir(mode=0o700, exist_ok=True)
        if confinement_of("").run_as is not None:
            folder.chmod(0o711)  # each attempt's own folder in it belongs to that user
        self.confiner = Confiner(state, private=private, parallel=parallel, environ=environ)
        self._inprocess = InProcessRunner(
            self.confiner, scratch=folder, confinement_of=confinement_of, untouchable=Untouchable.of(own)
        )
        self._external = ExternalRunner(
            self.confiner,
            scratch=folder,
            confinement_of=confinement_of,
            store_artifact=store_artifact,
            environ=environ,
        )
        self._subjects = Subjects(folder, confinement_of, environ)
        self._provenance_of = provenance_of
        self._scratch = folder

    async def run(self, action: LoadedAction, attempt: Attempt, observer: Observer) -> Outcome:
        if isinstance(action.how, Action):
            return await self._inprocess.run(action.spec, action.how, attempt, observer)
        return await self._external.run(action.spec, action.how, attempt, observer)

    async def explain(self, action: LoadedAction, workspace: str) -> dict[str, Any]:
        """What the programs of an action may touch in `workspace` (empty: none), and who says so."""
        return await explain(self.confiner, self._subjects, self._provenance_of, action, workspace)

    async def try_command(
        self, action: LoadedAction, argv: Sequence[str], workspace: str, seconds: float
    ) -> dict[str, Any]:
        """Run `argv` as if it were the program of that action. Raises WrongState and SandboxUnavailable."""
        return await try_command(self.confiner, self._subjects, action, argv, workspace, seconds)

    async def sweep(self) -> None:
        """End and remove what attempts of a daemon that was killed have left. To be called before the first run."""
        await self.confiner.end_survivors()
        for name in os.listdir(self._scratch):
            await scratch.remove(str(self._scratch / name))
