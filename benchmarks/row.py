"""What is one line of the result?"""

from dataclasses import dataclass, field
from typing import Any

from benchmarks.targets import Bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Our figure next to another of the same run. `bound` missing: it is shown for its own sake, nothing was promised.

    `ours` or `other` missing means that it could not be measured here, and `absent` says why; `broken`, that this is
    our own fault. `raw` are the repetitions that the figures are the medians of.
    """

    what: str
    unit: str
    ours: float | None
    versus: str
    other: float | None
    bound: Bound | None
    absent: str = ""
    broken: bool = False
    raw: dict[str, list[float]] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        return None if self.ours is None or not self.other else self.ours / self.other

    @property
    def met(self) -> bool | None:
        """Missing where nothing was promised or nothing could be measured."""
        ratio = self.ratio
        return None if ratio is None or self.bound is None else self.bound.met(ratio)

    @property
    def verdict(self) -> str:
        """`met`, by how much not, or why it is not known."""
        ratio = self.ratio
        if ratio is None:
            return self.absent or "not measured"
        if self.bound is None:
            return ""
        if self.bound.met(ratio):
            return "met"
        missing = abs(ratio - self.bound.factor) / self.bound.factor
        return f"{missing:.0%} {'short' if self.bound.side == '≥' else 'over'}"

    def to_json(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "unit": self.unit,
            "ours": self.ours,
            "versus": self.versus,
            "other": self.other,
            "ratio": self.ratio,
            "target": None if self.bound is None else str(self.bound),
            "met": self.met,
            "verdict": self.verdict,
            "raw": self.raw,
        }
