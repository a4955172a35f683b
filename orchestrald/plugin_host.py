"""Which plugins are loaded, and which actions do they offer?

Rules of this file:

- Bundled plugins are found like a stranger's: by an entry point in the group `orchestrald`.
- Hooks are called plugin by plugin: one that raises is listed with its problem, and stops nobody else.
- The actions in force are one mapping, replaced in one assignment; a running step keeps what it started with.
"""

import logging
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any, NamedTuple

import pluggy

from orchestrald.actions import LoadedAction
from orchestrald.core import schema
from orchestrald.core.concurrency import BUILT_IN, Policy
from orchestrald.core.model import ActionSpec
from orchestrald.hookspecs import Action, Hooks, Notifier
from orchestrald.manifest import ExternalAction

log = logging.getLogger("orchestrald.plugins")

GROUP = "orchestrald"
SANDBOXES = "sandboxes"
"""The shared limit that every external program counts against."""


class InProcess(NamedTuple):
    """An in-process plugin as it is listed. `problem` empty means that it is in force."""

    name: str
    version: str
    actions: tuple[LoadedAction, ...]
    problem: str = ""
    policies: Mapping[str, Policy] = MappingProxyType({})
    notifiers: tuple[Notifier, ...] = ()


class PluginHost:
    """All actions in force. `sandboxes` is how many external programs may run at once."""

    def __init__(self, settings: Mapping[str, dict[str, Any]], disabled: Iterable[str], sandboxes: int) -> None:
        self._settings = settings
        self._disabled = frozenset(disabled)
        self._sandboxes = sandboxes
        self._in_process: list[InProcess] = []
        self._external: dict[str, LoadedAction] = {}
        self._actions: dict[str, LoadedAction] = {}
        self._specs: dict[str, ActionSpec] = {}
        self.policies: Mapping[str, Policy] = BUILT_IN
        """The concurrency policies in force, by name. A plugin cannot redefine one of the five."""

    # --- what the engine asks -----------------------------------------------------------------------------------

    @property
    def specs(self) -> Mapping[str, ActionSpec]:
        return self._specs

    def get(self, name: str) -> LoadedAction | None:
        return self._actions.get(name)

    @property
    def notifiers(self) -> list[Notifier]:
        """All that want to be told when a step waits for a person; empty when none does."""
        return [notifier for plugin in self._in_process for notifier in plugin.notifiers]

    def groups(self, name: str) -> list[tuple[str, int]]:
        action = self._actions.get(name)
        if action is None:
            return []
        shared = [(SANDBOXES, self._sandboxes)] if isinstance(action.how, ExternalAction) else []
        limit = action.spec.max_concurrency
        return [*shared, (f"action {name}", limit)] if limit else shared

    # --- loading ------------------------------------------------------------------------------------------------

    @property
    def in_process(self) -> list[InProcess]:
        return self._in_process

    def listing(self) -> list[dict[str, Any]]:
        """The in-process plugins as `plugin.list` shows them."""
        return [
            {
                "name": plugin.name,
                "version": plugin.version,
                "kind": "in_process",
                "state": "invalid" if plugin.problem else "ready",
                "actions": [action.spec.name for action in plugin.actions],
                **({"problem": plugin.problem} if plugin.problem else {}),
            }
            for plugin in self.in_process
        ]

    def load_in_process(self, found: Iterable[EntryPoint] | None = None) -> None:
        """Import and register the in-process plugins. Never raises for what a plugin does."""
        points = entry_points(group=GROUP) if found is None else found
        self._in_process = [self._load(point) for point in sorted(points, key=lambda point: point.name)]
        self._combine()

    def set_external(self, actions: Iterable[ExternalAction]) -> None:
        """Replace the actions of the plugin folders."""
        self._external = {action.spec.name: LoadedAction(action.spec, action) for action in actions}
        self._combine()

    def _load(self, point: EntryPoint) -> InProcess:
        version = point.dist.version if point.dist else ""
        if point.name in self._disabled:
            return InProcess(point.name, version, (), "disabled in the configuration")
        try:
            found = collect(point.load(), point.name, self._settings.get(point.name, {}))
            actions = tuple(_loaded(action, point.name, version) for action in found.actions)
            notifiers = tuple(found.notifiers)
            return InProcess(point.name, version, actions, policies=found.policies, notifiers=notifiers)
        except Exception as error:  # noqa: BLE001  a plugin's bug must not stop the daemon or the other plugins
            log.warning("plugin %s left out: %s: %s", point.name, type(error).__name__, error)
            return InProcess(point.name, version, (), f"{type(error).__name__}: {error}")

    def _combine(self) -> None:
        actions = dict(self._external)
        for plugin in self._in_process:
            for action in plugin.actions:
                actions[action.spec.name] = action
        self.policies = {name: p for plugin in self._in_process for name, p in plugin.policies.items()} | BUILT_IN
        self._specs = {name: action.spec for name, action in sorted(actions.items())}
        self._actions = actions


class Collected(NamedTuple):
    """What one plugin registers."""

    actions: list[Action]
    policies: dict[str, Policy]
    notifiers: list[Notifier]


def collect(plugin: object, name: str, settings: Mapping[str, Any]) -> Collected:
    """Whatever one plugin registers. Raises whatever the plugin raises, and ValueError for a bad action or policy."""
    hooks = pluggy.PluginManager(GROUP)
    hooks.add_hookspecs(Hooks)
    hooks.register(plugin, name)
    hooks.check_pending()
    found = Collected([], {}, [])
    hooks.hook.register_actions(register=found.actions.append, settings=settings)
    hooks.hook.register_policies(register=found.policies.__setitem__, settings=settings)
    hooks.hook.register_notifiers(register=found.notifiers.append, settings=settings)
    for action in found.actions:
        for problem in [*schema.check(action.input_schema), *schema.check(action.output_schema)]:
            raise ValueError(f"{action.name}: {problem}")
    for taken in sorted(set(found.policies) & set(BUILT_IN)):
        raise ValueError(f"the concurrency policy {taken} is built in: give yours another name")
    return found


def _loaded(action: Action, plugin: str, version: str) -> LoadedAction:
    spec = ActionSpec(
        name=action.name,
        description=action.description,
        input_schema=action.input_schema,
        output_schema=action.output_schema,
        effects=action.effects,
        open_world=action.open_world,
        idempotent=action.idempotent,
        approval=action.approval,
        timeout=action.timeout,
        max_concurrency=action.max_concurrency,
        plugin=plugin,
        version=version,
    )
    return LoadedAction(spec, action)
