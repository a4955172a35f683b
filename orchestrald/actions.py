"""What is an action in force? What the core knows of it, and what runs it."""

from typing import NamedTuple

from orchestrald.core.model import ActionSpec
from orchestrald.hookspecs import Action
from orchestrald.manifest import ExternalAction


class LoadedAction(NamedTuple):
    spec: ActionSpec
    how: Action | ExternalAction
