"""What is a row of the table, and which of its three verdicts did a run come to?

The rows themselves stand in table_*.py, one file for each kind of thing that is attacked.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from escape.household import ROOT, Scene, code_of

SUCCEEDED = "succeeded"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One way out. `number` is that of section 3 of SANDBOX.md, with a letter for a part of it; "+" is ours.

    - `removed` names the mechanisms without which it gets through: all that stand in its way. `further` are those
      that stand in the way of one user only, and `also` what is gone in both halves.
    - `held` is how the step may end when the attempt is held, `through` when it is not; where it succeeds, the
      plugin's own word decides. `seen` is what the host finds afterwards, in words; empty: nothing.
    - `setup` is done before the step, `meanwhile` beside it, until the event.
    - `partly`: without the mechanism some of the attempts get through; which ones depends on the machine.
    - `unprovable` says, by user, why no removal can show the difference there.
    """

    number: str
    title: str
    attempt: str
    args: dict[str, Any] = field(default_factory=dict)
    removed: str
    grant: str = "burglar"
    held: tuple[str, ...] = (SUCCEEDED,)
    through: tuple[str, ...] = (SUCCEEDED,)
    setup: Callable[[Scene], None] | None = None
    seen: Callable[[Scene], str] | None = None
    step: dict[str, Any] = field(default_factory=dict)
    meanwhile: Callable[[Scene, threading.Event], None] | None = None
    also: str = ""
    further: dict[str, str] = field(default_factory=dict)
    partly: bool = False
    unprovable: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.number} {self.title}"


@dataclass(frozen=True)
class Verdict:
    """`escaped` None: neither held nor through, which proves nothing either way. `incomplete` names what was held
    although something else got through."""

    escaped: bool | None
    evidence: str
    incomplete: str = ""


def run(row: Row, scene: Scene) -> Verdict:
    if row.setup is not None:
        row.setup(scene)
    with scene.kept:
        over = threading.Event()
        if row.meanwhile is not None:
            beside = threading.Thread(target=row.meanwhile, args=(scene, over))
            beside.start()
            scene.kept.callback(beside.join, 10)
            scene.kept.callback(over.set)
        step = scene.home.attempt(scene, row.grant, row.attempt, row.args, **row.step)
        return judged(row, step, row.seen(scene) if row.seen is not None else "")


def judged(row: Row, step: dict[str, Any], seen: str) -> Verdict:
    code, output = code_of(step), step.get("output") or {}
    told = f"{code}: {output.get('evidence', step.get('error'))}"
    if seen:
        return Verdict(True, f"the host saw: {seen}")
    if output.get("escaped") and code in row.through:
        return Verdict(True, told, "" if row.partly else str(output.get("held") or ""))
    if code in row.held and not output.get("escaped"):
        return Verdict(False, told)
    return Verdict(True if code in row.through and row.seen is None else None, told)


def table() -> list[Row]:
    """Every row, in the order of section 3."""
    from escape import table_daemon, table_files, table_kernel, table_machine, table_network

    parts = [table_files, table_network, table_kernel, table_machine, table_daemon]
    rows = [row for part in parts for row in part.ROWS]
    assert len({row.name for row in rows}) == len(rows), "two rows have one name"
    return sorted(rows, key=_place)


def _place(row: Row) -> tuple[int, str]:
    digits = "".join(character for character in row.number if character.isdigit())
    return (int(digits) if digits else 1000, row.name)


def same(why: str) -> dict[str, str]:
    """No removal shows it, for whoever runs the daemon."""
    return {ROOT: why, "nobody": why}
