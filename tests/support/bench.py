"""A real runner on a folder of its own, plugins made on the spot, and an observer that writes everything down."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrald.actions import LoadedAction
from orchestrald.core.model import ActionSpec
from orchestrald.hookspecs import Confinement
from orchestrald.manifest import ExternalAction, Limits, SandboxRequest
from orchestrald.runner.base import Attempt, Violation
from orchestrald.runner.pool import LocalRunner


@dataclass
class Notes:
    """An observer that writes everything down."""

    logs: list[tuple[str, str]] = field(default_factory=list)
    reports: list[tuple[float | None, float | None, str]] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)

    def progress(self, done: float | None, total: float | None, message: str) -> None:
        self.reports.append((done, total, message))

    def log(self, level: str, message: str) -> None:
        self.logs.append((level, message))

    def violation(self, seen: Violation) -> None:
        self.violations.append(seen)


@dataclass
class Bench:
    """A runner, a plugin folder, a workspace, and what was stored."""

    runner: LocalRunner
    folder: Path
    workspace: Path
    stored: list[bytes]
    granted: dict[str, Confinement]

    def program(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
        return f"./{name}"

    def sh(self, text: str, **fields: Any) -> LoadedAction:
        """An action that a shell script performs."""
        return self.external([self.program("script.sh", f"#!/bin/sh\n{text}\n")], **fields)

    def external(
        self,
        command: Sequence[str],
        *,
        spec: dict[str, Any] | None = None,
        limits: dict[str, Any] | None = None,
        sandbox: SandboxRequest | None = None,
        **fields: Any,
    ) -> LoadedAction:
        known = ActionSpec("p.act", **(spec or {}))
        how = ExternalAction(
            spec=known,
            plugin="p",
            version="1",
            name="act",
            folder=self.folder,
            digest="d",
            command=tuple(command),
            cwd=self.folder,
            limits=Limits(**({"timeout": 10.0} | (limits or {}))),
            sandbox=sandbox or SandboxRequest(),
            **({"stop_timeout": 0.2} | fields),
        )
        return LoadedAction(known, how)

    def attempt(self, **fields: Any) -> Attempt:
        known = {
            "interaction_id": "int_1",
            "step_id": "s1",
            "execution_id": "exec_1",
            "attempt": 1,
            "idempotency_key": "int_1/s1/1",
            "params": {},
            "workspace": str(self.workspace),
        }
        return Attempt(**(known | fields))


def children() -> list[str]:
    """The processes of this one that are not reaped yet."""
    return sorted(pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split())
