"""Who is asked for plans and for words right now, and what may that cost?

The planner and the interpreter, put together from the settings; a reload replaces what they are made of while they are
being asked. `planner.base.Planner` for the engine, whoever it is that answers.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

from orchestrald import config_models
from orchestrald.config import Config
from orchestrald.config_models import BudgetLimits
from orchestrald.core.redaction import Redaction
from orchestrald.engine.model_calls import Budget, Budgets
from orchestrald.engine.planning import Bounds
from orchestrald.errors import InternalError, OrchestralError
from orchestrald.interpreter.llm import ModelInterpreter, Voice
from orchestrald.models.base import Model
from orchestrald.models.profile import Profile
from orchestrald.paths import Paths
from orchestrald.planner.base import Catalog, Done, Planner, Proposal, Request
from orchestrald.planner.choice import Choice
from orchestrald.planner.playbooks import Playbooks, bundled
from orchestrald.planner.skills import Skills
from orchestrald.providers import check, profiles, redaction

log = logging.getLogger("orchestrald.service")


class Advisers:
    """`catalog` is what can be planned with. Nothing is read from disk before `reload`."""

    replans = False
    """A caller's own plan is nobody else's to replace; a proposal says it for those that are made here."""

    def __init__(
        self, config: Config, environ: Mapping[str, str], paths: Paths, config_file: Path, catalog: Catalog
    ) -> None:
        self.playbooks = Playbooks([bundled(), Path(paths.playbooks_dir)])
        self.interpreter = ModelInterpreter(lambda: self._voice)
        self.redact = Redaction()
        self._environ = environ
        self._paths = paths
        self._config_file = config_file
        self._catalog = catalog
        self.configure(config)

    def configure(self, config: Config) -> None:
        """Use these settings from now on. What is being asked goes on as it began. Raises ConfigError."""
        check(config, self._environ)
        self.redact = redaction(config, self._environ)
        self.budgets = Budgets(_budget(config.budgets.interaction), _budget(config.budgets.day))
        said = config.planner
        folders = [Path(self._paths.skills_dir), *(Path(folder).expanduser() for folder in said.skills)]
        self.skills = Skills(folders)
        found = () if said.mode == "deterministic" else profiles(config, said, self._environ)
        self.model = self._model(found)
        self.mode = said.mode
        self._choice = Choice(self.playbooks, self._planner(said), said.mode, str(self._config_file))
        speaks = self.model
        if _speaks_for_itself(config):
            speaks = self._model(profiles(config, config.interpreter, self._environ))
        self._voice = Voice(speaks, config.interpreter.mode, self.redact)
        for profile in found:
            if profile.api_key_env and not profile.api_key:
                log.warning("%s cannot be asked: %s is not set", profile.name, profile.api_key_env)

    def _model(self, found: tuple[Profile, ...]) -> Model | None:
        if not found:
            return None
        from orchestrald.model_planning import model_of  # noqa: PLC0415  only where there is a model

        return model_of(found, Path(self._paths.endpoints), self.redact)

    def _planner(self, said: config_models.Planner) -> Planner | None:
        if self.model is None:
            return None
        from orchestrald.model_planning import planner_of  # noqa: PLC0415  the same

        return planner_of(self.model, said, self._catalog, self.redact, self.skills)

    async def propose(self, request: Request) -> Proposal | Done:
        try:
            return await self._choice.propose(request)
        except OrchestralError:
            raise
        except Exception as error:  # a bug; what it says may quote whatever it had in hand
            log.exception("the planner failed")
            raise InternalError(self.redact(f"the planner failed: {type(error).__name__}: {error}")) from error

    def changed(self) -> bool:
        """Whether a playbook or a skill was written since `reload`. Looks at the disk."""
        return self.playbooks.changed() or self.skills.changed()

    def reload(self) -> list[str]:
        """Read playbooks and skills again. Returns one line for each that cannot be used."""
        return [*self.playbooks.reload(), *self.skills.reload()]

    def listing(self) -> dict[str, object]:
        """As `system.info` shows it."""
        shown: dict[str, object] = {"planner": self.mode, "playbooks": len(self.playbooks), "skills": len(self.skills)}
        return shown | ({"model": self.model.name} if self.model is not None else {})


def bounds(config: Config) -> Bounds:
    said = config.planner
    return Bounds(said.max_history, config.runtime.max_replans, said.max_steps, said.max_time)


def _speaks_for_itself(config: Config) -> bool:
    """Whether the interpreter asks somebody else than the planner."""
    said = config.interpreter
    return bool(said.backend or said.model_profile or said.model or said.temperature or said.fallbacks)


def _budget(limits: BudgetLimits) -> Budget:
    return Budget(limits.tokens, None if limits.cost is None else round(limits.cost * 1_000_000))
