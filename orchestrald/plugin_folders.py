"""Which plugin folders are there, and which of them can be used right now?

Rules of this file:

- State is polled, events are not interpreted: a watch misses renames, goes deaf when its folder is replaced, and never
  knows whether a copy is complete.
- A folder is read once nothing in it has changed between two looks at least `SETTLE` seconds apart. Called every
  `POLL` seconds, what is dropped is live after at most POLL + 2 * POLL = 1.5 s and the look itself: within two seconds.
- A new generation replaces the old one in a single assignment; who runs the old one keeps it. Broken new content leaves
  the last good generation in force, and says so.
- One bad plugin never stops the others.
"""

import contextlib
import os
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Any, Literal, NamedTuple

from orchestrald.errors import InvalidManifest
from orchestrald.manifest import ExternalAction, external_actions
from orchestrald.manifest_text import FILE_NAMES
from orchestrald.plugin_inspection import (
    Digests,
    Fingerprint,
    Unusable,
    check_hands,
    check_machine,
    doubts,
    itself,
    look,
    manifest_name,
    program,
    read_manifest,
    same,
)
from orchestrald.protocol.foreign_text import plain

POLL = 0.5
SETTLE = 0.9
"""A little less than two polls, so that a poll that comes early does not cost another one."""
NO_MANIFEST_AFTER = 30.0
AGAIN_AFTER = 10.0
"""A broken plugin is looked at again, changed or not: somebody may have installed the interpreter that was missing."""
_REST = 50
"""A folder that took t seconds to look through is left alone for 50 t: at most 2 % of a core, however large it is."""

_IGNORED_STARTS = (".", "_")
_IGNORED_ENDS = ("~", ".tmp", ".temp", ".part", ".partial", ".swp", ".disabled")

State = Literal["settling", "ready", "degraded", "invalid", "draining", "disabled"]


@dataclass(frozen=True, slots=True)
class Plugin:
    """One plugin folder as it is known now.

    `actions` are in force in the states `ready` and `degraded` (the folder's newest content is broken, `problem` says
    how, and the generation before it is still used) and empty in all others. `generation` 0 means never loaded.
    """

    name: str
    folder: Path
    state: State = "settling"
    version: str = ""
    generation: int = 0
    digest: str = ""
    actions: tuple[ExternalAction, ...] = ()
    problem: str = ""
    hint: str = ""
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """What `plugin.list` shows. Actions by full name."""
        shown = {"name", "state", "version", "generation", "digest", "problem", "hint", "warnings"}
        return {
            **{name: getattr(self, name) for name in sorted(shown)},
            "kind": "folder",
            "folder": os.fspath(self.folder),
            "actions": [action.spec.name for action in self.actions],
        }


class Change(NamedTuple):
    """A plugin that is not what it was at the scan before. `before` missing means new, `after` missing means gone."""

    before: Plugin | None
    after: Plugin | None


@dataclass(slots=True)
class _Watched:
    """What the scans remember of one folder. `settled` is the content that the plugin's state speaks of."""

    plugin: Plugin
    found: Fingerprint = ()
    since: float = 0.0
    first_seen: float = 0.0
    due: float = 0.0
    cheap: tuple[tuple[int, ...], ...] = ()
    settled: Fingerprint | None = None
    again: float = inf
    digests: Digests = field(default_factory=Digests)


