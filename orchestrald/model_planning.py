"""How is a model put together from its endpoints, and a planner from a model?

A module of its own because it is loaded only where a model is configured: a daemon that plans by playbooks starts
without it.
"""

from collections.abc import Sequence
from pathlib import Path

from orchestrald.config_models import Planner
from orchestrald.core.redaction import Redaction
from orchestrald.models.base import Model
from orchestrald.models.endpoint import Endpoint
from orchestrald.models.fallback import Fallback
from orchestrald.models.known import Known
from orchestrald.models.profile import Profile
from orchestrald.planner.base import Catalog
from orchestrald.planner.llm import LlmPlanner, Settings
from orchestrald.planner.skills import Skills


def model_of(found: Sequence[Profile], learnt: Path, redact: Redaction) -> Model:
    """`found` are the endpoints in the order in which they are asked, at least one; `learnt` is the file that keeps
    what is learnt about them."""
    known = Known(learnt)
    return Fallback([Endpoint(profile, known, redact) for profile in found])


def planner_of(model: Model, said: Planner, catalog: Catalog, redact: Redaction, skills: Skills) -> LlmPlanner:
    settings = Settings(said.max_repairs, said.max_rounds, said.max_actions)
    return LlmPlanner(model, catalog, settings, redact, skills)