class Folders:
    """The plugins of some root folders, first come first served where two have the same name.

    `scan` is called from one thread at a time, and may take as long as reading the disk takes; `plugins`, `actions`
    and `listing` may be called from any thread, at any time.
    """

    def __init__(self, roots: Sequence[Path], *, disabled: Collection[str] = (), path: str | None = None) -> None:
        self._roots = tuple(Path(os.path.abspath(root)) for root in roots)
        self._disabled = frozenset(disabled)
        self._path = os.environ.get("PATH", os.defpath) if path is None else path
        self._watched: dict[Path, _Watched] = {}
        self._plugins: dict[str, Plugin] = {}

    @property
    def plugins(self) -> dict[str, Plugin]:
        """Every folder that is not ignored, by name. The dictionary is replaced, never changed."""
        return self._plugins

    def actions(self) -> tuple[ExternalAction, ...]:
        """Every action in force."""
        return tuple(action for plugin in self._plugins.values() for action in plugin.actions)

    def listing(self) -> list[dict[str, Any]]:
        return [plugin.to_json() for _, plugin in sorted(self._plugins.items())]

    def disable(self, names: Collection[str]) -> None:
        """Replaces the names of the plugins that are not to be used; the next scan acts on it."""
        self._disabled = frozenset(names)

    def scan(self, now: float, *, force: bool = False, busy: Collection[str] = ()) -> list[Change]:
        """Look at every folder and say what changed. Never raises for what is on the disk.

        `now` is any clock in seconds that does not go back. `force` reads what changed without waiting for it to
        settle. `busy` names plugins that have steps running: one whose folder is gone is `draining` as long.
        """
        folders = self._folders()
        for folder in folders:
            watched = self._watched.get(folder)
            if watched is None:
                watched = self._watched[folder] = _Watched(Plugin(folder.name, folder), first_seen=now, since=now)
            self._visit(watched, now, force)
        for folder in self._watched.keys() - set(folders):
            if self._watched[folder].plugin.name in busy and self._watched[folder].plugin.generation:
                gone = self._watched[folder]
                gone.settled, gone.found = None, ()
                gone.plugin = replace(gone.plugin, state="draining", actions=(), problem="", hint="", warnings=())
            else:
                del self._watched[folder]
        return self._publish()

    def _publish(self) -> list[Change]:
        before, after = self._plugins, dict[str, Plugin]()
        for root in self._roots:
            for folder, watched in sorted(self._watched.items()):
                if folder.parent == root:
                    after.setdefault(folder.name, watched.plugin)
        self._plugins = after
        names = sorted(before.keys() | after.keys())
        return [Change(before.get(n), after.get(n)) for n in names if before.get(n) != after.get(n)]

    def _folders(self) -> list[Path]:
        found = []
        for root in self._roots:
            with contextlib.suppress(OSError), os.scandir(root) as entries:
                found += [
                    root / e.name
                    for e in entries
                    if not e.name.startswith(_IGNORED_STARTS)
                    and not e.name.endswith(_IGNORED_ENDS)
                    and (e.is_symlink() or e.is_dir(follow_symlinks=False))
                ]
        return found

    def _visit(self, watched: _Watched, now: float, force: bool) -> None:
        plugin = watched.plugin
        if plugin.name in self._disabled:
            watched.plugin = replace(plugin, state="disabled", actions=(), problem="", hint="", warnings=())
            return
        if plugin.state in ("draining", "disabled"):
            plugin = watched.plugin = replace(plugin, state="settling")
            watched.settled, watched.since, watched.first_seen = None, now, now
        try:
            self._look(watched, now, force)
            if watched.settled is not None and same(watched.settled, watched.found):
                if now < watched.again and not (force and plugin.problem):
                    return
            elif not force and now - watched.since < SETTLE:
                return
            self._read(watched, now, force)
        except Unusable as e:
            self._broken(watched, now, e.message, e.hint)
        except InvalidManifest as e:
            self._broken(watched, now, e.message, e.advice)
        except FileNotFoundError:
            watched.since = now  # moved or removed under our eyes: the next look will see it as it is
        except (OSError, ValueError, RecursionError) as e:
            self._broken(watched, now, f"it cannot be read: {plain(str(e), 300)}", "")

    def _look(self, watched: _Watched, now: float, force: bool) -> None:
        cheap = _cheap(watched.plugin.folder)
        if not force and now < watched.due and cheap == watched.cheap:
            return
        started = time.perf_counter()
        found = look(watched.plugin.folder)
        watched.due = now + _REST * (time.perf_counter() - started)
        watched.cheap = cheap
        if not same(watched.found, found):
            watched.since = now
        watched.found = found

    def _read(self, watched: _Watched, now: float, force: bool) -> None:
        plugin, found = watched.plugin, watched.found
        check_hands(plugin.folder.parent, itself(plugin.folder.parent))
        check_hands(plugin.folder, found)
        file_name = manifest_name(found)
        if file_name is None:
            if not force and now - max(watched.first_seen, watched.since) < NO_MANIFEST_AFTER:
                return
            raise Unusable(f"it has no manifest ({', '.join(FILE_NAMES)})", "PROTOCOL.md shows one to begin with.")
        manifest, warnings = read_manifest(plugin.folder, file_name)
        check_machine(manifest, self._path)
        starts = program(manifest.runtime.command, plugin.folder, self._path)
        digest = watched.digests.of(plugin.folder, found)
        if not same(look(plugin.folder), found):
            watched.since, watched.due = now, now
            return  # somebody is still writing
        watched.settled, watched.again = found, inf
        generation = plugin.generation + (digest != plugin.digest)
        watched.plugin = Plugin(
            plugin.name,
            plugin.folder,
            "ready",
            manifest.version,
            generation,
            digest,
            external_actions(manifest, plugin.folder, digest=digest, program=starts, generation=generation),
            warnings=(*warnings, *doubts(manifest.runtime.command, plugin.folder)),
        )

    def _broken(self, watched: _Watched, now: float, problem: str, hint: str) -> None:
        plugin = watched.plugin
        watched.settled, watched.again = watched.found, now + AGAIN_AFTER
        usable = tuple(action for action in plugin.actions if os.access(action.program, os.X_OK))
        watched.plugin = replace(
            plugin,
            state="degraded" if usable else "invalid",
            actions=usable,
            problem=problem,
            hint=hint,
            warnings=(),
        )


def _cheap(folder: Path) -> tuple[tuple[int, ...], ...]:
    """Enough to notice most changes without a walk: the folder and its manifest."""
    seen = []
    for name in ("", *FILE_NAMES):
        with contextlib.suppress(OSError):
            st = os.lstat(folder / name)
            seen.append((st.st_ino, st.st_mtime_ns, st.st_ctime_ns, st.st_size))
    return tuple(seen)


def in_words(changes: Iterable[Change]) -> list[str]:
    """One sentence per change, for the log."""
    told = []
    for before, after in changes:
        if after is None and before is not None:
            told.append(f"plugin {before.name} is gone")
        elif after is not None and after.state != "settling":
            what = f"plugin {after.name} is {after.state}"
            if after.actions:
                what += f" (version {after.version}, generation {after.generation}, {len(after.actions)} actions)"
            told.append(f"{what}: {after.problem}" if after.problem else what)
    return told
